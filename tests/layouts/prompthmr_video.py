"""PromptHMR's `results.pkl` of a video: people in the camera and in the world, fingers' matrices zero."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests import joblib_layout
from tests.regressor_files import HEIGHT, WIDTH, float32, random_pose

SUFFIX = ".pkl"
FRAMES = 3


def person(seed: int, frames: int) -> dict[str, Any]:
    """One of `people`."""
    draw = np.random.default_rng(seed)
    pose = random_pose(frames, seed)[:, :22]
    matrices = np.zeros((frames, 55, 3, 3))
    matrices[:, :22] = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(frames, 22, 3, 3)
    matrices[:, 22:25] = np.eye(3)
    world = np.zeros((frames, 55, 3))
    world[:, :22] = pose
    world[:, 0] = (Rotation.from_rotvec([0.2, 0.5, 3.0]) * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    betas = draw.standard_normal((frames, 10))
    place = np.stack((np.linspace(-0.4, 0.2, frames), np.full(frames, 0.1), np.full(frames, 3.5 + seed)), 1)
    return {
        "track_id": seed + 1,
        "frames": np.arange(frames) + seed,
        "bboxes": draw.uniform(0, 400, (frames, 4)).astype(np.float32),
        "keypoints_2d": draw.uniform(0, 400, (frames, 25, 3)),
        "smplx_cam": float32(
            {
                "rotmat": matrices,
                "pose": np.concatenate((pose.reshape(frames, 66), np.zeros((frames, 9))), 1),
                "shape": betas,
                "trans": place,
                "contact": np.zeros((frames, 6), bool),
            }
        ),
        "smplx_world": float32(
            {"pose": world.reshape(frames, 165), "shape": betas, "trans": draw.standard_normal((frames, 3))}
        ),
        "somebody_elses": np.arange(3),
    }


def results(people: int, frames: int = FRAMES) -> dict[str, Any]:
    """What the file holds."""
    still = np.eye(3, dtype=np.float32)[None].repeat(frames + people, 0)
    return {
        "camera": {
            "pred_cam_R": still,
            "pred_cam_T": np.zeros((frames + people, 3), np.float32),
            "img_focal": np.float64(720.0),
            "img_center": np.array([WIDTH / 2, HEIGHT / 2]),
        },
        "people": {n + 1: person(n, frames) for n in range(people)},
        "timings": {},
        "masks": None,
        "has_tracks": True,
        "contact_joint_ids": [7, 10, 8, 11, 20, 21],
    }


def write(path: Path, people: int = 2) -> Path:
    """A video's file."""
    joblib_layout.dump(results(people), path)
    return path
