"""Clips too long for one solve: overlapping windows that hand on what they know of the columns all of them share.

    twice     the frames of each window that it alone gives, with what the others said   -> what it knows of them
    then      each window, these columns held at what all know together                  -> the rows that it gives

Motion couples neighbouring frames: half an overlap away from a window's end its rows hardly feel that it ends there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from refine import batch
from refine.inputs.clip import Clip
from refine.inputs.prepared import Prepared
from refine.result import Result
from refine.state import State
from refine.terms import Term, knows_rows, rows_of
from refine.video.shared import Handed, Known, handed, known_of, together

LONGEST_FRAMES = 3000
"""Frames of a clip that are solved as one: with 17 keypoints a frame takes some 2.5 MB, so that such a clip fits into
8 GB. Longer ones are solved in windows of this length."""
EXCHANGES = 2
"""Times that windows say what they know: once at their own minima, once near the minimum of all."""
OVERLAP_FRAMES = 120
"""Frames that two windows have in common: four seconds at 30 a second. What ends a window reaches half a second."""


@dataclass(frozen=True, eq=False)
class Window:
    """Some frames of a clip.

    Attributes:
        rows: (N,) rows of the clip.
        kept: (N,) those whose result is taken from here.
    """

    rows: Int[Tensor, "N"]
    kept: Bool[Tensor, "N"]


Solve = Callable[[Prepared, Clip, Sequence[Term], Sequence[Term]], Result]
"""Solves a clip, given evidence and priors of its rows."""


def windows_of(clip: Clip) -> tuple[Window, ...]:
    """Return the windows of a clip: one where it is short enough."""
    frame = clip.estimate.image_index.cpu()
    rows = torch.arange(len(frame))
    first, end = (int(frame.min()), int(frame.max()) + 1) if len(frame) else (0, 0)
    if end - first <= LONGEST_FRAMES:
        return (Window(rows, torch.ones(len(frame), dtype=torch.bool)),)
    step = LONGEST_FRAMES - OVERLAP_FRAMES
    count = -(-(end - first - OVERLAP_FRAMES) // step)
    starts = [first + (end - first - LONGEST_FRAMES) * place // (count - 1) for place in range(count)]
    seams = [(one + LONGEST_FRAMES + other) // 2 for one, other in pairwise(starts)]
    found = []
    for start, low, high in zip(starts, [first, *seams], [*seams, end], strict=True):
        inside = rows[(frame >= start) & (frame < start + LONGEST_FRAMES)]
        found.append(Window(inside, (frame[inside] >= low) & (frame[inside] < high)))
    return tuple(found)


def in_windows(
    prepared: Prepared, clip: Clip, evidence: Sequence[Term], priors: Sequence[Term], solve: Solve
) -> Result:
    """Solve a clip in its windows.

    Args:
        prepared: The clip's B rows.
        clip: Who is who, and when.
        evidence: Terms of the B rows.
        priors: Likewise.
        solve: Solves a part of it.

    Returns:
        B rows in the clip's order, without rounds.
    """
    windows = windows_of(clip)

    def of(rows: Tensor, said: Handed | None) -> tuple[Result, Clip]:
        whole, some = _part(prepared, clip, rows)
        around = _rows(priors, rows)
        return solve(whole, some, _rows(evidence, rows), around if said is None else (*around, said)), some

    known: list[dict[int, Known]] = [{} for _ in windows]
    constants = 0
    for _ in range(EXCHANGES):
        fresh = []
        for place, window in enumerate(windows):  # frames that no two parts have in common: nothing counts twice
            rows = window.rows[window.kept]
            others = together([one for other, one in enumerate(known) if other != place])
            result, some = of(rows, handed(others, clip.person[rows].cpu(), constants))
            last = result.rounds[-1]
            fresh.append(known_of(last, some.person.cpu(), others))
            constants = last.unknowns.constants
        known = fresh
    all_of_it = together(known)
    results, order = [], []
    for window in windows:
        result, _ = of(window.rows, handed(all_of_it, clip.person[window.rows].cpu(), constants, held=True))
        sigma = result.sigma_mm
        bare = replace(
            result, rounds=(), predict=None, photos=(), stored_sigma_mm=sigma,
            state=replace(result.state, constants=None),
        )  # fmt: skip
        results.append(batch.rows(bare, window.kept))
        order.append(window.rows[window.kept])
    joined = batch.rows(batch.cat(results), torch.argsort(torch.cat(order)))
    notes = tuple(dict.fromkeys(note for one in results for note in one.notes))
    note = f"The clip was solved in {len(windows)} windows of {LONGEST_FRAMES} frames."
    joined = replace(joined, notes=(*notes, note), photos=prepared.photos)
    return replace(joined, state=_one_shape(joined, clip.person))


def _part(prepared: Prepared, clip: Clip, rows: Tensor) -> tuple[Prepared, Clip]:
    """Return some rows of a clip."""
    estimate = clip.estimate.rows(rows)
    some = Clip(estimate, batch.rows(clip.tracks, rows), clip.person[rows], clip.observed[rows], clip.notes)
    found = prepared.detections
    return replace(prepared, estimate=estimate, detections=found and batch.rows(found, rows)), some


def _rows(terms: Sequence[Term], rows: Tensor) -> tuple[Term, ...]:
    """Return terms of some rows; one without tensors is that of any rows."""
    return tuple(rows_of((term,), rows)[0] if knows_rows(term) else term for term in terms)


def _one_shape(result: Result, person: Int[Tensor, "B"]) -> State:
    """Return the state with one shape a person: windows agree on it but for what a second round would still change."""
    shape, taken = result.state.bodies.shape.clone(), result.accepted.cpu()
    for label in set(person.tolist()) - {-1}:
        own = (person.cpu() == label) & taken
        if bool(own.any()):
            shape[own] = shape[own].mean(0)
    return replace(result.state, bodies=replace(result.state.bodies, shape=shape))
