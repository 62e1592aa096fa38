"""Size of an update in usual errors, and misfit of the evidence before and after it.

    size² = Σ_i u_i² / usual_i² / Σ_i d_i        over some columns,     d_i = (H (N + H)⁻¹)_ii

Source: see `refine.trust.gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.solve import Solution, cholesky
from refine.solve.autodiff import linearize
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import Term
from refine.trust.quality import split, usual_width
from refine.trust.rows import typical

NO_COLUMNS = Unknowns((), translation=0)
"""No columns, for terms of which only residuals are needed."""
LEAST_DIRECTIONS = 3.0
"""Least number of directions a size is divided by: one joint's three angles."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of B updates by column.

    Attributes:
        squared: (B, P) usual errors squared.
        determined: (B, P) how much of each column the evidence determines, 0..1.
    """

    squared: Float[Tensor, "B P"]
    determined: Float[Tensor, "B P"]

    def of(self, columns: Bool[Tensor, "*B P"]) -> Float[Tensor, "B"]:
        """Return the size (B,) over some columns (P,) or (B, P), usual errors."""
        known = (self.determined * columns).sum(1).clamp(min=LEAST_DIRECTIONS)
        return ((self.squared * columns).sum(1) / known).sqrt()


def sizes_of(body: SkinnedBody, solution: Solution) -> Sizes:
    """Measure the update of the first round by column.

    Args:
        body: The model.
        solution: Of the first round, its priors at their usual width; B bodies.
    """
    near, _ = split(usual_width(solution.priors))
    around = normal_equations(body, solution.state, near, solution.unknowns)
    known = normal_equations(body, solution.state, solution.evidence, solution.unknowns).information.double()
    width = around.information.diagonal(dim1=-2, dim2=-1).double()  # (B, P), these priors hold each column by itself
    there = width > 0
    inverse = torch.where(there, width.clamp(min=torch.finfo(torch.float64).tiny).rsqrt(), 0.0)
    whitened = torch.nan_to_num(known * inverse[:, :, None] * inverse[:, None, :])
    eye = torch.eye(width.shape[1], dtype=width.dtype, device=width.device)
    left = cholesky.inverse_diagonal(whitened + eye).nan_to_num(
        1.0
    )  # a body that cannot be factored: nothing is determined
    determined = torch.where(there, 1 - left, 0.0)
    # The priors' gradient is N u: its square over N is what each column costs, twice.
    squared = (around.gradient.double() * inverse).square()
    return Sizes(squared.to(around.gradient), determined.to(around.gradient))


def misfit(body: SkinnedBody, state: State, evidence: Sequence[Term]) -> Float[Tensor, "B"]:
    """Return the misfit (B,): the typical residual of the worst term, in its own sigmas; zero without evidence.

    Args:
        body: The model.
        state: B bodies.
        evidence: Terms.
    """
    posed = pose_body(body, state.bodies)
    left = torch.zeros_like(state.bodies.translation[:, 0])
    for term in evidence:
        left = torch.maximum(left, typical(linearize(term, state, posed, NO_COLUMNS)))
    return left


def costs_of(
    body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns = NO_COLUMNS
) -> Float[Tensor, "B T"]:
    """Return the robust cost (B, T) of each term; evidence needs no columns."""
    return normal_equations(body, state, terms, unknowns).cost_by_term


def columns_of(joints: Sequence[int], unknowns: Unknowns, device: torch.device) -> Bool[Tensor, "P"]:
    """Return which columns (P,) are some joints' rotations."""
    chosen = torch.zeros(unknowns.size, dtype=torch.bool, device=device)
    chosen[unknowns.places_of(Unknowns(tuple(sorted(joints)), translation=0), device)] = True
    return chosen
