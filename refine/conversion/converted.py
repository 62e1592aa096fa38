"""From one body model to another: `convert(bodies, to)` finds the bodies of a model that fill the same surface.

    an estimate            start: its pose copied, shape fitted to its joints (`refine/transfer/source_fit.py`); then its surface, if it has one
    vertices, same mesh    start: each part turned onto its own vertices, shape in one linear solve; then vertex onto vertex
    vertices, other mesh   start: each part turned onto named points; then nearest surface points
    joints alone           start as before; then the named points themselves

A child on an adult's model is divided by a scale; body and distance grow together, and a camera sees the same. An adult's size is
shape, whatever it is (`refine/body/size.py`). Points stored in centimetres or millimetres are taken as such: people tell.

Source: derived here; `refine/conversion/fit.py` names the methods.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.ambient import usual_torch
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL22
from refine.body.size import unit_of
from refine.body.smpl_joints import BODY_JOINTS
from refine.check import check_finite
from refine.conversion.fit import Fit, fit_points, fit_same_topology, fit_surface
from refine.conversion.known_meshes import BY_COUNT, SMPLX_MESH, named_joints, smplx_points
from refine.conversion.named_points import Points, place_on_points, point_set
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import blank, blank_bodies, without_numbers
from refine.state import Bodies, State
from refine.terms.points3d import Points3D
from refine.transfer import on_body, refined_source
from refine.transfer.source_fit import fit_bodies, scale_notes

JOINT_SIGMA_M = 0.01
"""How well a joint of one skeleton stands for another's: a knee or an ankle to a centimetre, and the surface cannot say where in it they lie."""

SHARED_MESH = {"smpl": "smplh", "smplh": "smpl"}
"""Models with the same vertices."""

MOST_JOINTS = max(BY_COUNT)
"""More points than this are a mesh."""

SURFACE_ROUNDS = 5
"""How often a surface is fitted where only named points say where its body is: five end within a tenth of a millimetre of eight."""


