"""Staying near an estimate's shape: how far a regressor's shape coefficients are usually off.

residual[b, s] = (shape[b, s] - shape_estimate[b, s]) / sigma
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import REGRESSED, Correlation


@dataclass(frozen=True, eq=False)
class NearShape:
    """Pulls the free shape coefficients back to an estimate's.

    Attributes:
        shape: (B, S) the estimate's.

    Raises:
        InputError: `sigma` is not above zero, or there is not one scale a body.
    """

    shape: Float[Tensor, "B S"]
    sigma: float = 0.5
    """Standard deviation of a regressor's coefficients around the truth, in units of the population's. A judgement:
    half of what the population itself spreads, so that an image moves the shape only where it says much."""
    kernel: Kernel = field(default_factory=LeastSquares)
    scale: Float[Tensor, "B"] | None = None
    """(B,) multiple of sigma for each body; None: one."""
    correlation: Correlation = REGRESSED
    """How far an estimate's errors hang together over the frames of a track."""
    share: Float[Tensor, "B"] | None = None
    """(B,) share of an independent estimate that each body's is (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("shape", self.shape, "B S")
        check_positive("sigma", torch.tensor(self.sigma), "unitless", "To switch the prior off leave it out.")
        if self.scale is not None:
            check_shape("scale", self.scale, "B", B=sizes["B"])
            check_positive("scale", self.scale, "unitless")

    def scaled(self, scale: Float[Tensor, "B"]) -> "NearShape":
        """Return the prior with sigmas a multiple (B,), at most one: a wrong pose is no sign of a wrong shape."""
        scale = scale.clamp(max=1.0)
        return replace(self, scale=scale if self.scale is None else self.scale * scale)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, S_free, 1), unitless, and its Jacobian (B, S_free, 1, P) per unit step."""
        here = state.bodies.shape
        check_shape("NearShape.shape", self.shape, "B S", B=here.shape[0], S=here.shape[1])
        sigma = here.new_full((len(here), 1, 1), self.sigma)
        if self.scale is not None:
            sigma = sigma * self.scale.to(here)[:, None, None]
        away = (here - self.shape)[:, : unknowns.shape, None]
        jacobian = here.new_zeros(len(here), unknowns.shape, 1, unknowns.size)
        jacobian[:, :, 0, unknowns.shape_columns] = (
            torch.eye(unknowns.shape, dtype=here.dtype, device=here.device) / sigma
        )
        return Linearization(away / sigma, jacobian, self.kernel, part=self.share)
