"""An npz of SMPL parameters by their public names, with joints and a camera."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".npz"


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


def write(path: Path, people: int = 2) -> Path:
    """Two people's file, with a key of somebody else's."""
    np.savez(path, **smpl_parameters(people), somebody_elses=np.arange(3))
    return path
