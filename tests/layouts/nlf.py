"""NLF's dictionary of three images (nobody in the second), saved by torch: joints in mm, pixels under 55°."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".pt"
FOCAL = WIDTH / (2 * np.tan(np.radians(55) / 2))
REST_PELVIS = np.array([-0.0018, -0.2233, 0.0282])
DERIVED = frozenset({"vertices3d", "vertices2d", "joints3d_nonparam"})


def prediction(people: int = 2) -> dict[str, Any]:
    """What `detect_smpl_batched` returns."""
    draw = np.random.default_rng(8)
    pose = random_pose(people, 8)
    joints, _ = skeleton(pose)
    pelvis = np.stack((np.linspace(-0.4, 0.4, people), np.full(people, 0.1), 3.5 + 0.5 * np.arange(people)), 1)
    placed = joints - joints[:, :1] + pelvis[:, None]
    pixel = FOCAL * placed[..., :2] / placed[..., 2:] + (WIDTH / 2, HEIGHT / 2)
    first = max(people - 1, 1)
    whole = {
        "boxes": draw.random((people, 5)),
        "pose": pose.reshape(people, 72),
        "betas": draw.standard_normal((people, 10)),
        "trans": pelvis - REST_PELVIS,
        "vertices3d": 1000 * draw.standard_normal((people, 30, 3)),
        "joints3d": 1000 * placed,
        "vertices2d": draw.standard_normal((people, 30, 2)),
        "joints2d": pixel,
        "joints3d_nonparam": 1000 * placed,
        "joint_uncertainties": draw.random((people, 24)),
    }
    return {
        name: [torch.tensor(part, dtype=torch.float32) for part in (value[:first], value[:0], value[first:])]
        for name, value in whole.items()
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    torch.save(prediction(people) | {"somebody_elses": np.arange(3)}, path)
    return path
