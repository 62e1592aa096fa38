"""From a regressor's body model to the one that is refined: the pose is copied, shape and place are fitted.

    to_body      source -> estimate on a model (`refine/transfer/source_fit.py` fits)
    with_camera  the same photo through another camera
    on_body      the same people on another model

Source: derived here.
"""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import FIRST_HAND_JOINT, copy_pose
from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.estimate.usable import check_places, known_cameras, with_stand_ins, without_numbers
from refine.geometry.camera import Camera
from refine.geometry.distortion import bend
from refine.state import State
from refine.transfer.agreement import agreeing
from refine.transfer.back import refined_source, with_found
from refine.transfer.frames import bodies_in_world, in_camera
from refine.transfer.source_body import own_body
from refine.transfer.source_fit import fit_bodies

NOTED_FOCAL = 0.01
WORLD = (
    "The bodies are in the camera's frame; the file knows where the camera stands in a world: refine.transfer.in_world "
    "puts them there."
)
OTHER_LENS = (
    "Another focal length than the estimate's: a body off the image's middle is seen from a slightly different side, "
    "which is not undone, also when the result is written back for the estimate's own camera."
)
"""Said where the focal lengths differ by more than a hundredth."""


def to_body(
    source: Source, camera: Camera, body: SkinnedBody | None = None, image_index: Int[Tensor, "B"] | None = None
) -> Estimate:
    """Put what a regressor stored on a body model.

    Args:
        source: What the regressor stored.
        camera: One camera, or one a body, in whose frame the source's translation and joints are. Where it has a
            `camera_from_world` the estimate's bodies are in that world.
        body: The model; None: the source's own where its file is found (`refine.body.find_model`), else the built-in
            body. A model of the source's own family takes the parameters as they are.
        image_index: (B,) which image each body is seen in; None: all in the first.

    Returns:
        The estimate; its notes say what was fitted and how well, and what of the source contradicts itself
        (`refine.transfer.agreement`).

    Raises:
        InputError: The source has neither a translation nor joints, or no row whose values are finite and whose place a
            camera can see, or the number of cameras is neither one nor that of the bodies.
    """
    return check_places(on_trial(source, camera, body, image_index))


def on_trial(
    source: Source, camera: Camera, body: SkinnedBody | None = None, image_index: Int[Tensor, "B"] | None = None
) -> Estimate:
    """Put a source on a body model as `to_body` does, but do not check that a camera can see it there.

    For a format that has yet to find out where its people are, or which camera they belong to.

    Raises:
        InputError: As for `to_body`, but for the place.
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
    known = (WORLD,) if source.camera_from_world is not None else ()
    state = State(bodies_in_world(body, fitted.bodies, spread), spread)
    return Estimate(body, state, index, source, focal + said + known, lost)


def with_camera(estimate: Estimate, camera: Camera) -> Estimate:
    """Look at the same photo through another camera: every pelvis keeps its pixel, and its depth over the focal length.

    A body far off the axis is seen from a slightly different side by a shorter lens; that change of view is not undone.

    Args:
        estimate: The estimate.
        camera: One camera, or one a body, without `camera_from_world`: it stands where the estimate's own does.

    Returns:
        The estimate with that camera, its translation moved along.

    Raises:
        InputError: The number of cameras is neither one nor that of the bodies, or one of them has another
            `camera_from_world` than the estimate's.
    """
    count = len(estimate)
    if len(camera) not in (1, count):
        raise InputError("camera", f"one camera or {count}, one a body", str(len(camera)), "Give one camera a photo.")
    camera = camera[torch.zeros(count, dtype=torch.long)] if len(camera) != count else camera
    camera = camera.to(estimate.camera.focal.device, estimate.camera.focal.dtype)
    camera = known_cameras(estimate, camera).checked()
    own, given = estimate.camera.camera_from_world, camera.camera_from_world
    if given is not None and (own is None or not torch.equal(own, given)):
        advice = "Leave camera_from_world out: the camera stands where the estimate's own does."
        raise InputError("camera", "a camera in whose frame the bodies are", "a camera_from_world", advice)
    camera = replace(camera, camera_from_world=own)
    pelvis = estimate.joints[:, 0]  # camera frame
    moved = _reproject(pelvis, estimate.camera, camera) - pelvis
    if own is not None:
        moved = (own[:, :, :3].mT @ moved[..., None])[..., 0]
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
    place, estimate = estimate.camera.to(body.template.device, body.template.dtype), in_camera(estimate)
    fitted, back = fit_bodies(estimate.source, body), refined_source(estimate)
    like = fitted.bodies.pose
    turned = (back.pose != estimate.source.pose).flatten(2).any(2)[..., None, None].expand_as(back.pose)
    fresh = copy_pose(back.pose.to(like), like)
    pose = torch.where(copy_pose(turned.to(like), torch.zeros_like(like)) > 0, fresh, like)
    bodies = replace(fitted.bodies, pose=pose)
    pelvis = back.pelvis.to(like) / fitted.scale[:, None]
    moved = pelvis - pose_body(body, bodies).joints[:, 0]
    if estimate.source.model == body.model:  # `transl` is exact, a pelvis without stored joints only the mean body's
        moved = torch.where(back.moved.to(like.device)[:, None], moved, torch.zeros_like(moved))
    bodies = replace(bodies, translation=bodies.translation + moved)
    lost = None if estimate.source.model == body.model else fitted.distance_m
    state, notes = State(bodies_in_world(body, bodies, place), place), estimate.notes + fitted.notes
    return replace(estimate, body=body, state=state, notes=notes, distance_m=lost)


def _reproject(pelvis: Tensor, old: Camera, new: Camera) -> Tensor:
    """Return pelvises (B, 3) in the new camera's frame: same pixel, same size in the photo."""
    depth = pelvis[:, 2:] * new.focal.mean(1, keepdim=True) / old.focal.mean(1, keepdim=True)
    slope = pelvis[:, :2] / pelvis[:, 2:]
    if old.distortion is None and new.distortion is None:
        return torch.cat(((old.focal * slope + old.center - new.center) / new.focal * depth, depth), 1)
    bent = slope[:, None] if old.distortion is None else bend(slope[:, None], old.distortion)
    pixel = old.focal[:, None] * bent + old.center[:, None]  # behind the camera too, where nothing projects
    return torch.cat((new.slopes(pixel)[:, 0] * depth, depth), 1)


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
