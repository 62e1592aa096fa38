"""People over time: whose each row of an estimate is and when, where tracks break, and rows that are filled in.

    person   from the source's identities, or one person where there is one body an image
    shot     frames between two cuts, given or found (`refine.inputs.cuts`)
    track    the rows of a person in a shot, unless more than a second lies between two of them

Gaps up to a second are filled (`refine.inputs.gaps`). Rows without usable numbers are in no track.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import usable_rows
from refine.inputs.cuts import exchanged, find_cuts, places_of
from refine.inputs.gaps import filled
from refine.state import Tracks

MOST_GAP_S = 1.0
"""Longest gap that is filled: after a second nothing is known of where a limb is."""
SLACK = 1.01
"""Times are rounded."""
NAMED = 6
"""Frames that a note names."""


@dataclass(frozen=True, eq=False)
class Clip:
    """An estimate over time.

    Attributes:
        estimate: B bodies: those that came, and behind them those that were filled in.
        tracks: Which rows are one person in one shot, and when.
        person: (B,) labels of people, whatever the shot; -1: not usable.
        observed: (B,) whether the estimate has the row; false: it was filled in.
        notes: A sentence for each thing that was decided.
    """

    estimate: Estimate
    tracks: Tracks
    person: Int[Tensor, "B"]
    observed: Bool[Tensor, "B"]
    notes: tuple[str, ...] = ()


def clip_of(estimate: Estimate, time_s: Float[Tensor, "F"], cuts: Sequence[int] | None = None) -> Clip:
    """Find the tracks of an estimate.

    Args:
        estimate: B bodies; `image_index` counts frames.
        time_s: (F,) s of each frame, rising.
        cuts: Frames at which a new shot begins; None: found.

    Raises:
        InputError: Nobody says who is who, a person is twice in a frame, or times or cuts do not fit the frames.
    """
    frame = estimate.image_index.cpu()
    _check_times(time_s, frame)
    person, names = _people(estimate, frame)
    person = torch.where(usable_rows(estimate).cpu(), person, -1)
    pairs = Tracks(person, time_s[frame]).windows(2) if len(person) else torch.zeros(0, 2, dtype=torch.long)
    apart = time_s[frame[pairs[:, 1]]] - time_s[frame[pairs[:, 0]]]
    places = places_of(estimate)
    swaps = exchanged(places, frame, pairs)
    swapped = {row for _, *rows in swaps for row in rows}
    own = torch.tensor([other not in swapped for other in pairs[:, 1].tolist()], dtype=torch.bool)
    found = find_cuts(places, frame, pairs[own], apart[own]) if cuts is None else _checked(cuts, len(time_s))
    shot = torch.bucketize(frame, torch.tensor(found, dtype=torch.long), right=True)
    breaks = (shot[pairs[:, 0]] != shot[pairs[:, 1]]) | (apart > SLACK * MOST_GAP_S)
    breaks |= ~own
    label = _segments(person, time_s[frame], pairs[breaks, 1])
    missing = _missing(frame, pairs[~breaks], time_s)
    whole = filled(estimate, *missing)
    before = missing[0]
    rows = torch.cat((torch.arange(len(person)), before))
    tracks = Tracks(label[rows], time_s[torch.cat((frame, missing[3]))])
    observed = torch.arange(len(rows)) < len(person)
    notes = _notes(found if cuts is None else (), swaps, names, person, before, apart)
    return Clip(whole, tracks, person[rows], observed, notes)


def _check_times(time_s: Tensor, frame: Tensor) -> None:
    """Refuse times that are not those of the frames.

    Raises:
        InputError: There are fewer than frames, or they do not rise.
    """
    count = int(frame.max()) + 1 if len(frame) else 0
    if len(time_s) < count:
        advice = "Is the video shorter than the track, or of another frame rate?"
        raise InputError("times", f"{count} frames, as the estimate has", str(len(time_s)), advice)
    if not bool(time_s.isfinite().all()) or not bool((time_s.diff() > 0).all()):
        raise InputError("times", "seconds that rise from frame to frame", "others", "Are frames out of order?")


def _checked(cuts: Sequence[int], count: int) -> list[int]:
    """Return the frames of cuts in their order.

    Raises:
        InputError: One of them is no frame.
    """
    if not all(isinstance(cut, int) and 0 <= cut < count for cut in cuts):
        raise InputError("cuts", f"frames from 0 to {count - 1}, at which a shot begins", str(list(cuts)))
    return sorted(set(cuts))


def _people(estimate: Estimate, frame: Tensor) -> tuple[Tensor, list[str]]:
    """Return labels (B,) of people, and their names by label.

    Raises:
        InputError: Nobody says who is who, or a person is twice in a frame.
    """
    persons = estimate.source.persons
    if not persons:
        persons = ("",) * len(frame)
        if len(frame.unique()) < len(frame):
            advice = "Track the people first, or pass independent=True to refine each frame by itself."
            raise InputError(
                "init", "who is who (identities over time) where frames hold several people", "none", advice
            )
    names = list(dict.fromkeys(persons))
    number = {name: label for label, name in enumerate(names)}
    label = torch.tensor([number[name] for name in persons], dtype=torch.long)
    both = torch.stack((label, frame), 1)
    if len(both.unique(dim=0)) < len(both):
        raise InputError("init", "each person once in a frame", "one twice", "Are several videos in one file?")
    return label, names


def _segments(person: Tensor, time_s: Tensor, first: Tensor) -> Tensor:
    """Return labels (B,) of tracks: a person's rows, cut before some rows."""
    order = torch.argsort(time_s, stable=True)
    order = order[torch.argsort(person[order], stable=True)]
    begins = torch.zeros(len(person), dtype=torch.bool)
    begins[first] = True
    new = torch.cat((torch.ones(1, dtype=torch.bool), person[order].diff() != 0)) if len(order) else begins
    label = torch.empty_like(person)
    label[order] = (new | begins[order]).long().cumsum(0) - 1
    return torch.where(person >= 0, label, -1)


