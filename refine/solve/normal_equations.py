"""Normal equations of a robust cost: the Gauss-Newton matrix, the gradient and the cost, summed over terms.

    information = Σ_n w_n J_nᵀ J_n,   gradient = Σ_n w_n J_nᵀ r_n,   cost = ½ Σ_n ρ(‖r_n‖²) + constants,   w_n = ρ'(‖r_n‖²)

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4.3 (weights without the second-order correction, which can
make the matrix indefinite); Zhang, Parameter estimation techniques (1997), sec. 9.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.bodies import State, Unknowns
from refine.body import SkinnedBody
from refine.check import check_shape
from refine.solve.autodiff import linearize
from refine.terms import LeastSquares, Term


@dataclass(frozen=True)
class NormalEquations:
    """The quadratic model of the cost around a state.

    Attributes:
        information: (B, P, P).
        gradient: (B, P).
        cost_by_term: (B, T).
    """

    information: Float[Tensor, "B P P"]
    gradient: Float[Tensor, "B P"]
    cost_by_term: Float[Tensor, "B T"]

    @property
    def cost(self) -> Float[Tensor, "B"]:
        """(B,) the whole cost."""
        return self.cost_by_term.sum(1)


def normal_equations(body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns) -> NormalEquations:
    """Linearise all terms at a state and sum them up.

    Args:
        body: The model of the state's bodies.
        state: B bodies and cameras.
        terms: T terms.
        unknowns: P columns.

    Returns:
        The normal equations; values of a body whose residuals are not finite are not finite, those of others are.
    """
    posed = body.posed(state.bodies)
    like = state.bodies.translation
    information = like.new_zeros(len(state), unknowns.size, unknowns.size)
    gradient = like.new_zeros(len(state), unknowns.size)
    costs = []
    for term in terms:
        linear = linearize(term, state, posed, unknowns)
        check_shape(f"{type(term).__name__}: residual", linear.residual, "B N D", B=len(state))
        squared = (linear.residual * linear.residual).sum(-1)  # (B, N)
        cost = 0.5 * linear.kernel.rho(squared).sum(1)
        costs.append(cost if linear.constant is None else cost + linear.constant)
        rows = linear.jacobian.permute(0, 3, 2, 1)  # (B, P, D, N): the memory order of surface Jacobians
        weighted = linear.residual
        weighted_rows = rows
        if not isinstance(linear.kernel, LeastSquares):
            weight = linear.kernel.weight(squared)
            weighted = linear.residual * weight[..., None]
            weighted_rows = rows * weight[:, None, None, :]
        flat = rows.flatten(2)
        information.baddbmm_(weighted_rows.flatten(2), flat.mT)
        gradient.add_((flat @ weighted.mT.flatten(1)[..., None])[..., 0])
    by_term = torch.stack(costs, 1) if costs else like.new_zeros(len(state), 0)
    return NormalEquations(information, gradient, by_term)
