"""White acceleration: over time, rotations and the translation change their speed little.

For three rows of a track that follow each other, at times t-, t, t+, with intervals Δ0 = t - t- and Δ1 = t+ - t,

    residual[j] = (log(R_tᵀ R_t+) / Δ1 - log(R_t-ᵀ R_t) / Δ0) / (sigma_rad √((Δ0 + Δ1) / 2))        in frame t
    residual    = ((x_t+ - x_t) / Δ1 - (x_t - x_t-) / Δ0) / (sigma_m √((Δ0 + Δ1) / 2))

The speed between two frames, taken at the middle of their interval, is a random walk: its change from one middle to the
next, (Δ0 + Δ1) / 2 later, has the variance sigma² (Δ0 + Δ1) / 2, whatever the times, and changes are independent. (Of
acceleration that is white at every moment, mean speeds of neighbouring intervals are correlated besides; at frequencies
below half the frame rate the two are the same.)

Source: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, sec. 6.2 (white
noise acceleration); Jacobians: `priors.second_differences`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from priors.second_differences import columns_of, triples
from refine.check import check_positive, check_shape, check_type
from refine.solve.coupling import CoupledLinearization
from refine.state import State, Unknowns
from refine.terms import Huber, Kernel


@dataclass(frozen=True, eq=False)
class WhiteAcceleration:
    """Couples every three rows that follow each other in a track (`Groups.tracks`).

    Attributes:
        sigma_rad: Root of the rotations' power spectral density of acceleration, rad / s^1.5: after a second, a speed
            has changed by this (standard deviation per axis). One number, or one for each of the body's joints.
        sigma_m: The same of the translation, m / s^1.5.

    Raises:
        InputError: A sigma is not above zero, or, when linearised, the unknowns have no tracks.
    """

    sigma_rad: Float[Tensor, "J"] | float = 10.0
    """A judgement: within a tenth of a second a limb's speed changes by 3 rad/s, half of what a fast swing has."""
    sigma_m: float = 3.0
    """A judgement: within a tenth of a second the body's speed changes by 1 m/s, as in a step or a jump."""
    kernel: Kernel = Huber(3.0)
    """Of each rotation and the translation: a blow or a landing is a few sigmas, and no reason to bend the rest."""

    def __post_init__(self) -> None:
        check_type("sigma_rad", self.sigma_rad, float | int | Tensor, "In rad / s^1.5.")
        check_type("sigma_m", self.sigma_m, float | int, "In m / s^1.5.")
        check_positive("sigma_rad", torch.as_tensor(self.sigma_rad), "rad / s^1.5")
        check_positive("sigma_m", torch.tensor(self.sigma_m), "m / s^1.5")

    def couple(self, state: State, unknowns: Unknowns) -> CoupledLinearization:
        """Return residuals (M, J_free + 1, 3), unitless, and Jacobians in the three rows, in three columns each.

        A joint that is not free in one of the three rows is silent.
        """
        place, three = state.bodies.translation, triples(state, unknowns)
        joints = torch.tensor(unknowns.joints, dtype=torch.long, device=place.device)
        sigma = torch.as_tensor(self.sigma_rad).to(place)
        if sigma.dim():
            check_shape("sigma_rad", sigma, "J", J=state.bodies.pose.shape[1])
        sigma = sigma[joints] if sigma.dim() else sigma.expand(len(joints))
        width = three.middle.sqrt()
        factors = 1 / (sigma * width[:, None]), 1 / (self.sigma_m * width)
        whole = three.weighted(state, unknowns, *factors)
        return CoupledLinearization(three.rows, *whole, self.kernel, columns=columns_of(unknowns, place.device))
