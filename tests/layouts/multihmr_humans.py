"""Multi-HMR's list of people as its model returns it, saved with torch: SMPL-X's 55 joints and more in the camera's frame."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".pt"
SIZES = [[float(HEIGHT), float(WIDTH)]]
DERIVED = frozenset({"loc"})
ORDER = (*range(22), *range(25, 55), 22)


def person(n: int) -> dict[str, Any]:
    """One person's dictionary; 22 rotations are drawn, hands and jaw are a little bent."""
    draw = np.random.default_rng(n)
    body = random_pose(1, n)
    joints, _ = skeleton(body)
    pose = 0.1 * draw.standard_normal((55, 3))
    pose[:22] = body[0, :22]
    place = np.array([0.3 * n - 0.2, 0.1, 3.0 + n]) + joints[0, 0]
    numbers = {
        "scores": np.array(0.9),
        "loc": np.array([400.0, 300.0]),
        "transl": place + joints[0, 15] - joints[0, 0],
        "transl_pelvis": place[None],
        "rotvec": pose[list(ORDER)],
        "expression": 0.1 * draw.standard_normal(10),
        "shape": 0.3 * draw.standard_normal(10),
        "v3d": draw.standard_normal((40, 3)) + place,
    }
    return {name: torch.as_tensor(value, dtype=torch.float32) for name, value in numbers.items()}


def write(path: Path, people: int = 2) -> Path:
    """A photo's list, with a key of somebody else's."""
    torch.save([person(n) | {"somebody_elses": torch.arange(3)} for n in range(people)], path)
    return path
