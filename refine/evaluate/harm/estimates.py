"""Drawn estimates: the strengths of `refine.evaluate.disturbance`, and two medium ones under a wrong camera.

    focal    half of the bodies under twice the focal length, half under half of it; the pelvis as much farther away or
             nearer
    crop     5000 px in a crop of 224 px around the person, principal point in the crop's middle; the body as seen along
             the crop's axis

A regressor that looks at a crop does not know where in the photo it lies, so that its body stands as the crop shows it:
turned by the angle between the photo's axis and the crop's (which `crop` leaves in the error before and after).

Source: Kissos et al., Beyond Weak Perspective (arXiv 2009.06549), sec. 3; CLIFF (arXiv 2208.00571), sec. 3.1; SPIN
`constants.py` (5000, 224).
"""

from dataclasses import replace

import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.disturbance import disturb
from refine.evaluate.strengths import STRENGTHS
from refine.geometry import rotation
from refine.geometry.camera import NEAR_M, Camera
from refine.geometry.crop import square_around
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.state import State

WRONG_CAMERAS = ("focal", "crop")
ESTIMATES = (*STRENGTHS, *WRONG_CAMERAS)
"""weak, medium, strong, near, perfect, focal, crop."""
OWN = "own"
"""The kind of estimates that are not drawn but given."""
UNDER_WRONG_CAMERAS = "medium"
FOCAL_FACTOR = 2.0
SPIN_CROP_PX = 224.0
SEED = 77_000_000
"""Of the disturbances: this, plus the body's."""


def estimates_of(body: SkinnedBody, true: State, kind: str, seed: int, first: int = 0) -> State:
    """Return people as a regressor might see them.

    Args:
        body: The model.
        true: B people.
        kind: One of `ESTIMATES`.
        seed: Of the first body's errors; the next one's is one more.
        first: Place of the first body in its set: odd places get the short focal length.

    Raises:
        InputError: There is no such kind.
    """
    if kind not in ESTIMATES:
        raise InputError("estimate", f"one of {', '.join(ESTIMATES)}", repr(kind))
    seeds = range(SEED + seed, SEED + seed + len(true))
    estimate = disturb(body, true, kind if kind in STRENGTHS else UNDER_WRONG_CAMERAS, seeds)
    if kind == "focal":
        return _other_focal(body, estimate, first)
    return _crop_camera(body, estimate) if kind == "crop" else estimate


def _other_focal(body: SkinnedBody, estimate: State, first: int) -> State:
    odd = torch.arange(first, first + len(estimate)) % 2 == 1
    factor = torch.where(odd, 1 / FOCAL_FACTOR, FOCAL_FACTOR).to(estimate.camera.focal)[:, None]  # (B, 1)
    posed = pose_body(body, estimate.bodies)
    pelvis = posed.joints[:, 0]
    # A body may not come so near that it stands around the camera.
    nearest = NEAR_M + 0.3 + (pelvis[:, 2:] - posed.vertices[..., 2].amin(1, keepdim=True))
    factor = torch.maximum(factor, nearest / pelvis[:, 2:])
    there = pelvis * torch.cat((torch.ones_like(pelvis[:, :2]), factor), 1)
    bodies = replace(estimate.bodies, translation=estimate.bodies.translation + there - pelvis)
    return State(bodies, replace(estimate.camera, focal=estimate.camera.focal * factor))


def _crop_camera(body: SkinnedBody, estimate: State) -> State:
    bodies, camera = estimate.bodies, estimate.camera
    posed = pose_body(body, bodies)
    vertices, pelvis = posed.vertices, posed.joints[:, 0]
    center, side = square_around(camera.project(vertices), seen=vertices[..., 2] > NEAR_M, within=camera.size)
    ray = torch.cat(((center - camera.center) / camera.focal, torch.ones_like(side)[:, None]), 1)
    turn = _turn_to_axis(ray)  # (B, 3, 3) brings the crop's middle onto the axis
    focal = (SPIN_FOCAL_PX / SPIN_CROP_PX * side)[:, None].expand(-1, 2)
    depth = (focal / camera.focal)[:, :1] * pelvis[:, 2:]
    pixel = camera.project(pelvis[:, None])[:, 0]
    there = torch.cat(((pixel - center) / focal * depth, depth), 1)
    pose = torch.cat(((turn @ bodies.pose[:, 0])[:, None], bodies.pose[:, 1:]), 1)
    moved = replace(bodies, pose=pose)
    moved = replace(moved, translation=moved.translation + there - pose_body(body, moved).joints[:, 0])
    return State(moved, Camera(focal.contiguous(), center, camera.size))


def _turn_to_axis(ray: Tensor) -> Tensor:
    """Return the shortest rotations (B, 3, 3) that bring rays (B, 3) onto the optical axis."""
    ray = torch.nn.functional.normalize(ray, dim=1)
    axis = ray.new_tensor((0.0, 0.0, 1.0)).expand_as(ray)
    normal = ray.cross(axis, dim=1)
    sine = normal.norm(dim=1, keepdim=True)
    angle = torch.atan2(sine, ray[:, 2:])
    return rotation.exp(normal / sine.clamp(min=1e-12) * angle)
