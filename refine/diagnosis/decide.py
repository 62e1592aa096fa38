"""Which supposed fault is believed: the one under which most people agree, of those alike the simplest.

    explains    what is left is below 0.75 of before, for three quarters of the people
    or          its number lies 6 standard errors from nothing and matters, and what is left is below 0.93

The second rule is for small faults: all people are a little too far to the right, by as much as an ordinary estimate
errs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refine.diagnosis import candidates as suppose
from refine.diagnosis.candidates import Candidate
from refine.diagnosis.hands import hands
from refine.diagnosis.sample import Sample
from refine.diagnosis.table import Table
from refine.diagnosis.timing import frames

EXPLAINS = 0.75
"""Share of the distance that may be left."""
AGREE = 0.75
"""Share of people for whom less must be left."""
SMALL_EXPLAINS, SMALL_AGREE, DEVIATIONS = 0.93, 0.6, 6.0
"""The same for faults that are a number far from nothing, and how far."""
DEVIATIONS_IN_TIME, DEVIATIONS_OF_HANDS = 4.0, 3.0
"""Likewise of a shift in time, whose blocks of frames are few, and of a bend from the one that decides."""
LEAST = 0.01
"""Of a person's height: less is nobody's fault."""
ALIKE, EXACT = 1.05, 1.15
"""Explanations that leave up to so many times the least are alike, and the simplest is taken; those without a number of
their own may leave a little more."""
FEWEST = 8
"""People with keypoints below which nothing is said about keypoints."""


@dataclass(frozen=True)
class Finding:
    """A fault that was found.

    Attributes:
        fault: What it is called: "size", "padding", "offset", "crops", "focal", "sides", "mirror", "yx",
            "keypoints-y-up", "order", "frames", "units", "axes" or "hands".
        words: The fault in a sentence.
        flag: What undoes it: options of `refine run`; "" where no option can.
        people: How many were looked at.
        agree: Share of them that lie nearer when it is undone.
        before: Median distance of their points, in heights of a person.
        after: The same when it is undone.
    """

    fault: str
    words: str
    flag: str
    people: int
    agree: float
    before: float
    after: float

    @property
    def sure(self) -> str:
        """How sure it is, in words."""
        if math.isnan(self.agree):
            return f"by the average of {self.people} people"
        share = f"{100 * self.agree:.0f} % of {self.people} people lie nearer then"
        return f"{share}, {100 * self.before:.1f} % of their height away before, {100 * self.after:.1f} % after"


def diagnose(sample: Sample) -> tuple[Finding, ...]:
    """Say what is systematically wrong with a folder.

    Args:
        sample: Its people (`refine.diagnosis.gather`).

    Returns:
        The faults found, none where everything is as it should be: at most one of keypoints and places, and one of
        hands.
    """
    found = [Finding(one.fault, one.words, one.flag, len(sample), math.nan, math.nan, math.nan)
             for one in hands(sample) if one.deviations >= DEVIATIONS_OF_HANDS]  # fmt: skip
    table = Table.of(sample)
    if table is None:
        return tuple(found)
    pairs = table.pairs()
    base = table.left(pairs)
    if int(base.isfinite().sum()) < FEWEST:
        # Nobody lies where anybody was found: estimates behind the camera, or points that are all one point.
        base = torch.where(base.isfinite(), base, torch.full_like(base, 1e3))
    options = [*suppose.names_and_axes(table), *suppose.units_and_axes(table)]
    if len(pairs) >= FEWEST:
        for kind in (suppose.size, suppose.letterbox, suppose.offset, suppose.focal, suppose.crops):
            options += list(kind(table, pairs))
    chosen = _best(base, options) or _best_in_time(sample)
    return (*([chosen] if chosen else []), *found)


def _best_in_time(sample: Sample) -> Finding | None:
    """Return the shift in time, which is looked for only where nothing else is wrong."""
    for one in frames(sample):
        if one.deviations >= DEVIATIONS_IN_TIME:
            people, after = int(one.left.isfinite().sum()), float(one.left.nanmedian())
            return Finding(one.fault, one.words, one.flag, people, one.agree, one.before, after)
    return None


def _best(base: Tensor, options: Sequence[Candidate]) -> Finding | None:
    passed = []
    for one in options:
        both = base.isfinite() & one.left.isfinite()
        if int(both.sum()) < FEWEST:
            continue
        before, after = base[both], one.left[both]
        share, agree = float(after.median() / before.median().clamp(min=1e-9)), float((after < before).float().mean())
        big = share < EXPLAINS and agree >= AGREE
        sure = one.deviations >= DEVIATIONS and one.effect >= 1 and share < SMALL_EXPLAINS and agree >= SMALL_AGREE
        if float(before.median() - after.median()) > LEAST and (big or (sure and math.isfinite(one.deviations))):
            passed.append((one, Finding(one.fault, one.words, one.flag, int(both.sum()), agree,
                                        float(before.median()), float(after.median()))))  # fmt: skip
    if not passed:
        return None
    least = min(found.after for _, found in passed)
    alike = [
        (one.simple, found.after, found)
        for one, found in passed
        if found.after <= (EXACT if math.isinf(one.deviations) else ALIKE) * least + 1e-3
    ]
    return min(alike, key=lambda each: each[:2])[2]
