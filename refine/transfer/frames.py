"""Bodies in the camera's frame and in the world's, where the camera's place in the world is known.

    root_camera = R root_world,   pelvis_camera = R pelvis_world + t,   camera_from_world = [R | t]

A source is always in the camera's frame, and so is everything that is read from it or written back; an estimate's
bodies are in the world's where its camera has `camera_from_world`. Computed in double precision, so that going there
and back is off by the rounding of the numbers that are stored between.

Source: derived here.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.check import check_shape
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import Camera
from refine.state import Bodies, State


def bodies_in_world(body: SkinnedBody, bodies: Bodies, camera: Camera) -> Bodies:
    """Return bodies of the camera's frame in the world's.

    Args:
        body: The model.
        bodies: B bodies, camera frame.
        camera: B cameras; without `camera_from_world` the world is the camera's frame.
    """
    if camera.camera_from_world is None:
        return bodies
    world = camera.camera_from_world.to(bodies.pose.device, torch.float64)
    back, place = world[:, :, :3].mT, world[:, :, 3]
    pelvis = pose_body(body, bodies).joints[:, 0].double()
    there = (back @ (pelvis - place)[..., None])[..., 0]
    return _moved(bodies, back, there - pelvis)


def bodies_in_camera(body: SkinnedBody, bodies: Bodies, camera: Camera) -> Bodies:
    """Return bodies of the world's frame in the camera's, the inverse of `bodies_in_world`.

    Args:
        body: The model.
        bodies: B bodies, world frame (the camera's without `camera_from_world`).
        camera: B cameras.
    """
    if camera.camera_from_world is None:
        return bodies
    world = camera.camera_from_world.to(bodies.pose.device, torch.float64)
    pelvis = pose_body(body, bodies).joints[:, 0].double()
    here = (world[:, :, :3] @ pelvis[..., None])[..., 0] + world[:, :, 3]
    return _moved(bodies, world[:, :, :3], here - pelvis)


def in_camera(estimate: Estimate) -> Estimate:
    """Return the same people in the camera's frame, through a camera without `camera_from_world`."""
    if estimate.camera.camera_from_world is None:
        return estimate
    bodies = bodies_in_camera(estimate.body, estimate.bodies, estimate.camera)
    return replace(estimate, state=State(bodies, estimate.camera.local))


def in_world(estimate: Estimate, camera_from_world: Float[Tensor, "B 3 4"] | None = None) -> Estimate:
    """Return the same people in a world's frame, seen in the same pixels.

    Args:
        estimate: B bodies, unrefined or refined.
        camera_from_world: (B, 3, 4) m, rotation and translation from that world to each camera; None: the world of the
            file they were read from.

    Raises:
        InputError: None is given and the file knows none.
    """
    world = estimate.source.camera_from_world if camera_from_world is None else camera_from_world
    if world is None:
        advice = "Give camera_from_world (B, 3, 4): rotation and translation from the world to each camera."
        raise InputError("camera_from_world", "where the cameras stand", "a file that does not say", advice)
    check_shape("camera_from_world", world, "B 3 4", B=len(estimate))
    here = in_camera(estimate)
    camera = replace(here.camera, camera_from_world=world.to(here.camera.focal)).checked()
    return replace(here, state=State(bodies_in_world(here.body, here.bodies, camera), camera))


def _moved(bodies: Bodies, turn: Tensor, step: Tensor) -> Bodies:
    """Turn the roots (B, 3, 3) and move the pelvises (B, 3) m."""
    root = (turn @ bodies.pose[:, 0].double()).to(bodies.pose)
    translation = (bodies.translation.double() + step).to(bodies.translation)
    return replace(bodies, pose=torch.cat((root[:, None], bodies.pose[:, 1:]), 1), translation=translation)
