"""HybrIK's `res.pk` of a video: stacked arrays, one person a frame, joints in units of the network's box of 2.2 m."""

import pickle
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, RIDERS, WIDTH, random_pose, riders, skeleton

SUFFIX = ".pk"
SIDE = 2.2
DERIVED = frozenset({"pred_phi"})
LEAVES = ("head_top", "left_bigtoe", "right_bigtoe", "left_middle", "right_middle")


def arrays(people: int = 2, seed: int = 5) -> dict[str, np.ndarray]:
    """What the file holds; one row is a frame."""
    draw = np.random.default_rng(seed)
    pose = random_pose(people, seed)
    joints, turned = skeleton(pose)
    struct = joints - joints[:, :1]
    leaves = riders(joints, turned, tuple(RIDERS[name] for name in LEAVES), 1.0) - joints[:, :1]
    middle = np.array([(250.0 + 120 * n, 240.0) for n in range(people)])
    width = np.array([300.0 - 20 * n for n in range(people)])
    scale = 0.8 + 0.05 * np.arange(people)
    inside = 0.02 + 0.01 * np.arange(people)  # of the pelvis, in sides of the box
    depth = 1000 / (256 * scale) + SIDE * inside
    focal = 1000 / 256 * width
    offset = (middle - (WIDTH / 2, HEIGHT / 2)) / focal[:, None]
    root = np.concatenate((offset * depth[:, None] + (0.02, 0.1), depth[:, None]), 1)
    points = (
        np.concatenate((struct, leaves), 1)
        + 0.01 * draw.standard_normal((people, 29, 3)) * (np.arange(29) > 0)[:, None]
    )
    place = points + root[:, None]
    flat = 1000 / 256 * place[..., :2] / place[..., 2:] - ((middle - (WIDTH / 2, HEIGHT / 2)) / width[:, None])[:, None]
    found = {
        "pred_uvd": np.concatenate((flat, points[..., 2:] / SIDE + inside[:, None, None]), 2),
        "pred_xyz_17": 0.3 * draw.standard_normal((people, 17, 3)) / SIDE,
        "pred_xyz_29": points / SIDE,
        "pred_xyz_24_struct": struct / SIDE,
        "pred_scores": draw.random((people, 29)),
        "pred_camera": scale[:, None],
        "pred_betas": draw.standard_normal((people, 10)),
        "pred_thetas": Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(people, 216),
        "pred_phi": draw.standard_normal((people, 23, 2)),
        "pred_cam_root": root,
        "transl": root,
        "transl_camsys": root * (256 / width)[:, None],
    }
    single = {name: value.astype(np.float32) for name, value in found.items()}
    half = width[:, None] / 2
    return single | {
        "bbox": np.concatenate((middle - half, middle + half), 1),
        "height": np.full(people, HEIGHT),
        "width": np.full(people, WIDTH),
        "img_path": np.array([f"out/raw_images/walk-{n + 1:06d}.png" for n in range(people)]),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    path.write_bytes(pickle.dumps(arrays(people) | {"somebody_elses": np.arange(3)}))
    return path
