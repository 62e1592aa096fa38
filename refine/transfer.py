"""From the regressor's body model to the one we refine, and back.

    to_body            source -> estimate on a model (the pose copied, shape and place fitted: `refine/source_fit.py`)
    with_camera        the same photo through another camera
    on_body            the same people on another model
    source_parameters  refined estimate -> the source's own words

Back: the rotations that changed are copied, the pelvis is the refined one in the source's scale, the source's betas stay, and
`transl` = pelvis - rest pelvis. What was not refined goes back to the bit.

Source: derived here.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.agreement import agreeing
from refine.body import SkinnedBody
from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.estimate.found import KEY, as_bytes, found_among, texts
from refine.estimate.source_pose import FIRST_HAND_JOINT, PARENTS, copy_pose, joint_slices, rest_pelvis, source_pelvis
from refine.estimate.usable import check_places, known_cameras, with_stand_ins, without_numbers
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.source_body import own_body
from refine.source_fit import adds_mean, fit_bodies
from refine.state import State

NOTED_FOCAL = 0.01
OTHER_LENS = (
    "Another focal length than the estimate's: a body off the image's middle is seen from a slightly different side, which is not "
    "undone, also when the result is written back for the estimate's own camera."
)
"""Said where the focal lengths differ by more than a hundredth."""

ROUNDING = 1e-6
"""Differences below this (rotation entries, coefficients, relative position) are rounding in float32, not refinement."""


def to_body(
    source: Source, camera: Camera, body: SkinnedBody | None = None, image_index: Int[Tensor, "B"] | None = None
) -> Estimate:
    """Put what a regressor said on a body model.

    Args:
        source: The regressor's words.
        camera: One camera, or one a body, in whose frame the source's translation and joints are.
        body: The model; None: the source's own where its file is found (`refine.body.find_model`), else the built-in body.
            A model of the source's own family takes the parameters as they are.
        image_index: (B,) which image each body is seen in; None: all in the first.

    Returns:
        The estimate; its notes say what was fitted and how well, and what of the source contradicts itself (`refine.agreement`).

    Raises:
        InputError: The source has neither a translation nor joints, or no row whose values are finite and whose place a camera
            can see, or the number of cameras is neither one nor that of the bodies.
    """
    return check_places(on_trial(source, camera, body, image_index))


def on_trial(
    source: Source, camera: Camera, body: SkinnedBody | None = None, image_index: Int[Tensor, "B"] | None = None
) -> Estimate:
    """Put what a regressor said on a body model without asking whether a camera can see it there: `to_body` before its last step.

    For a format that has yet to find out where its people are, or which camera they belong to.
    """
    count = len(source)
    if len(camera) not in (1, count):
        raise InputError("camera", f"one camera or {count}, one a body", str(len(camera)), "Give one camera a photo.")
    spread = camera[torch.zeros(count, dtype=torch.long)] if len(camera) != count else camera
    source, spread = with_stand_ins(source, spread)
    _check(source)
    body = own_body(source) if body is None else body
    source = with_found(agreeing(source, spread, body))
    fitted = fit_bodies(source, body)
    spread = spread.to(device=body.template.device, dtype=body.template.dtype).checked()
    index = torch.zeros(count, dtype=torch.long) if image_index is None else image_index
    focal = (f"Focal length: {source.focal_rule}.",) if source.focal_rule else ()
    lost = None if source.model == body.model else fitted.distance_m
    said = (
        () if bool(without_numbers(source).all()) else source.doubts + fitted.notes
    )  # of stand-ins there is nothing to say
    return Estimate(body, State(fitted.bodies, spread), index, source, focal + said, lost)


def with_camera(estimate: Estimate, camera: Camera) -> Estimate:
    """Look at the same photo through another camera: every pelvis keeps its pixel, and its depth over the focal length.

    A body far off the axis is seen from a slightly different side by a shorter lens; that change of view is not undone.

    Args:
        estimate: The estimate.
        camera: One camera, or one a body.

    Returns:
        The estimate with that camera, its translation moved along.

    Raises:
        InputError: The number of cameras is neither one nor that of the bodies, or one of them has a `camera_from_world`.
    """
    count = len(estimate)
    if len(camera) not in (1, count):
        raise InputError("camera", f"one camera or {count}, one a body", str(len(camera)), "Give one camera a photo.")
    camera = camera[torch.zeros(count, dtype=torch.long)] if len(camera) != count else camera
    camera = camera.to(estimate.camera.focal.device, estimate.camera.focal.dtype)
    camera = known_cameras(estimate, camera).checked()
    if camera.camera_from_world is not None or estimate.camera.camera_from_world is not None:
        advice = (
            "Turn bodies and camera into one frame first; an Estimate may keep its own camera with camera_from_world."
        )
        raise InputError("camera", "bodies and camera in the camera's frame", "a camera_from_world", advice)
    pelvis = estimate.joints[:, 0]
    moved = _reproject(pelvis, estimate.camera, camera) - pelvis
    bodies = replace(estimate.bodies, translation=estimate.bodies.translation + moved)
    ratio = float((camera.focal / estimate.camera.focal).log().abs().max()) if count else 0.0
    return replace(estimate, state=State(bodies, camera), notes=estimate.notes + (OTHER_LENS,) * (ratio > NOTED_FOCAL))


def on_body(estimate: Estimate, body: SkinnedBody) -> Estimate:
    """Put an estimate on another model, through the camera it has now and in the pose it has now.

    Args:
        estimate: The estimate, unrefined or refined.
        body: The other model; shape is fitted anew, for one model's shape has no meaning in another.

    Returns:
        The estimate on that model, every pelvis where it was (in the source's scale).
    """
    fitted, back = fit_bodies(estimate.source, body), refined_source(estimate)
    like = fitted.bodies.pose
    turned = (back.pose != estimate.source.pose).flatten(2).any(2)[..., None, None].expand_as(back.pose)
    fresh = copy_pose(back.pose.to(like), like)
    pose = torch.where(copy_pose(turned.to(like), torch.zeros_like(like)) > 0, fresh, like)
    bodies = replace(fitted.bodies, pose=pose)
    pelvis = back.pelvis.to(like) / fitted.scale[:, None]
    camera = estimate.camera.to(like.device, like.dtype)
    if camera.camera_from_world is not None:
        pelvis = (camera.camera_from_world[:, :, :3].mT @ (pelvis - camera.camera_from_world[:, :, 3])[..., None])[
            ..., 0
        ]
    moved = pelvis - body.posed(bodies).joints[:, 0]
    if estimate.source.model == body.model:  # `transl` is exact, a pelvis without stored joints only the mean body's
        moved = torch.where(back.moved.to(like.device)[:, None], moved, torch.zeros_like(moved))
    bodies = replace(bodies, translation=bodies.translation + moved)
    lost = None if estimate.source.model == body.model else fitted.distance_m
    state, notes = State(bodies, camera), estimate.notes + fitted.notes
    return replace(estimate, body=body, state=state, notes=notes, distance_m=lost)


def _reproject(pelvis: Tensor, old: Camera, new: Camera) -> Tensor:
    """Return pelvises (B, 3) in the new camera's frame: same pixel, same size in the photo."""
    depth = pelvis[:, 2:] * new.focal.mean(1, keepdim=True) / old.focal.mean(1, keepdim=True)
    pixel = old.focal * pelvis[:, :2] / pelvis[:, 2:] + old.center
    return torch.cat(((pixel - new.center) / new.focal * depth, depth), 1)


@dataclass(frozen=True, eq=False)
class RefinedSource:
    """A refined estimate said again in the source's model.

    Attributes:
        pose: (B, J, 3, 3) local rotations in the source's joint order; joints that were not turned keep theirs to the bit.
        pelvis: (B, 3) m, in the refined estimate's camera frame and the source's scale.
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
    """Say a refined estimate in the source's model: what differs from the source's own pose on this body is carried back.

    Args:
        refined: An estimate whose `source` is what it started from.

    Returns:
        Pose and translation of the source's model.
    """
    source, body = refined.source, refined.body
    start = fit_bodies(source, body)
    now, pose, like = refined.bodies, source.pose, source.pose
    turned = ((now.pose - start.bodies.pose).abs() > ROUNDING).flatten(2).any(2)  # (B, J)
    back = copy_pose(now.pose.to(like), like)
    if source.model == body.model and adds_mean(source, body):
        back = rotation.exp(rotation.log(back) - body.mean_pose.to(like))
    # Which joints turned, in the source's order: carried through the same copy as the rotations.
    flags = turned[..., None, None].expand(-1, -1, 3, 3).to(like)
    mine = copy_pose(flags, torch.zeros_like(like))[..., 0, 0] > 0
    pose = torch.where(mine[..., None, None], back, pose)
    pelvis = refined.joints[:, 0]
    started = body.posed(start.bodies).joints[:, 0]
    moved = ((pelvis - started).abs() > ROUNDING * (1 + started.abs())).any(1)
    shaped = ((now.shape - start.bodies.shape).abs() > ROUNDING).any(1)
    shaped |= ((now.expression - start.bodies.expression).abs() > ROUNDING).any(1)
    own = source_pelvis(source)
    there = torch.where(moved[:, None], (pelvis * start.scale[:, None]).to(like), own)
    translation = there - rest_pelvis(source)
    if source.translation is not None:
        translation = torch.where(moved[:, None], translation, source.translation)
    if source.model == body.model:
        translation = now.translation.to(like)
    return RefinedSource(pose, there, translation, moved, moved | shaped | turned.any(1))


def source_parameters(refined: Estimate) -> dict[str, np.ndarray]:
    """Return a refined estimate as SMPL(-X) parameters, in the source's own layout.

    Rotations as the source had them (axis-angle or matrices, with or without a batch axis; axis-angle (B, 3 J) where it stored
    none by these names, and for refined hands that were coefficients). On the source's own model `betas` and `expression` are refined too; else
    they are the *source's*: another model's shape has no meaning in it, and stands under `built_in_shape`.
    With joints X and global rotations G of the source, its rest offsets are G[parent]^T (X[j] - X[parent]); its rest pelvis is the stored
    pelvis minus the stored `transl` (`rest_pelvis`), and `transl` is the refined pelvis minus that.

    Args:
        refined: An estimate whose `source` is what it started from.

    Returns:
        Arrays by name: global_orient, body_pose, betas, transl, and what else the source has (hands, jaw, eyes, expression);
        `built_in_shape` (B, S) where the body is not of the source's family, and `refine_body`, by which refine reads this body again
        (`refine/estimate/found.py`). Unrefined: the source's numbers exactly.
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
    """Return the text of each refined body that goes beside the source's words, where the source's own model is not here.

    Args:
        refined: The refined estimate, through the camera its words are written for.
        back: The same in the source's model.

    Returns:
        B texts (`refine.estimate.found`); none on the source's own model, whose words say all, and where bodies are in the world's frame.
    """
    source, body = refined.source, refined.body
    if source.model == body.model or refined.camera.camera_from_world is not None:
        return []
    scale = fit_bodies(source, body).scale
    return texts(body, refined.bodies, scale, source.betas, back.translation, back.pelvis)


def with_found(source: Source) -> Source:
    """Return the source with the refined bodies that stand beside its words in its file, if refine wrote it."""
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
    """Return the source's coefficients in their own shape and dtype, replaced where a model of the same family was refined."""
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


def _check(source: Source) -> None:
    """Refuse a source that cannot be placed."""
    where = str(source.path or source.format)
    if source.pose.shape[1] not in FIRST_HAND_JOINT:
        expected = "24 (SMPL), 52 (SMPL-H) or 55 (SMPL-X) joints"
        raise InputError(f"{where}: pose", expected, str(source.pose.shape[1]), "Name the joints as SMPL does.")
    for name in ("pose", "betas", "expression", "translation", "joints"):
        value = getattr(source, name)
        if value is not None:
            if len(value) != len(source):
                raise InputError(f"{where}: {name}", f"{len(source)} bodies, as in pose", str(len(value)), "")
            check_finite(f"{where}: {name}", value)
    source_pelvis(source)
