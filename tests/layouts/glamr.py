"""GLAMR's pickle of a video: people who come and go, seen by a moving camera, in the world and in the camera."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".pkl"
FRAMES = 5
FOCAL = 1000.0
DERIVED = {"kp_2d_pred"}


def cameras() -> np.ndarray:
    """World to camera (T, 4, 4): the camera turns and walks; the world has z up."""
    pose = np.tile(np.eye(4), (FRAMES, 1, 1))
    down = Rotation.from_euler("x", 90, degrees=True)
    pose[:, :3, :3] = (Rotation.from_euler("y", 4.0 * np.arange(FRAMES)[:, None], degrees=True) * down).as_matrix()
    pose[:, :3, 3] = (0.0, 1.0, 5.0) + 0.05 * np.arange(FRAMES)[:, None]
    return pose


def person(seed: int, view: np.ndarray) -> dict[str, Any]:
    """One person, who is there in all frames but the first and unseen in the third."""
    pose = random_pose(FRAMES, seed)
    root = np.stack((np.linspace(-0.2, 0.3, FRAMES) + 0.4 * seed, np.full(FRAMES, 0.2), np.full(FRAMES, 0.9)), 1)
    orient = Rotation.from_matrix(view[:, :3, :3]).inv() * Rotation.from_rotvec(pose[:, 0])
    seen = np.einsum("tij,tj->ti", view[:, :3, :3], root) + view[:, :3, 3]
    joints, _ = skeleton(pose)
    joints = joints - joints[:, :1] + seen[:, None]
    visible = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    matrix = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    pixels = FOCAL * joints[..., :2] / joints[..., 2:] + (WIDTH / 2, HEIGHT / 2)
    whole = np.tile(np.eye(4), (FRAMES, 1, 1))
    whole[:, :3, :3], whole[:, :3, 3] = orient.as_matrix(), root
    numbers = {
        "smpl_pose": pose[:, 1:].reshape(FRAMES, 69),
        "smpl_beta": np.random.default_rng(seed).standard_normal((FRAMES, 10)),
        "smpl_orient_cam": pose[:, 0] + 0.1,
        "root_trans_cam": seen + 0.1,
        "smpl_orient_world": orient.as_rotvec(),
        "root_trans_world": root,
        "person_transform_world": whole,
        "smpl_orient_cam_in_world": pose[:, 0],
        "root_trans_cam_in_world": seen,
        "cam_K": matrix * visible[:, None, None],
        "kp_2d_pred": pixels[:, np.arange(26) % 24],
    }
    return {name: value.astype(np.float32) for name, value in numbers.items()} | {
        "visible": visible,
        "exist_frames": np.array([False, True, True, True, True]),
        "frames": np.arange(FRAMES),
        "scale": None,
        "frame2ind": {frame: place for place, frame in enumerate(np.arange(FRAMES))},
        "somebody_elses": np.arange(3),
    }


def write(path: Path, people: int = 2) -> Path:
    """A video's file."""
    view = cameras()
    content = {
        "seq_name": "running",
        "person_data": {n: person(n, view) for n in range(people)},
        "seq_len": FRAMES,
        "cam_pose": view.astype(np.float32),
        "cam_pose_inv": np.linalg.inv(view).astype(np.float32),
        "rel_transform_cam": {},
        "meta": {"algo": "global_recon", "num_fr": FRAMES},
    }
    path.write_bytes(pickle.dumps(content))
    return path
