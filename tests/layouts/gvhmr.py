"""GVHMR's `hmr4d_results.pt`: one person's track, SMPL-X's body in the camera and in a gravity-aligned world."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".pt"
FRAMES = 4


def results(frames: int = FRAMES, seed: int = 0) -> dict[str, Any]:
    """What the file holds."""
    draw = np.random.default_rng(seed)
    pose = random_pose(frames, seed)[:, :22]
    focal = np.hypot(WIDTH, HEIGHT)
    matrix = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    turn = Rotation.from_rotvec([[np.pi, 0.1 * n, 0.0] for n in range(frames)])
    betas = torch.as_tensor(draw.standard_normal((frames, 10)), dtype=torch.float32)
    inner = torch.as_tensor(pose[:, 1:].reshape(frames, 63), dtype=torch.float32)

    def params(root: np.ndarray, transl: np.ndarray) -> dict[str, torch.Tensor]:
        return {
            "body_pose": inner,
            "betas": betas,
            "global_orient": torch.as_tensor(root, dtype=torch.float32),
            "transl": torch.as_tensor(transl, dtype=torch.float32),
        }

    camera = params(
        pose[:, 0], np.stack((np.linspace(-0.4, 0.5, frames), np.full(frames, 0.3), np.full(frames, 4.0)), 1)
    )
    world = params((turn * Rotation.from_rotvec(pose[:, 0])).as_rotvec(), draw.standard_normal((frames, 3)))
    return {
        "smpl_params_global": world,
        "smpl_params_incam": camera,
        "K_fullimg": torch.as_tensor(matrix, dtype=torch.float32).repeat(frames, 1, 1),
        "net_outputs": {
            "model_output": {"pred_x": torch.zeros(1, frames, 151)},
            "pred_smpl_params_incam": {name: value[None] for name, value in camera.items()},
        },
    }


def write(path: Path, people: int = 2) -> Path:
    """A video's file of as many frames as people are asked for, at least one, with a key of somebody else's."""
    torch.save(results(max(people, 1)) | {"somebody_elses": np.arange(3)}, path)
    return path
