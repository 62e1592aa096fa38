"""PyMAF-X's joblib file of a folder, as `apps/demo_smplx.py` writes it: batches of two with torch tensors in them."""

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose, spin49

SUFFIX = ".pkl"
FOCAL = 5000.0


def content(people: int = 2) -> dict[str, Any]:
    """What the file holds; the folder's third image has nobody in it."""
    draw = np.random.default_rng(9)
    pose = random_pose(people)
    joints3d = spin49(pose)
    scale = np.array([1.1 + 0.2 * n for n in range(people)]) / 1.5  # of the box, the photo's 1.2 and float noise
    box = np.array([(200.0 + 120 * n, 260.0 - 10 * n, 300.0, 300.0) for n in range(people)])
    side = 300.4  # scales * 200: the box before its corners were rounded
    crop = np.stack([scale, 0.02 * np.arange(people), 0.3 + 0 * scale], 1)
    orig = np.stack(
        (
            scale * 300 / WIDTH,
            scale * 300 / HEIGHT,
            crop[:, 1] + (box[:, 0] - WIDTH / 2) / (WIDTH / 2) / (scale * 300 / WIDTH),
            crop[:, 2] + (box[:, 1] - HEIGHT / 2) / (HEIGHT / 2) / (scale * 300 / HEIGHT),
        ),
        1,
    )
    translation = np.stack(
        (
            crop[:, 1] + 2 * (box[:, 0] - WIDTH / 2) / (scale * side),
            crop[:, 2] + 2 * (box[:, 1] - HEIGHT / 2) / (scale * side),
            2 * FOCAL / (side * scale),
        ),
        1,
    )
    hands = Rotation.from_rotvec(0.2 * draw.standard_normal((people * 33, 3))).as_matrix().reshape(people, 33, 3, 3)
    matrices = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(people, 24, 3, 3)
    betas, faces = draw.standard_normal((people, 10)), draw.standard_normal((people, 10))
    batches = []
    for start in range(0, people, 2):
        rows = slice(start, start + 2)
        parts = {
            "shape": betas[rows],
            "body_pose": matrices[rows],
            "left_hand_pose": hands[rows, :15],
            "right_hand_pose": hands[rows, 15:30],
            "jaw_pose": hands[rows, 30:31],
            "leye_pose": hands[rows, 31:32],
            "reye_pose": hands[rows, 32:33],
            "expression": faces[rows],
        }
        batches.append({name: torch.tensor(part, dtype=torch.float32) for name, part in parts.items()})
    single = {
        "pred_cam": crop,
        "orig_cam": orig,
        "orig_cam_t": translation,
        "verts": draw.standard_normal((people, 50, 3)),
        "smplx_verts": draw.standard_normal((people, 60, 3)),
        "pose": pose.reshape(people, 72),
        "betas": betas,
        "joints3d": joints3d,
    }
    return {
        **{name: value.astype(np.float32) for name, value in single.items()},
        "joints2d": [draw.uniform(0, 400, (17, 3)) for _ in range(people)],
        "bboxes": box,
        "frame_ids": [0, 2, *range(3, 1 + people)][:people],
        "person_ids": [f"image{n}_f{n}_p0" for n in range(people)],
        "smplx_params": batches,
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file as joblib with compression does, with a key of somebody else's."""
    path.write_bytes(zlib.compress(pickle.dumps(content(people) | {"somebody_elses": np.arange(3)})))
    return path
