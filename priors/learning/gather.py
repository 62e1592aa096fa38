"""Puts the poses of many motion files into one file of plain numbers, which every pass then reads.

    work/poses.f32   N rows of 63 numbers, rad;   work/gathered.json
                     which files are done, which rows are which recording's, its fold

The list is written after the rows it speaks of; a run that was killed goes on behind the last row the list knows.

Recordings are left out whole, by a hash of their name or of their person's, so that a recording is in the same fold
whatever else the folder holds. Where few people are recorded, leaving people out says more about people not seen: one
does not walk like another.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import numpy as np

from priors.learning.motion_files import WIDTH, Poses, motion_files, read_motion
from priors.prior_file import TRUNK_AND_LIMBS
from refine.body.anatomy import mirror_images
from refine.errors import InputError
from refine.files.atomic import write_bytes

VERSION = 1
"""Of the work folder's layout; another is refused."""
EVERY_S = 60.0
"""Seconds of gathering that can be lost at most, besides the file that is being read."""
CHUNK = 8192
"""Poses taken into memory at once, before mirroring: with 8 components a pass holds 70 MB of their differences."""

Report = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


def mirror() -> tuple[list[int], np.ndarray]:
    """Return for each of a pose's 63 numbers its number on the other side, and its sign (mirrored in x = 0)."""
    source = [3 * other + axis for other in mirror_images(TRUNK_AND_LIMBS) for axis in range(3)]
    return source, np.tile(np.array((1.0, -1.0, -1.0), np.float32), len(TRUNK_AND_LIMBS))


MIRROR_FROM, MIRROR_SIGN = mirror()


def mirrored(pose: Poses) -> Poses:
    """Return poses (N, 63) with left and right exchanged."""
    return pose[:, MIRROR_FROM] * MIRROR_SIGN


@dataclass(frozen=True, eq=False)
class Gathered:
    """Poses on disk.

    Attributes:
        pose: (N, 63) rad, read from disk where it is looked at.
        fold: (N,) of the pose's recording.
        recordings: Names of the recordings.
        impossible: Frames that were left out.
        skipped: A sentence for each file that was.
    """

    pose: Poses
    fold: np.ndarray
    recordings: tuple[str, ...]
    impossible: int
    skipped: tuple[str, ...]

    def chunks(self, keep: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Yield poses (n, 63) in double precision, each followed by its mirror image, a bounded number at a time.

        Args:
            keep: (N,) which; None: all.
        """
        for start in range(0, len(self.pose), CHUNK):
            part = np.asarray(self.pose[start : start + CHUNK])
            if keep is not None:
                part = part[keep[start : start + CHUNK]]
            if len(part):
                yield np.concatenate((part, mirrored(part))).astype(np.float64)


class LeftOut(StrEnum):
    """What is left out together: a recording, or all of a person's."""

    RECORDING = "recording"
    PERSON = "person"


def person_of(name: str) -> str:
    """Return whose a recording is: AMASS has a folder for each person, CMU's numbers are person_recording."""
    folder, _, file = name.rpartition("/")
    return folder or file.partition("_")[0]


def fold_of(name: str, folds: int) -> int:
    """Return the fold of a name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % folds


def folds_of(gathered: Gathered) -> list[int]:
    """Return the folds that hold poses.

    Raises:
        InputError: There are fewer than two, so that none can be left out.
    """
    folds = sorted(set(gathered.fold.tolist()))
    if len(folds) < 2:
        got = f"{len(gathered.recordings)} recordings, all in one"
        raise InputError("motion", "recordings in at least two folds, to leave one out", got, "Try other --folds.")
    return folds


def gather(
    source: Path,
    work: Path,
    *,
    per_second: float,
    folds: int,
    left_out: LeftOut = LeftOut.RECORDING,
    report: Report = lambda *_: None,
) -> Gathered:
    """Gather the poses of motion files, or go on where a gathering stopped.

    Args:
        source: A folder of AMASS's files, or one file of recordings put together.
        work: Where to put them; made if it is not there.
        per_second: Frames to keep of every second.
        folds: Into how many folds recordings are dealt.
        left_out: What goes into a fold together.
        report: Told of every file.

    Raises:
        InputError: No file could be read, or the work folder is of another source.
    """
    files = motion_files(source)
    root = source if source.is_dir() else source.parent
    names = [file.relative_to(root).with_suffix("").as_posix() for file in files]
    work.mkdir(parents=True, exist_ok=True)
    listing = hashlib.sha256("\n".join(names).encode()).hexdigest()
    head = {"version": VERSION, "source": source.resolve().name, "files": listing, "per_second": per_second}
    listed, rows = work / "gathered.json", work / "poses.f32"
    state = _state(listed, head)
    with rows.open("ab") as stream:
        stream.truncate(4 * WIDTH * sum(count for _, count in state["recordings"]))
        saved = monotonic()
        for index, (file, name) in enumerate(zip(files, names, strict=True)):
            if index < state["done"]:
                continue
            report("reading motion", index, len(files))
            _add(file, name, per_second, state, stream)
            state["done"] = index + 1
            if index + 1 == len(files) or monotonic() - saved > EVERY_S:
                stream.flush()
                write_bytes(listed, json.dumps(state).encode())
                saved = monotonic()
    counts = [count for _, count in state["recordings"]]
    if not sum(counts):
        first = f"; the first: {state['skipped'][0]}" if state["skipped"] else ""
        raise InputError(
            "motion", "at least one motion file that can be read", f"none of {len(files)} in {source}{first}"
        )
    owner = [person_of(name) if left_out is LeftOut.PERSON else name for name, _ in state["recordings"]]
    fold = np.repeat([fold_of(each, folds) for each in owner], counts)
    pose = np.memmap(rows, np.float32, "r", shape=(sum(counts), WIDTH))
    recordings = tuple(name for name, _ in state["recordings"])
    return Gathered(pose, fold, recordings, state["impossible"], tuple(state["skipped"]))


def _state(listed: Path, head: dict[str, Any]) -> dict[str, Any]:
    """Return what was gathered before, or nothing."""
    if not listed.is_file():
        return {**head, "done": 0, "recordings": [], "impossible": 0, "skipped": []}
    try:
        state = json.loads(listed.read_bytes())
    except ValueError as error:
        raise InputError(str(listed), "the list of a gathering", "a damaged file", "Remove the folder.") from error
    if {key: state.get(key) for key in head} != head:
        found = {key: state.get(key) for key in head}
        advice = "Were files added, or options changed? Remove the folder, or name another --out."
        raise InputError(str(listed), f"a gathering of {head}", str(found), advice)
    return state


def _add(file: Path, name: str, per_second: float, state: dict[str, Any], stream: BinaryIO) -> None:
    """Put one file's poses behind the others."""
    try:
        for recording in read_motion(file, name, per_second):
            stream.write(recording.pose.tobytes())
            state["recordings"].append([recording.name, len(recording.pose)])
            state["impossible"] += recording.impossible
    except InputError as error:
        state["skipped"].append(str(error))
