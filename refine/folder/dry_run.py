"""What `refine run` would do: every result is read and its photos and keypoints are found and held against each other; nothing is decoded, solved or written."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from refine.errors import InputError
from refine.estimate.usable import usable_rows
from refine.folder.locate import Located
from refine.folder.manifest import Item
from refine.folder.outcome import UNCHANGED, Outcome, Summary, doubt_lines, reason_of
from refine.folder.photos import PhotoFile
from refine.folder.plan import check_settings, find_inputs, settle
from refine.folder.read import Reader
from refine.folder.results import Results, find_results
from refine.folder.settings import Settings
from refine.inputs.camera_doubts import Doubt, PhotoFacts
from refine.inputs.suspicions import suspicions
from refine.keypoints.detections import DetectedPeople

HEAD = ("result", "format", "people", "photos", "keypoints", "problem", "doubts")
PROBLEM = HEAD.index("problem")


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
    """Print one line a result, columns parted by tabs: its name, format, people, photos, keypoint files, what is wrong, and kinds of doubts.

    Doubts (`refine.inputs.camera_doubts`) are said in words on standard error, each kind once, as a run says them.

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
    wrong, doubtful = 0, list[Outcome]()
    for name in names.names:
        row, doubts = _row(name, reader)
        wrong += bool(row[PROBLEM - 1])
        doubtful.append(Outcome(name, UNCHANGED, doubts={doubt.kind: doubt.sentence for doubt in reversed(doubts)}))
        print("\t".join((name, *row, ", ".join(doubtful[-1].doubts))))
    for line in doubt_lines(Summary(tuple(doubtful))):
        print(line, file=sys.stderr)
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


def _row(name: str, reader: Reader) -> tuple[tuple[str, ...], tuple[Doubt, ...]]:
    """Return a result's columns behind its name, and what looks wrong with it."""
    try:
        located = reader.locate(Item(name))
        photos = list(located.photos.values())
        detected = reader.detected
        files = [] if detected is None else [detected.path_of(photo) for photo in photos]
        estimate = located.estimate
        people, problem = _keypoints(reader, photos) if all(files) else ({}, "no keypoints for a photo")
        shown = [str(path.relative_to(detected.files.root)) for path in files if path and detected]
        doubts = _doubts(reader, located, people)
        return (
            estimate.source.format, str(len(estimate)), _few([photo.name for photo in photos]), _few(shown), problem
        ), doubts  # fmt: skip
    except Exception as error:
        return ("", "", "", "", reason_of(error, name)), ()


def _keypoints(reader: Reader, photos: Sequence[PhotoFile]) -> tuple[dict[PhotoFile, DetectedPeople], str]:
    """Return who was detected in each photo, and what is wrong with that, "" where nothing is; sizes come from the photos' headers."""
    wrong: list[str] = []
    found: dict[PhotoFile, DetectedPeople] = {}
    for photo in photos:
        try:
            people = reader.detected_in(photo)
        except InputError as error:
            wrong.append(f"keypoints of {photo.name}: {reason_of(error, photo.name)}")
            continue
        if people is not None:
            found[photo] = people
    return found, wrong[0] + (f" (and {len(wrong) - 1} more photos)" if len(wrong) > 1 else "") if wrong else ""


def _doubts(reader: Reader, located: Located, people: Mapping[PhotoFile, DetectedPeople]) -> tuple[Doubt, ...]:
    """Return what looks wrong with the people whose photos are there, as a run will say it."""
    estimate, order = located.estimate, sorted(located.photos)
    if not len(estimate):
        return ()
    index = estimate.image_index
    here = (torch.isin(index, torch.tensor(order)) & usable_rows(estimate)).nonzero()[:, 0]
    some = replace(estimate.rows(here), image_index=torch.searchsorted(torch.tensor(order), index[here]))
    facts = []
    for file in (located.photos[image] for image in order):
        photo, seen = reader.locator.opener.open(file), people.get(file)
        points = None if seen is None else seen.pixel[seen.confidence > 0]
        facts.append(PhotoFacts(photo.size, photo.orientation, points))
    numbers = [row + 1 for row in here.tolist()]
    return suspicions(some, facts, asked_camera=reader.settings.camera is not None, numbers=numbers)


def _few(names: list[str]) -> str:
    return names[0] + (f" ... {names[-1]} ({len(names)})" if len(names) > 1 else "") if names else ""
