"""What `refine run` would do: results, photos' headers and keypoints are read and compared; nothing is written."""

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


def list_pairs(settings: Settings, out: Path, limit: int | None = None) -> int:
    """Print one line a result, columns parted by tabs: name, format, people, photos, keypoints, what is wrong, doubts.

    Doubts (`refine.inputs.camera_doubts`) are said in words on standard error, each kind once, as a run says them.

    Args:
        settings: What a run would read, and how.
        out: Where it would write to; nothing is written there.
        limit: Most results, the first ones.

    Returns:
        How many results have something wrong.

    Raises:
        InputError: An input is missing or a setting unknown.
    """
    reader, names = reader_of(settings, out=out, limit=limit)
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
    settings: Settings, *, out: Path | None = None, limit: int | None = None, judged: bool = True
) -> tuple[Reader, Results]:
    """Return what reads the results of a folder as a run would, and their names.

    Args:
        settings: What a run would read, and how.
        out: Results below it are left out; None: there is no such folder.
        limit: Most results, the first ones.
        judged: As for `Reader`.

    Raises:
        InputError: An input is missing or a setting unknown.
    """
    found = find_results(settings.results) if out is None else find_inputs(settings.results, out)
    found = replace(found, names=found.names[:limit])
    settings = replace(settings, results=found.root)
    check_settings(settings)
    return Reader(settle(settings, found), judged=judged), found


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
    """Return who was detected in each photo, and what is wrong with that, "" where nothing is."""
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
