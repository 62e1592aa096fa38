"""One solved result, written in its own format, and what became of it."""

import errno
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from refine import batch
from refine.errors import InputError
from refine.estimate import as_array
from refine.estimate.arrays import state_arrays
from refine.folder.batch import Solved, joined
from refine.folder.manifest import Item
from refine.folder.outcome import FAILED, NO_KEYPOINTS, PARTLY, REFINED, UNCHANGED, Outcome, reason_of, rounded
from refine.folder.piece import Piece
from refine.folder.read import KEYPOINTS_OF
from refine.folder.settings import Settings
from refine.folder.store import FILES, PARTS, write_whole
from refine.result import Result


def write_result(pieces: Sequence[Solved], folder: Path, settings: Settings) -> Outcome:
    """Write a result's files below `folder / FILES`, or a part's state below `folder / PARTS`.

    Returns:
        What became of it.

    Raises:
        InputError: The disk is full, or cannot be written to for another reason: nothing else could be written either.
    """
    item = pieces[0].piece.item
    broken = [one.error for one in pieces if one.error is not None]
    missing = [text for one in pieces for text in one.piece.missing] + [
        reason_of(error, item.result) for error in broken
    ]
    left = [text for one in pieces for text in one.piece.left]
    solved = [one for one in pieces if one.result is not None]
    if not solved and missing:
        points = missing[0].startswith(KEYPOINTS_OF)
        expected = "keypoints that belong to its photos" if points else "photos that can be read"
        return failed(item, broken[0] if broken else InputError(item.label, expected, missing[0].rstrip(".")))
    try:
        written: tuple[str, ...] = ()
        if item.is_part:
            _write_part(folder / PARTS / part_name(item), solved)
        else:
            written = _write_files(folder / FILES, pieces[0].piece, solved, settings)
    except Exception as error:
        if is_disk_error(error):
            raise
        for name in file_names(item, settings):
            (folder / FILES / name).unlink(missing_ok=True)
        return failed(item, error)
    return _outcome(pieces, missing, left, written, keypoints=settings.has_keypoints)


def failed(item: Item, error: Exception) -> Outcome:
    """Return the outcome of a result that could not be refined."""
    return Outcome(
        item.result, FAILED, reason_of(error, item.result), part=(item.first, item.last) if item.is_part else None
    )


def is_disk_error(error: BaseException | None) -> bool:
    """Say whether an error comes from the place that is written to, not from what is written."""
    codes = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
    while error is not None:
        if isinstance(error, OSError) and error.errno in codes:
            return True
        error = error.__cause__
    return False


def part_name(item: Item) -> str:
    """Return where a part's state lies."""
    return f"{item.result}.{item.first:08d}.npz"


def _outcome(
    pieces: Sequence[Solved], missing: Sequence[str], left: Sequence[str], written: tuple[str, ...], *, keypoints: bool
) -> Outcome:
    """Return what became of a result: `missing` was not found, `left` are people without a place in a photo."""
    first = pieces[0].piece
    item, results = first.item, [_that_came(one.result) for one in pieces if one.result is not None]
    part = (item.first, item.last) if item.is_part else None
    refined = sum(int(result.accepted.sum()) for result in results)
    reasons = [*missing, *left]
    if not results:
        reasons += [] if left else ["nobody in it"]
    elif not refined:
        blind = keypoints and not any(one.piece.detected for one in pieces)
        stops = dict.fromkeys(
            said for result in results for said in result.verdict or (stop.value for stop in result.stop)
        )
        reasons += [NO_KEYPOINTS] if blind else stops
    return Outcome(
        item.result,
        PARTLY if missing or (left and refined) else REFINED if refined else UNCHANGED,
        "; ".join(reasons),
        first.estimate.source.format,
        tuple(name for one in pieces for name in one.piece.names),
        sum(len(one.piece.rows) for one in pieces) if part else len(first.estimate),
        refined,
        tuple(stop.name for result in results for stop in result.stop),
        tuple(verdict.decision.name for result in results for verdict in result.judgement),
        tuple(rounded(value) for result in results for value in result.misfit_before.tolist()),
        tuple(rounded(value) for result in results for value in result.misfit.tolist()),
        tuple(dict.fromkeys(note for result in results for note in result.notes)),
        written,
        {doubt.kind: doubt.sentence for one in reversed(pieces) for doubt in reversed(one.piece.prepared.doubts)},
        part,
    )


def _that_came(result: Result) -> Result:
    """Return a result without rows that were filled in."""
    return result if result.observed is None else batch.rows(result, result.observed)


def file_names(item: Item, settings: Settings) -> tuple[str, ...]:
    """Return the names of the files that are written for a result, below the output folder."""
    place = PurePosixPath(item.result)
    return (item.result, str(place.with_name(f"{place.stem}_refine.npz")))[: 1 + settings.save_npz]


def _write_files(folder: Path, first: Piece, solved: Sequence[Solved], settings: Settings) -> tuple[str, ...]:
    from refine.formats.find import write

    names = file_names(first.item, settings)
    (folder / names[0]).parent.mkdir(parents=True, exist_ok=True)
    estimate = first.estimate
    if solved:
        rows, result = joined(solved)
        estimate = estimate.with_rows(rows, result.state[: len(rows)])
        if settings.save_npz:
            result.save(folder / names[1])
    write(estimate, folder / names[0])
    return names if solved else names[:1]


def _write_part(path: Path, solved: Sequence[Solved]) -> None:
    """Keep the state of a part's bodies, with their rows in the whole file."""
    arrays: dict[str, np.ndarray] = {}
    if solved:
        rows, result = joined(solved)
        arrays = {**state_arrays("", result.state[: len(rows)]), "rows": as_array(rows)}
    memory = io.BytesIO()
    np.savez(memory, allow_pickle=False, **arrays)
    write_whole(path, memory.getvalue())
