"""Points on the surface: a triangle and barycentric weights.

    point = barycentric @ vertices[faces[triangle]]

Source: Ericson, Real-Time Collision Detection, sec. 3.4 (barycentric coordinates).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

TIE = 1e-9
"""m below which two positions are equal: far above the rounding of float64, far below any distance on the body."""


@dataclass(frozen=True)
class SurfacePoint:
    """A point on a triangle: the triangle's index and the weights of its three corners."""

    triangle: int
    barycentric: tuple[float, float, float]


def vertex_point(faces: Int[Tensor, "F 3"], vertex: int) -> SurfacePoint:
    """Return a vertex as a point of the first triangle that has it."""
    triangle, corner = (faces == vertex).nonzero()[0].tolist()
    weights = [0.0, 0.0, 0.0]
    weights[corner] = 1.0
    return SurfacePoint(triangle, (weights[0], weights[1], weights[2]))


def first_of_the_largest(values: Float[Tensor, "N"]) -> int:
    """Return the first index whose value (N,) is the largest up to `TIE`, so that rounding does not decide."""
    return int((values >= values.max() - TIE).nonzero()[0, 0])


def seen_from(
    vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], target: Float[Tensor, "3"], axis: int, sign: float
) -> SurfacePoint:
    """Return the outermost surface point on a line along an axis.

    Args:
        vertices: (V, 3) m.
        faces: (F, 3) the triangles to search.
        target: (3,) m, a point of the line.
        axis: 0, 1 or 2: the line's direction.
        sign: +1 to look from the positive end, -1 from the negative.

    Returns:
        The point, its triangle counted in `faces`.

    Raises:
        ValueError: The line misses the surface.
    """
    across = [a for a in range(3) if a != axis]
    corners = vertices[faces]  # (F, 3, 3)
    flat, point = corners[..., across], target[across]
    first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    offset = point - flat[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    area = torch.where(area.abs() < 1e-14, torch.full_like(area, torch.inf), area)
    b = (offset[:, 0] * second[:, 1] - offset[:, 1] * second[:, 0]) / area
    c = (first[:, 0] * offset[:, 1] - first[:, 1] * offset[:, 0]) / area
    weights = torch.stack((1 - b - c, b, c), 1)  # (F, 3)
    depth = sign * (weights * corners[..., axis]).sum(1)
    depth = torch.where((weights >= -1e-9).all(1) & area.isfinite(), depth, -torch.inf)
    triangle = first_of_the_largest(depth)
    if not bool(depth[triangle].isfinite()):
        raise ValueError(f"no surface on the line through {target.tolist()} along axis {axis}")
    weight = weights[triangle].clamp(0, 1)
    x, y, z = (weight / weight.sum()).tolist()
    return SurfacePoint(triangle, (x, y, z))
