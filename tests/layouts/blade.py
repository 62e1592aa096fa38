"""BLADE's file of one photo, as `forward_test` writes it: a square of 1280 px, rendered at 640."""

from pathlib import Path

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".pth"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
SIDE = 1280
FOCAL = 1500.0
"""px of that square."""


def content(smpl: bool = False) -> dict[str, torch.Tensor]:
    """What the file holds."""
    draw = np.random.default_rng(10)
    pose = torch.tensor(random_pose(1), dtype=torch.float32)
    hands = torch.tensor(0.2 * draw.standard_normal((2, 1, 45)), dtype=torch.float32)
    result = {
        "smplx_betas": torch.tensor(draw.standard_normal((1, 10)), dtype=torch.float32),
        "smplx_body_pose": pose[:, 1:] if smpl else pose[:, 1:22].reshape(1, 63),
        "smplx_global_orientation": pose[:, :1] if smpl else pose[:, 0],
        "smplx_translation": torch.full((1, 3), 0.01) if smpl else torch.zeros(1, 3),
        "camera_translation": torch.tensor([[0.1, 0.4, 2.2]]),
        "camera_focal_length": torch.tensor([[FOCAL]]),
        "camera_hw": torch.tensor([[SIDE // 2, SIDE // 2]]),
    }
    return result if smpl else result | {"smplx_left_hand_pose": hands[0], "smplx_right_hand_pose": hands[1]}


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's; one person a file, whatever `people` says."""
    torch.save(content() | {"somebody_elses": np.arange(3)}, path)
    return path
