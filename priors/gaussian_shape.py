"""How people's shapes are spread: each coefficient is a standard normal number by construction of the shape space.

    residual[b, s] = (shape[b, s] - mean[b, s]) / sigma

Source: Loper et al., SMPL, 2015, sec. 5 (principal components scaled to unit variance); Bogo et al., SMPLify, 2016, eq.
4 (E_beta).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import shared


@dataclass(frozen=True, eq=False)
class GaussianShape:
    """Pulls the free shape coefficients to a mean, by default the average person's.

    It is a prior of the person: rows that share their shape (`Groups.shape`) count it once. A prior around each photo's
    own estimate is that photo's evidence: `NearShape`.

    Raises:
        InputError: `sigma` is not above zero.
    """

    sigma: float = 1.0
    """Standard deviation of a coefficient, unitless (1: the population's, see Source)."""
    mean: Float[Tensor, "B S"] | None = None
    """(B, S) where to pull to; None: zero, the average person. Rows that share a shape: the mean of theirs."""
    kernel: Kernel = field(default_factory=LeastSquares)

    def __post_init__(self) -> None:
        check_positive("sigma", torch.tensor(self.sigma), "unitless", "To switch the prior off leave it out.")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, S_free, 1), unitless, and its Jacobian (B, S_free, 1, P) per unit step."""
        shape = state.bodies.shape[:, : unknowns.shape]
        if self.mean is not None:
            check_shape("GaussianShape.mean", self.mean, "B S", B=len(shape), S=state.bodies.shape.shape[1])
        away = shape if self.mean is None else shape - self.mean[:, : unknowns.shape]
        jacobian = shape.new_zeros(len(shape), unknowns.shape, 1, unknowns.size)
        eye = torch.eye(unknowns.shape, dtype=shape.dtype, device=shape.device)
        jacobian[:, :, 0, unknowns.shape_columns] = eye / self.sigma
        return shared(Linearization(away[..., None] / self.sigma, jacobian, self.kernel), unknowns.shares("shape"))
