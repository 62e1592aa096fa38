"""The statistics by which updates are judged, and the verdicts that follow from them and a gate's bounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.solve import Decision, Verdict
from refine.trust.place import Place

LEAST_LOSS = 1.0
"""Nats by which the evidence may be explained worse: a smaller difference is not significant."""

CRITERIA = (
    Decision.NOT_FINITE, Decision.EXPLAINS_WORSE, Decision.NOBODY, Decision.TOO_LARGE, Decision.MISFIT,
    Decision.CONTRADICTORY, Decision.UNLIKE,
)  # fmt: skip
"""In the order of their weight."""
BEFORE_PLACE = 3
"""Criteria that come before an update's place in the picture."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of the criteria, as in `refine.trust.gate.Gate`.

    Attributes:
        most_size: (B,) usual errors.
        most_misfit: Sigmas.
        most_worse: Nats.
        most_stranger: Share of the photo's variation.
        least_person: (B,) probability; zero: nobody is asked for.
    """

    most_size: Float[Tensor, "B"]
    most_misfit: float
    most_worse: float
    most_stranger: float
    least_person: Float[Tensor, "B"]


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics by which B updates are judged.

    Attributes:
        gain: (B,) nats.
        size: (B,) usual errors, limbs that are put back left out.
        misfit: (B,) sigmas, after the update.
        misfit_before: (B,) sigmas, before it.
        worse: (B, T) nats by which each source of evidence is explained worse than before, zero where it is not.
        wrong: (B, K) limbs that would have to be far more wrong than limbs are.
        names: Of the K limbs.
        unexplained: (B, 2) share of the photo's variation that the person's texture does not explain, before and after;
            NaN: not known.
        place: Their move in the picture, and its cause where it is beyond the bounds.
        person: (B,) probability that the photo shows the person where the network puts him; NaN: no network.
    """

    gain: Float[Tensor, "B"]
    size: Float[Tensor, "B"]
    misfit: Float[Tensor, "B"]
    misfit_before: Float[Tensor, "B"]
    worse: Float[Tensor, "B T"]
    wrong: Bool[Tensor, "B K"]
    names: tuple[str, ...]
    unexplained: Float[Tensor, "B 2"]
    place: Place
    person: Float[Tensor, "B"]

    def verdicts(self, bounds: Bounds, solved: Sequence[bool]) -> tuple[Verdict, ...]:
        """Return B verdicts: the first criterion an update fails, in the order of their weight, and all finite numbers.

        Args:
            bounds: Of the criteria.
            solved: B, whether there is an update to judge.
        """
        finite = torch.stack((self.gain, self.size, self.misfit), 1).isfinite().all(1)
        # A comparison with NaN is false: what is not known fails no criterion.
        failed = torch.stack((
            ~finite, self.gain < -LEAST_LOSS, self.person < bounds.least_person, self.size > bounds.most_size,
            self.misfit > bounds.most_misfit, (self.worse > bounds.most_worse).any(1),
            self.unexplained[:, 1] - self.unexplained[:, 0] > bounds.most_stranger,
        ), 1).tolist()  # fmt: skip
        numbers = torch.stack([value.double() for value in self.numbers.values()], 1).tolist()
        found = []
        for there, row, cause, values, wrong in zip(
            solved, failed, self.place.cause, numbers, self.wrong.tolist(), strict=True
        ):
            if not there:
                found.append(Verdict(Decision.UNSOLVED))
                continue
            kept = tuple(name for name, put_back in zip(self.names, wrong, strict=True) if put_back)
            reasons = [*zip(CRITERIA, row, strict=True)]
            reasons.insert(BEFORE_PLACE, (cause or Decision.ELSEWHERE, cause is not None))
            accepted = Decision.PARTLY_ACCEPTED if kept else Decision.ACCEPTED
            decision = next((decision for decision, is_reason in reasons if is_reason), accepted)
            known = {name: value for name, value in zip(self.numbers, values, strict=True) if math.isfinite(value)}
            found.append(Verdict(decision, **known, kept=kept if decision.accepted else ()))
        return tuple(found)

    @property
    def numbers(self) -> dict[str, Float[Tensor, "B"]]:
        """The numbers (B,) of a verdict, by its fields' names."""
        worst = self.worse.amax(1) if self.worse.shape[1] else torch.zeros_like(self.gain)
        return {
            "gain": self.gain, "size": self.size, "misfit": self.misfit, "misfit_before": self.misfit_before,
            "worse": worst, "unexplained": self.unexplained[:, 1], "unexplained_before": self.unexplained[:, 0],
            "person": self.person, **self.place.numbers,
        }  # fmt: skip
