"""Staying near an estimate's facial expression, where the evidence sees the jaw and expression is free.

residual[b, e] = (expression[b, e] - expression_estimate[b, e]) / sigma

Source: Pavlakos et al., SMPLify-X, CVPR 2019, sec. 3.1 and eq. 1 (E_expression: coefficients are principal components
scaled to unit variance, held around the mean face; most regressors say zero, so this is the same).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import REGRESSED, Correlation


@dataclass(frozen=True, eq=False)
class NearExpression:
    """Pulls the free expression coefficients back to an estimate's. Its width does not follow how wrong the pose is.

    Attributes:
        expression: (B, E) the estimate's.

    Raises:
        InputError: `sigma` is not above zero.
    """

    expression: Float[Tensor, "B E"]
    sigma: float = 1.0
    """Standard deviation of a coefficient, in units of the population's: a regressor that saw a face knows it better,
    most see none."""
    kernel: Kernel = field(default_factory=LeastSquares)
    correlation: Correlation = REGRESSED
    """How far an estimate's errors hang together over the frames of a track."""
    share: Float[Tensor, "B"] | None = None
    """(B,) share of an independent estimate that each body's is (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        check_shape("expression", self.expression, "B E")
        check_positive("sigma", torch.tensor(self.sigma), "unitless", "To switch the prior off leave it out.")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, E_free, 1), unitless, and its Jacobian (B, E_free, 1, P) per unit step."""
        here, count = state.bodies.expression, unknowns.expression
        check_shape("NearExpression.expression", self.expression, "B E", B=here.shape[0], E=here.shape[1])
        away = (here - self.expression)[:, :count, None] / self.sigma
        if unknowns.free is not None:
            away = torch.where(unknowns.free[:, unknowns.expression_columns, None], away, 0.0)
        jacobian = here.new_zeros(len(here), count, 1, unknowns.size)
        jacobian[:, :, 0, unknowns.expression_columns] = (
            torch.eye(count, dtype=here.dtype, device=here.device) / self.sigma
        )
        return Linearization(away, jacobian, self.kernel, part=self.share)
