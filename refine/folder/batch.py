"""People of several results in one call of the solver, and their results apart again.

    (estimate, photos, keypoints) of each result  --joined-->  one batch  --solved-->  one batch  --apart-->  a Result each

A body does not feel its batch, but for rounding; the batches of a chunk are always the same ones, so that its bytes are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from refine import batch
from refine.api import TURNED, fit_bodies_of_photos
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.folder.bodies import BodyShelf
from refine.folder.keypoints import family, match
from refine.folder.read import Prepared
from refine.keypoints.detections import Detections
from refine.refiner import Refiner
from refine.result import Result, misfit
from refine.state import State

MOST_BODIES = 64
"""Bodies a batch: larger ones are no faster on a CPU."""

MOST_PIXELS = 2**26
"""Pixels of a batch's photos: 64 million take 0.2 GB."""

BATCH_KEY = tuple[object, ...]


@dataclass(frozen=True)
class Solved:
    """A result, or a piece of one, that was solved.

    Attributes:
        prepared: What went in.
        result: The rows that were solved, as a result of their own; None where there was nobody to solve.
        error: Why it failed, or None.
    """

    prepared: Prepared
    result: Result | None
    error: Exception | None = None


class Batcher:
    """Gathers prepared results into batches of one body model and one detector."""

    def __init__(self) -> None:
        self._open: dict[BATCH_KEY, list[Prepared]] = {}

    def add(self, prepared: Prepared) -> list[Prepared]:
        """Add a result; return a batch that it does not fit into any more, else nothing.

        Raises:
            InputError: Its photos' keypoints are of different detectors.
        """
        key = (id(prepared.estimate.body), prepared.estimate.bodies.pose.dtype, family(prepared.people))
        gathered = self._open.setdefault(key, [])
        bodies = sum(len(one.rows) for one in gathered) + len(prepared.rows)
        pixels = sum(one.pixels for one in gathered) + prepared.pixels
        full: list[Prepared] = []
        if gathered and (bodies > MOST_BODIES or pixels > MOST_PIXELS):
            full, gathered = gathered, []
            self._open[key] = gathered
        gathered.append(prepared)
        return full

    def rest(self) -> list[list[Prepared]]:
        """Return what is left, in the order it came."""
        left = [batch for batch in self._open.values() if batch]
        self._open = {}
        return left


def solve(prepared: Sequence[Prepared], refiner: Refiner, shelf: BodyShelf, device: str) -> list[Solved]:
    """Solve a batch; where that fails, each of its results by itself, so that one cannot take the others with it.

    Args:
        prepared: Results on one body model.
        refiner: The method.
        shelf: Keeps body models on the device.
        device: Where to work.

    Returns:
        One entry a result, in their order.
    """
    try:
        return _solve(prepared, refiner, shelf, device)
    except Exception as error:  # whatever a file can cause, it is this file's alone
        if len(prepared) == 1:
            return [Solved(_without_photos(prepared[0]), None, error)]
        return [one for alone in prepared for one in solve([alone], refiner, shelf, device)]


def _solve(prepared: Sequence[Prepared], refiner: Refiner, shelf: BodyShelf, device: str) -> list[Solved]:
    filled = [one for one in prepared if len(one.rows)]
    if not filled:
        return [Solved(_without_photos(one), None) for one in prepared]
    estimate = _joined(filled)
    photos = tuple(photo for one in filled for photo in one.photos)
    detections, said = match(estimate, [people for one in filled for people in one.people])
    detections = None if detections is None else _undistorted(detections, estimate, filled)
    estimate = shelf.on_device(estimate, device)
    if detections is not None:
        detections = Detections(detections.name, detections.pixel.to(device), detections.confidence.to(device))
    fitted = fit_bodies_of_photos(photos, estimate, detections, refiner=refiner)
    last = fitted.rounds[-1]
    before = misfit(detections, fitted.informed, estimate).cpu()
    after = misfit(detections, fitted.informed, replace(estimate, state=last.state)).cpu()
    state, cost_before, cost = last.state.to("cpu"), fitted.rounds[0].cost_before.cpu(), last.cost.cpu()
    found = detections and Detections(detections.name, detections.pixel.cpu(), detections.confidence.cpu())
    done: dict[int, Result] = {}
    row, photo = 0, 0
    for one in filled:
        rows = slice(row, row + len(one.rows))
        notes = [*one.notes, *one.missing]
        for index in range(photo, photo + len(one.photos)):
            notes += [text if at is None else f"Person {at - row + 1}: {text}" for at, text in said.get(index, [])]
        notes += [
            f"Person {turned - row + 1}: {TURNED}" for turned in fitted.turned if rows.start <= turned < rows.stop
        ]
        own, here = one.estimate.rows(one.rows), state[rows]
        here = replace(here, camera=replace(here.camera, camera_from_world=own.camera.camera_from_world))
        done[id(one)] = Result(
            own, here, tuple(last.stop[rows]), cost_before[rows], cost[rows], before[rows],
            after[rows], detections=found and batch.rows(found, rows),
            notes=tuple(dict.fromkeys(notes)), judgement=last.verdict[rows],
        )  # fmt: skip
        row, photo = rows.stop, photo + len(one.photos)
    return [Solved(_without_photos(one), done.get(id(one))) for one in prepared]


