"""From refined bodies back to the regressor's own parameters.

    source_parameters  refined estimate -> the source's own names

The rotations that changed are copied, the pelvis is the refined one in the source's scale, the source's betas stay, and
`transl` = pelvis - rest pelvis. What was not refined goes back to the bit.

Source: derived here.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import pose_body
from refine.body.smpl_joints import PARENTS, copy_pose, joint_slices
from refine.estimate import Estimate, Source, as_array
from refine.estimate.found import KEY, as_bytes, found_among, texts
from refine.estimate.pelvis import rest_pelvis, source_pelvis
from refine.geometry import rotation
from refine.transfer.frames import bodies_in_camera
from refine.transfer.source_fit import adds_mean, fit_bodies

ROUNDING = 1e-6
"""Differences below this (rotation entries, coefficients, relative position) are rounding in float32, not
refinement."""


@dataclass(frozen=True, eq=False)
class RefinedSource:
    """A refined estimate in the source's model.

    Attributes:
        pose: (B, J, 3, 3) local rotations in the source's joint order; joints that were not turned keep theirs to the
            bit.
        pelvis: (B, 3) m, in the camera's frame and the source's scale.
        translation: (B, 3) m, the `transl` that puts the source's own pelvis there.
        moved: (B,) whether the pelvis moved by more than rounding.
        changed: (B,) whether anything did.
    """

    pose: Float[Tensor, "B J 3 3"]
    pelvis: Float[Tensor, "B 3"]
    translation: Float[Tensor, "B 3"]
    moved: Bool[Tensor, "B"]
    changed: Bool[Tensor, "B"]


def refined_source(refined: Estimate) -> RefinedSource:
    """Return a refined estimate in the source's model: what differs from the source's own pose is carried back.

    Args:
        refined: An estimate whose `source` is what it started from.

    Returns:
        Pose and translation of the source's model.
    """
    source, body = refined.source, refined.body
    start = fit_bodies(source, body)
    camera = refined.camera
    now, pose, like = bodies_in_camera(body, refined.bodies, camera), source.pose, source.pose
    turned = ((now.pose - start.bodies.pose).abs() > ROUNDING).flatten(2).any(2)  # (B, J)
    back = copy_pose(now.pose.to(like), like)
    if source.model == body.model and adds_mean(source, body):
        back = rotation.exp(rotation.log(back) - body.mean_pose.to(like))
    # Which joints turned, in the source's order: carried through the same copy as the rotations.
    flags = turned[..., None, None].expand(-1, -1, 3, 3).to(like)
    mine = copy_pose(flags, torch.zeros_like(like))[..., 0, 0] > 0
    pose = torch.where(mine[..., None, None], back, pose)
    pelvis, world = refined.joints[:, 0], camera.camera_from_world
    started = pose_body(body, start.bodies).joints[:, 0]
    far = 0.0 if world is None else world[:, :, 3].norm(dim=1, keepdim=True).to(started)  # numbers kept in the world's
    moved = ((pelvis - started).abs() > ROUNDING * (1 + started.abs() + far)).any(1)
    shaped = ((now.shape - start.bodies.shape).abs() > ROUNDING).any(1)
    shaped |= ((now.expression - start.bodies.expression).abs() > ROUNDING).any(1)
    own = source_pelvis(source)
    there = torch.where(moved[:, None], (pelvis * start.scale[:, None]).to(like), own)
    translation = there - rest_pelvis(source)
    if source.translation is not None:
        translation = torch.where(moved[:, None], translation, source.translation)
    if source.model == body.model:
        translation = now.translation.to(like)
        if world is not None and source.translation is not None:  # there and back is rounded
            translation = torch.where((moved | shaped)[:, None], translation, source.translation)
    return RefinedSource(pose, there, translation, moved, moved | shaped | turned.any(1))


def source_parameters(refined: Estimate) -> dict[str, np.ndarray]:
    """Return a refined estimate as SMPL(-X) parameters, in the source's own layout.

    Rotations as the source had them (axis-angle or matrices, with or without a batch axis; axis-angle (B, 3 J) where it
    stored none by these names, and for refined hands that were coefficients). On the source's own model `betas` and
    `expression` are refined too; else they are the *source's*: another model's shape has no meaning in it, and stands
    under `built_in_shape`. With joints X and global rotations G of the source, its rest offsets are G[parent]^T (X[j] -
    X[parent]); its rest pelvis is the stored pelvis minus the stored `transl` (`rest_pelvis`), and `transl` is the
    refined pelvis minus that.

    Args:
        refined: An estimate whose `source` is what it started from.

    Returns:
        Arrays by name: global_orient, body_pose, betas, transl, and what else the source has (hands, jaw, eyes,
        expression); `built_in_shape` (B, S) where the body is not of the source's family, and `refine_body`, by which
        refine reads this body again (`refine/estimate/found.py`). Unrefined: the source's numbers exactly.
    """
    source, back = refined.source, refined_source(refined)
    same_family = source.model == refined.body.model
    result: dict[str, np.ndarray] = {}
    for name, joints in joint_slices(source.model).items():
        stored = source.arrays.get(name)
        count = joints.stop - joints.start
        turned = as_array((back.pose[:, joints] != source.pose[:, joints]).flatten(2).any(2))  # (B, n)
        if stored is None and name not in ("global_orient", "body_pose") and not turned.any():
            continue
        fresh = _axis_angle(back.pose[:, joints])
        if same_family and "hand" in name:
            fresh = _hand(refined, joints)
        values = as_array(stored).reshape(len(source), -1) if stored is not None else fresh
        if values.shape[1] not in (3 * count, 9 * count):  # coefficients of the hand space; what was turned has left it
            result[name] = fresh if same_family and turned.any() else as_array(stored)
            continue
        if values.shape[1] == 9 * count:
            fresh = as_array(back.pose[:, joints]).reshape(len(source), -1)
        each = np.repeat(turned, values.shape[1] // count, 1)  # (B, 3 n) or (B, 9 n)
        values = np.where(each, fresh, values).astype(values.dtype)
        result[name] = values if stored is None else values.reshape(as_array(stored).shape)
    shape, expression = (refined.bodies.shape, refined.bodies.expression) if same_family else (None, None)
    result["betas"] = _coefficients(source, "betas", shape, back.changed)
    faces = _coefficients(source, "expression", expression, back.changed)
    if "expression" in source.arrays or faces.shape[-1]:
        result["expression"] = faces
    result["transl"] = _transl(source, back)
    if not same_family:
        result["built_in_shape"] = as_array(refined.bodies.shape)
        if lines := found_texts(refined, back):
            result[KEY] = as_bytes(lines)
    return result


def found_texts(refined: Estimate, back: RefinedSource) -> list[str]:
    """Return the text of each refined body, to be stored where the source's own model is not here.

    Args:
        refined: The refined estimate, through the camera its parameters are written for.
        back: The same in the source's model.

    Returns:
        B texts (`refine.estimate.found`); none on the source's own model, whose parameters suffice.
    """
    source, body = refined.source, refined.body
    if source.model == body.model:
        return []
    scale, here = fit_bodies(source, body).scale, bodies_in_camera(body, refined.bodies, refined.camera)
    return texts(body, here, scale, source.betas, back.translation, back.pelvis)


def with_found(source: Source) -> Source:
    """Return the source with the refined bodies stored beside its parameters, if refine wrote its file."""
    if source.model not in PARENTS:  # fitted to a surface: the format knows how to find the body again
        return source
    words = source.pose, source.betas, source.translation, source.joints
    return replace(source, found=found_among(source.arrays, *words))


def _axis_angle(pose: Tensor) -> np.ndarray:
    """Return rotations (B, n, 3, 3) as (B, 3 n) rad."""
    return as_array(rotation.log(pose).flatten(1))


def _hand(refined: Estimate, joints: slice) -> np.ndarray:
    """Return a hand's axis-angle pose (B, 45) as its model takes it: on top of the mean hand, if it has one."""
    pose = rotation.log(refined.bodies.pose[:, joints]) - refined.body.mean_pose[joints]
    return as_array(pose.flatten(1))


