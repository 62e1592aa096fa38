"""A few steps of Levenberg-Marquardt onto a surface, with correspondence or to the nearest points.

    same topology    ½ Σ |x_v - t_v|² / σ²                                   vertex onto vertex
    another          ½ Σ ρ((n_v · (x_v - t_n) / σ)²) + named points + start
                     nearest vertex onto its plane, found at the start

Everything is solved about the body's own place: far from the origin (a long lens sees bodies 400 m away) float32 has no
room for hundredths of a millimetre.

Source: derived here; the solver is `refine.solve.levenberg_marquardt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody, SurfacePoints, pose_body, surface_points
from refine.body.smpl_joints import BODY_JOINTS
from refine.geometry.camera import Camera
from refine.geometry.surface import incident_triangles
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import Bodies, State, Unknowns
from refine.terms import LeastSquares, Term
from refine.terms.points3d import Points3D
from refine.terms.surface3d import Surface3D
from refine.transfer.surface.closed_form import part_vertices, pose_from_vertices
from refine.transfer.surface.match import Neighbourhood, neighbourhood, thinned

# `priors` is imported where it is used: it imports nouns of refine, whose public names include this module's.

SURFACE_SIGMA_M = 0.006
"""How well two models' surfaces can agree at a point: they differ in muscles and faces by some millimetres."""

START_SIGMA_RAD = 0.15
"""How far a rotation may leave its closed-form start: shared joint conventions make copied rotations good to a few
degrees."""

SURFACE_STEPS = 2
"""Onto nearest points, which are looked for once a call: a third step with them anew gains 0.3 mm of 5 and takes half
as long again."""

EXACT_STEPS = 12
"""Most steps with correspondence; Gauss-Newton on exact vertices needs about six."""

EXACT_SIGMA_M = 1e-3
"""Any small number: with correspondence there is nothing to weigh the vertices against."""

ANY_SHAPE = 1e3
"""Standard deviation of shape with correspondence: only what the vertices leave open stays at the mean."""

POINT_STEPS = 6
"""Steps onto named points alone."""

VERTICES_A_PART = 12
"""Vertices that hold a part with correspondence; three would do."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Bodies put onto a surface.

    Attributes:
        bodies: The bodies, m.
        distance_m: (B,) mean distance of the surface's points from theirs.
    """

    bodies: Bodies
    distance_m: Float[Tensor, "B"]


