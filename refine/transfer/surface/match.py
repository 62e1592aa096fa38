"""Which vertex of a body corresponds to a vertex of another mesh: found once a topology, corrected body by body.

    first     of the nearest vertices in a few bodies of the batch, the one that is nearest in all of them
    later     in each body, the nearest of the K vertices around it

Two parts that touch in one body (a hand on a thigh) do not in the others, and neighbours at rest stay neighbours in
every pose.

Source: derived here; iterated closest points as in Besl and McKay, IEEE TPAMI 14(2), 1992.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import PosedBody, SkinnedBody, pose_body
from refine.geometry.surface import closest_on_triangles, incident_triangles

CELL_M = 0.08
"""Side of the grid a mesh is thinned by: about 400 of a body's vertices, even over its surface."""

VOTERS = 4
"""Bodies of a batch that say which vertices correspond."""

AROUND = 12
"""Vertices around a corresponding one that are looked at: a radius of 2 cm on the built-in body."""

NORMAL_RINGS, DISTANCE_RINGS = 4, 8
"""Triangles around a vertex that give its normal, and the distance from it; most vertices have six to eight."""


def thinned(vertices: Float[Tensor, "V 3"], cell_m: float = CELL_M) -> Int[Tensor, "N"]:
    """Return one vertex of each cell of a grid, so that dense hands and faces do not outweigh the rest."""
    cell = torch.floor(vertices / cell_m).long()
    cell = cell - cell.amin(0)
    size = cell.amax(0) + 1
    key = (cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    _, first = np.unique(key.cpu().numpy(), return_index=True)
    return torch.as_tensor(np.sort(first), device=vertices.device)


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """N points of another mesh on a body.

    Attributes:
        body: The body.
        around: (N, K) vertices of the body around each point's corresponding one, at rest.
        ring: (V, R) triangles around every vertex.
        used: (U,) all corners of the triangles around `around`.
        slot: (V,) where a vertex stands in `used`.
    """

    body: SkinnedBody
    around: Int[Tensor, "N K"]
    ring: Int[Tensor, "V R"]
    used: Int[Tensor, "U"]
    slot: Int[Tensor, "V"]

    def nearest(self, posed: PosedBody, target: Float[Tensor, "B N 3"]) -> "Nearest":
        """Return the nearest vertex of each body's neighbourhoods.

        Args:
            posed: B bodies.
            target: (B, N, 3) m, in the frame of the translation.
        """
        near = posed.vertices_at(self.used).mT  # (B, 3, U)
        place = self.slot[self.around]
        best = torch.full_like(target[..., 0], torch.inf)
        index = torch.zeros_like(best, dtype=torch.long)
        for k in range(place.shape[1]):  # a loop of long rows: (B, N) at a time
            away = torch.zeros_like(best)
            for axis in range(3):
                away = away + (near[:, axis, place[:, k]] - target[..., axis]).square()
            closer = away < best
            best, index = torch.where(closer, away, best), index.masked_fill(closer, k)
        return Nearest(self, near, self.around[torch.arange(len(place), device=index.device), index])


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest vertices of B bodies to N points each.

    Attributes:
        among: The neighbourhoods they were found in.
        position: (B, 3, U) m, where the neighbourhoods' vertices are.
        vertex: (B, N) the nearest ones.
    """

    among: Neighbourhood
    position: Float[Tensor, "B 3 U"]
    vertex: Int[Tensor, "B N"]

    def corners(self, rings: int) -> Float[Tensor, "B N R 3 3"]:
        """Return the corners of the first few triangles around each nearest vertex: (B, N, R, 3 corners, 3), m."""
        place = self.among.slot[self.among.body.faces[self.among.ring[self.vertex, :rings]]]  # (B, N, R, 3)
        row = torch.arange(len(self.vertex), device=place.device)[:, None, None, None]
        return self.position.mT[row, place]

    def normals(self) -> Float[Tensor, "B N 3"]:
        """Return unit normals (B, N, 3) of the surface at the nearest vertices."""
        a, b, c = self.corners(NORMAL_RINGS).unbind(3)
        normal = torch.linalg.cross(b - a, c - a).sum(2)
        return normal / normal.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(normal.dtype).tiny)

    def distance(self, target: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N"]:
        """Return the distance (B, N) m of each target (B, N, 3) from the triangles around its nearest vertex."""
        corners = self.corners(DISTANCE_RINGS)
        point = target[:, :, None].expand((*corners.shape[:-2], 3))
        weights = closest_on_triangles(point, corners)
        away: Tensor = ((weights[..., None, :] @ corners)[..., 0, :] - point).norm(dim=-1)
        return away.amin(2)


def neighbourhood(posed: PosedBody, target: Float[Tensor, "B N 3"]) -> Neighbourhood:
    """Find which vertices N points correspond to.

    Args:
        posed: B bodies that lie roughly where the points are.
        target: (B, N, 3) m, in the frame of the translation; the same points of a topology in every body.

    Returns:
        The vertices and what lies around them.
    """
    from scipy.spatial import cKDTree

    body = posed.body
    on_faces = torch.unique(body.faces)
    rows = np.unique(np.linspace(0, len(target) - 1, min(VOTERS, len(target))).round().astype(int))
    chosen = pose_body(body, posed.bodies[torch.as_tensor(rows)])
    seen = target[torch.as_tensor(rows)]
    every = chosen.vertices_at(on_faces)  # (R, V, 3)
    candidates = []
    for one, points in zip(every, seen, strict=True):
        _, near = cKDTree(one.cpu().numpy(), balanced_tree=False).query(points.cpu().numpy())
        candidates.append(torch.as_tensor(near, device=target.device))
    choice = torch.stack(candidates)  # (R, N)
    # How far each body's choice is in every body.  (R choices, R bodies, N)
    away = torch.stack([(every[:, one] - seen).norm(dim=-1) for one in choice])
    best = away.mean(1).argmin(0)
    vertex = on_faces[choice[best, torch.arange(len(best))]]
    rest = body.template[on_faces].cpu().numpy()
    _, near = cKDTree(rest).query(body.template[vertex].cpu().numpy(), k=min(AROUND, len(rest)))
    around = on_faces[torch.as_tensor(near, device=target.device)]
    ring = incident_triangles(body.faces, len(body.template))
    used = torch.unique(body.faces[ring[torch.unique(around)]])
    slot = torch.zeros(len(body.template), dtype=torch.long, device=target.device)
    slot[used] = torch.arange(len(used), device=target.device)
    return Neighbourhood(body, around, ring, used, slot)
