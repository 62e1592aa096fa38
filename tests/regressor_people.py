"""People drawn for the outputs of regressors, and what an example of an output holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import LSP14, PICKED, REGRESSED5, RIDERS, random_pose, riders, skeleton

WIDTH, HEIGHT = 640, 480

BODY25 = [None, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7]
"""SMPL's joint at each of BODY_25's first fifteen places."""

LISTED = ("nose",) * 15 + PICKED[1:11] + LSP14 + REGRESSED5 + ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
"""SPIN's 49 by name; the first fifteen are BODY25."""


@dataclass(frozen=True)
class Example:
    """One output.

    Attributes:
        output: What the model returns.
        batch: What it was called with.
        points: (B, N, 3) m, in the body's frame, or the camera's where the system works there.
        pixels: (B, N, 2) px of the photo, where the system sees them.
        in_camera: Whether the points are in the camera frame.
        own: (B, 22, 3) m, SMPL's body joints in the frame of the points.
        check: Compares what a (refined) output derives with the system's formulas; returns pairs of arrays that must
            agree.
    """

    output: Any
    batch: dict[str, Any]
    points: np.ndarray
    pixels: np.ndarray
    in_camera: bool
    own: np.ndarray
    check: Callable[[Any], list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class People:
    """Drawn people: matrices, betas, joints in the body's frame, points that ride on them, and crop cameras."""

    rotations: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    listed: np.ndarray
    weak: np.ndarray
    center: np.ndarray
    side: np.ndarray


def people(count: int, points: int, seed: int = 0) -> People:
    """Draw people; `listed` are the first `points` of SPIN's 49, which begin with HMR2's 44 and BODY_25."""
    draw = np.random.default_rng(seed)
    pose = random_pose(count, seed)
    joints, turned = skeleton(pose, 1.04)
    listed = riders(joints, turned, tuple(RIDERS[name] for name in LISTED[:points]), 1.04)
    for place, joint in enumerate(BODY25[:points]):
        if joint is not None:
            listed[:, place] = joints[:, joint]
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(count, 24, 3, 3)
    weak = np.stack((draw.uniform(0.7, 0.9, count), *draw.uniform(-0.1, 0.1, (2, count))), 1)
    center = np.stack((np.linspace(200, 440, count), np.linspace(220, 260, count)), 1)
    return People(
        rotations, draw.standard_normal((count, 10)), joints, listed, weak, center, draw.uniform(300, 380, count)
    )


def t(array: Any) -> torch.Tensor:
    """As a network's output: float32."""
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def n(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def full_translation(weak: np.ndarray, center: np.ndarray, side: np.ndarray, focal: np.ndarray | float) -> np.ndarray:
    """CLIFF's and HMR2's formula."""
    s, tx, ty = weak.T
    bs = side * s
    return np.stack(
        (tx + 2 * (center[:, 0] - WIDTH / 2) / bs, ty + 2 * (center[:, 1] - HEIGHT / 2) / bs, 2 * focal / bs), 1
    )


def pinhole(points: np.ndarray, focal: Any, center: Any) -> np.ndarray:
    """u = f X / Z + c; focal and center (B, 2) or numbers."""
    focal, center = (np.broadcast_to(np.asarray(part, float), (len(points), 2)) for part in (focal, center))
    return focal[:, None] * points[..., :2] / points[..., 2:] + center[:, None]


MIDDLE = (WIDTH / 2, HEIGHT / 2)
