"""From one body model to another: `convert(bodies, to)` finds the bodies of a model that fill the same surface.

    an estimate            start: its pose copied, shape fitted to its joints (`refine/transfer/source_fit.py`); then
                           its surface, if it has one
    points                 `refine/transfer/surface`

Source: derived here; `refine/transfer/surface/fit.py` names the methods.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.ambient import usual_torch
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL22
from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import blank, blank_bodies, without_numbers
from refine.state import Bodies, State
from refine.transfer import in_camera, on_body, refined_source
from refine.transfer.source_fit import fit_bodies
from refine.transfer.surface.converted import Converted, average, bodies_of_points, points_term, report
from refine.transfer.surface.fit import Fit, fit_same_topology, fit_surface

SHARED_MESH = {"smpl": "smplh", "smplh": "smpl"}
"""Models with the same vertices."""


@usual_torch()
@torch.no_grad()
def convert(
    source: Estimate | Float[Tensor, "B W 3"],
    to: SkinnedBody | str | Path | None = None,
    *,
    joints: Float[Tensor, "B J 3"] | Mapping[str, Float[Tensor, "B 3"]] | None = None,
) -> Converted:
    """Find the bodies of a model that fill the same surface.

    Which vertices correspond is a matter of the two meshes, not of a body: it is found in a few bodies of the batch and
    used for all, so that other bodies in the batch move a body by some millimetres along its surface.

    Args:
        source: An estimate; or vertices (B, W, 3) m, all of one mesh; or joints alone, (B, 22 | 24 | 52 | 55 | 70, 3) m
            in the order of SMPL's, SMPL-H's, SMPL-X's skeleton or MHR's keypoints. Centimetres and millimetres are
            noticed, and noted.
        to: The model, its name, its file or a folder; None: the built-in body.
        joints: Beside vertices of a mesh that is not the model's: its joints, in one of those orders or by name.
            SMPL-X's 10,475 vertices need none.

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
    return bodies_of_points(body, source, joints)


def _estimate(estimate: Estimate, body: SkinnedBody) -> Converted:
    """Convert an estimate."""
    source, as_it_came = estimate.source, not bool(refined_source(estimate).changed.any())
    estimate = in_camera(estimate)
    stored = source.vertices if as_it_came else None
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
    if as_it_came and source.joints is not None and source.joints.shape[1] >= BODY_JOINTS:
        skeleton = source.joints[:, :BODY_JOINTS].to(scale) / scale[:, None, None]
    else:
        skeleton = posed.joints[:, :BODY_JOINTS] * (was / scale)[:, None, None]
    named = points_term(body, dict(zip(SMPL22, skeleton.unbind(1), strict=True)))
    fit = fit_surface(body, start.bodies, vertices, named)
    return _converted(body, fit, scale, start, "nearest points of the surface, from the copied pose")


def _as_it_is(estimate: Estimate, stored: Tensor | None, *, as_it_came: bool) -> Converted:
    """Return an estimate that is on the model already, with what the way from its source lost when it was read."""
    body, source = estimate.body, estimate.source
    same = torch.ones(len(estimate)).to(estimate.bodies.shape)
    lost, said = torch.zeros_like(same), ""
    if as_it_came and estimate.distance_m is not None:
        lost = estimate.distance_m.to(same)
        said = f"; the way there from what {source.format} stores was gone in reading it, and lost {average(lost)}"
    elif as_it_came and stored is not None and stored.shape[1] == len(body.template):
        lost = _same_mesh_distance(body, estimate.bodies, stored.to(same))
        said = f"; its vertices lie {average(lost)} from the stored ones"
    elif not as_it_came:
        said = ", where it was refined: nothing is converted"
    notes = (f"The estimate is on {body.name} already{said}.",)
    return Converted(body, estimate.bodies, lost, same, notes, estimate)


def _same_mesh_distance(body: SkinnedBody, bodies: Bodies, vertices: Tensor) -> Tensor:
    """Return the mean distance (B,) m of corresponding vertices, NaN where the stored mesh is another."""
    if vertices.shape[1] != len(body.template):
        return torch.full_like(vertices[:, 0, 0], torch.nan)
    every = torch.arange(len(body.template), device=vertices.device)
    return (pose_body(body, bodies).vertices_at(every) - vertices).norm(dim=-1).mean(1)


def _model(to: SkinnedBody | str | Path | None) -> SkinnedBody:
    """Return the model the caller named."""
    from refine.body.load import load_body

    return to if isinstance(to, SkinnedBody) else load_body("anny" if to is None else to)


def _converted(body: SkinnedBody, fit: Fit, scale: Tensor, start: Estimate, how: str) -> Converted:
    """Return the result of an estimate."""
    lost = without_numbers(start.source).to(scale.device)
    known = replace(fit, distance_m=blank(fit.distance_m, start.source))
    done = report(body, known, scale.masked_fill(lost, 1.0), how)
    state, notes = State(fit.bodies, start.camera), start.notes + done.notes
    return replace(done, estimate=replace(start, state=state, notes=notes, distance_m=done.distance_m))
