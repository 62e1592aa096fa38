"""Systems that store a surface of a model not at hand: our body is fitted to it, and it moves along with ours.

    point of theirs x:    x' = M' (M⁻¹ x + d' - d),   M = Σ_j w_j (G_j | X_j - G_j J_j)

with the skinning weights w and the rest position d of the nearest point on the fitted body, before and after (primes)
refining. Where nothing was refined M' = M and d' = d: the same point.

Source: derived here; skinning as in Loper et al., SMPL, 2015, eq. 2-4.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody, SkinnedBody, pose_body
from refine.body.known_meshes import BY_COUNT
from refine.estimate import Estimate, Source
from refine.geometry.surface import nearest_on_surface
from refine.state import Bodies
from refine.transfer.source_fit import fit_bodies
from refine.transfer.surface import Converted


def carried(
    points: Float[Tensor, "B N 3"], before: PosedBody, after: PosedBody, scale: Float[Tensor, "B"]
) -> Float[Tensor, "B N 3"]:
    """Return points that ride on the surface of bodies which moved.

    Args:
        points: (B, N, 3) m, where they were, in the source's scale.
        before: The bodies they were seen with.
        after: The same bodies, moved or shaped otherwise.
        scale: (B,) size of the source's scene in units of the bodies'.

    Returns:
        (B, N, 3) m, float64, in the source's scale.
    """
    body = before.body
    every = torch.arange(len(body.template), device=body.template.device)
    seen = points.to(body.template.device).double() / scale.double()[:, None, None].to(body.template.device)
    surface = before.vertices_at(every).double()
    found = [nearest_on_surface(one, vertices, body.faces) for one, vertices in zip(seen, surface, strict=True)]
    corner = body.faces[torch.stack([one.triangle for one in found])]  # (B, N, 3)
    share = torch.stack([one.barycentric for one in found])  # (B, N, 3)
    weights = (body.dense_weights.double()[corner] * share[..., None]).sum(2)  # (B, N, J)
    was, now = ((weights @ _motions(posed)).unflatten(2, (3, 4)) for posed in (before, after))
    shift = ((after.rest_corners(corner) - before.rest_corners(corner)).double() * share[..., None]).sum(2)
    rest = torch.linalg.solve(was[..., :3], (seen - was[..., 3])[..., None]) + shift[..., None]
    moved: Tensor = (now[..., :3] @ rest)[..., 0] + now[..., 3]
    return moved.cpu() * scale.double()[:, None, None]


def _motions(posed: PosedBody) -> Tensor:
    """Return the rigid motion of each joint (B, J, 12), float64."""
    return torch.cat((posed.rotations, posed.rest_offsets[..., None]), -1).flatten(2).double()


def fitted_source(
    done: Converted, format: str, points: Float[Tensor, "B K 3"], vertices: Float[Tensor, "B W 3"], path: Path,
    arrays: Mapping[str, object],
) -> Source:  # fmt: skip
    """Return a fitted body as a source: its own joints first, then the stored points, all in the model's scale.

    Args:
        done: The fitted bodies.
        format: The format's name.
        points: (B, K, 3) stored points in the camera frame, in the file's unit; K may be 0.
        vertices: (B, W, 3) the stored surface in the camera frame, in the file's unit.
        path: The file.
        arrays: Its content.
    """
    bodies, size = done.bodies, done.scale.cpu() * done.unit
    scale = size[:, None, None]
    joints = pose_body(done.body, bodies).joints.cpu()
    return Source(
        format=format,
        model=done.body.model,
        pose=bodies.pose.cpu(),
        betas=bodies.shape.cpu(),
        expression=bodies.expression.cpu(),
        translation=bodies.translation.cpu(),
        joints=torch.cat((joints, points.float() / scale), 1),
        joint_names=(*done.body.joint_names, *(BY_COUNT.get(points.shape[1]) or ("",) * points.shape[1])),
        vertices=vertices.float() / scale,
        arrays=arrays,
        path=path,
        hand_mean="flat",
        evidence={"scale": size},
    )


def fitted_estimate(estimate: Estimate, done: Converted) -> Estimate:
    """Return the estimate with the fit's notes, and with the fit's distance where it is on the fitted body."""
    notes = estimate.notes + done.notes
    lost = done.distance_m.cpu() if estimate.body.name == done.body.name else estimate.distance_m
    return replace(estimate, notes=notes, distance_m=lost)


def mean_distance(body: SkinnedBody, bodies: Bodies, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B"]:
    """Return the mean distance (B,) m of points from bodies' surfaces."""
    surface = pose_body(body, bodies).vertices.double()
    found = [nearest_on_surface(one, own, body.faces) for one, own in zip(points.double(), surface, strict=True)]
    return torch.stack([one.distance_m.mean() for one in found]).float()


def started(refined: Estimate) -> PosedBody:
    """Return the refined estimate's bodies as they were before refining."""
    return pose_body(refined.body, _like(fit_bodies(refined.source, refined.body).bodies, refined))


def total_scale(refined: Estimate) -> Float[Tensor, "B"]:
    """Return the size (B,) of the file's scene in units of the refined bodies': the fit's times a later change's."""
    own = refined.source.evidence["scale"]
    return own * fit_bodies(refined.source, refined.body).scale.to(own)


def _like(bodies: Bodies, refined: Estimate) -> Bodies:
    return bodies.to(refined.bodies.pose.device, refined.bodies.pose.dtype)
