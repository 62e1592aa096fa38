"""PromptHMR's `output.pt` of one photo: intrinsics of the photo padded to a square of 896 px."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, dressed, random_pose

SUFFIX = ".pt"
SIZES = (HEIGHT, WIDTH)
DERIVED = {"body_joints"}


def output(people: int) -> dict[str, Any]:
    """What the file holds."""
    pose = random_pose(people)
    matrices = Rotation.from_rotvec(pose[:, :22].reshape(-1, 3)).as_matrix().reshape(people, 22, 3, 3)
    joints, vertices = dressed(pose, 0, 1.0)
    transl = np.stack([np.array((0.4 * n - 0.3, 0.2, 3.0 + n)) for n in range(people)])
    openpose = [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34]
    body_joints = joints[:, openpose]
    hips, others, pelvis = body_joints[:, [9, 12]], body_joints[:, [12, 9]], body_joints[:, [8]]
    body_joints[:, [9, 12]] = hips + 0.25 * (hips - others) + 0.5 * (pelvis - 0.5 * (hips + others))  # update_hips
    scale = 896 / max(WIDTH, HEIGHT)
    focal = scale * np.hypot(WIDTH, HEIGHT)
    matrix = np.array([[focal, 0, 448.0], [0, focal, 448.0], [0, 0, 1]])
    numbers = {
        "pose": matrices[..., :2, :].reshape(people, 22, 6),
        "betas": np.random.default_rng(0).standard_normal((people, 10)),
        "transl": transl,
        "rotmat": matrices,
        "vertices": vertices + transl[:, None],
        "body_joints": body_joints + transl[:, None],
        "cam_int": matrix[None].repeat(people, 0),
    }
    return {name: torch.as_tensor(value, dtype=torch.float32) for name, value in numbers.items()}


def write(path: Path, people: int = 2) -> Path:
    """A photo's file, with a key of somebody else's."""
    torch.save(output(people) | {"somebody_elses": np.arange(3)}, path)
    return path
