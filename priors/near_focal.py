"""Staying near a focal length: how far a focal rule is usually off.

residual[b] = log(focal[b] / focal_rule[b]) / sigma
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import shared


@dataclass(frozen=True, eq=False)
class NearFocal:
    """Pulls a free focal length back to the one it started from.

    A rule has one word about a lens: rows that share their focal length (`Groups.focal`) count it once.

    Attributes:
        focal: (B, 2) px, the start.

    Raises:
        InputError: `focal` or `sigma` is not above zero.
    """

    focal: Float[Tensor, "B 2"]
    sigma: float = 0.3
    """Standard deviation of the logarithm (0.3: a third; phones have 24 to 28 mm, portraits 50 to 85 mm, the diagonal
    rule says 43 mm)."""
    kernel: Kernel = LeastSquares()

    def __post_init__(self) -> None:
        check_shape("focal", self.focal, "B 2")
        check_positive("focal", self.focal, "px")
        check_positive("sigma", torch.tensor(self.sigma), "unitless")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, 1), unitless, and its Jacobian (B, 1, 1, P) per unit step of log-focal."""
        check_shape("NearFocal.focal", self.focal, "B 2", B=len(state))
        away = (state.camera.focal / self.focal).log().mean(1)  # (B,)
        jacobian = away.new_zeros(len(away), 1, 1, unknowns.size)
        jacobian[..., unknowns.focal_column] = 1 / self.sigma
        return shared(Linearization(away[:, None, None] / self.sigma, jacobian, self.kernel), unknowns.shares("focal"))
