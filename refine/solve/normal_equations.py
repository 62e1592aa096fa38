"""Normal equations of a robust cost: the Gauss-Newton matrix, the gradient and the cost, summed over terms.

    information = Σ_n w_n J_nᵀ J_n,   gradient = Σ_n w_n J_nᵀ r_n,   w_n = ρ'(‖r_n‖²)
    cost = ½ Σ_n ρ(‖r_n‖²) + constants

The cost of a row that is the share a_n of an independent observation is a_n² ρ(‖r_n‖² / a_n²).

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4.3 (weights without the second-order correction,
which can make the matrix indefinite); Zhang, Parameter estimation techniques (1997), sec. 9.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.check import check_shape
from refine.solve.autodiff import linearize
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
    """

    information: Float[Tensor, "B P P"]
    gradient: Float[Tensor, "B P"]
    cost_by_term: Float[Tensor, "B T"]
    energy: Float[Tensor, "B"]
    count: Float[Tensor, "B"]

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

    def columns(self, places: Int[Tensor, "Q"]) -> "NormalEquations":
        """Return the equations of some columns (Q,), the others held fixed."""
        return NormalEquations(
            self.information[:, places[:, None], places],
            self.gradient[:, places],
            self.cost_by_term,
            self.energy,
            self.count,
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
    posed = pose_body(body, state.bodies)
    like = state.bodies.translation
    information = like.new_zeros(len(state), unknowns.size, unknowns.size)
    gradient = like.new_zeros(len(state), unknowns.size)
    energy, count = like.new_zeros(len(state)), like.new_zeros(len(state))
    costs = []
    for term in terms:
        linear = linearize(term, state, posed, unknowns)
        check_shape(f"{type(term).__name__}: residual", linear.residual, "B N D", B=len(state))
        squared, whole = row_sizes(linear)
        cost = 0.5 * (linear.kernel.rho(squared) * whole).sum(1)
        costs.append(cost if linear.constant is None else cost + linear.constant)
        rows = linear.jacobian.permute(0, 3, 2, 1)  # (B, P, D, N): the memory order of surface Jacobians
        weighted, weighted_rows, weight = linear.residual, rows, torch.ones_like(squared)
        if not isinstance(linear.kernel, LeastSquares):
            weight = linear.kernel.weight(squared)
            weighted = linear.residual * weight[..., None]
            weighted_rows = rows * weight[:, None, None, :]
        # A residual is exactly zero in silent rows only.
        count.add_(linear.residual.shape[2] * ((squared > 0) * weight * whole).sum(1))
        energy.add_((weighted * linear.residual).sum((1, 2)))
        flat = rows.flatten(2)
        information.baddbmm_(weighted_rows.flatten(2), flat.mT)
        gradient.add_((flat @ weighted.mT.flatten(1)[..., None])[..., 0])
    by_term = torch.stack(costs, 1) if costs else like.new_zeros(len(state), 0)
    return NormalEquations(information, gradient, by_term, energy, count).masked(unknowns.free)


def row_sizes(linear: Linearization) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"] | float]:
    """Return the squared norm (B, N) of rows as whole observations, and their squared share, (B, N) or 1.

    Args:
        linear: A term at one state, N rows a body.
    """
    squared = (linear.residual * linear.residual).sum(-1)
    if linear.share is None:
        return squared, 1.0
    whole = linear.share * linear.share
    return squared / whole, whole
