"""Bodies of a model from points alone: a surface, of the model's mesh or another, or joints.

    vertices, same mesh    start: each part turned onto its own vertices, shape in one linear solve; then vertex onto
                           vertex
    vertices, other mesh   start: each part turned onto named points; then nearest surface points
    joints alone           start as before; then the named points themselves

A child on an adult's model is divided by a scale; body and distance grow together, and a camera sees the same. An
adult's size is shape, whatever it is (`refine/body/size.py`). Points stored in centimetres or millimetres are taken as
such: people tell.

Source: derived here; `refine/transfer/surface/fit.py` names the methods.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.known_meshes import BY_COUNT, SMPLX_MESH, named_joints, smplx_points
from refine.body.size import unit_of
from refine.body.smpl_joints import BODY_JOINTS
from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate
from refine.state import Bodies
from refine.terms.points3d import Points3D
from refine.transfer.source_fit import scale_notes
from refine.transfer.surface.fit import Fit, fit_points, fit_same_topology, fit_surface
from refine.transfer.surface.named_points import Points, place_on_points, point_set

JOINT_SIGMA_M = 0.01
"""How well a joint of one skeleton stands for another's: a knee or an ankle to a centimetre, and the surface cannot say
where in it they lie."""

MOST_JOINTS = max(BY_COUNT)
"""More points than this are a mesh."""

SURFACE_ROUNDS = 5
"""How often a surface is fitted where only named points say where its body is: five end within a tenth of a millimetre
of eight."""


@dataclass(frozen=True, eq=False)
class Converted:
    """Bodies of another model.

    Attributes:
        body: The model.
        bodies: The bodies, m, in the frame of what was converted (divided by `scale` and `unit`); NaN of people without
            usable numbers.
        distance_m: (B,) how far apart the two surfaces lie on average, in the source's scale: mean distance of its
            vertices from the new surface; of corresponding vertices where both share a mesh; of joints where there is
            no surface.
        scale: (B,) size of the source in units of the new bodies'; 1 for adults.
        notes: What was done, a sentence each.
        estimate: What was converted as an estimate on the new model, where it was one.
        unit: How many of the source's units make a metre: 1, 100 or 1000.
    """

    body: SkinnedBody
    bodies: Bodies
    distance_m: Float[Tensor, "B"]
    scale: Float[Tensor, "B"]
    notes: tuple[str, ...]
    estimate: Estimate | None = None
    unit: float = 1.0

    def __len__(self) -> int:
        return len(self.bodies)


@torch.no_grad()
def bodies_of_points(
    body: SkinnedBody,
    source: Float[Tensor, "B W 3"],
    joints: Float[Tensor, "B J 3"] | Mapping[str, Float[Tensor, "B 3"]] | None = None,
) -> Converted:
    """Find the bodies of a model that fill a surface, or stand on joints.

    Args:
        body: The model.
        source: (B, W, 3) vertices, all of one mesh, or joints alone: m, cm or mm (`refine.convert`).
        joints: Beside vertices of a mesh that is not the model's: its joints, by order or by name.

    Returns:
        The bodies, in metres.

    Raises:
        InputError: The mesh is not known and no joints are given, or values are not finite.
    """
    check_finite("source", source)
    vertices = source.to(body.template)
    if vertices.shape[1] == len(body.template):
        unit = unit_of(vertices, body.template)
        fit, same = fit_same_topology(body, vertices / unit[0]), torch.ones_like(vertices[:, 0, 0])
        return report(body, fit, same, "vertex onto vertex", unit)
    if vertices.shape[1] <= MOST_JOINTS:
        return _on_points(body, _named(vertices))
    if joints is not None:
        points = _named(joints)
    elif vertices.shape[1] == SMPLX_MESH:
        points = smplx_points(vertices)
    else:
        advice = "Give joints= in the order of SMPL (24), SMPL-H (52), SMPL-X (55) or MHR's keypoints (70), or by name."
        known = f"{len(body.template)} vertices of {body.name}, {SMPLX_MESH} of SMPL-X, or joints beside them"
        raise InputError("source", known, f"{vertices.shape[1]} vertices", advice)
    return surface_on_points(body, vertices, points)


def surface_on_points(body: SkinnedBody, vertices: Float[Tensor, "B W 3"], points: Points) -> Converted:
    """Convert a mesh of another topology of which some points are known by name.

    Args:
        body: The model.
        vertices: (B, W, 3) m, cm or mm.
        points: By name, (B, 3) in the same unit; hips and shoulders at least.
    """
    unit, points = _in_metres(body, points)
    vertices = vertices / unit[0]
    placed = place_on_points(body, points)
    scale = placed.scale[:, None, None]
    named = points_term(body, {name: place.to(body.template) / placed.scale[:, None] for name, place in points.items()})
    fit = Fit(placed.bodies, placed.scale)
    for _ in range(SURFACE_ROUNDS):
        fit = fit_surface(body, fit.bodies, vertices / scale, named, _joints(body, points))
    return report(body, fit, placed.scale, "nearest points of the surface, from named points", unit)


def _on_points(body: SkinnedBody, points: Points) -> Converted:
    """Convert joints without a surface."""
    unit, points = _in_metres(body, points)
    placed = place_on_points(body, points)
    named = points_term(body, {name: place / placed.scale[:, None] for name, place in points.items()})
    fit = fit_points(body, placed.bodies, named, _joints(body, points))
    return report(body, fit, placed.scale, "named points alone", unit)


def _in_metres(body: SkinnedBody, points: Points) -> tuple[tuple[float, str], Points]:
    """Return the unit of named points, and the points in metres."""
    chosen = point_set(body, tuple(points))
    rest = pose_body(body, body.rest_bodies(1)).keypoints(chosen)[0]
    unit = unit_of(torch.stack([points[name] for name in chosen.names], 1).to(rest), rest)
    return unit, {name: place / unit[0] for name, place in points.items()}


def points_term(body: SkinnedBody, points: Points) -> Points3D:
    """Return the term that holds named points."""
    chosen = point_set(body, tuple(points))
    target = torch.stack([points[name] for name in chosen.names], 1).to(body.template)
    return Points3D(chosen, target, torch.full_like(target[..., 0], JOINT_SIGMA_M))


def _joints(body: SkinnedBody, points: Points) -> tuple[int, ...]:
    """Return the joints that may turn: trunk and limbs, and fingers whose joints are known."""
    fingers = [
        joint
        for joint, name in enumerate(body.joint_names)
        if joint >= BODY_JOINTS and name in points and name[-1].isdigit()
    ]
    return (*range(BODY_JOINTS), *fingers)


def _named(joints: Tensor | Mapping[str, Tensor]) -> Points:
    """Return joints by name.

    Raises:
        InputError: Their number is that of no known skeleton.
    """
    if isinstance(joints, Mapping):
        return joints
    if joints.dim() != 3 or joints.shape[1] not in BY_COUNT:
        known = ", ".join(map(str, BY_COUNT))
        raise InputError("joints", f"shape (B, J, 3) with J one of {known}", f"shape {tuple(joints.shape)}", "")
    check_finite("joints", joints)
    return named_joints(joints)


def average(distance_m: Tensor) -> str:
    """Return a mean distance in words."""
    known = distance_m[distance_m.isfinite()]
    if not len(known):
        return "what is not known, for neither surface nor joints are stored"
    return f"{1000 * float(known.mean()):.1f} mm on average"


def report(
    body: SkinnedBody, fit: Fit, scale: Tensor, how: str, unit: tuple[float, str] = (1.0, "metres")
) -> Converted:
    """Return the result with its notes; the distance in the source's scale, m."""
    away = fit.distance_m * scale
    said = f", {average(away).replace('mm', 'mm apart')}" if bool(away.isfinite().any()) else ""
    notes = [f"Converted to {body.name} by {how}{said}."]
    if unit[0] != 1:
        notes.append(f"The points are taken to be in {unit[1]}: people would be {unit[0]:g} times too large in metres.")
    return Converted(body, fit.bodies, away, scale, (*notes, *scale_notes(scale, body)), unit=unit[0])
