"""BEV's npz of one photo: full perspective, 60 degrees across the longer side, joints around the middle of the hips."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, dressed, float32, random_pose

SUFFIX = ".npz"
TAN = np.tan(np.radians(30))


def bev_results(people: int = 2, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    """The dictionary BEV stores for a photo."""
    pose = random_pose(people, seed)
    joints, vertices = dressed(pose, seed, scale)
    middle = joints[:, 45:47].mean(1, keepdims=True)
    joints, vertices = joints - middle, vertices - middle
    cam = np.stack([np.array([0.6 + 0.1 * n, 0.1 * (-1) ** n, 0.4 - 0.3 * n]) for n in range(people)])
    depth = 1 / (cam[:, 0] * TAN + 1e-3)
    translation = np.stack((cam[:, 2] * depth * TAN, cam[:, 1] * depth * TAN, depth), 1)
    seen = joints + translation[:, None]
    pixels = max(WIDTH, HEIGHT) / 2 / TAN * seen[..., :2] / seen[..., 2:] + (WIDTH / 2, HEIGHT / 2)
    six = Rotation.from_rotvec(pose[:, :22].reshape(-1, 3)).as_matrix()[..., :2].reshape(people, 132)
    betas = np.random.default_rng(seed).standard_normal((people, 11))
    return float32(
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


def write(path: Path, people: int = 2) -> Path:
    """A photo's file, with a key of somebody else's."""
    np.savez(path, results=bev_results(people) | {"somebody_elses": np.arange(3)})
    return path
