"""True people for the demo and the tests: recorded poses, shapes drawn by seed, each placed before a camera of its own.

    camera_from_person = tilt(camera looks down) diag(1, -1, -1) turn(yaw) pelvis

Source: the poses are 64 frames of the CMU Graphics Lab Motion Capture Database (`poses.safetensors`, whose metadata
name the recordings, the terms and the acknowledgement): "The data used in this project was obtained from
mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
"""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State

POSES = Path(__file__).parent / "poses.safetensors"
SIZE = (640, 512)
"""Height and width of the photos, px."""
FOCAL = 800.0
"""Focal length, px: 44 degrees up and down, a phone held upright at two to three metres."""
TILT = math.radians(7)
"""The camera looks down by this, rad."""
YAW = math.radians(50)
"""People face the camera up to this to either side, rad."""
FILL = (0.80, 0.84)
"""Share of the photo's height and width a person fills at most."""
NEAREST_M = 2.2
"""Nobody stands nearer than this to the camera, m; who crouches is smaller in the photo."""
SHAPE_SIGMA = 0.8
"""Of the drawn shape coefficients: within what the shape space describes well."""
CURL = math.radians(18)
"""Fingers are bent by this at each joint, rad: recorded poses have none, and hands hang slightly curled."""
PLACING_ROUNDS = 6
"""Perspective makes placing not quite linear; six rounds end within a pixel."""


def poses() -> Float[Tensor, "F 22 3"]:
    """Return the recorded poses: (64, 22, 3) local rotations in rad, facing +z; the first 12 are the demo's."""
    from safetensors.torch import load_file

    return load_file(POSES)["pose"]


def people(body: SkinnedBody, count: int, seed: int = 0) -> State:
    """Return true people, each in the middle of its own photo.

    Args:
        body: A model whose first 22 joints are SMPL's.
        count: B, at most the number of poses, 64.
        seed: Of shapes and facing directions.

    Returns:
        B bodies in the camera frame with their cameras, of the body's dtype, on its device.

    Raises:
        InputError: More people than poses are wanted.
    """
    recorded = poses().double()
    if not 0 < count <= len(recorded):
        raise InputError("count", f"1 to {len(recorded)} people", str(count))
    generator = torch.Generator().manual_seed(seed)
    shape = SHAPE_SIGMA * torch.randn(
        len(recorded), body.shape_basis.shape[2], generator=generator, dtype=torch.float64
    )
    yaw = YAW * (2 * torch.rand(len(recorded), generator=generator, dtype=torch.float64) - 1)
    pose = torch.eye(3, dtype=torch.float64).repeat(count, len(body.joint_names), 1, 1)
    pose[:, :22] = rotation.exp(recorded[:count])
    pose = pose @ rotation.exp(_curl(body.joint_names))
    pose[:, 0] = camera_from_level() @ _about_y(yaw[:count]) @ pose[:, 0]
    like = body.template
    bodies = Bodies(
        pose.to(like),
        shape[:count].to(like),
        like.new_zeros(count, body.expression_basis.shape[2]),
        like.new_zeros(count, 3),
    )
    size = like.new_tensor(SIZE).expand(count, 2)
    camera = Camera(like.new_full((count, 2), FOCAL), size.flip(1) / 2, size)
    return State(_placed(body, bodies, camera), camera)


def camera_from_level() -> Float[Tensor, "3 3"]:
    """Return the rotation, float64, from a level frame (x left of who faces the camera, y up, z to it) to its own."""
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return rotation.exp(torch.tensor([TILT, 0.0, 0.0], dtype=torch.float64)) @ upright


def _placed(body: SkinnedBody, bodies: Bodies, camera: Camera) -> Bodies:
    """Move bodies until their outlines' boxes fill the photos as `FILL` says, or they stand at `NEAREST_M`."""
    rest = pose_body(body, bodies).vertices
    at = torch.tensor([0.0, 0.0, 4.0]).to(rest).repeat(len(rest), 1)
    wanted = camera.size * camera.size.new_tensor(FILL)  # (B, 2) height, width
    for _ in range(PLACING_ROUNDS):
        pixel = camera.project(rest + at[:, None])
        low, high = pixel.amin(1), pixel.amax(1)
        grow = ((high - low).flip(1) / wanted).amax(1)  # above 1: too large
        middle = ((low + high) / 2 - camera.center) / camera.focal * at[:, 2:]
        at = torch.cat((at[:, :2] - middle, (at[:, 2:] * grow[:, None]).clamp(min=NEAREST_M)), 1)
    return Bodies(bodies.pose, bodies.shape, bodies.expression, at)


def _about_y(angle: Tensor) -> Tensor:
    """Return rotations (B, 3, 3) about the vertical."""
    zero = torch.zeros_like(angle)
    return rotation.exp(torch.stack((zero, angle, zero), -1))


def _curl(joint_names: tuple[str, ...]) -> Tensor:
    """Return (J, 3) rad: fingers bent towards the palm, thumbs left alone."""
    turn = torch.zeros(len(joint_names), 3, dtype=torch.float64)
    for joint, name in enumerate(joint_names):
        if name.split("_")[-1].rstrip("123") in ("index", "middle", "ring", "pinky"):
            turn[joint, 2] = -CURL if name.startswith("left_") else CURL
    return turn
