"""Whitening: a residual and its Jacobian times a lower-triangular 2x2 square root of information, written out by element.

    (r_x, r_y)  ->  (w00 r_x,  w10 r_x + w11 r_y)

Two products of small matrices, kept as four passes along the points: batched 2x2 products are slower by several times.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def whiten(
    sqrt_information: Float[Tensor, "B N 2 2"], offset: Float[Tensor, "B N 2"], offset_by_step: Float[Tensor, "B N 2 P"]
) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 2 P"]]:
    """Whiten offsets in the photo.

    Args:
        sqrt_information: (B, N, 2, 2) 1/px, lower triangular.
        offset: (B, N, 2) px.
        offset_by_step: (B, N, 2, P) px per unit step.

    Returns:
        residual (B, N, 2) and jacobian (B, N, 2, P), in standard deviations (per unit step).
    """
    first, cross, second = sqrt_information[..., 0, 0], sqrt_information[..., 1, 0], sqrt_information[..., 1, 1]
    residual = torch.stack((first * offset[..., 0], cross * offset[..., 0] + second * offset[..., 1]), -1)
    jacobian = torch.empty_like(offset_by_step)
    torch.mul(first[..., None], offset_by_step[..., 0, :], out=jacobian[..., 0, :])
    torch.mul(second[..., None], offset_by_step[..., 1, :], out=jacobian[..., 1, :])
    jacobian[..., 1, :].addcmul_(cross[..., None], offset_by_step[..., 0, :])
    return residual, jacobian


def isotropic(sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 2 2"]:
    """Return the square root of information of an isotropic sigma; an infinite sigma gives zero information.

    Args:
        sigma: (...) px, above zero.

    Returns:
        (..., 2, 2) 1/px.
    """
    return (1 / sigma)[..., None, None] * torch.eye(2, dtype=sigma.dtype, device=sigma.device)