def fit_same_topology(body: SkinnedBody, vertices: Float[Tensor, "B V 3"]) -> Fit:
    """Find the bodies that have given vertices of the model's own topology.

    Args:
        body: The model.
        vertices: (B, V, 3) m.

    Returns:
        The bodies and the mean distance of their vertices from the given ones.
    """
    from priors.gaussian_shape import GaussianShape

    origin = vertices.mean(1)
    target = vertices - origin[:, None]
    rest = body.rest_bodies(len(vertices))
    pose = pose_from_vertices(body, target)
    chosen = torch.unique(torch.cat([part[:: max(1, len(part) // VERTICES_A_PART)] for part in part_vertices(body)]))
    points = shared_points(body, chosen, len(vertices))
    root = torch.eye(3).to(target) / EXACT_SIGMA_M
    term = Surface3D(points, target[:, chosen], root.expand(len(target), len(chosen), 3, 3), LeastSquares())
    start = Bodies(pose, rest.shape, rest.expression, rest.translation)
    wide = rest.shape.shape[1], rest.expression.shape[1]
    # Linear at fixed rotations: one step is the least-squares solve.
    start = _solve(body, start, [term, GaussianShape(ANY_SHAPE)], Unknowns((), *wide), steps=1, damping=1e-7)
    everything = Unknowns(tuple(range(len(body.joint_names))), *wide)
    bodies = _solve(body, start, [term, GaussianShape(ANY_SHAPE)], everything, steps=EXACT_STEPS, damping=1e-5)
    every = torch.arange(len(body.template), device=target.device)
    away = (pose_body(body, bodies).vertices_at(every) - target).norm(dim=-1).mean(1)
    return Fit(_moved(bodies, origin), away)


def fit_surface(
    body: SkinnedBody, start: Bodies, vertices: Float[Tensor, "B W 3"], named: Points3D | None = None,
    joints: Sequence[int] = tuple(range(BODY_JOINTS)),
) -> Fit:  # fmt: skip
    """Put bodies onto a surface of another topology.

    Args:
        body: The model.
        start: B bodies that lie roughly there.
        vertices: (B, W, 3) m, of one topology.
        named: Points of the model whose places are known.
        joints: The joints that may turn.

    Returns:
        The bodies, and the mean distance of the vertices (one every few centimetres) from their surface.
    """
    origin = vertices.mean(1)
    chosen = thinned(vertices[0] - origin[0])
    target = vertices[:, chosen] - origin[:, None]
    bodies = _moved(start, -origin)
    terms = _near(body, start)
    if named is not None:
        terms.append(Points3D(named.points, named.target - origin[:, None], named.sigma_m, named.kernel))
    unknowns = Unknowns(tuple(joints), shape=start.shape.shape[1])
    near = neighbourhood(pose_body(body, bodies), target)
    term = _planes(body, bodies, near, target)
    bodies = _solve(body, bodies, [term, *terms], unknowns, steps=SURFACE_STEPS, damping=1e-3)
    return Fit(_moved(bodies, origin), near.nearest(pose_body(body, bodies), target).distance(target).mean(1))


def fit_points(body: SkinnedBody, start: Bodies, named: Points3D, joints: Sequence[int]) -> Fit:
    """Put bodies onto named points alone.

    Args:
        body: The model.
        start: B bodies that lie roughly there.
        named: The points and their places.
        joints: The joints that may turn.

    Returns:
        The bodies, and the mean distance of the points from theirs.
    """
    origin = start.translation
    bodies = _moved(start, -origin)
    target = named.target - origin[:, None]
    terms = [*_near(body, start), Points3D(named.points, target, named.sigma_m, named.kernel)]
    unknowns = Unknowns(tuple(joints), shape=start.shape.shape[1])
    bodies = _solve(body, bodies, terms, unknowns, steps=POINT_STEPS, damping=1e-3)
    known = named.sigma_m.isfinite()
    away = (pose_body(body, bodies).keypoints(named.points) - target.masked_fill(~known[..., None], 0.0)).norm(dim=-1)
    mean = (away * known).sum(1) / known.sum(1).clamp(min=1)
    return Fit(_moved(bodies, origin), mean)


def shared_points(body: SkinnedBody, vertex: Int[Tensor, "N"], count: int) -> SurfacePoints:
    """Return vertices as surface points of `count` bodies, gathered once for all of them."""
    triangle, barycentric = _corners(body, incident_triangles(body.faces, len(body.template)), vertex)
    return surface_points(body, triangle[None], barycentric[None]).expand(count)


def _corners(body: SkinnedBody, ring: Tensor, vertex: Tensor) -> tuple[Tensor, Tensor]:
    """Return vertices as corners of triangles: triangle (...), barycentric (..., 3)."""
    triangle = ring[vertex, 0]
    barycentric = (body.faces[triangle] == vertex[..., None]).to(body.template)
    return triangle, barycentric / barycentric.sum(-1, keepdim=True).clamp(min=1)


def _planes(body: SkinnedBody, bodies: Bodies, near: Neighbourhood, target: Tensor) -> Surface3D:
    """Return the term that pulls each body's nearest vertices onto planes through the targets."""
    found = near.nearest(pose_body(body, bodies), target)
    points = surface_points(body, *_corners(body, near.ring, found.vertex))
    return Surface3D(points, target, found.normals()[..., None, :] / SURFACE_SIGMA_M)


def _near(body: SkinnedBody, start: Bodies) -> list[Term]:
    """Return what keeps pose and shape near the closed-form start."""
    from priors.gaussian_shape import GaussianShape
    from priors.near_estimate import NearEstimate

    return [NearEstimate(start.pose, _sigma(body, START_SIGMA_RAD)), GaussianShape(1.0)]


def _solve(
    body: SkinnedBody, bodies: Bodies, terms: Sequence[Term], unknowns: Unknowns, *, steps: int, damping: float
) -> Bodies:
    """Return the bodies after some steps; no camera takes part."""
    like = bodies.translation[:, :2]
    camera = Camera(torch.ones_like(like), torch.zeros_like(like), torch.ones_like(like))
    solver = LevenbergMarquardt(steps=steps, damping=damping, cost_tolerance=1e-9)
    return solver.solve(body, State(bodies, camera), terms, unknowns).state.bodies


def _sigma(body: SkinnedBody, radians: float) -> Tensor:
    return body.template.new_full((len(body.joint_names),), radians)


def _moved(bodies: Bodies, offset: Tensor) -> Bodies:
    """Return the same bodies elsewhere."""
    return Bodies(bodies.pose, bodies.shape, bodies.expression, bodies.translation + offset)
