"""What the generated regressors' files of `tests/layouts` are made of: numbers that were drawn, no model file, no real person.

The skeleton is SMPL's rest skeleton rounded to centimetres; points on it stand for the joints and vertices a regressor makes from its
surface.
"""

import numpy as np
from scipy.spatial.transform import Rotation

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

BONES = np.array(
    [
        (0.0, -0.23, 0.03), (0.06, -0.09, -0.02), (-0.06, -0.09, -0.02), (0.0, 0.12, -0.04), (0.04, -0.39, 0.0), (-0.04, -0.39, 0.0),
        (0.0, 0.14, 0.03), (-0.02, -0.42, -0.04), (0.02, -0.42, -0.04), (0.0, 0.06, 0.0), (0.04, -0.06, 0.13), (-0.04, -0.06, 0.13),
        (-0.01, 0.21, -0.03), (0.08, 0.11, -0.02), (-0.08, 0.11, -0.02), (0.01, 0.09, 0.05), (0.12, 0.05, -0.01), (-0.12, 0.05, -0.01),
        (0.26, -0.02, -0.03), (-0.26, -0.02, -0.03), (0.27, 0.01, -0.01), (-0.27, 0.01, -0.01), (0.09, -0.01, -0.01), (-0.09, -0.01, -0.01),
    ]
)  # fmt: skip
"""Offset of each of SMPL's 24 joints from its parent at rest, m; the first is the pelvis."""

VERTICES = 300
WIDTH, HEIGHT = 640, 480


def random_pose(people: int, seed: int = 0) -> np.ndarray:
    """Axis-angle (N, 24, 3) rad of people who stand upright in a camera frame (y down) and face it, hands without rotation."""
    pose = 0.25 * np.random.default_rng(seed).standard_normal((people, 24, 3))
    upright = Rotation.from_rotvec([np.pi, 0.0, 0.0])
    pose[:, 0] = (upright * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    pose[:, 22:] = 0
    return pose


def skeleton(pose: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 24, 3) m without translation and global rotations (N, 24, 3, 3) of axis-angle poses (N, 24, 3)."""
    local = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(*pose.shape[:2], 3, 3)
    turned = [local[:, 0]]
    joints = [np.broadcast_to(scale * BONES[0], (len(pose), 3))]
    for joint in range(1, 24):
        parent = PARENTS[joint]
        joints.append(joints[parent] + turned[parent] @ (scale * BONES[joint]))
        turned.append(turned[parent] @ local[:, joint])
    return np.stack(joints, 1), np.stack(turned, 1)


def dressed(pose: np.ndarray, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """71 joints and some vertices (m, without translation): the 24, and points that ride on them."""
    draw = np.random.default_rng(seed)
    joints, turned = skeleton(pose, scale)
    carrier = draw.integers(0, 24, 47 + VERTICES)
    carrier[21:23] = 1, 2  # joints 45 and 46 are hips
    offset = 0.04 * scale * draw.standard_normal((47 + VERTICES, 3))
    riding = joints[:, carrier] + np.einsum("njab,jb->nja", turned[:, carrier], offset)
    return np.concatenate((joints, riding[:, :47]), 1), riding[:, 47:]


def float32(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays, doubles as floats: what a network's output is stored as."""
    return {name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in arrays.items()}
