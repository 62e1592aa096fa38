"""Builds the term of point clouds: crops, thins out, finds normals, and says how many witnesses a cloud is.

    area of a cloud = K (spacing of K evenly spread points)² √3 / 2              as of a hexagonal grid
    root            = √ min(1, area / alike_m² / rows)

Source: Nguyen et al., Modeling Kinect sensor noise, 3DIMPVT 2012 (axial noise 1.2 mm + 1.9 mm (z - 0.4 m)²); Hoppe et
al., Surface reconstruction from unorganized points, SIGGRAPH 1992 (normals from neighbours).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.nearest import SAMPLES, spread
from refine.check import check_finite, check_positive
from refine.errors import InputError
from refine.terms import GemanMcClure
from refine.terms.correlation import INDEPENDENT, Correlation
from refine.terms.point_cloud import Cloth, PointCloud

MOST_POINTS = 20_000
"""A larger cloud is thinned out at random, always in the same way."""
DENSE = 2048
"""Points that the body looks for."""
NEIGHBOURS = 16
"""Of which a normal is found."""
REACH_M = 0.5
"""Points farther from all joints of the estimate are not the person's."""
SIGMA_M = 0.01
"""Standard deviation of a point off the body along the normal, m: sensors' 1 to 15 mm at 1 to 3 m, and as much for what
a body model cannot follow (hair, muscles)."""
ALIKE_M = 0.07
"""Side of a square of the surface in which errors are alike, m: a judgement, the size of folds and muscles, and of what
slips where matches are found anew."""
CATCH_M, LEAST_SCALE = 0.1, 10.0
"""Scale of the robust kernel, m, but at least so many standard deviations: as far as an estimate's limb may be off."""
EXTREMES = 256
"""Directions in which the outermost points say which way is outward."""
HUMAN_M = 20.0
"""A cloud wider than this is not in metres."""


def point_cloud(
    clouds: Sequence[Float[Tensor, "_ 3"] | np.ndarray | None],
    *,
    normals: Sequence[Float[Tensor, "_ 3"] | np.ndarray | None] | None = None,
    joints: Float[Tensor, "B J 3"] | None = None,
    viewpoint: Sequence[float] | None = (0.0, 0.0, 0.0),
    sigma_m: float | Float[Tensor, "B"] = SIGMA_M,
    alike_m: float = ALIKE_M,
    cloth: Cloth | None = None,
    correlation: Correlation = INDEPENDENT,
) -> PointCloud:
    """Build the term from one cloud a body.

    Args:
        clouds: B clouds (N, 3) m in the bodies' frame (+x right, +y down, +z forward of the camera where there is no
            `camera_from_world`); points that are not finite are left out. None: nothing is known of that body.
        normals: B times (N, 3), outward; None, or None for one: found from each point's neighbours.
        joints: (B, J, 3) m, the estimate's: points farther than `REACH_M` from all of them are left out. None: none is.
        viewpoint: (x, y, z) m where a single view was taken from, by which normals that are found are turned; None: a
            full scan.
        sigma_m: m, of all or (B,).
        alike_m: Side of a square in which errors are alike, m.
        cloth: How thick clothes are; None: the person is bare, or wears what fits closely.
        correlation: How far the errors hang together over frames and views.

    Raises:
        InputError: A cloud has another shape, is in another unit or lies elsewhere than the estimate.
    """
    people = len(clouds)
    if not people or (normals is not None and len(normals) != people):
        raise InputError("clouds", "one a body, and as many normals", f"{people} and {len(normals or ())}")
    if not alike_m > 0:
        raise InputError("alike_m", "a number above zero, m", repr(alike_m))
    like = torch.float32 if joints is None else joints.dtype
    found = []
    for row, cloud in enumerate(clouds):
        own = None if normals is None else normals[row]
        near = None if joints is None else joints[row].detach().cpu().double()
        found.append(_one(f"clouds[{row}]", cloud, own, near, viewpoint))
    counts = [(len(each[0]), len(each[2])) for each in found]
    wide, deep = max(1, *(one for one, _ in counts)), max(1, *(two for _, two in counts))
    device = torch.device("cpu") if joints is None else joints.device

    def padded(values: Sequence[Tensor], count: int, fill: float) -> Tensor:
        out = torch.full((people, count, 3), fill, dtype=torch.float64)
        for row, value in enumerate(values):
            out[row, : len(value)] = value
        return out.to(device=device, dtype=like)

    known = torch.arange(wide)[None] < torch.tensor([one for one, _ in counts])[:, None]
    alike_m = alike_m if cloth is None else max(alike_m, cloth.alike_m)
    witnesses = torch.tensor([each[4] for each in found], dtype=torch.float64) / alike_m**2
    rows = torch.tensor([one + SAMPLES for one, _ in counts], dtype=torch.float64)
    root = (witnesses / rows).clamp(max=1).sqrt()
    sigma = torch.as_tensor(sigma_m, dtype=torch.float64).expand(people)
    check_positive("sigma_m", sigma, "m")
    return PointCloud(
        padded([each[0] for each in found], wide, 0.0), padded([each[1] for each in found], wide, 0.0),
        known.to(device=device, dtype=like),
        padded([each[2] for each in found], deep, torch.inf), padded([each[3] for each in found], deep, 0.0),
        sigma.to(device=device, dtype=like), root.to(device=device, dtype=like),
        cloth=cloth, correlation=correlation,
        kernel=GemanMcClure(scale=max(LEAST_SCALE, CATCH_M / float(sigma.median()))),
    )  # fmt: skip


