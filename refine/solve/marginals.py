"""The border's system of groups, and what rows that are solved together know each by itself.

    border:    C - Σ X_border X_borderᵀ over the chains of a group
    marginal:  information_t = (A⁻¹)_tt⁻¹,   A the undamped system of the row's whole group

The information of a marginal is what the row's own terms say, and what all other rows, couplings and shared columns let
it know: inverted, it is the block of the inverse of the whole matrix. Directions that nothing observes have an infinite
variance; their group is lifted by `LIFT` of its diagonal, so that their information comes out below what
`refine.solve.inverse_information` takes for zero.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 6.1 (Schur complement); selected inversion:
`refine.solve.banded`.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.solve import cholesky
from refine.solve.banded import Banded
from refine.solve.group_equations import GroupEquations, assemble
from refine.solve.layout import Layout
from refine.solve.linear_solver import factorize, invert

LIFT = {torch.float64: 1e-12, torch.float32: 1e-8}
"""Added to a unit diagonal that is not clearly positive, by the type the equations were summed in: below what counts as
zero information."""
CHUNK = 256
"""Rows whose marginals are inverted at a time: a megabyte for each while it lasts."""
MARGIN = 10.0
"""A pivot below this many lifts is not clearly positive."""


def border_system(
    system: Banded, layout: Layout
) -> tuple[Float[Tensor, "G R R"], Float[Tensor, "G R"], Bool[Tensor, "G R"]]:
    """Return the border's matrices and right sides of groups, summed over their chains, and which columns exist."""
    size, group, border = layout.unit.shape[1], layout.group_of_chain, layout.border
    count = layout.groups
    matrix = system.corner.new_zeros(count, size + 1, size + 1)  # the last column gathers what does not exist
    right = system.corner.new_zeros(count, size + 1)
    places = group[:, None, None], border[:, :, None], border[:, None, :]
    matrix.index_put_(places, system.corner[:, :-1, :-1], accumulate=True)
    right.index_put_((group[:, None], border), system.corner[:, -1, :-1], accumulate=True)
    return matrix[:, :size, :size].contiguous(), right[:, :size], layout.unit >= 0


def marginal_information(equations: GroupEquations, layout: Layout) -> Float[Tensor, "B P P"]:
    """Return the information of each row's marginal, in the type of the equations.

    Args:
        equations: Of B rows, undamped.
        layout: Who is solved with whom.

    Returns:
        (B, P, P); zero in columns that do not exist or that nothing observes, and in all columns of a group whose
        equations are not finite.
    """
    lift = torch.zeros(layout.groups, dtype=torch.float64, device=layout.order.device)
    system, seen, border, weak = _factorized(equations, layout, lift)
    if bool(weak.any()):
        del system
        lift = weak.double() * LIFT[equations.rows.information.dtype]
        system, seen, border, weak = _factorized(equations, layout, lift)
    shared = layout.of_chains_square(border)  # (C, Q, Q)
    invert(system, shared)
    summed = equations.rows.information
    parts = [
        _inverse(_covariance(system, layout, seen, shared, rows, summed.shape[1])).to(summed.dtype)
        for rows in torch.arange(len(summed), device=summed.device).split(CHUNK)
    ]
    return torch.cat(parts) if parts else summed


def _covariance(
    system: Banded, layout: Layout, seen: Bool[Tensor, "M O"], shared: Float[Tensor, "C Q Q"], rows: Int[Tensor, "N"],
    size: int,
) -> Float[Tensor, "N P P"]:  # fmt: skip
    """Return the covariances of some rows, columns of their own and shared ones, from an inverted system."""
    place, columns, choice, kept = layout.place[rows], layout.columns, layout.choice[rows], layout.kept
    known = seen[place]
    found = system.panels.new_zeros(len(rows), size, size)
    found[:, kept[:, None], kept] = system.diagonal[place] * known[:, :, None] * known[:, None, :]
    if len(columns):
        across = choice @ (system.border[place] * known[:, None])  # (N, K, O)
        found[:, columns[:, None], kept] += across
        found[:, kept[:, None], columns] += across.mT
        found[:, columns[:, None], columns] += choice @ shared[layout.chain[rows]] @ choice.mT
    return found


def _inverse(covariance: Float[Tensor, "N P P"]) -> Float[Tensor, "N P P"]:
    """Return the information, zero where a covariance has no variance or is not finite."""
    has = covariance.diagonal(dim1=1, dim2=2) > 0
    whole = covariance + torch.diag_embed((~has).double())
    eye = torch.eye(whole.shape[1], dtype=whole.dtype, device=whole.device).expand_as(whole)
    information = cholesky.solve(whole, eye)
    information = (information + information.mT) / 2
    return torch.where(has[:, :, None] & has[:, None, :], information, 0.0).nan_to_num(0.0)


def _factorized(
    equations: GroupEquations, layout: Layout, lift: Float[Tensor, "G"]
) -> tuple[Banded, Bool[Tensor, "M O"], Float[Tensor, "G R R"], Bool[Tensor, "G"]]:
    """Return the factorised system, which columns of its rows are seen, the border's covariance, and weak groups.

    A group is weak where it is not positive by a clear margin.
    """
    system = assemble(equations, layout)
    own, chain = layout.own[layout.order], layout.chain[layout.order]
    diagonal = system.diagonal.diagonal(dim1=1, dim2=2)
    seen = own & (diagonal > 0)
    diagonal.mul_(1 + lift[layout.group_of_chain[chain], None]).add_((~seen).double())
    system.corner.diagonal(dim1=1, dim2=2)[:, :-1].mul_(1 + lift[layout.group_of_chain, None])
    before, (whole, _, _) = diagonal.clone(), border_system(system, layout)
    whole = whole.diagonal(dim1=1, dim2=2)
    sound = factorize(system)
    border, _, _ = border_system(system, layout)
    border.diagonal(dim1=1, dim2=2).add_((whole <= 0).double())
    factor, failed = torch.linalg.cholesky_ex(border)
    known = (whole > 0).double()
    covariance = torch.cholesky_inverse(factor) * known[:, :, None] * known[:, None, :] if border.shape[1] else border
    # The square of a pivot over its diagonal entry: the share of a column's information the others do not explain.
    least = MARGIN * LIFT[equations.rows.information.dtype]
    own_share = (diagonal.square() / before).amin(1) if before.shape[1] else before.new_ones(len(before))
    border_share = factor.diagonal(dim1=1, dim2=2).square() / torch.where(whole > 0, whole, 1.0)
    weak = torch.zeros_like(lift).index_add(0, layout.group_of_chain[chain], (~(own_share > least)).double())
    weak = weak.index_add(0, layout.group_of_chain, (~sound).double())
    return system, seen, covariance, (weak > 0) | (failed > 0) | ~(border_share > least).all(1)
