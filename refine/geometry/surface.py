"""Nearest points of a surface, for meshes that share no topology.

    point = Σ_c b_c x_c on the triangle nearest to the query, among those around the nearest vertices

Source: Ericson, Real-Time Collision Detection (2005), sec. 5.1.5 (closest point on a triangle).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAR_VERTICES = 6
"""Nearest vertices whose triangles are searched: on a mesh of even triangles the nearest triangle has one of them."""

EPSILON = 1e-20
"""m⁴; avoids a division by zero at a triangle without area."""


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """N points' nearest points on a surface.

    Attributes:
        triangle: (N,) index into the faces.
        barycentric: (N, 3) weights of the corners.
        distance_m: (N,) m, distance of the points from it.
    """

    triangle: Int[Tensor, "N"]
    barycentric: Float[Tensor, "N 3"]
    distance_m: Float[Tensor, "N"]


def incident_triangles(faces: Int[Tensor, "F 3"], vertices: int) -> Int[Tensor, "V K"]:
    """Return the triangles (V, K) around every vertex.

    They are repeated where there are fewer than K; a vertex without one has the first triangle.
    """
    corner = faces.flatten()
    order = torch.argsort(corner, stable=True)
    count = torch.bincount(corner, minlength=vertices)
    first = torch.cumsum(count, 0) - count
    most = int(count.max())
    slot = torch.arange(most, device=faces.device)[None] % count.clamp(min=1)[:, None]  # (V, K)
    place = order[(first[:, None] + slot).clamp(max=len(order) - 1)]
    return torch.where(count[:, None] > 0, place // 3, torch.zeros_like(place))


def closest_on_triangles(point: Float[Tensor, "*B 3"], corners: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B 3"]:
    """Return the barycentric weights (..., 3) of the point of a triangle that is nearest to a point.

    Args:
        point: (..., 3) m.
        corners: (..., 3 corners, 3) m.

    Returns:
        (..., 3), each in 0..1.
    """
    a, b, c = corners.unbind(-2)

    def dot(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).sum(-1)

    ab, ac, ap = b - a, c - a, point - a
    aa, ab_ac, cc = dot(ab, ab), dot(ab, ac), dot(ac, ac)
    d1, d2 = dot(ab, ap), dot(ac, ap)
    area = (aa * cc - ab_ac * ab_ac).clamp(min=EPSILON)
    v, w = (cc * d1 - ab_ac * d2) / area, (aa * d2 - ab_ac * d1) / area
    inside = torch.stack((1 - v - w, v, w), -1)
    # Outside, the nearest point lies on one of the edges: take the best of the three.
    on_edge = []
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
        share = (dot(point - start, along) / dot(along, along).clamp(min=EPSILON)).clamp(0, 1)
        weights = [torch.zeros_like(share)] * 3
        weights[first], weights[second] = 1 - share, share
        on_edge.append(torch.stack(weights, -1))
    edges = torch.stack(on_edge, -2)  # (..., 3 edges, 3)
    away = (edges @ corners - point[..., None, :]).square().sum(-1)
    best = away.argmin(-1)[..., None, None].expand(*away.shape[:-1], 1, 3)
    edge = edges.gather(-2, best)[..., 0, :]
    return torch.where((inside >= 0).all(-1, keepdim=True), inside, edge)


def nearest_on_surface(
    points: Float[Tensor, "N 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]
) -> SurfaceMap:
    """Return the nearest points of a mesh.

    Args:
        points: (N, 3) m.
        vertices: (V, 3) m, of the mesh.
        faces: (F, 3) its triangles.

    Returns:
        The nearest points, on the points' device.
    """
    from scipy.spatial import cKDTree

    used = torch.unique(faces)  # a vertex no triangle uses is no surface
    tree = cKDTree(vertices[used].detach().cpu().double().numpy())
    _, near = tree.query(points.detach().cpu().double().numpy(), k=min(NEAR_VERTICES, len(used)))
    around = incident_triangles(faces, len(vertices))
    near_vertices = used[torch.as_tensor(np.asarray(near).reshape(len(points), -1), device=points.device)]
    triangle = around[near_vertices].flatten(1)  # (N, K)
    corners = vertices[faces[triangle]]  # (N, K, 3, 3)
    weights = closest_on_triangles(points[:, None].expand(-1, triangle.shape[1], 3), corners)
    foot = (weights[..., None, :] @ corners)[..., 0, :]
    away = (foot - points[:, None]).norm(dim=-1)
    best = away.argmin(1, keepdim=True)
    return SurfaceMap(
        triangle.gather(1, best)[:, 0],
        weights.gather(1, best[..., None].expand(-1, 1, 3))[:, 0],
        away.gather(1, best)[:, 0],
    )