def joined(solved: Sequence[Solved]) -> tuple[Tensor, Result]:
    """Return the pieces of one result in one: the rows of its file that were solved, and their result.

    Args:
        solved: At least one piece, each with a result.
    """
    rows = torch.cat([one.prepared.rows for one in solved])
    results = [one.result for one in solved if one.result is not None]
    if len(results) == 1:
        return rows, results[0]
    whole = batch.cat([replace(one, detections=None) for one in results])
    return rows, replace(
        whole,
        estimate=solved[0].prepared.estimate.rows(rows),
        detections=_together([one.detections for one in results]),
        notes=tuple(dict.fromkeys(note for one in results for note in one.notes)),
    )


def _together(parts: Sequence[Detections | None]) -> Detections | None:
    """Return the detections of several batches as one; None where they are not of one set."""
    known = [one for one in parts if one is not None]
    if len(known) < len(parts) or len({one.name for one in known}) > 1:
        return None
    return batch.cat(known)


def _without_photos(prepared: Prepared) -> Prepared:
    """Let go of the pixels: what waits to be written needs them no more."""
    return replace(prepared, photos=())


def _joined(filled: Sequence[Prepared]) -> Estimate:
    """Return the bodies of all results as one estimate, `image_index` counting through all photos."""
    some = [one.estimate.rows(one.rows) for one in filled]
    state = batch.cat(_in_worlds([one.state for one in some]))
    starts = torch.tensor([0, *(len(one.photos) for one in filled)]).cumsum(0)
    index = torch.cat([one.local + start for one, start in zip(filled, starts.tolist(), strict=False)])
    first, bodies = some[0], state.bodies
    source = Source("batch", first.body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    return Estimate(first.body, state, index, replace(source, sigma_rad=_said_sigma(some)))


def _in_worlds(states: Sequence[State]) -> list[State]:
    """Return the states with a world each where some have one: the others' is the camera's frame."""
    if all(state.camera.camera_from_world is None for state in states):
        return list(states)
    there = []
    for state in states:
        world = state.camera.camera_from_world
        world = torch.eye(3, 4).to(state.camera.focal).repeat(len(state), 1, 1) if world is None else world
        there.append(replace(state, camera=replace(state.camera, camera_from_world=world)))
    return there


def _said_sigma(some: Sequence[Estimate]) -> Tensor | None:
    """Return what regressors say of their own joints' errors, NaN where one says nothing; None where none does."""
    said = [one.source.sigma_rad for one in some]
    width = max((each.shape[1] for each in said if each is not None), default=0)
    if not width:
        return None
    sigma = torch.full((sum(len(one) for one in some), width), torch.nan)
    row = 0
    for one, each in zip(some, said, strict=True):
        if each is not None:
            sigma[row : row + len(one), : each.shape[1]] = each
        row += len(one)
    return sigma


def _undistorted(detections: Detections, estimate: Estimate, filled: Sequence[Prepared]) -> Detections:
    """Bring the detections of photos whose lens was taken out into the straightened photos."""
    lenses = [lens for one in filled for lens in one.lenses]
    pixel = detections.pixel
    for photo, lens in enumerate(lenses):
        rows = (estimate.image_index == photo).nonzero()[:, 0]
        if lens is not None and len(rows):
            known = (detections.confidence[rows] > 0)[..., None]
            straight = lens.undistort_points(pixel[rows]).to(pixel)
            pixel = pixel.index_copy(0, rows, torch.where(known, straight, 0.0))
    return replace(detections, pixel=pixel)


def check_evidence(refiner: Refiner, keypoints: str | None) -> None:
    """Refuse a run that has nothing to hold bodies against.

    Raises:
        InputError: There are no keypoints and the refiner has no displacement network.
    """
    if keypoints is None and refiner.displacer is None:
        raise InputError(
            "--keypoints", "a folder of 2D keypoints, or a refiner with a displacement network", "neither",
            "Run a 2D detector on the photos (OpenPose, ViTPose, MMPose, ...) and name the folder of its JSON files.",
        )  # fmt: skip
