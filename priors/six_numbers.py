"""Six numbers as a rotation: two columns made orthonormal, the third their cross product.

    b1 = a1 / |a1|,   u = a2 - (b1·a2) b1,   b2 = u / |u|,   b3 = b1 x b2,   D = [b1 b2 b3]
    D' = D [w]x:   w1 = b3·da2 / |u| - (b1·a2) b3·da1 / (|a1| |u|),   w2 = -b3·da1 / |a1|,   w3 = b2·da1 / |a1|

Source: Zhou et al., On the continuity of rotation representations in neural networks, CVPR 2019, eq. 14 to 15; the
derivative is worked out here and tested against autograd.
"""

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_LENGTH = 1e-12
"""Of a column, so that a network's zeros give finite numbers; torch's `normalize` has the same."""


def rotation_of(
    six: Float[Tensor, "*batch 6"],
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 6"]]:
    """Return a rotation and how it turns with the six numbers.

    Args:
        six: (..., 6) unitless: a (3, 2) matrix row by row, its columns a1 and a2.

    Returns:
        rotation (..., 3, 3).
        turn (..., 3, 6): rad per unit, D exp(turn @ change).
    """
    first, second = six[..., 0::2], six[..., 1::2]  # (..., 3) each
    length = first.norm(dim=-1, keepdim=True).clamp(min=LEAST_LENGTH)
    b1 = first / length
    along = (b1 * second).sum(-1, keepdim=True)
    across = second - along * b1
    height = across.norm(dim=-1, keepdim=True).clamp(min=LEAST_LENGTH)
    b2 = across / height
    b3 = torch.linalg.cross(b1, b2)
    zero = torch.zeros_like(b1)
    by_first = torch.stack((-along / (length * height) * b3, -b3 / length, b2 / length), -2)  # (..., 3, 3)
    by_second = torch.stack((b3 / height, zero, zero), -2)
    return torch.stack((b1, b2, b3), -1), torch.stack((by_first, by_second), -1).flatten(-2)
