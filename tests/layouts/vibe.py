"""VIBE's `vibe_output.pkl`: a dictionary of people, SMPL under a weak-perspective camera over the whole frame."""

from pathlib import Path
from typing import Any

import numpy as np

from tests import joblib_layout
from tests.regressor_files import HEIGHT, WIDTH, dressed, float32, random_pose, spin49

SUFFIX = ".pkl"
FRAMES = 3
DERIVED = frozenset({"joints2d_img_coord"})


def person(seed: int, frames: int = FRAMES) -> dict[str, Any]:
    """One person's dictionary."""
    draw = np.random.default_rng(seed)
    pose = random_pose(frames, seed)
    vertices = dressed(pose, seed, 1.0)[1]
    crop = np.tile((0.9, 0.05, -0.1), (frames, 1)) + 0.01 * draw.standard_normal((frames, 3))
    side = np.full(frames, 250.0)
    center = np.stack((np.linspace(200, 300, frames) + 50 * seed, np.full(frames, 260.0)), 1)
    half = np.array([WIDTH, HEIGHT]) / 2
    scale = (crop[:, 0] * side)[:, None] / (2 * half)
    shift = crop[:, 1:] + (center - half) / (half * scale)
    return float32(
        {
            "pred_cam": crop,
            "orig_cam": np.concatenate((scale, shift), 1),
            "verts": vertices,
            "pose": pose.reshape(frames, 72),
            "betas": draw.standard_normal((frames, 10)),
            "joints3d": spin49(pose),
            "joints2d_img_coord": draw.standard_normal((frames, 49, 2)),
            "bboxes": np.concatenate((center, side[:, None], side[:, None]), 1),
        }
    ) | {"joints2d": None, "frame_ids": np.arange(frames) + 2 * seed}


def write(path: Path, people: int = 2) -> Path:
    """A video's file, with a key of somebody else's."""
    joblib_layout.dump({n + 1: person(n) | {"somebody_elses": np.arange(3)} for n in range(people)}, path)
    return path
