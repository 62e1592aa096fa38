"""SPIN's npz of `eval.py --result_file`: float64, as numpy.zeros makes it."""

from pathlib import Path

import numpy as np

from tests.regressor_files import LSP14, RIDERS, random_pose, riders, skeleton

SUFFIX = ".npz"
H36M_TO_J17 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9)
"""nkolot/SPIN@2476c43601 `constants.py`: which row of the regressor is each of LSP's 14, Human3.6M's pelvis, spine and
jaw."""

H36M = (0, 1, 4, 7, 2, 5, 8, 9, 12, 15, 15, 16, 18, 20, 17, 19, 21)
"""SMPL's joint nearest to each of the regressor's 17 rows."""

NAMED = (*LSP14[:13], "head_h36m", "pelvis_mpii", "spine_h36m", "jaw_h36m")


def arrays(people: int = 2) -> dict[str, np.ndarray]:
    """What the file holds."""
    pose = random_pose(people)
    joints, turned = skeleton(pose)
    named = riders(joints, turned, tuple(RIDERS[name] for name in NAMED), 1.0)
    pred_joints = np.empty_like(named)
    pred_joints[:, H36M_TO_J17] = named
    return {
        "pred_joints": pred_joints.astype(np.float32).astype(np.float64),
        "pose": pose.reshape(people, 72).astype(np.float32).astype(np.float64),
        "betas": np.random.default_rng(1).standard_normal((people, 10)).astype(np.float32).astype(np.float64),
        "camera": np.array([(0.9 - 0.1 * n, 0.02 * n, 0.1) for n in range(people)]),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    np.savez(path, **arrays(people), somebody_elses=np.arange(3))
    return path
