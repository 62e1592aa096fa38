"""The rivals' priors: the mixture that ships with this library in place of licensed ones, and SMPLify's bending term.

    E(θ) = min_k ½ (θ - μ_k)ᵀ Σ_k⁻¹ (θ - μ_k) + c_k        bending(θ) = Σ exp(± θ)²  over elbows and knees

Their own priors (SMPLify's mixture, VPoser) are licensed; both are negative log-likelihoods of poses like this one.

Source: `priors.mixture_pose`; Bogo et al., SMPLify, ECCV 2016, eq. 3 and 5; SPIN `smplify/losses.py` and SMPLify-X
`prior.py` (squared exponentials).
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from priors.mixture_pose import GaussianMixturePose
from priors.prior_file import TRUNK_AND_LIMBS

BENDS = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))
"""Joint, axis of its hinge in rest axes, and the sign of the angle that is the wrong way."""


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Mixture over the axis-angles of the 21 joints after the root.

    Attributes:
        mean: (K, 63) rad.
        whiten: (K, 63, 63) 1/rad.
        constant: (K,), the least is zero.
    """

    mean: Float[Tensor, "K D"]
    whiten: Float[Tensor, "K D D"]
    constant: Float[Tensor, "K"]

    def energy(self, turn: Float[Tensor, "B J 3"]) -> Float[Tensor, "B"]:
        """Return the negative log-likelihood (B,) of poses (B, 21, 3) rad."""
        away = turn.flatten(1)[:, None] - self.mean
        each = torch.einsum("kij,bkj->bki", self.whiten, away)
        found: Tensor = (0.5 * each.square().sum(-1) + self.constant).amin(1)
        return found


@cache
def pose_prior() -> PosePrior:
    """Return the shipped mixture."""
    mixture = GaussianMixturePose.shipped()
    assert mixture.joint_names[: len(TRUNK_AND_LIMBS)] == TRUNK_AND_LIMBS
    size = 3 * len(TRUNK_AND_LIMBS)
    factor = torch.linalg.cholesky(mixture.covariance.double()[:, :size, :size])
    whiten = torch.linalg.solve_triangular(factor, torch.eye(size, dtype=torch.float64).expand_as(factor), upper=False)
    constant = factor.diagonal(dim1=1, dim2=2).log().sum(1) - mixture.weight.double().log()
    return PosePrior(mixture.mean[:, :size].float(), whiten.float(), (constant - constant.min()).float())


def bending(turn: Float[Tensor, "B J 3"]) -> Float[Tensor, "B"]:
    """Return Σ exp(angle)² (B,) of poses (B, 21, 3) rad; angles the wrong way are above zero."""
    rows = [TRUNK_AND_LIMBS.index(name) for name, _, _ in BENDS]
    axes = [axis for _, axis, _ in BENDS]
    sign = turn.new_tensor([sign for _, _, sign in BENDS])
    found: Tensor = (sign * turn[:, rows, axes]).exp().square().sum(1)
    return found
