"""The point of a posed surface that is nearest to a point in space.

    coarse mesh    M vertices of the model, spread evenly at rest, and the triangles between their neighbourhoods
    vertex         the nearest of the M
    point          the nearest point of the coarse triangles at that vertex, exactly

The coarse mesh is made once a model. Its corners lie on the skin, its triangles inside by as much as their chords are:
a millimetre on the built-in body. Among the triangles that are looked at the distance is a minimum, so that its
derivative is that of the point held where it is on its triangle (Danskin).

Source: Ericson, Real-Time Collision Detection, 2005, sec. 5.1.5 (closest point on a triangle); Rossignac and Borrel,
Multi-resolution 3D approximations for rendering complex scenes, 1993 (vertex clustering); Danskin, The theory of
max-min, SIAM J. Appl. Math. 14(4), 1966.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body.skinned_body import SkinnedBody
from refine.body.surface import SurfacePoints

COARSE = 2048
"""M: edges of about 3 cm on a person."""
MOST_TRIANGLES = 8
"""Most triangles of a coarse vertex that are looked at; six is usual."""


@dataclass(frozen=True, eq=False)
class CoarseSurface:
    """The coarse mesh of a model.

    Attributes:
        vertex: (M,) the model's vertices that are its corners.
        faces: (F, 3) into the M.
        at_vertex: (M, T) triangles at each corner; one of them repeated where there are fewer.
        clothed: (M,) whether clothes usually cover the corner: all but head, neck and hands.
        crude: (M,) whether the coarse mesh does not follow the skin there: fingers.
        weights: (M, J) skinning weights.
        template: (M, 3) m.
        basis: (M, 3, C) m per unit of shape and expression coefficients.
        sample: (S,) of the M: corners spread evenly over the body.
        samples: Those as surface points of one body, for `SurfacePoints.expand`.
    """

    vertex: Int[Tensor, "M"]
    faces: Int[Tensor, "F 3"]
    at_vertex: Int[Tensor, "M T"]
    clothed: Bool[Tensor, "M"]
    crude: Bool[Tensor, "M"]
    weights: Float[Tensor, "M J"]
    template: Float[Tensor, "M 3"]
    basis: Float[Tensor, "M 3 C"]
    sample: Int[Tensor, "S"]
    samples: SurfacePoints

    def normals(self, corners: Float[Tensor, "B M 3"]) -> Float[Tensor, "B M 3"]:
        """Return unit normals at the corners, outward: means of the triangles' there, by area.

        Args:
            corners: (B, M, 3) m, posed.
        """
        along = corners.transpose(0, 1).contiguous()  # (M, B, 3): a row of memory a corner, which is what is gathered
        a, b, c = (along[self.faces[:, place]] for place in range(3))
        cross = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(along)
        for place in range(3):
            total.index_add_(0, self.faces[:, place], cross)
        return torch.nn.functional.normalize(total, dim=2).transpose(0, 1)

    def points(self, triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"]) -> SurfacePoints:
        """Gather the model's data of points of the coarse triangles, as `surface_points` does of the model's own.

        Args:
            triangle: (B, N) into `faces`.
            barycentric: (B, N, 3).
        """
        return _gathered(self.vertex, self.weights, self.template, self.basis, self.faces[triangle], barycentric)


BARE_PARTS = ("head", "neck", "hand", "finger", "eye", "jaw")
"""Parts that no cloth covers, by what is in their names."""
CRUDE_PARTS = ("finger",)
FAR_M = 1e6
"""Where a point is put that is not there."""
SAMPLES = 256
"""S: corners at which the body looks for points of a cloud."""


@lru_cache(maxsize=4)
def coarse_surface(body: SkinnedBody) -> CoarseSurface:
    """Return the coarse mesh of a model, made once.

    Args:
        body: The model.
    """
    faces, template = body.faces, body.template.double()
    used = torch.unique(faces)
    vertex = used[spread(template[used], min(COARSE, len(used)))]
    nearest = torch.cat([torch.cdist(some, template[vertex]).argmin(1) for some in template.split(2048)])
    nearest[vertex] = torch.arange(len(vertex), device=vertex.device)
    corner = nearest[faces]  # (F, 3) into the M
    whole = (corner != corner.roll(1, 1)).all(1)
    coarse = corner[whole]
    # Each triangle once, whichever of its corners comes first; the direction of the first one found is kept.
    _, own = torch.unique(coarse.sort(1).values, dim=0, return_inverse=True)
    first = torch.full((int(own.max()) + 1,), len(own), device=own.device).scatter_reduce(
        0, own, torch.arange(len(own), device=own.device), "amin"
    )
    coarse = coarse[first.sort().values]
    weights = body.dense_weights[vertex]
    bare = torch.tensor([any(part in name for part in BARE_PARTS) for name in body.part_names], device=vertex.device)
    clothed = ~bare[body.vertex_parts[vertex]]
    fingers = torch.tensor(
        [any(part in name for part in CRUDE_PARTS) for name in body.part_names], device=vertex.device
    )
    crude = fingers[body.vertex_parts[vertex]]
    basis = torch.cat((body.shape_basis[vertex], body.expression_basis[vertex]), 2)
    whole_parts = (~crude).nonzero()[:, 0]
    sample = whole_parts[spread(body.template[vertex[whole_parts]].double(), min(SAMPLES, len(whole_parts)))]
    at_vertex = _at_vertex(coarse, len(vertex))
    place = (coarse[at_vertex[sample, 0]] == sample[:, None]).to(body.template)  # (S, 3)
    rest = body.template[vertex]
    samples = _gathered(vertex, weights, rest, basis, coarse[at_vertex[None, sample, 0]], place[None])
    return CoarseSurface(vertex, coarse, at_vertex, clothed, crude, weights, rest, basis, sample, samples)


def _gathered(
    vertex: Tensor, weights: Tensor, template: Tensor, basis: Tensor, corner: Tensor, barycentric: Tensor
) -> SurfacePoints:
    """Return the factors of points of triangles with corners (B, N, 3) among M vertices."""
    flat = corner.mT.flatten(1)  # (B, 3 N): corners first, as the factors want them
    own = weights.mT[:, flat].unflatten(2, (3, -1)).permute(2, 1, 0, 3)  # (3, B, J, N)
    share = own * barycentric.permute(2, 0, 1)[:, :, None]
    moved = basis.permute(2, 1, 0).flatten(0, 1)[:, flat].unflatten(2, (3, -1))  # (C 3, B, 3, N)
    moved = moved.unflatten(0, (-1, 3)).permute(2, 0, 3, 1, 4).flatten(2, 3)
    rest = template.mT[:, flat].unflatten(2, (3, -1)).permute(1, 2, 0, 3).flatten(1, 2)
    return SurfacePoints(vertex[corner], share, share.sum(0), rest, moved.contiguous())


def _at_vertex(faces: Tensor, count: int) -> Tensor:
    """Return triangles (M, T) at each of M corners."""
    corner = faces.flatten()
    order = torch.argsort(corner, stable=True)
    have = torch.bincount(corner, minlength=count)
    first = have.cumsum(0) - have
    slot = torch.arange(min(int(have.max()), MOST_TRIANGLES), device=faces.device)
    place = first[:, None] + torch.minimum(slot, (have - 1).clamp(min=0)[:, None])
    return (order // 3)[place.clamp(max=len(order) - 1)]


def spread(points: Float[Tensor, "N 3"], count: int) -> Int[Tensor, "K"]:
    """Return points that are spread evenly: each the farthest from all before it, from the first on.

    Args:
        points: (N, 3) m.
        count: How many, at most N.

    Returns:
        (count,) indices.
    """
    chosen = points.new_zeros(count, dtype=torch.long)
    far = (points - points[chosen[0]]).square().sum(1)
    for place in range(1, count):
        chosen[place] = far.argmax()
        far = torch.minimum(far, (points - points[chosen[place]]).square().sum(1))
    return chosen


@torch.no_grad()
def nearest_on_surface(
    surface: CoarseSurface, corners: Float[Tensor, "B M 3"], query: Float[Tensor, "B N 3"]
) -> tuple[Int[Tensor, "B N"], Float[Tensor, "B N 3"]]:
    """Return where on posed surfaces points in space are nearest.

    Args:
        surface: The model's coarse mesh.
        corners: (B, M, 3) m, its corners, posed.
        query: (B, N, 3) m.

    Returns:
        Triangle (B, N) of the coarse mesh, and barycentric weights (B, N, 3) of its corners.
    """
    people = torch.arange(len(query), device=query.device)[:, None]
    vertex = nearest_point(corners, query)
    triangle = surface.at_vertex[vertex]  # (B, N, T)
    corner = corners[people[..., None, None], surface.faces[triangle]]  # (B, N, T, 3, 3)
    barycentric, squared = on_triangle(query[:, :, None].expand(*corner.shape[:3], 3), corner)
    best = squared.argmin(2, keepdim=True)
    weights = barycentric.gather(2, best[..., None].expand(*best.shape, 3))[:, :, 0]
    return triangle.gather(2, best)[..., 0], weights


def nearest_point(points: Float[Tensor, "B M 3"], query: Float[Tensor, "B N 3"]) -> Int[Tensor, "B N"]:
    """Return which of some points is nearest to each of others: by a tree on the CPU, elsewhere by all distances.

    Args:
        points: (B, M, 3) m; infinite: not there.
        query: (B, N, 3) m.
    """
    if points.device.type != "cpu":
        return _nearest_of_all(points, query)
    from scipy.spatial import cKDTree

    found = np.zeros(query.shape[:2], dtype=np.int64)
    for row, (own, asked) in enumerate(zip(points.numpy(), query.numpy(), strict=True)):
        sound = np.where(np.isfinite(own), own, FAR_M)
        if len(own) and np.isfinite(asked).all():
            found[row] = cKDTree(sound, balanced_tree=False, compact_nodes=False).query(asked)[1]
    return torch.from_numpy(found)


def _nearest_of_all(points: Tensor, query: Tensor) -> Tensor:
    """Return the same by the distances of all from all, one matrix product."""
    there = points.isfinite().all(2)
    middle = query.mean(1, keepdim=True)  # single precision is that of the person's size, not of the distance
    moved = torch.where(there[..., None], points - middle, 0.0)
    height = torch.where(there, moved.square().sum(2), FAR_M**2)
    own = torch.cat((moved, height[..., None]), 2)
    asked = torch.cat((-2 * (query - middle), torch.ones_like(query[..., :1])), 2)
    return (asked @ own.mT).argmin(2)


def on_triangle(
    query: Float[Tensor, "*batch 3"], corner: Float[Tensor, "*batch 3 3"]
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch"]]:
    """Return the nearest points of triangles.

    Args:
        query: (..., 3) m.
        corner: (..., 3, 3) m, corner then axis.

    Returns:
        Barycentric weights (..., 3), and squared distances (...,) m².
    """
    a, b, c = corner.unbind(-2)
    ab, ac, ap = b - a, c - a, query - a
    tiny = torch.finfo(query.dtype).tiny
    aa, bb, mixed = (ab * ab).sum(-1), (ac * ac).sum(-1), (ab * ac).sum(-1)
    on_ab, on_ac = (ab * ap).sum(-1), (ac * ap).sum(-1)
    area = (aa * bb - mixed * mixed).clamp(min=tiny)
    v, w = (bb * on_ab - mixed * on_ac) / area, (aa * on_ac - mixed * on_ab) / area
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    # Outside, the nearest point lies on an edge: the nearest of the three edges' own. Squared distances are those from
    # a corner, less what the way along the edge takes off.
    high = (ap * ap).sum(-1)
    t = (on_ab / aa.clamp(min=tiny)).clamp(0, 1)
    u = (on_ac / bb.clamp(min=tiny)).clamp(0, 1)
    cc, on_bc = aa + bb - 2 * mixed, on_ac - on_ab - mixed + aa  # |c - b|² and (c - b) · (query - b)
    s = (on_bc / cc.clamp(min=tiny)).clamp(0, 1)
    apart = torch.stack((
        high + t * (t * aa - 2 * on_ab), high + u * (u * bb - 2 * on_ac),
        high - 2 * on_ab + aa + s * (s * cc - 2 * on_bc), high - v * on_ab - w * on_ac,
    ), -1)  # fmt: skip
    apart[..., 3].masked_fill_(~inside, torch.inf)
    apart[..., :3].masked_fill_(inside[..., None], torch.inf)
    squared, kind = apart.min(-1)
    zero = torch.zeros_like(t)
    second = torch.where(kind == 0, t, torch.where(kind == 1, zero, torch.where(kind == 2, 1 - s, v)))
    third = torch.where(kind == 0, zero, torch.where(kind == 1, u, torch.where(kind == 2, s, w)))
    return torch.stack(((1 - second - third).clamp(min=0), second, third), -1), squared.clamp(min=0)
