"""Splits quads into triangles along the shorter diagonal; of equal ones, along the second.

    (a, b, c, d)  ->  (a, b, c), (c, d, a)   if |a - c| < |b - d| by more than `TIE` of it
                  ->  (a, b, d), (d, b, c)   else

Anny does the same without the tolerance. 56 quads of the eyeballs have diagonals that are equal up to rounding, which
differs between machines.

Source: Anny's `utils/mesh_utils.py` (package anny 0.6.2), the shorter diagonal.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TIE = 1e-6
"""Relative difference of two diagonals below which they are equal: rounding makes 1e-14, the nearest unequal ones of
the mesh differ by 4e-5."""


def along_first(vertices: Float[Tensor, "V 3"], quads: Int[Tensor, "Q 4"]) -> Bool[Tensor, "Q"]:
    """Return which quads (Q,) are split between their first and third corner.

    Args:
        vertices: (V, 3) m.
        quads: (Q, 4).
    """
    a, b, c, d = vertices[quads].unbind(1)
    first, second = (a - c).norm(dim=1), (b - d).norm(dim=1)
    return first < (1 - TIE) * second


def split(quads: Int[Tensor, "Q 4"], first: Bool[Tensor, "Q"]) -> Int[Tensor, "F 3"]:
    """Return the triangles (2 Q, 3) of the quads, two of each, one after the other.

    Args:
        quads: (Q, 4) corners, or texture coordinates of corners.
        first: (Q,) which are split between their first and third corner.
    """
    one, other = quads[:, [0, 1, 2, 2, 3, 0]], quads[:, [0, 1, 3, 3, 1, 2]]
    return torch.where(first[:, None], one, other).unflatten(1, (2, 3)).flatten(0, 1)
