"""The content of a person's page over time: which frames are shown, what the curves are, what is said."""

from collections.abc import Sequence

import numpy as np

from refine.errors import InputError
from refine.result.known import Known
from refine.result.over_time import OverTime
from refine.viz.canvas import Picture
from refine.viz.film import ground_of
from refine.viz.layers import box_view, boxes_of
from refine.viz.overlay import pair, side_of
from refine.viz.track_page import Curve, TrackPage

EVENLY = 6
"""Frames shown at equal distances; the one of the largest misfit and the one that moved most are shown besides."""
SHOWN_WIDTH, SHOWN_HEIGHT = 190, 380
"""px, largest size of a frame's picture."""


def track_page_of(result: Known, one: OverTime, *, others: int = 0) -> TrackPage:
    """Return the page of one person.

    Args:
        result: The result.
        one: The person over time.
        others: How many other people the result has.
    """
    shown = tuple(_shown(result, one, at, words) for at, words in chosen_frames(one))
    curves = (
        Curve("jitter, m/s³", one.jitter, one.jitter_before),
        Curve("2D misfit to the keypoints, px", one.misfit, one.misfit_before),
        Curve("sigma of a joint's coordinate, mm", one.sigma),
        Curve("moved by refining, mm", one.moved),
    )
    return TrackPage(
        f"Person {one.person}", _summary(one, others), one.time_s, curves, ~one.accepted & one.observed,
        ~one.observed, shown,
    )  # fmt: skip


def chosen_frames(one: OverTime) -> list[tuple[int, str]]:
    """Return which frames are shown, as places in the track, with what is special about each.

    Args:
        one: The person over time.
    """
    count = len(one.frame)
    evenly = np.unique(np.linspace(0, count - 1, min(EVENLY, count)).round().astype(int))
    chosen = {int(at): "" for at in evenly}
    for values, words in ((one.misfit, "largest misfit"), (np.where(one.accepted, one.moved, np.nan), "moved most")):
        if np.isfinite(values).any():
            at = int(np.nanargmax(values))
            chosen[at] = f"{chosen[at]}, {words}" if chosen.get(at) else words
    return sorted(chosen.items())


def _shown(result: Known, one: OverTime, at: int, words: str) -> tuple[Picture, str]:
    """Return one frame close up, before above after, and its caption."""
    image, row = int(one.frame[at]), int(one.row[at])
    ground, said = ground_of(result.photos, result.refined, image)
    left, right = (side_of(each, ground, image, result.detections) for each in (result.estimate, result.refined))
    subject = int((result.image_index[:row] == image).sum())
    boxes = [boxes_of(side.meshes)[subject] for side in (left, right)]
    view = box_view(ground, boxes, SHOWN_HEIGHT, SHOWN_WIDTH)
    (before, after), _ = pair(ground, left, right, view, subject=subject)
    caption = f"{image}: {one.time_s[at]:.2f} s{said}" + (f"\n{words}" if words else "")
    return np.concatenate((before, np.full((4, before.shape[1], 3), 250, np.uint8), after)), caption


def _summary(one: OverTime, others: int) -> str:
    """Return what happened to the track, in a sentence."""
    seconds = float(one.time_s[-1] - one.time_s[0]) if len(one.time_s) else 0.0
    taken = int((one.accepted & one.observed).sum())
    parts = [f"{len(one.frame)} frames, {seconds:.1f} s; {taken} of {int(one.observed.sum())} updates accepted"]
    if (~one.observed).any():
        parts.append(f"{int((~one.observed).sum())} frames filled in")
    for name, before, after, unit in (
        ("misfit", one.misfit_before, one.misfit, "px"),
        ("jitter", one.jitter_before, one.jitter, "m/s³"),
    ):
        if np.isfinite(before).any() and np.isfinite(after).any():
            parts.append(f"mean {name} {_number(np.nanmean(before))} -> {_number(np.nanmean(after))} {unit}")
    if others:
        parts.append(f"{others} other people in the clip")
    return "; ".join(parts) + "."


def _number(value: float) -> str:
    """Return three figures, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def chosen_person(people: Sequence[OverTime], person: str | int) -> OverTime:
    """Return a person by its label, or by its place where no label is it.

    Args:
        people: Of one result.
        person: A label, or a number from 0.

    Raises:
        InputError: There is none.
    """
    by_label = [one for one in people if one.person == str(person)]
    if by_label:
        return by_label[0]
    if isinstance(person, int) and 0 <= person < len(people):
        return people[person]
    names = ", ".join(one.person for one in people[:8])
    raise InputError("person", f"one of {names or 'nobody'}, or a place below {len(people)}", repr(person))
