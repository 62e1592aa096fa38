"""Constants: numbers that terms leave open, shared by all frames of a person, with a prior of their own.

The errors e of a point, of variance one, of which a share c is the same in all frames, are

    e = √c b + √(1 - c) a,     b ~ N(0, 1) one number a label,   a ~ N(0, 1) anew in every frame

so that the residual of what changes is, with the column of b beside it,

    residual = r / √(1 - c) - √(c / (1 - c)) b

Solved with b, any number of frames leaves what √c says open; a discount would make every frame as unsure as their mean.

Source: Henderson, Biometrics 31(2), 1975 (random effects solved beside the fixed ones); Gelman and Hill, Data Analysis
Using Regression and Multilevel/Hierarchical Models, 2007, sec. 12.5 (constant and changing parts of an error).
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.body import PosedBody
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import shared


@dataclass(frozen=True)
class ConstantPart:
    """The part of a term's errors that is the same in all rows of a label (`Groups.constants`).

    Raises:
        InputError: The share is not between 0 and 1, or a number is negative.
    """

    first: int
    """Its first number among the state's constants."""
    points: int
    """Points that have one, the term's first ones."""
    share: float
    """c, of the variance."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.first < 0 or self.points < 1:
            raise InputError("constant part", "a share above 0 and below 1, first >= 0, points >= 1", repr(self))

    def beside(
        self, linear: Linearization, known: Bool[Tensor, "B N"], state: State, unknowns: Unknowns
    ) -> Linearization:
        """Return a linearisation without the constant part, which has columns of its own.

        Args:
            linear: Of N points of D numbers, the constant part among their errors.
            known: (B, N) points with information; the others are silent and tell nothing of their constants.
            state: B rows.
            unknowns: The columns.
        """
        count, depth, points = len(known), linear.residual.shape[2], self.points
        change, still = (1 - self.share) ** -0.5, (self.share / (1 - self.share)) ** 0.5
        residual, jacobian = linear.residual.clone(), linear.jacobian.clone()
        residual[:, :points] *= change
        jacobian[:, :points] *= change
        part = known[:, :points, None].to(residual) * still  # (B, points, 1)
        own = slice(self.first, self.first + points * depth)
        if state.constants is not None:
            residual[:, :points] -= part * state.constants[:, own].to(residual).unflatten(1, (points, depth))
        if unknowns.constants:
            start = unknowns.constant_columns.start
            point, axis = torch.meshgrid(torch.arange(points), torch.arange(depth), indexing="ij")
            jacobian[:, point, axis, start + self.first + point * depth + axis] = -part.expand(count, points, depth)
        return replace(linear, residual=residual, jacobian=jacobian)


@dataclass(frozen=True, eq=False)
class UnitConstants:
    """The prior of all constants: independent, of mean zero and variance one, once a label."""

    kernel: Kernel = field(default_factory=LeastSquares)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, M, 1), unitless, and its Jacobian (B, M, 1, P) per unit step."""
        like, count = state.bodies.translation, unknowns.constants
        if state.constants is None or not count:
            return Linearization(
                like.new_zeros(len(like), 0, 1), like.new_zeros(len(like), 0, 1, unknowns.size), self.kernel
            )
        jacobian = like.new_zeros(len(like), count, 1, unknowns.size)
        jacobian[:, :, 0, unknowns.constant_columns] = torch.eye(count, dtype=like.dtype, device=like.device)
        linear = Linearization(state.constants[..., None].to(like), jacobian, self.kernel)
        return shared(linear, unknowns.shares("constants"))
