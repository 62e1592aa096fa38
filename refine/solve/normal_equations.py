"""Normal equations of a robust cost: the Gauss-Newton matrix, the gradient and the cost, summed over terms.

    information = Σ_n w_n J_nᵀ J_n,   gradient = Σ_n w_n J_nᵀ r_n,   w_n = ρ'(‖r_n‖²)
    cost = ½ Σ_n ρ(‖r_n‖²) + constants

The cost of a row that is the share a_n of an independent observation is a_n² ρ(‖r_n‖² / a_n²); that of a body whose
rows are a part of one among those it is solved with has that factor.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4.3 (weights without the second-order correction,
which can make the matrix indefinite); Zhang, Parameter estimation techniques (1997), sec. 9.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.solve.linearized import Linearized, linearized
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Linearization, Term


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """The quadratic model of the cost around a state.

    Attributes:
        information: (B, P, P).
        gradient: (B, P).
        cost_by_term: (B, T).
        energy: (B,) Σ_n w_n ‖r_n‖², the quadratic model's value at the state.
        count: (B,) Σ_n w_n a_n² D, the number of independent measurements; silent rows do not count.
        linear: The terms they are the sums of; None: not kept.
    """

    information: Float[Tensor, "B P P"]
    gradient: Float[Tensor, "B P"]
    cost_by_term: Float[Tensor, "B T"]
    energy: Float[Tensor, "B"]
    count: Float[Tensor, "B"]
    linear: Linearized | None = field(default=None, repr=False)

    @property
    def cost(self) -> Float[Tensor, "B"]:
        """(B,) the whole cost."""
        return self.cost_by_term.sum(1)

    def plus(self, other: "NormalEquations") -> "NormalEquations":
        """Return the equations of both sets of terms."""
        return NormalEquations(
            self.information + other.information, self.gradient + other.gradient,
            torch.cat((self.cost_by_term, other.cost_by_term), 1), self.energy + other.energy, self.count + other.count,
        )  # fmt: skip

    def discounted(self, noise: Float[Tensor, "B"]) -> "NormalEquations":
        """Return the equations with standard deviations multiplied by `noise` (B,), robust weights unchanged."""
        share = noise.square().reciprocal().to(self.gradient)
        return NormalEquations(
            self.information * share[:, None, None], self.gradient * share[:, None], self.cost_by_term * share[:, None],
            self.energy * share, self.count,
        )  # fmt: skip

    def masked(self, free: Bool[Tensor, "B P"] | None) -> "NormalEquations":
        """Return the equations with zeros in the columns that do not exist for a body; None: all exist."""
        if free is None:
            return self
        return replace(
            self,
            information=torch.where(free[:, :, None] & free[:, None, :], self.information, 0.0),
            gradient=torch.where(free, self.gradient, 0.0),
        )


def normal_equations(body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns) -> NormalEquations:
    """Linearise all terms at a state and sum their normal equations.

    Args:
        body: The model of the state's bodies.
        state: B bodies and cameras.
        terms: T terms.
        unknowns: P columns; what does not exist for a body is zero.

    Returns:
        The normal equations; values of a body whose residuals are not finite are not finite, those of others are.
    """
    return summed(linearized(body, state, terms, unknowns))


def summed(linear: Linearized) -> NormalEquations:
    """Sum the normal equations of linearised terms.

    Args:
        linear: T terms at one state; what does not exist for a body is zero.

    Returns:
        The normal equations; values of a body whose residuals are not finite are not finite, those of others are.
    """
    like, count, size = linear.state.bodies.translation, len(linear.state), linear.unknowns.size
    information, gradient = like.new_zeros(count, size, size), like.new_zeros(count, size)
    energy, measured = like.new_zeros(count), like.new_zeros(count)
    costs = []
    for each in linear.terms:
        squared, whole = row_sizes(each)
        costs.append(cost_of(each, squared, whole))
        # A residual is exactly zero in silent rows only.
        weight = torch.ones_like(squared) if isinstance(each.kernel, LeastSquares) else each.kernel.weight(squared)
        measured.add_(each.residual.shape[2] * ((squared > 0) * weight * whole).sum(1))
        if each.discount is not None:
            weight = weight * each.discount * each.discount
        if each.part is not None:
            weight = weight * each.part.to(weight)[:, None]
        plain = isinstance(each.kernel, LeastSquares) and each.discount is None and each.part is None
        weighted = each.residual if plain else each.residual * weight[..., None]
        energy.add_((weighted * each.residual).sum((1, 2)))
        if not size:
            continue
        if each.jacobian.stride(-1) == 1:  # rows one after the other
            rows = each.jacobian.flatten(1, 2)  # (B, N D, P)
            light = rows if plain else (each.jacobian * weight[..., None, None]).flatten(1, 2)
            information.baddbmm_(light.mT, rows)
            gradient.add_((rows.mT @ weighted.flatten(1)[..., None])[..., 0])
            continue
        rows = each.jacobian.permute(0, 3, 2, 1)  # (B, P, D, N): the memory order of surface Jacobians
        flat = rows.flatten(2)
        information.baddbmm_(flat if plain else (rows * weight[:, None, None, :]).flatten(2), flat.mT)
        gradient.add_((flat @ weighted.mT.flatten(1)[..., None])[..., 0])
    by_term = torch.stack(costs, 1) if costs else like.new_zeros(count, 0)
    return NormalEquations(information, gradient, by_term, energy, measured, linear).masked(linear.unknowns.free)


def diagonal(linear: Linearized) -> Float[Tensor, "B P"]:
    """Return the diagonal (B, P) of the information, which takes a small part of the time of the whole."""
    known = linear.state.bodies.translation.new_zeros(len(linear.state), linear.unknowns.size)
    for each in linear.terms:
        weight = each.kernel.weight(row_sizes(each)[0])
        if each.discount is not None:
            weight = weight * each.discount * each.discount
        known.add_((each.jacobian.square().sum(2) * weight[..., None]).sum(1))
    return known if linear.unknowns.free is None else torch.where(linear.unknowns.free, known, 0.0)


def costs(linear: Linearized) -> Float[Tensor, "B T"]:
    """Return the robust cost (B, T) of each linearised term."""
    found = [cost_of(each, *row_sizes(each)) for each in linear.terms]
    return torch.stack(found, 1) if found else linear.state.bodies.translation.new_zeros(len(linear.state), 0)


def cost_of(
    linear: Linearization, squared: Float[Tensor, "B N"], whole: Float[Tensor, "B N"] | float
) -> Float[Tensor, "B"]:
    """Return the robust cost (B,) of a term from its `row_sizes`."""
    cost = 0.5 * (linear.kernel.rho(squared) * whole).sum(1)
    cost = cost if linear.constant is None else cost + linear.constant
    return cost if linear.part is None else cost * linear.part.to(cost)


def row_sizes(linear: Linearization) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"] | float]:
    """Return the squared norm (B, N) of rows as whole observations, and their squared share, (B, N) or 1.

    Args:
        linear: A term at one state, N rows a body.
    """
    squared = (linear.residual * linear.residual).sum(-1)
    if linear.discount is not None:
        squared = squared * linear.discount * linear.discount
    if linear.share is None:
        return squared, 1.0
    whole = linear.share * linear.share
    return squared / whole, whole
