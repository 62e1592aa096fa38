"""Who stands where: people, their cameras and their neighbours, drawn by seed.

    depth = focal * extent / wanted height in px,     camera_from_level = roll * tilt * diag(1, -1, -1)

Half of the people are cut off by the photo's border, most of those below; half have somebody beside, behind or in front
of them, embrace somebody (who turns as they do, arms around them), or stand in a row.

Source: focal lengths as on 36 mm film, 24 to 100 mm; the shares are those of the project's plan.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.evaluate.motion import Recordings, draw_poses
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies

LONG_SIDE_PX = 1000.0
"""Long side of a photo, px; crops are taken from it at any scale."""
FOCAL_MM, FILM_MM = (24.0, 100.0), 36.0
"""Range of focal lengths, log-uniform, and the film's width."""
SHARE_OF_HEIGHT = (0.2, 1.3)
"""A person's extent over the photo's height, log-uniform."""
CUT_OFF, NEIGHBOUR, SECOND_NEIGHBOUR = 0.45, 0.45, 0.14
"""Shares of people cut off by the border, with somebody else in the photo, with two."""
ROW, ROW_MOST = 0.09, 3
"""Share of photos in which people stand in a row, and how many beside the first one at most."""
BESIDE, BEHIND, FRONT, EMBRACED, ARM_IN_ARM, IN_ROW = range(6)
KINDS = (0.26, 0.18, 0.14, 0.20, 0.22)
"""How often a neighbour stands beside, behind, in front, embraces face to face, or holds an arm around."""
EMBRACE_M, ARM_IN_ARM_M, ROW_M = (0.18, 0.40), (0.26, 0.48), (0.38, 0.75)
"""How far middles are apart, m: chests touch, hips touch, shoulders touch or not."""
TILT_RAD, ROLL_RAD = (0.10, 0.16), 0.05
"""Mean and standard deviation of how far the camera looks down, standard deviation of its roll."""
NEAREST_M = 1.1
"""Nobody's middle is nearer to the camera than this."""
ADULT_SHAPES = 16
"""Shape coefficients of the built-in body. People of the training have one more: 0 an adult, 1 the mean child."""
SHAPE_LIMIT = 2.5
"""Shape coefficients are normal, cut here."""
CHILDREN = 0.1
"""Share of people who are children, anywhere between an adult and the mean child of the training body."""


@dataclass(frozen=True, eq=False)
class Cast:
    """A people in B photos; the first B are those that are estimated, one a photo.

    Attributes:
        bodies: A bodies, camera frame of their photo.
        photo: (A,) which photo each is in; neighbours come after the first B.
        camera: B cameras.
        camera_from_level: (B, 3, 3), level frame x left, y up, z towards the camera at zero tilt.
    """

    bodies: Bodies
    photo: Int[Tensor, "A"]
    camera: Camera
    camera_from_level: Float[Tensor, "B 3 3"]


def cast(
    body: SkinnedBody, recordings: Recordings, count: int, rng: np.random.Generator, children: float = CHILDREN
) -> Cast:
    """Draw people and cameras.

    Args:
        body: The built-in body.
        recordings: Poses to draw from.
        count: B, photos.
        rng: Draws everything, the same on every device.
        children: Their share; without effect where the body knows no children.

    Returns:
        The cast, of the body's type, on its device.
    """
    like = body.template
    photo, kind, place = _company(count, rng)
    level = _cameras_from_level(count, rng)
    local = draw_poses(recordings, body.joint_names, len(photo), rng)
    _embrace(local, photo, kind, body.joint_names, rng)
    front = local[photo[count:], 0, :, 2].numpy()  # where those one stands beside look, level frame
    local[:, 0] = level[photo] @ local[:, 0]
    shape = rng.standard_normal((len(photo), body.shape_basis.shape[2])).clip(-SHAPE_LIMIT, SHAPE_LIMIT)
    child = rng.random(len(photo)) < children
    shape[:, ADULT_SHAPES:] = (child * rng.uniform(0.2, 1.1, len(photo)))[:, None]
    posed = pose_body(
        body,
        Bodies(
            local.to(like),
            torch.from_numpy(shape).to(like),
            like.new_zeros(len(photo), body.expression_basis.shape[2]),
            like.new_zeros(len(photo), 3),
        ),
    )
    joints = posed.joints.double().cpu().numpy()  # (A, J, 3) m
    camera = _cameras(count, rng)
    focal, size = camera.focal[:, 0].numpy(), camera.size.numpy()
    main = _placed(joints[:count], focal, size, rng)
    at = np.concatenate((main, _beside(main, photo[count:], kind[count:], place[count:], front, level.numpy(), rng)))
    bodies = posed.bodies
    bodies = Bodies(bodies.pose, bodies.shape, bodies.expression, torch.from_numpy(at).to(like))
    return Cast(bodies, torch.from_numpy(photo).to(like.device), camera.to(like.device, like.dtype), level.to(like))