def _transl(source: Source, back: RefinedSource) -> np.ndarray:
    """Return the translation in the source's own shape and dtype; rows that did not move keep their numbers."""
    fresh, stored = as_array(back.translation), source.arrays.get("transl")
    if stored is None or source.translation is None:
        return fresh
    own = as_array(stored)
    moved = as_array((back.translation != source.translation).any(1))[:, None]
    return np.where(moved, fresh, own.reshape(fresh.shape)).astype(own.dtype).reshape(own.shape)


def _coefficients(source: Source, name: str, refined: Tensor | None, changed: Tensor) -> np.ndarray:
    """Return the source's coefficients as stored, replaced where a model of the same family was refined."""
    stored = source.arrays.get(name)
    own = as_array(getattr(source, name))
    values = own
    if refined is not None and bool(changed.any()):
        fresh = as_array(refined)
        if own.shape[1] < fresh.shape[1] and fresh[:, own.shape[1] :].any():  # the body found more than the source had
            own = np.pad(own, ((0, 0), (0, fresh.shape[1] - own.shape[1])))
        width = min(fresh.shape[1], own.shape[1])
        values = own.copy()
        values[:, :width] = np.where(as_array(changed)[:, None], fresh[:, :width], own[:, :width])
    if stored is None:
        return values
    stored = as_array(stored)
    if values is own or stored.size != values.size:  # unchanged, or one shape for all bodies
        return stored if values is own else values
    return values.astype(stored.dtype).reshape(stored.shape)
