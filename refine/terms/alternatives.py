"""Alternatives: several readings of one source of evidence, of which one is right (several 3D lifts of one pose).

Each reading is a start of its own (`refine.method.hypotheses`); the rest of the evidence chooses:

    start of a person = argmin over readings of (cost of the whole fit - log of the reading's probability)

Where nothing else can be tried (rows that are solved together), the most probable reading is taken.

Source: Li and Lee, Generating multiple hypotheses for 3D human pose estimation, CVPR 2019; Pavlakos et al., SMPLify-X,
2019, sec. 3.4 (several starts, the lower cost is kept).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.batch import EACH_HAS_ROWS
from refine.body import PosedBody
from refine.check import check_shape, check_type
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, Linearization, Term, knows_rows

LEAST_PROBABILITY = 1e-6
"""A reading that its source holds for impossible is not quite so."""


@dataclass(frozen=True, eq=False)
class Alternatives:
    """H readings of one source, each a term of B bodies.

    Attributes:
        readings: H terms of one class.
        log_probability: (B, H) nats, up to a constant of each body.

    Raises:
        InputError: There are fewer than one, they are of several classes or do not know their rows, or a number is not
            finite.
    """

    readings: tuple[AnalyticTerm, ...] = field(metadata=EACH_HAS_ROWS)
    log_probability: Float[Tensor, "B H"]

    def __post_init__(self) -> None:
        check_type("alternatives.readings", self.readings, tuple, "(joints3d(...), joints3d(...))")
        if not self.readings or len({type(each) for each in self.readings}) > 1:
            raise InputError("alternatives.readings", "one term or more of one class", f"{len(self.readings)}")
        if not all(map(knows_rows, self.readings)):
            raise InputError("alternatives.readings", "terms that know their rows", type(self.readings[0]).__name__)
        check_shape("alternatives.log_probability", self.log_probability, "B H", H=len(self.readings))
        if not bool(self.log_probability.isfinite().all()):
            raise InputError("alternatives.log_probability", "finite numbers, nats", "NaN or infinity")

    @property
    def most_probable(self) -> Int[Tensor, "B"]:
        """(B,) the most probable reading of each body; the first among equals."""
        return self.log_probability.argmax(1)

    def read(self, reading: Int[Tensor, "B"]) -> Term:
        """Return the term in which body b has reading[b].

        Args:
            reading: (B,) from 0 to H - 1.
        """
        found = self.readings[0]
        for number, other in enumerate(self.readings[1:], 1):
            found = batch.where(reading == number, other, found)
        return found

    def penalty(self, reading: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return -log probability (B,) of readings, less the most probable one's."""
        own = self.log_probability.gather(1, reading[:, None])[:, 0]
        return self.log_probability.amax(1) - own

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return the most probable reading's residual (B, N, D) and Jacobian (B, N, D, P)."""
        found: Linearization = self.read(self.most_probable).linearize(state, posed, unknowns)  # type: ignore[union-attr]
        return found


def alternatives(readings: Sequence[AnalyticTerm], probability: Float[Tensor, "B H"] | None = None) -> Alternatives:
    """Build the term from readings and their probabilities.

    Args:
        readings: H terms of B bodies.
        probability: (B, H) from 0 to 1, of each reading; need not add up to one. None: all alike.

    Raises:
        InputError: A probability is negative or NaN, or the readings do not go together.
    """
    readings = tuple(readings)
    if probability is None:
        first = readings[0] if readings else None
        count = next((len(getattr(first, name)) for name in batch.row_fields(type(first))), 0) if first else 0
        probability = torch.ones(count, len(readings))
    if not bool((probability >= 0).all()):
        raise InputError("probability", "values from 0 to 1", "negative values or NaN")
    return Alternatives(readings, probability.clamp(min=LEAST_PROBABILITY).log())