def _one(
    name: str, cloud: object, normals: object, joints: Tensor | None, viewpoint: Sequence[float] | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Return points and normals that look for the body, those that it looks for, and the cloud's area, m²."""
    nothing = torch.zeros(0, 3, dtype=torch.float64)
    if cloud is None:
        return nothing, nothing, nothing, nothing, 0.0
    points = torch.as_tensor(cloud).detach().cpu().double()
    if points.dim() != 2 or points.shape[1] != 3:
        raise InputError(name, "points (N, 3), m", f"shape {tuple(points.shape)}")
    way = None if normals is None else torch.as_tensor(normals).detach().cpu().double()
    if way is not None and way.shape != points.shape:
        raise InputError(name, f"normals {tuple(points.shape)}, one a point", f"shape {tuple(way.shape)}")
    whole = points.isfinite().all(1)
    points, way = points[whole], None if way is None else way[whole]
    if not len(points):
        return nothing, nothing, nothing, nothing, 0.0
    draw = torch.Generator().manual_seed(0)
    if len(points) > 10 * MOST_POINTS:  # before it is held against the joints
        some = torch.randperm(len(points), generator=draw)[: 10 * MOST_POINTS]
        points, way = points[some], None if way is None else way[some]
    extent = float((points.amax(0) - points.amin(0)).amax())
    if joints is not None:
        near = torch.cat([torch.cdist(some, joints).amin(1) for some in points.split(65_536)]) < REACH_M
        if not bool(near.any()):
            unit = " Is it in millimetres?" if extent > HUMAN_M else ""
            far = float((points.median(0).values - joints.mean(0)).norm())
            advice = f"Its middle is {far:.3g} m away: another frame, or another person.{unit}"
            raise InputError(name, f"points within {REACH_M} m of the estimate", "none", advice)
        points, way = points[near], None if way is None else way[near]
    elif extent > HUMAN_M:
        raise InputError(name, "a person's points, m", f"{extent:.3g} m from end to end", "Divide millimetres by 1000.")
    if len(points) > MOST_POINTS:
        some = torch.randperm(len(points), generator=draw)[:MOST_POINTS]
        points, way = points[some], None if way is None else way[some]
    if way is None:
        way = found_normals(points, viewpoint)
    way = torch.nn.functional.normalize(way.nan_to_num(0.0), dim=1)
    order = torch.randperm(len(points), generator=draw)
    dense = order[:DENSE]
    few = spread(points, min(SAMPLES, len(points)))
    check_finite(name, points[few])
    spacing = float((points[few[:-1]] - points[few[-1]]).norm(dim=1).amin()) if len(few) > 1 else 0.0
    return points[few], way[few], points[dense], way[dense], len(few) * spacing**2 * 3**0.5 / 2


def found_normals(points: Float[Tensor, "N 3"], viewpoint: Sequence[float] | None) -> Float[Tensor, "N 3"]:
    """Return outward unit normals of a cloud, each that of the plane through a point's neighbours.

    Args:
        points: (N, 3) m.
        viewpoint: Where they were seen from, to which the normals are turned; None: a closed surface, whose normals are
            turned like their neighbours', the outermost outward.
    """
    from scipy.spatial import cKDTree

    if len(points) < 3:
        return torch.zeros_like(points)
    array = points.numpy()
    _, index = cKDTree(array).query(array, k=min(NEIGHBOURS, len(points)))
    around = points[torch.from_numpy(index)]  # (N, K, 3)
    away = around - around.mean(1, keepdim=True)
    _, vector = torch.linalg.eigh(away.mT @ away)
    normal = vector[..., 0]
    if viewpoint is None:
        return _outward(points, normal, np.asarray(index))
    towards = ((points.new_tensor(list(viewpoint)) - points) * normal).sum(1, keepdim=True)
    return torch.where(towards < 0, -normal, normal)


def _outward(points: Tensor, normal: Tensor, index: np.ndarray) -> Tensor:
    """Turn normals (N, 3) like their neighbours' (N, K), along the tree on which they differ least."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

    count, width = index.shape
    own = np.repeat(np.arange(count), width - 1)
    other = index[:, 1:].ravel()
    differ = 1 - (normal[own] * normal[other]).sum(1).abs().numpy() + 1e-6
    graph = coo_matrix((differ, (own, other)), shape=(count, count)).tocsr()
    tree = minimum_spanning_tree(graph.maximum(graph.T))
    parts, part = connected_components(tree, directed=False)
    turned = normal.numpy().copy()
    ways = np.random.default_rng(0).normal(size=(EXTREMES, 3))
    for number in range(parts):
        members = np.flatnonzero(part == number)
        order, before = breadth_first_order(tree, members[0], directed=False)
        for point in order[1:]:
            if turned[point] @ turned[before[point]] < 0:
                turned[point] *= -1
        extreme = members[(points.numpy()[members] @ ways.T).argmax(0)]  # the farthest in each direction face that way
        if (turned[extreme] * ways).sum() < 0:
            turned[members] *= -1
    return torch.from_numpy(turned)
