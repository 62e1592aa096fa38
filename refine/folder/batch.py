"""People of several results in one call of the solver, and their results apart again.

    pieces of results  --together-->  one batch  --refined-->  one batch  --apart-->  a Result each

A body does not feel its batch, but for rounding; the batches of a chunk are always the same ones, so that its bytes
are.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace

import torch
from torch import Tensor

from refine import batch
from refine.api import fit_prepared, result_of
from refine.errors import InputError
from refine.folder.bodies import BodyShelf
from refine.folder.piece import Piece, Track
from refine.folder.read import MOST_BODIES, MOST_PIXELS
from refine.inputs.prepared import Prepared
from refine.refiner import Refiner
from refine.result import Result
from refine.solve.start import notes_of, orders_of
from refine.terms import Term
from refine.video import fit_clip


@dataclass(frozen=True)
class Solved:
    """A piece of a result that was refined.

    Attributes:
        piece: What went in.
        result: Its rows, as a result of their own; None where there was nobody to refine.
        error: Why it failed, or None.
    """

    piece: Piece
    result: Result | None
    error: Exception | None = None


class Batcher:
    """Gathers pieces into batches of one body model, one detector and one form of estimates."""

    def __init__(self) -> None:
        self._open: dict[object, list[Piece]] = {}

    def add(self, piece: Piece) -> list[Piece]:
        """Add a piece; return a batch that it does not fit into any more, else nothing."""
        found = piece.prepared.detections
        form = (
            _form(piece.prepared.estimate), None if found is None else (found.name, _form(found)),
            tuple((type(term), shared_form(term), _form(term)) for term in piece.prepared.evidence),
        )  # fmt: skip
        gathered = self._open.setdefault((id(piece.prepared.estimate.body), form), [])
        bodies = sum(len(one.rows) for one in gathered) + len(piece.rows)
        pixels = sum(one.pixels for one in gathered) + piece.pixels
        full: list[Piece] = []
        if gathered and (bodies > MOST_BODIES or pixels > MOST_PIXELS):
            full = gathered[:]
            gathered.clear()
        gathered.append(piece)
        return full

    def rest(self) -> list[list[Piece]]:
        """Return what is left, in the order it came."""
        left = [gathered for gathered in self._open.values() if gathered]
        self._open = {}
        return left


def solve(
    pieces: Sequence[Piece], refiner: Refiner, shelf: BodyShelf, device: str, *, sigmas: bool = False
) -> list[Solved]:
    """Refine a batch; where that fails, each of its pieces by itself, so that one cannot take the others with it.

    Args:
        pieces: Pieces of one batch.
        refiner: The method.
        shelf: Keeps body models on the device.
        device: Where to work.
        sigmas: Whether results say how sure each joint is.

    Returns:
        One entry a piece, in their order; without photos, which are needed no more.
    """
    bare = [replace(one, prepared=replace(one.prepared, photos=())) for one in pieces]
    filled = [one for one in pieces if len(one.rows)]
    try:
        results = iter(_refined(filled, refiner, shelf, device, sigmas) if filled else [])
    except Exception as error:  # whatever a file can cause, it is this file's alone
        if len(pieces) == 1:
            return [Solved(bare[0], None, error)]
        return [one for alone in pieces for one in solve([alone], refiner, shelf, device, sigmas=sigmas)]
    return [Solved(one, next(results) if len(one.rows) else None) for one in bare]


def solve_track(track: Track, refiner: Refiner, shelf: BodyShelf, device: str, *, sigmas: bool = False) -> list[Solved]:
    """Refine a person over time; where that fails, nobody else is touched.

    Args:
        track: The person.
        refiner: The method.
        shelf: Keeps body models on the device.
        device: Where to work.
        sigmas: Whether results say how sure each joint is.

    Returns:
        One entry a result that the person is in. Where it is one, rows that were filled in stand behind its own.
    """
    try:
        whole = shelf.on_device(track.prepared, device)
        clip = replace(track.clip, estimate=whole.estimate)
        result = fit_clip(whole, clip, refiner)
        state = replace(result.state.to("cpu"), constants=None)  # a solver's own, which no file has
        sigma = result.sigma_mm.cpu() if sigmas else None
    except Exception as error:  # whatever a file can cause, it is this track's alone
        return [Solved(piece, None, error) for piece in track.pieces]
    done, start = [], 0
    starts = result.rounds[-1].start if result.rounds else ()
    for piece in track.pieces:
        alone = len(track.pieces) == 1
        rows = slice(start, len(track.clip.estimate) if alone else start + len(piece.rows))
        index = torch.arange(len(track.clip.estimate))[rows]
        came = piece.estimate.rows(piece.rows)
        if alone:
            came = replace(track.clip.estimate, image_index=track.image)
        numbers = [int(row) + 1 for row in piece.rows]
        notes = (
            *piece.prepared.notes, *piece.missing, *notes_of(starts[start : start + len(numbers)], numbers),
            *(doubt.sentence for doubt in piece.prepared.doubts),
        )  # fmt: skip
        done.append(Solved(piece, Result(
            came, state[index], result.stop[rows],
            **{name: getattr(result, name).cpu()[rows] for name in NUMBERS},
            detections=None if result.detections is None else batch.rows(track.prepared.detections, index),
            notes=tuple(dict.fromkeys(notes)), judgement=result.judgement[rows],
            stored_sigma_mm=None if sigma is None else sigma[rows],
            observed=track.clip.observed[rows], tracks=batch.rows(track.clip.tracks, index),
        )))  # fmt: skip
        start += len(piece.rows)
    return done


NUMBERS = ("cost_before", "cost", "misfit_before", "misfit")
"""Figures of a result that have one entry a row."""


def joined(solved: Sequence[Solved]) -> tuple[Tensor, Result]:
    """Return the pieces of one result in one: the rows (R,) of its file that were refined, and their result.

    Rows that were filled in between others of their track stand behind all of them.

    Args:
        solved: At least one piece, each with a result.
    """
    rows = torch.cat([one.piece.rows for one in solved])
    results = [one.result for one in solved if one.result is not None]
    notes = tuple(dict.fromkeys(note for one in results for note in one.notes))
    whole = batch.cat(results)
    if whole.observed is not None:
        whole = batch.rows(whole, torch.argsort(~whole.observed, stable=True))
    return rows, replace(whole, notes=notes)


def _refined(pieces: Sequence[Piece], refiner: Refiner, shelf: BodyShelf, device: str, sigmas: bool) -> list[Result]:
    whole = shelf.on_device(_together([one.prepared for one in pieces]), device)
    fitted = fit_prepared(whole, refiner=refiner)
    result = result_of(whole, fitted, refiner)
    last, sigma = result.state.to("cpu"), result.sigma_mm.cpu() if sigmas else None
    numbers = {name: getattr(result, name).cpu() for name in NUMBERS}
    done, start = [], 0
    for one in pieces:
        rows = slice(start, start + len(one.rows))
        starts, detections = fitted.rounds[-1].start[rows], one.prepared.detections
        order = None if detections is None else orders_of(starts, detections.pixel.shape[1])
        if detections is not None and order is not None:
            detections = detections.reordered(order)
        other = notes_of(starts, [int(row) + 1 for row in one.rows])
        doubts = tuple(doubt.sentence for doubt in one.prepared.doubts)
        notes = dict.fromkeys((*one.prepared.notes, *one.missing, *other, *doubts))
        own = {name: each[rows] for name, each in numbers.items()}
        done.append(Result(
            one.estimate.rows(one.rows), last[rows], result.stop[rows], **own, detections=detections,
            notes=tuple(notes), judgement=result.judgement[rows],
            stored_sigma_mm=None if sigma is None else sigma[rows],
        ))  # fmt: skip
        start = rows.stop
    return done


def _together(parts: Sequence[Prepared]) -> Prepared:
    """Return bodies of one form as one batch, `image_index` counting through all photos."""
    photos = tuple(photo for one in parts for photo in one.photos)
    starts = torch.tensor([0, *(len(one.photos) for one in parts)]).cumsum(0).tolist()
    estimates = [
        replace(one.estimate, image_index=one.estimate.image_index + start)
        for one, start in zip(parts, starts, strict=False)
    ]
    found = [one.detections for one in parts if one.detections is not None]
    terms = tuple(batch.cat(same) for same in zip(*(one.evidence for one in parts), strict=True))
    detections = batch.cat(found) if found else None
    return Prepared(batch.cat(estimates), photos, detections, noise=parts[0].noise, evidence=terms)


def shared_form(term: Term) -> object:
    """Return what a term has in common for all its rows, but for its tensors: terms that differ in it stay apart."""
    rows = batch.row_fields(type(term))
    own: list[str] = [each.name for each in fields(term) if each.name not in rows] if is_dataclass(term) else []
    return tuple((name, value) for name in own if isinstance(value := getattr(term, name), Hashable))


def _form(value: object) -> object:
    """Return which fields with rows are given, in which shapes and types: equal where rows can be put together."""
    if isinstance(value, Tensor):
        return tuple(value.shape[1:]), value.dtype
    if isinstance(value, Mapping):
        return tuple((name, _form(part)) for name, part in sorted(value.items()))
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(_form(getattr(value, name)) for name in batch.row_fields(type(value)))
    return bool(value)


def check_evidence(refiner: Refiner, keypoints: object) -> None:
    """Refuse a run that has nothing to hold bodies against.

    Raises:
        InputError: There are no keypoints and the refiner has no displacement network.
    """
    if keypoints is None and refiner.displacer is None:
        raise InputError(
            "--keypoints", "a folder of 2D keypoints, or a refiner with a displacement network", "neither",
            "Run a 2D detector on the photos (OpenPose, ViTPose, MMPose, ...) and name the folder of its JSON files.",
        )  # fmt: skip
