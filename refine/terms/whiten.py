"""Whitening: multiplies pixels by the 2x2 square root of their information, for residuals in standard deviations.

    residual = W offset,    jacobian = W offset_by_step

The products are written out: thousands of 2x2 products are several times slower as a batched matrix product.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def product(left: Float[Tensor, "B N 2 2"], right: Float[Tensor, "B N 2 C"]) -> Float[Tensor, "B N 2 C"]:
    """Return left @ right.

    Args:
        left: (B, N, 2, 2), e.g. 1/px.
        right: (B, N, 2, C), e.g. px per unit step.

    Returns:
        (B, N, 2, C).
    """
    return left[..., :1] * right[..., :1, :] + left[..., 1:] * right[..., 1:, :]


def isotropic(sigma: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 2 2"]:
    """Return the square root of information of an isotropic sigma; zero for an infinite sigma.

    Args:
        sigma: (...) px, above zero.

    Returns:
        (..., 2, 2) 1/px.
    """
    return (1 / sigma)[..., None, None] * torch.eye(2, dtype=sigma.dtype, device=sigma.device)
