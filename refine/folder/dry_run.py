"""What `refine run` would do: every result is read and its photos and keypoints are found and held against each other; nothing is decoded, solved or written."""

import sys
from collections.abc import Sequence
from pathlib import Path

from refine.errors import InputError
from refine.folder.manifest import Item
from refine.folder.outcome import reason_of
from refine.folder.photos import PhotoFile
from refine.folder.plan import check_settings, find_inputs, settle
from refine.folder.read import Reader
from refine.folder.settings import Settings
from refine.folder.video import frame_size
from refine.photo_header import upright_size

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

    Returns:
        How many results have something wrong.
    """
    found = find_inputs(results, Path(out), limit)
    settings = Settings(
        results=str(found.root), images=str(images), keypoints=None if keypoints is None else str(keypoints), format=format,
        camera=None if camera is None else str(camera), body_model=None if body_model is None else str(body_model),
    )  # fmt: skip
    check_settings(settings)
    reader = Reader(settle(settings, found, first_frame))
    print("\t".join(HEAD))
    wrong = 0
    for name in found.names:
        row = _row(name, reader)
        wrong += bool(row[-1])
        print("\t".join((name, *row)))
    note = f"; {found.ignored} other file(s) left alone" if found.ignored else ""
    print(f"{len(found.names)} result(s), {wrong} with a problem{note}. Nothing was written.", file=sys.stderr)
    return wrong


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
            reader.detected(photo, frame_size(photo.path) if photo.frame is not None else upright_size(photo.path))
        except InputError as error:
            wrong.append(f"keypoints of {photo.name}: {reason_of(error, photo.name)}")
    return wrong[0] + (f" (and {len(wrong) - 1} more photos)" if len(wrong) > 1 else "") if wrong else ""


def _few(names: list[str]) -> str:
    return names[0] + (f" ... {names[-1]} ({len(names)})" if len(names) > 1 else "") if names else ""
