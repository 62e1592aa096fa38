"""Joint angles: a rotation split into a twist about the bone and a swing of the bone.

    R = S T,   T = exp(τ a),   S = exp(s),   s ⟂ a;        angles = s + τ a
    d angles / d step of R exp(step):   ds = A T,   dτ = aᵀ T + b (a x s)ᵀ A T
    A = P + (t / sin t - 1) (P - ŝ ŝᵀ),   P = I - a aᵀ,   b = (1 - cos t) / t²,   t = |s|

`a` is one of the joint's own axes, the one the bone lies along. The three angles are therefore: the twist on the bone's
axis, and on the two others the components of the shortest rotation that brings the bone where it is.

Source: Dobrowolski, Swing-twist decomposition in Clifford algebra (arXiv 1506.05481), sec. 2; the derivative is derived
here from the right Jacobian of the exponential (Sola et al., arXiv 1812.01537, eq. 143) and tested against autograd.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from refine.geometry import rotation

SMALL_SWING = 1e-2
"""Below this swing (rad) series are used: the first neglected term is below 1e-12."""

NEAREST_TO_PI = 1e-3
"""The split is undefined at a swing of pi, where t / sin t is infinite; sin t is kept above this."""


def swing_twist(
    local: Float[Tensor, "*batch 3 3"], axis: Float[Tensor, "*#batch 3"]
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3 3"]]:
    """Return joint angles and how they change with a step on the right.

    Args:
        local: (..., 3, 3) local rotations R.
        axis: (..., 3) unit vectors along x, y or z (the bone), broadcast over the batch.

    Returns:
        angles (..., 3) rad: twist on the bone's axis, swing on the two others.
        angles_by_step (..., 3, 3): derivative for R exp(step), rad per rad.
    """
    quaternion = rotation.to_quaternion(local)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    axis = axis.expand_as(imaginary)
    along = (imaginary * axis).sum(-1, keepdim=True)
    twist = 2 * torch.atan2(along, real)  # (..., 1) rad
    cosine = torch.hypot(real, along)  # cos(t / 2)
    safe = cosine.clamp(min=NEAREST_TO_PI / 2)
    half = (real * (imaginary - along * axis) - along * torch.linalg.cross(imaginary, axis)) / safe  # ŝ sin(t / 2)
    squared = (half * half).sum(-1, keepdim=True)
    small = squared < (SMALL_SWING / 2) ** 2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    swing = half * torch.where(small, 2 + squared * (1 / 3 + squared * 3 / 20), 2 * torch.atan2(sine, cosine) / sine)

    squared = (swing * swing).sum(-1)[..., None, None]  # t²
    small = squared < SMALL_SWING**2
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt().clamp(max=math.pi - NEAREST_TO_PI)
    stretch = torch.where(
        small, 1 / 6 + squared * 7 / 360, (angle / torch.sin(angle) - 1) / safe
    )  # (t / sin t - 1) / t²
    bend = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / safe)  # b
    eye = torch.eye(3, dtype=local.dtype, device=local.device)
    in_plane = eye - axis[..., None] * axis[..., None, :]
    swing_by_body = in_plane + stretch * (squared * in_plane - swing[..., None] * swing[..., None, :])
    untwist = rotation.exp(twist * axis)
    swing_by_step = swing_by_body @ untwist
    twist_by_step = axis[..., None, :] @ untwist + bend * (
        torch.linalg.cross(axis, swing)[..., None, :] @ swing_by_step
    )
    return swing + twist * axis, swing_by_step + axis[..., None] * twist_by_step
