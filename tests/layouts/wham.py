"""WHAM's `wham_output.pkl`: a defaultdict of people, SMPL in camera and world, seen through the diagonal."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests import joblib_layout
from tests.regressor_files import HEIGHT, WIDTH, dressed, float32, random_pose

SUFFIX = ".pkl"
SIZES = (HEIGHT, WIDTH)
FRAMES = 3


def person(seed: int, frames: int = FRAMES) -> dict[str, Any]:
    """One person's dictionary."""
    draw = np.random.default_rng(seed)
    pose = random_pose(frames, seed)
    _, vertices = dressed(pose, seed, 1.0)
    focal, side, crop = np.hypot(WIDTH, HEIGHT), 250.0, np.array((0.9, 0.05, -0.1))
    center = np.stack((np.linspace(200, 300, frames) + 50 * seed, np.full(frames, 260.0)), 1)
    depth = 2 * focal / (side * crop[0])
    trans = np.concatenate(
        (crop[1:] + (center - (WIDTH / 2, HEIGHT / 2)) * depth / focal, np.full((frames, 1), depth)), 1
    )
    world = pose.copy()
    turn = Rotation.from_rotvec([[0.1, 0.3 * n, 3.0] for n in range(frames)])
    world[:, 0] = (turn * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    return float32(
        {
            "pose": pose.reshape(frames, 72),
            "trans": trans,
            "pose_world": world.reshape(frames, 72),
            "trans_world": draw.standard_normal((frames, 3)),
            "betas": draw.standard_normal((frames, 10)),
            "verts": vertices + trans[:, None],
        }
    ) | {"frame_ids": np.arange(frames) + 2 * seed}


def write(path: Path, people: int = 2) -> Path:
    """A video's file, with a key of somebody else's."""
    content: dict[int, dict[str, Any]] = defaultdict(dict)
    for n in range(people):
        content[n + 1] = person(n) | {"somebody_elses": np.arange(3)}
    joblib_layout.dump(content, path)
    return path