def _missing(frame: Tensor, pairs: Tensor, time_s: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return of each row to fill in the rows before and after it, how far it is between them, and its frame."""
    one, other = frame[pairs[:, 0]], frame[pairs[:, 1]]
    count = (other - one - 1).clamp(min=0)
    which = torch.repeat_interleave(torch.arange(len(pairs)), count)
    place = torch.arange(len(which)) - torch.repeat_interleave(count.cumsum(0) - count, count)
    there = one[which] + 1 + place
    begin, end = time_s[one[which]], time_s[other[which]]
    return pairs[which, 0], pairs[which, 1], (time_s[there] - begin) / (end - begin), there


def _notes(
    cuts: Sequence[int],
    swaps: Sequence[tuple[int, int, int]],
    names: Sequence[str],
    person: Tensor,
    before: Tensor,
    apart: Tensor,
) -> tuple[str, ...]:
    """Say what was found."""
    notes = []
    if cuts:
        notes.append(f"New shots seem to begin at {_frames(cuts)}: nothing is carried across (cuts=[...] says where).")
    for at, one, other in swaps:
        who = f"{names[int(person[one])]} and {names[int(person[other])]}"
        notes.append(f"From frame {at} on persons {who} seem to have exchanged their ids: nothing is carried across.")
    if len(before):
        gaps = int((before.diff() != 0).sum()) + 1
        words = "1 gap" if gaps == 1 else f"{gaps} gaps"
        notes.append(f"{len(before)} rows in {words} were filled in from those around them (`observed`).")
    long = int((apart > SLACK * MOST_GAP_S).sum())
    if long:
        notes.append(f"Tracks are interrupted {long} times for more than {MOST_GAP_S:g} s: not filled.")
    return tuple(notes)


def _frames(frames: Sequence[int]) -> str:
    """Return frames in words."""
    said = ", ".join(map(str, frames[:NAMED]))
    return f"frame {said}" if len(frames) == 1 else f"frames {said}{', ...' if len(frames) > NAMED else ''}"
