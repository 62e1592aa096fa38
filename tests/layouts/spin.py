"""SPIN's npz of `eval.py --result_file`: float64, as numpy.zeros makes it."""

from pathlib import Path

import numpy as np

from tests.regressor_files import random_pose, skeleton

SUFFIX = ".npz"
H36M = (0, 2, 5, 8, 1, 4, 7, 6, 9, 12, 15, 16, 18, 20, 17, 19, 21)
"""SMPL's joint nearest to each of Human3.6M's 17."""


def arrays(people: int = 2) -> dict[str, np.ndarray]:
    """What the file holds."""
    pose = random_pose(people)
    joints, _ = skeleton(pose)
    return {
        "pred_joints": (joints[:, H36M] + 0.01).astype(np.float32).astype(np.float64),
        "pose": pose.reshape(people, 72).astype(np.float32).astype(np.float64),
        "betas": np.random.default_rng(1).standard_normal((people, 10)).astype(np.float32).astype(np.float64),
        "camera": np.array([(0.9 - 0.1 * n, 0.02 * n, 0.1) for n in range(people)]),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    np.savez(path, **arrays(people), somebody_elses=np.arange(3))
    return path
