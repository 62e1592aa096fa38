"""MMHuman3D's `inference_result.npz`, as `demo/estimate_smpl.py` dumps it; and a dataset with places and a camera."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, dressed, random_pose, skeleton

SUFFIX = ".npz"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])


def inference(people: int = 2) -> dict[str, Any]:
    """What a demo's file holds: a dictionary inside, lists as arrays."""
    pose = random_pose(people)
    boxes = np.array([(60.0 + 200 * n, 40.0, 220.0 + 200 * n, 420.0 - 30 * n, 0.98) for n in range(people)])
    return {
        "__key_strict__": False,
        "__data_len__": people,
        "__keypoints_compressed__": False,
        "smpl": {
            "body_pose": pose[:, 1:].astype(np.float32),
            "global_orient": pose[:, 0].astype(np.float32),
            "betas": np.random.default_rng(1).standard_normal((people, 10)).astype(np.float32),
            "somebody_elses": np.arange(3),
        },
        "verts": list(dressed(pose, 0, 1.0)[1].astype(np.float32)),
        "pred_cams": [np.array((0.9 - 0.1 * n, 0.02 * n, 0.1), np.float32) for n in range(people)],
        "bboxes_xyxy": list(boxes),
        "image_path": [f"images/{n // 2:06d}.png" for n in range(people)],
        "person_id": list(range(people)),
        "frame_id": [7 + n // 2 for n in range(people)],
    }


def dataset(people: int = 2) -> dict[str, Any]:
    """What a dataset's file holds: places, a camera in `misc`, compressed keypoints, texts in `meta`."""
    pose = random_pose(people)
    place = np.array([(0.4 * n - 0.2, 0.1, 4.0 + n) for n in range(people)])
    joints = skeleton(pose)[0] + place[:, None]
    pixels = 800 * joints[..., :2] / joints[..., 2:] + (WIDTH / 2, HEIGHT / 2)
    mask = np.zeros(190, np.int64)
    mask[:24] = 1
    return {
        "__key_strict__": True,
        "__data_len__": people,
        "__keypoints_compressed__": True,
        "image_path": [f"train/{n:06d}.jpg" for n in range(people)],
        "bbox_xywh": np.array([(10.0, 20.0, 200.0, 300.0, 1.0)] * people),
        "config": "gta_human",
        "keypoints2d_original": np.concatenate((pixels, np.ones((people, 24, 1))), 2),
        "keypoints2d_original_mask": mask,
        "keypoints2d_smpl": np.concatenate((pixels, np.ones((people, 24, 1))), 2),
        "keypoints2d_smpl_mask": mask,
        "smpl": {
            "body_pose": pose[:, 1:],
            "global_orient": pose[:, 0],
            "betas": np.random.default_rng(1).standard_normal((people, 10)),
            "transl": place,
        },
        "meta": {"gender": np.array(["female", "male"] * people)[:people]},
        "misc": {"focal_length": np.array([[800.0, 800.0]]), "principal_point": np.array([[WIDTH / 2, HEIGHT / 2]]),
            "image_shape": np.array([[HEIGHT, WIDTH]])},
    }  # fmt: skip


def write(path: Path, people: int = 2) -> Path:
    """Write a demo's file."""
    np.savez_compressed(path, **inference(people))
    return path
