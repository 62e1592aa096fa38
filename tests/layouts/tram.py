"""TRAM's track of one person, `hps/hps_track_<k>.npy`, and `camera.npy` in the folder above."""

from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".npy"


def track(frames: int) -> dict[str, torch.Tensor]:
    """What the track's file holds."""
    pose = random_pose(frames)
    matrices = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(frames, 24, 3, 3)
    focal, center = 600.0, np.array([WIDTH / 2, HEIGHT / 2])
    crop = np.stack([np.array((0.9, 0.02 * n, 0.1)) for n in range(frames)])
    box = np.stack([np.array((200.0 + 30 * n, 240.0, 250.0)) for n in range(frames)])
    apparent = box[:, 2] * crop[:, 0]
    trans = np.concatenate(
        (crop[:, 1:] + 2 * (box[:, :2] - center) / apparent[:, None], (2 * focal / apparent)[:, None]), 1
    )
    numbers = {
        "pred_cam": crop,
        "pred_pose": matrices[..., :2].reshape(frames, 144),
        "pred_shape": np.random.default_rng(0).standard_normal((frames, 10)),
        "pred_rotmat": matrices,
        "pred_trans": trans[:, None],
    }
    tensors = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in numbers.items()}
    return tensors | {"frame": torch.arange(frames) + FIRST_FRAME}


FIRST_FRAME = 5
"""The person is not seen before."""


def camera(frames: int) -> dict[str, object]:
    """What the camera's file holds: it turns and walks through all frames of the video; the world has y up."""
    video = FIRST_FRAME + frames
    up = np.diag((1.0, -1.0, -1.0))
    turn = Rotation.from_euler("y", 3.0 * np.arange(video)[:, None], degrees=True).as_matrix()
    walk = np.arange(video)[:, None] * np.array((0.1, 0.0, 0.05))
    return {
        "pred_cam_R": turn.astype(np.float32),
        "pred_cam_T": walk.astype(np.float32),
        "world_cam_R": (up @ turn).astype(np.float32),
        "world_cam_T": (walk @ up.T).astype(np.float32),
        "img_focal": 600.0,
        "img_center": np.array([WIDTH / 2, HEIGHT / 2]),
        "spec_focal": 700.0,
    }


def save(path: Path, content: dict[str, object]) -> None:
    holder = np.empty((), object)
    holder[()] = content
    np.save(path, holder, allow_pickle=True)


def write(path: Path, people: int = 2) -> Path:
    """A track of as many frames as people are asked for, with a key of somebody else's."""
    folder = path.parent / "video"
    (folder / "hps").mkdir(parents=True)
    save(folder / "camera.npy", camera(people))
    save(folder / "hps" / "hps_track_0.npy", {**track(people), "somebody_elses": np.arange(3)})
    return folder / "hps" / "hps_track_0.npy"
