"""Size of an update in usual errors, and misfit of the evidence before and after it.

    size² = Σ_i u_i² / usual_i² / Σ_i d_i        over some columns,     d_i = (H (N + H)⁻¹)_ii

Source: see `refine.trust.gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.solve import cholesky
from refine.solve.linearized import Linearized, linearized
from refine.solve.normal_equations import summed
from refine.solve.round import Round
from refine.state import Unknowns
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


def sizes_of(body: SkinnedBody, first: Round) -> Sizes:
    """Measure the update of the first round by column.

    Args:
        body: The model.
        first: The first round, its priors at their usual width; B bodies.
    """
    state, unknowns, there = first.state, first.solution.unknowns, first.linearized(body)
    at = dict(zip(map(id, (*first.evidence, *first.priors)), there.terms, strict=True))
    near, _ = split(usual_width(first.priors))
    if all(id(prior) in at for prior in near):  # nobody gave them another width
        around = summed(replace(there, terms=tuple(at[id(prior)] for prior in near)).alone)
    else:
        around = summed(linearized(body, state, near, unknowns).alone)
    known = summed(first.evidence_at_end(body).alone).information.double()
    width = around.information.diagonal(dim1=-2, dim2=-1).double()  # (B, P), these priors hold each column by itself
    held = width > 0
    inverse = torch.where(held, width.clamp(min=torch.finfo(torch.float64).tiny).rsqrt(), 0.0)
    whitened = torch.nan_to_num(known * inverse[:, :, None] * inverse[:, None, :])
    eye = torch.eye(width.shape[1], dtype=width.dtype, device=width.device)
    # A body that cannot be factored: nothing is determined.
    left = cholesky.inverse_diagonal(whitened + eye).nan_to_num(1.0)
    determined = torch.where(held, 1 - left, 0.0)
    # The priors' gradient is N u: its square over N is what each column costs, twice.
    squared = (around.gradient.double() * inverse).square()
    return Sizes(squared.to(around.gradient), determined.to(around.gradient))


def misfit(evidence: Linearized) -> Float[Tensor, "B"]:
    """Return the misfit (B,): the typical residual of the worst term, in its own sigmas; zero without evidence."""
    left = torch.zeros_like(evidence.state.bodies.translation[:, 0])
    for term in evidence.terms:
        left = torch.maximum(left, typical(term))
    return left


def columns_of(joints: Sequence[int], unknowns: Unknowns, device: torch.device) -> Bool[Tensor, "P"]:
    """Return which columns (P,) are some joints' rotations."""
    chosen = torch.zeros(unknowns.size, dtype=torch.bool, device=device)
    chosen[unknowns.places_of(Unknowns(tuple(sorted(joints)), translation=0), device)] = True
    return chosen
