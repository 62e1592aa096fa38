"""What `refine run` would do: every result is read and its photos and keypoints are found and held against each other; nothing is decoded, solved or written."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from refine.errors import InputError
from refine.folder.manifest import Item
from refine.folder.outcome import reason_of
from refine.folder.photos import PhotoFile
from refine.folder.plan import check_settings, find_inputs, settle
from refine.folder.read import Reader
from refine.folder.results import Results, find_results
from refine.folder.settings import Settings

HEAD = ("result", "format", "people", "photos", "keypoints", "problem")


def list_pairs(
    results: str | Path,
    images: str | Path,
    out: str | Path,
    *,
    keypoints: str | Path | None = None,
    format: str | None = None,
    camera: str | Path | None = None,
    body_model: str | Path | None = None,
    first_frame: int | None = None,
    limit: int | None = None,
    correct: Sequence[str] = (),
) -> int:
    """Print one line a result, columns parted by tabs: its name, format, people, photos, keypoint files, and what is wrong.

    Args:
        results: As for `refine.folder.run.run_folder`.
        images: Likewise.
        out: Likewise; nothing is written there.
        keypoints: Likewise.
        format: Likewise.
        camera: Likewise.
        body_model: Likewise.
        first_frame: Likewise.
        limit: Likewise.
        correct: Likewise.

    Returns:
        How many results have something wrong.
    """
    reader, names = reader_of(
        results, images, out=Path(out), keypoints=keypoints, format=format, camera=camera, body_model=body_model,
        first_frame=first_frame, limit=limit, correct=correct,
    )  # fmt: skip
    print("\t".join(HEAD))
    wrong = 0
    for name in names.names:
        row = _row(name, reader)
        wrong += bool(row[-1])
        print("\t".join((name, *row)))
    note = f"; {names.ignored} other file(s) left alone" if names.ignored else ""
    print(f"{len(names.names)} result(s), {wrong} with a problem{note}. Nothing was written.", file=sys.stderr)
    return wrong


def reader_of(
    results: str | Path,
    images: str | Path,
    *,
    out: Path | None = None,
    keypoints: str | Path | None = None,
    format: str | None = None,
    camera: str | Path | None = None,
    body_model: str | Path | None = None,
    first_frame: int | None = None,
    limit: int | None = None,
    correct: Sequence[str] = (),
    judged: bool = True,
) -> tuple[Reader, Results]:
    """Return what reads the results of a folder as a run would, and their names.

    Args:
        results: As for `refine.folder.run.run_folder`, like all others.
        images: Likewise.
        out: Results below it are left out; None: there is no such folder.
        keypoints: Likewise.
        format: Likewise.
        camera: Likewise.
        body_model: Likewise.
        first_frame: Likewise.
        limit: Likewise.
        correct: Likewise.
        judged: As for `Reader`.

    Raises:
        InputError: An input is missing or an option unknown.
    """
    if out is None:
        found = find_results(results)
        found = replace(found, names=found.names[:limit])
    else:
        found = find_inputs(results, out, limit)
    settings = Settings(
        results=str(found.root), images=str(images), keypoints=None if keypoints is None else str(keypoints), format=format,
        camera=None if camera is None else str(camera), body_model=None if body_model is None else str(body_model),
        correct=tuple(correct),
    )  # fmt: skip
    check_settings(settings)
    return Reader(settle(settings, found, first_frame), judged), found


def _row(name: str, reader: Reader) -> tuple[str, ...]:
    try:
        located = reader.locate(Item(name))
        photos = list(located.photos.values())
        files = [] if reader.keypoints is None else [reader.keypoints.of_photo(photo) for photo in photos]
        estimate = located.estimate
        problem = _keypoint_problem(reader, photos) if all(files) else "no keypoints for a photo"
        shown = [str(path.relative_to(reader.keypoints.root)) for path in files if path and reader.keypoints]
        return (
            estimate.source.format, str(len(estimate)), _few([photo.name for photo in photos]), _few(shown), problem
        )  # fmt: skip
    except Exception as error:
        return "", "", "", "", reason_of(error, name)


def _keypoint_problem(reader: Reader, photos: Sequence[PhotoFile]) -> str:
    """Return what is wrong with the photos' keypoints, empty where nothing is; sizes come from the photos' headers."""
    wrong: list[str] = []
    for photo in photos:
        try:
            reader.detected(photo, reader.size_of(photo))
        except InputError as error:
            wrong.append(f"keypoints of {photo.name}: {reason_of(error, photo.name)}")
    return wrong[0] + (f" (and {len(wrong) - 1} more photos)" if len(wrong) > 1 else "") if wrong else ""


def _few(names: list[str]) -> str:
    return names[0] + (f" ... {names[-1]} ({len(names)})" if len(names) > 1 else "") if names else ""
