"""ScoreHMR's cache, as `cache_hmr2_preds.py` writes it."""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".npz"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])


def arrays(people: int = 2) -> dict[str, np.ndarray]:
    """What the file holds."""
    pose = random_pose(people)
    crop = np.array([(0.9 - 0.1 * n, 0.02 * n, 0.1) for n in range(people)])  # s, tx, ty
    box = np.array([(200.0 + 150 * n, 250.0, 260.0 + 20 * n) for n in range(people)])  # centre and side, px
    apparent = box[:, 2] * crop[:, 0] + 1e-9
    across = 2 * (box[:, 0] - WIDTH / 2) / apparent + crop[:, 1]
    down = 2 * (box[:, 1] - HEIGHT / 2) / apparent + crop[:, 2]
    return {
        "pred_betas": np.random.default_rng(1).standard_normal((people, 10)).astype(np.float32),
        "pred_pose": Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(people, 24, 3, 3).astype(np.float32),
        "pred_cam": crop.astype(np.float32),
        "pred_cam_t": np.stack((across, down, 2 * 5000.0 / apparent), 1).astype(np.float32),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    np.savez(path, **arrays(people), somebody_elses=np.arange(3))
    return path