@dataclass(frozen=True, eq=False)
class Converted:
    """Bodies of another model.

    Attributes:
        body: The model.
        bodies: They, m, the frame of what was converted (divided by `scale` and `unit`); NaN of people without usable numbers.
        distance_m: (B,) how far apart the two surfaces lie on average, in the source's scale: mean distance of its vertices from the
            new surface; of corresponding vertices where both share a mesh; of joints where there is no surface.
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


@usual_torch()
@torch.no_grad()
def convert(
    source: Estimate | Float[Tensor, "B W 3"],
    to: SkinnedBody | str | Path | None = None,
    *,
    joints: Float[Tensor, "B J 3"] | Mapping[str, Float[Tensor, "B 3"]] | None = None,
) -> Converted:
    """Find the bodies of a model that fill the same surface.

    Which vertices correspond is a matter of the two meshes, not of a body: it is found in a few bodies of the batch and used for all, so a
    body moves by some millimetres along its surface with the company it is in.

    Args:
        source: An estimate; or vertices (B, W, 3) m, all of one mesh; or joints alone, (B, 22 | 24 | 52 | 55 | 70, 3) m in the order of
            SMPL's, SMPL-H's, SMPL-X's skeleton or MHR's keypoints. Centimetres and millimetres are noticed, and noted.
        to: The model, its name, its file or a folder; None: the built-in body.
        joints: Beside vertices of a mesh that is not the model's: its joints, in one of those orders or by name. SMPL-X's 10,475 vertices
            need none.

    Returns:
        The bodies and, for each, how far the two surfaces lie apart.

    Raises:
        InputError: The mesh is not known and no joints are given, or values are not finite, or there is no such model.
    """
    body = _model(to)
    if isinstance(source, Estimate):
        done, words = _estimate(source, body), source.source
        return replace(done, bodies=blank_bodies(done.bodies, words), distance_m=blank(done.distance_m, words))
    if not isinstance(source, Tensor) or source.dim() != 3 or source.shape[2] != 3 or not len(source):
        got = f"shape {tuple(source.shape)}" if isinstance(source, Tensor) else type(source).__name__
        raise InputError("source", "an Estimate, or a tensor of points (B, W, 3), at least one body", got)
    check_finite("source", source)
    vertices = source.to(body.template)
    if vertices.shape[1] == len(body.template):
        unit = unit_of(vertices, body.template)
        fit, same = fit_same_topology(body, vertices / unit[0]), torch.ones_like(vertices[:, 0, 0])
        return _report(body, fit, same, "vertex onto vertex", unit)
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
    named = _term(body, {name: place.to(body.template) / placed.scale[:, None] for name, place in points.items()})
    fit = Fit(placed.bodies, placed.scale)
    for _ in range(SURFACE_ROUNDS):
        fit = fit_surface(body, fit.bodies, vertices / scale, named, _joints(body, points))
    return _report(body, fit, placed.scale, "nearest points of the surface, from named points", unit)


def _estimate(estimate: Estimate, body: SkinnedBody) -> Converted:
    """Convert an estimate."""
    source = estimate.source
    as_it_came = not bool(refined_source(estimate).changed.any())
    own_frame = estimate.camera.camera_from_world is None
    stored = source.vertices if as_it_came and own_frame else None
    there = body.name == estimate.body.name and body.model == estimate.body.model
    if there and (stored is None or source.model == body.model):
        return _as_it_is(estimate, stored, as_it_came=as_it_came)
    body = body.to(estimate.bodies.pose.device, estimate.bodies.pose.dtype)
    start = estimate if there else on_body(estimate, body)
    was, scale = (fit_bodies(source, model).scale.to(estimate.bodies.shape) for model in (estimate.body, body))
    posed = estimate.posed
    if stored is not None:
        vertices, model, size = stored.to(scale), source.model, 1 / scale
    else:
        every = torch.arange(len(estimate.body.template), device=scale.device)
        vertices, model, size = posed.vertices_at(every), estimate.body.model, was / scale
    vertices = vertices * size[:, None, None]
    if as_it_came and source.model == body.model and (source.translation is not None or source.joints is not None):
        away = _same_mesh_distance(body, start.bodies, vertices)
        return _converted(body, Fit(start.bodies, away), scale, start, "the parameters as they are")
    if vertices.shape[1] == len(body.template) and (model == body.model or SHARED_MESH.get(model) == body.model):
        return _converted(body, fit_same_topology(body, vertices), scale, start, "vertex onto vertex")
    if as_it_came and source.joints is not None and source.joints.shape[1] >= BODY_JOINTS and own_frame:
        skeleton = source.joints[:, :BODY_JOINTS].to(scale) / scale[:, None, None]
    else:
        skeleton = posed.joints[:, :BODY_JOINTS] * (was / scale)[:, None, None]
    named = _term(body, dict(zip(SMPL22, skeleton.unbind(1), strict=True)))
    fit = fit_surface(body, start.bodies, vertices, named)
    return _converted(body, fit, scale, start, "nearest points of the surface, from the copied pose")


def _as_it_is(estimate: Estimate, stored: Tensor | None, *, as_it_came: bool) -> Converted:
    """Return an estimate that is on the model already, with what the way from its source lost when it was read."""
    body, source = estimate.body, estimate.source
    same = torch.ones(len(estimate)).to(estimate.bodies.shape)
    lost, said = torch.zeros_like(same), ""
    if as_it_came and estimate.distance_m is not None:
        lost = estimate.distance_m.to(same)
        said = f"; the way there from what {source.format} stores was gone in reading it, and lost {_average(lost)}"
    elif as_it_came and stored is not None and stored.shape[1] == len(body.template):
        lost = _same_mesh_distance(body, estimate.bodies, stored.to(same))
        said = f"; its vertices lie {_average(lost)} from the stored ones"
    elif not as_it_came:
        said = ", where it was refined: nothing is converted"
    notes = (f"The estimate is on {body.name} already{said}.",)
    return Converted(body, estimate.bodies, lost, same, notes, estimate)


def _average(distance_m: Tensor) -> str:
    """Return a mean distance in words."""
    known = distance_m[distance_m.isfinite()]
    if not len(known):
        return "what is not known, for neither surface nor joints are stored"
    return f"{1000 * float(known.mean()):.1f} mm on average"


def _same_mesh_distance(body: SkinnedBody, bodies: Bodies, vertices: Tensor) -> Tensor:
    """Return the mean distance (B,) m of corresponding vertices, NaN where the stored mesh is another."""
    if vertices.shape[1] != len(body.template):
        return torch.full_like(vertices[:, 0, 0], torch.nan)
    every = torch.arange(len(body.template), device=vertices.device)
    return (pose_body(body, bodies).vertices_at(every) - vertices).norm(dim=-1).mean(1)


def _on_points(body: SkinnedBody, points: Points) -> Converted:
    """Convert joints without a surface."""
    unit, points = _in_metres(body, points)
    placed = place_on_points(body, points)
    named = _term(body, {name: place / placed.scale[:, None] for name, place in points.items()})
    fit = fit_points(body, placed.bodies, named, _joints(body, points))
    return _report(body, fit, placed.scale, "named points alone", unit)


def _in_metres(body: SkinnedBody, points: Points) -> tuple[tuple[float, str], Points]:
    """Return the unit of named points, and the points in metres."""
    chosen = point_set(body, tuple(points))
    rest = pose_body(body, body.rest_bodies(1)).keypoints(chosen)[0]
    unit = unit_of(torch.stack([points[name] for name in chosen.names], 1).to(rest), rest)
    return unit, {name: place / unit[0] for name, place in points.items()}


def _term(body: SkinnedBody, points: Points) -> Points3D:
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


def _model(to: SkinnedBody | str | Path | None) -> SkinnedBody:
    """Return the model the caller named."""
    from refine.body.load import load_body

    return to if isinstance(to, SkinnedBody) else load_body("anny" if to is None else to)


def _report(
    body: SkinnedBody, fit: Fit, scale: Tensor, how: str, unit: tuple[float, str] = (1.0, "metres")
) -> Converted:
    """Return the result with its notes; the distance in the source's scale, m."""
    away = fit.distance_m * scale
    said = f", {_average(away).replace('mm', 'mm apart')}" if bool(away.isfinite().any()) else ""
    notes = [f"Converted to {body.name} by {how}{said}."]
    if unit[0] != 1:
        notes.append(f"The points are taken to be in {unit[1]}: people would be {unit[0]:g} times too large in metres.")
    return Converted(body, fit.bodies, away, scale, (*notes, *scale_notes(scale, body)), unit=unit[0])


def _converted(body: SkinnedBody, fit: Fit, scale: Tensor, start: Estimate, how: str) -> Converted:
    """Return the result of an estimate."""
    lost = without_numbers(start.source).to(scale.device)
    report = _report(
        body, replace(fit, distance_m=blank(fit.distance_m, start.source)), scale.masked_fill(lost, 1.0), how
    )
    state, notes = State(fit.bodies, start.camera), start.notes + report.notes
    estimate = replace(start, state=state, notes=notes, distance_m=report.distance_m)
    return replace(report, estimate=estimate)
