"""Generates regressors' result files in their exact layouts, from numbers that were drawn: no model file, no real person.

The skeleton is SMPL's rest skeleton rounded to centimetres; points on it stand for the joints and vertices a regressor makes from its
surface. Camera and pixels follow each regressor's own formulas, written here a second time.
"""

from pathlib import Path

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
TAN = np.tan(np.radians(30))


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


def _dressed(pose: np.ndarray, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """71 joints and some vertices (m, without translation): the 24, and points that ride on them."""
    draw = np.random.default_rng(seed)
    joints, turned = skeleton(pose, scale)
    carrier = draw.integers(0, 24, 47 + VERTICES)
    carrier[21:23] = 1, 2  # joints 45 and 46 are hips
    offset = 0.04 * scale * draw.standard_normal((47 + VERTICES, 3))
    riding = joints[:, carrier] + np.einsum("njab,jb->nja", turned[:, carrier], offset)
    return np.concatenate((joints, riding[:, :47]), 1), riding[:, 47:]


def _float32(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in arrays.items()}


def romp_results(people: int = 2, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    """The dictionary ROMP stores for a photo."""
    pose = random_pose(people, seed)
    joints, vertices = _dressed(pose, seed, scale)
    cam = np.stack([np.array([0.5 + 0.1 * n, 0.2 * (-1) ** n, 0.3 - 0.1 * n]) for n in range(people)])
    half = max(WIDTH, HEIGHT) / 2
    pads = (half - WIDTH / 2, half - HEIGHT / 2)
    pixels = (cam[:, None, :1] * joints[..., :2] + cam[:, None, 1:] + 1) * half - pads
    return _float32(
        {
            "cam": cam,
            "global_orient": pose[:, 0],
            "body_pose": pose[:, 1:].reshape(people, 69),
            "smpl_betas": np.random.default_rng(seed).standard_normal((people, 10)),
            "smpl_thetas": pose.reshape(people, 72),
            "center_preds": np.full((people, 2), 256),
            "center_confs": np.full((people, 1), 0.9),
            "track_ids": np.arange(people, dtype=np.int32),
            "cam_trans": np.concatenate((cam[:, 1:] / cam[:, :1], 443.4 / 256 / cam[:, :1]), 1),
            "verts": vertices,
            "joints": joints,
            "pj2d_org": pixels,
        }
    )


def bev_results(people: int = 2, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    """The dictionary BEV stores for a photo."""
    pose = random_pose(people, seed)
    joints, vertices = _dressed(pose, seed, scale)
    middle = joints[:, 45:47].mean(1, keepdims=True)
    joints, vertices = joints - middle, vertices - middle
    cam = np.stack([np.array([0.6 + 0.1 * n, 0.1 * (-1) ** n, 0.4 - 0.3 * n]) for n in range(people)])
    depth = 1 / (cam[:, 0] * TAN + 1e-3)
    translation = np.stack((cam[:, 2] * depth * TAN, cam[:, 1] * depth * TAN, depth), 1)
    seen = joints + translation[:, None]
    pixels = max(WIDTH, HEIGHT) / 2 / TAN * seen[..., :2] / seen[..., 2:] + (WIDTH / 2, HEIGHT / 2)
    six = Rotation.from_rotvec(pose[:, :22].reshape(-1, 3)).as_matrix()[..., :2].reshape(people, 132)
    betas = np.random.default_rng(seed).standard_normal((people, 11))
    return _float32(
        {
            "params_pred": np.concatenate((cam, six, betas), 1),
            "pred_batch_ids": np.zeros(people, np.int64),
            "center_confs": np.full(people, 0.3),
            "cam": cam,
            "smpl_thetas": pose.reshape(people, 72),
            "smpl_betas": betas,
            "cam_trans": translation,
            "verts": vertices,
            "joints": joints,
            "pj2d_org": pixels,
        }
    )


def smpl_parameters(people: int = 2, seed: int = 0, matrices: bool = False) -> dict[str, np.ndarray]:
    """SMPL parameters by their public names with joints and a camera, axis-angle or matrices."""
    pose = random_pose(people, seed)
    joints, _ = skeleton(pose)
    translation = np.stack([np.array([0.3 * n, 0.2, 3.0 + n]) for n in range(people)])
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(people, 24, 3, 3) if matrices else pose
    return {
        "global_orient": rotations[:, :1] if matrices else rotations[:, 0],
        "body_pose": rotations[:, 1:] if matrices else rotations[:, 1:].reshape(people, 69),
        "betas": np.random.default_rng(seed).standard_normal((people, 10)),
        "transl": translation,
        "joints": joints + translation[:, None],
        "focal": np.array([800.0, 810.0]),
        "size": np.array([HEIGHT, WIDTH]),
    }


def write_romp(path: Path, people: int = 2) -> Path:
    """ROMP's file of a photo, with a key of somebody else's."""
    np.savez(path, results=romp_results(people) | {"somebody_elses": np.arange(3)})
    return path


def write_bev(path: Path, people: int = 2) -> Path:
    """BEV's file of a photo, with a key of somebody else's."""
    np.savez(path, results=bev_results(people) | {"somebody_elses": np.arange(3)})
    return path


def write_parameters(path: Path, people: int = 2) -> Path:
    """An npz of SMPL parameters, with a key of somebody else's."""
    np.savez(path, **smpl_parameters(people), somebody_elses=np.arange(3))
    return path


WRITERS = {"romp": write_romp, "bev": write_bev, "parameters": write_parameters}
"""One for each format of the library: a new format comes with its own."""