def _company(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each person's photo, relation to the photo's first person and place in the row; these come first."""
    photo, kind, place = [np.arange(count)], [np.full(count, -1)], [np.zeros(count)]
    rows = rng.random(count) < ROW
    for share in (NEIGHBOUR, SECOND_NEIGHBOUR):
        having = np.flatnonzero((rng.random(count) < share) & ~rows)
        photo.append(having)
        kind.append(rng.choice(len(KINDS), len(having), p=KINDS))
        place.append(np.zeros(len(having)))
    longest = rng.integers(1, ROW_MOST + 1, count)
    for number in range(ROW_MOST):
        having = np.flatnonzero(rows & (number < longest))
        photo.append(having)
        kind.append(np.full(len(having), IN_ROW))
        # One beside, then on the other side or farther on.
        place.append((1.0 + number // 2) * np.where((having + number) % 2, 1.0, -1.0))
    return np.concatenate(photo), np.concatenate(kind), np.concatenate(place)


def _embrace(
    local: Tensor, photo: np.ndarray, kind: np.ndarray, names: tuple[str, ...], rng: np.random.Generator
) -> None:
    """Pose those who embrace like the other one, with an arm or both around them; `local` (A, J, 3, 3) is changed."""
    legs = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
    both = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("shoulder", "elbow")]
    close = np.flatnonzero((kind == EMBRACED) | (kind == ARM_IN_ARM))
    close = close[np.unique(photo[close], return_index=True)[1]]  # one is held by one
    faced = kind[close] == EMBRACED
    theirs = photo[close]
    rows = torch.from_numpy(close)
    local[rows[:, None], torch.tensor(legs)] = local[torch.from_numpy(theirs)[:, None], torch.tensor(legs)]
    heading = np.where(faced, np.pi, 0.0) + 0.25 * rng.standard_normal(len(close))
    zero = np.zeros_like(heading)
    turn = rotation.exp(torch.from_numpy(np.stack((zero, heading, zero), 1)))
    local[rows, 0] = turn @ local[torch.from_numpy(theirs), 0]
    # Arms of both: forward around the other, or the near one out to the side; some keep theirs as they are.
    for people, share in ((close, 0.9), (theirs, 0.7)):
        told = rng.random(len(people)) < share
        forward = rng.uniform(0.5, 1.5, (len(people), 2)) * np.where(faced, 1.0, 0.1)[:, None]
        down = rng.uniform(-0.3, 0.8, (len(people), 2))
        fold = rng.uniform(0.3, 1.7, (len(people), 2))
        for side, sign in ((0, 1.0), (1, -1.0)):
            used = told & (faced | (rng.random(len(people)) < 0.6))
            shoulder = np.stack(
                (0.15 * rng.standard_normal(len(people)), -sign * forward[:, side], -sign * down[:, side]), 1
            )
            elbow = np.stack((zero, -sign * fold[:, side], zero), 1)
            at = torch.from_numpy(people[used])
            local[at, both[2 * side]] = rotation.exp(torch.from_numpy(shoulder[used]))
            local[at, both[2 * side + 1]] = rotation.exp(torch.from_numpy(elbow[used]))


def _cameras_from_level(count: int, rng: np.random.Generator) -> Tensor:
    """Return (B, 3, 3), float64: the camera looks down by its tilt and is rolled a little."""
    zero = np.zeros(count)
    tilt = np.stack((rng.normal(*TILT_RAD, count), zero, zero), 1)
    roll = np.stack((zero, zero, ROLL_RAD * rng.standard_normal(count)), 1)
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return rotation.exp(torch.from_numpy(roll)) @ rotation.exp(torch.from_numpy(tilt)) @ upright


def _cameras(count: int, rng: np.random.Generator) -> Camera:
    """Return B cameras, float64: any shape of photo between 3:4 and 16:9, principal point in the middle."""
    short = LONG_SIDE_PX * rng.uniform(9 / 16, 1.0, count)
    upright = rng.random(count) < 0.5
    height = np.where(upright, LONG_SIDE_PX, short)
    width = np.where(upright, short, LONG_SIDE_PX)
    focal = LONG_SIDE_PX / FILM_MM * np.exp(rng.uniform(math.log(FOCAL_MM[0]), math.log(FOCAL_MM[1]), count))
    size = torch.from_numpy(np.stack((height, width), 1))
    return Camera(torch.from_numpy(focal)[:, None].repeat(1, 2), size.flip(1) / 2, size)


def _placed(joints: np.ndarray, focal: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return translations (B, 3) m for bodies with joints (B, J, 3) around the origin."""
    count = len(joints)
    low, high = joints.min(1), joints.max(1)
    extent = (high - low)[:, :2].clip(0.5) + 0.25  # skin and hair go beyond joints
    wanted = size[:, 0] * np.exp(rng.uniform(math.log(SHARE_OF_HEIGHT[0]), math.log(SHARE_OF_HEIGHT[1]), count))
    depth = np.maximum(focal * extent.max(1) / wanted, NEAREST_M - low[:, 2] * 0.6)
    box = extent * (focal / depth)[:, None]  # (B, 2) px
    photo = size[:, ::-1]
    room = (photo - box).clip(0) / 2
    middle = (
        photo / 2 + room * rng.uniform(-1, 1, (count, 2)) + 0.03 * photo * rng.standard_normal((count, 2)) * (room == 0)
    )
    cut = rng.random(count) < CUT_OFF
    side = rng.choice(4, count, p=(0.18, 0.18, 0.56, 0.08))  # left, right, bottom, top
    beyond = rng.uniform(0.12, 0.65, count)
    axis = side // 2
    row = np.arange(count)
    near = box[row, axis] * (0.5 - beyond)
    far = photo[row, axis] - near
    middle[row, axis] = np.where(cut, np.where((side == 0) | (side == 3), near, far), middle[row, axis])
    ray = (middle - photo / 2) / focal[:, None]
    center = (low + high) / 2
    return np.asarray(np.concatenate((ray * depth[:, None], depth[:, None]), 1) - center)


def _beside(
    main: np.ndarray, photo: np.ndarray, kind: np.ndarray, place: np.ndarray, front: np.ndarray, level: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Return translations (N, 3) m of people's neighbours; `front` (N, 3) is where those people look, level frame."""
    count = len(photo)
    side = rng.choice((-1.0, 1.0), count)
    across = side * np.choose(
        kind.clip(0, FRONT), (rng.uniform(0.3, 0.9, count), rng.uniform(0.0, 0.9, count), rng.uniform(0.1, 0.7, count))
    )
    towards = np.choose(
        kind.clip(0, FRONT),
        (rng.uniform(-0.25, 0.25, count), -rng.uniform(0.3, 3.0, count), rng.uniform(0.25, 0.8, count)),
    )
    ahead = front * (1.0, 0.0, 1.0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True).clip(1e-6)
    beside = np.stack((ahead[:, 2], 0 * ahead[:, 0], -ahead[:, 0]), 1)
    step = np.stack((across, 0.06 * rng.standard_normal(count), towards), 1)
    facing = rng.uniform(*EMBRACE_M, count)[:, None] * ahead + 0.08 * rng.standard_normal((count, 1)) * beside
    arm = (side * rng.uniform(*ARM_IN_ARM_M, count))[:, None] * beside + rng.uniform(-0.12, 0.06, (count, 1)) * ahead
    row = np.stack((place * rng.uniform(*ROW_M, count), 0 * place, 0.12 * rng.standard_normal(count)), 1)
    for number, moved in ((EMBRACED, facing), (ARM_IN_ARM, arm), (IN_ROW, row)):
        step = np.where((kind == number)[:, None], moved, step)
    at = main[photo] + np.einsum("nij,nj->ni", level[photo], step)
    short = (NEAREST_M - at[:, 2]).clip(0)
    at[:, 2] += short
    return np.asarray(at)


def rays(camera: Camera, size: int) -> Float[Tensor, "B S S 3"]:
    """Return the directions pixels of S x S crops look along, camera frame, z of one."""
    line = torch.arange(size).to(camera.focal) + 0.5
    x = (line - camera.center[:, :1]) / camera.focal[:, :1]  # (B, S)
    y = (line - camera.center[:, 1:]) / camera.focal[:, 1:]
    across, down = x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)
    return torch.stack((across, down, torch.ones_like(across)), -1)


def pano_from_camera(camera_from_level: Float[Tensor, "B 3 3"], rng: np.random.Generator) -> Float[Tensor, "B 3 3"]:
    """Return how each camera stands in its panorama: turned any way about the vertical."""
    zero = np.zeros(len(camera_from_level))
    yaw = rotation.exp(torch.from_numpy(np.stack((zero, rng.uniform(-math.pi, math.pi, len(zero)), zero), 1)))
    return yaw.to(camera_from_level) @ camera_from_level.mT
