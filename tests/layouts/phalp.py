"""PHALP's tracks of a video: frames of lists, seen through 5000 px in the padded photo shrunk to 256 px."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests import joblib_layout
from tests.regressor_files import LSP14, PICKED, REGRESSED5, RIDERS, random_pose, riders, skeleton

SUFFIX = ".pkl"
WIDTH, HEIGHT = 640, 481  # an odd difference: the pads are rounded down
FRAMES = 2

SMPL_TO_OPENPOSE = (24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34)
"""`smpl_to_openpose` of shubham-goel/4D-Humans@6ec79656a2 `hmr2/models/smpl_wrapper.py` and brjathu/PHALP@96f7e6c09f
`phalp/utils/smpl_utils.py`: which of the package smplx's 45 joints of SMPL (24 and the picked ones) stand at BODY_25's
places; 19 regressed ones (`SMPL_to_J19.pkl`) and zeros follow."""


def wrapped(pose: np.ndarray, size: float) -> np.ndarray:
    """The 45 joints (45, 3) m of `get_3d_parameters`, without the camera's translation."""
    joints, turned = skeleton(pose, size)
    own = np.concatenate((joints, riders(joints, turned, tuple(RIDERS[name] for name in PICKED), size)), 1)
    extra = riders(joints, turned, tuple(RIDERS[name] for name in LSP14 + REGRESSED5), size)
    return np.concatenate((own[0, SMPL_TO_OPENPOSE, :], extra[0], np.zeros((1, 3))))


def person(number: int, frame: int) -> dict[str, Any]:
    """What one track has in one frame."""
    seed = 10 * number + frame
    draw = np.random.default_rng(seed)
    pose = random_pose(1, seed)
    local = Rotation.from_rotvec(pose[0]).as_matrix().astype(np.float32)
    points = wrapped(pose, 1.0 + 0.04 * number)
    long = max(WIDTH, HEIGHT)
    left, top = (long - WIDTH) // 2, (long - HEIGHT) // 2
    box = np.array((200.0 + 150 * number, 240.0 + 5 * frame))  # px
    wide, tall = 120.0, 260.0
    weak = np.array((0.9, 0.03, -0.05 * number))
    shrink = 256 / long
    depth = 2 * 5000 / (weak[0] * tall * shrink)
    middle = (box + np.array((left, top))) * shrink - 128  # px of the shrunk square
    place = np.append(weak[1:] + middle * depth / 5000, depth)
    seen = points + place
    flat = 5000 / 256 * seen[:, :2] / seen[:, 2:] + 0.5
    betas = draw.standard_normal(10)
    tracker = np.concatenate((local.reshape(-1), betas, place[:2], place[2:] / 200))
    return {
        "center": box,
        "scale": tall / long,
        "size": [HEIGHT, WIDTH],
        "img_path": f"frames/{frame:06}.jpg",
        "img_name": f"{frame:06}.jpg",
        "class_name": np.int64(0),
        "conf": np.float32(0.9),
        "annotations": [],
        "appe": draw.standard_normal(8).astype(np.float32),
        "loca": np.concatenate((flat.reshape(-1), place, place, place)).astype(np.float32),
        "pose": tracker.astype(np.float32),
        "smpl": {"global_orient": local[:1], "body_pose": local[1:], "betas": betas.astype(np.float32)},
        "camera": place.astype(np.float32),
        "camera_bbox": weak.astype(np.float32),
        "3d_joints": points.astype(np.float32),
        "2d_joints": flat.reshape(-1).astype(np.float32),
        "mask": [{"size": [HEIGHT, WIDTH], "counts": "PPYo0"}],
        "extra_data": number,
        "bbox": np.array((box[0] - wide / 2, box[1] - tall / 2, wide, tall)),
    }


def frames(people: int) -> dict[str, dict[str, Any]]:
    """Everybody in every frame, and in the last frame a ghost of the first person's instead of him."""
    content: dict[str, dict[str, Any]] = {}
    for frame in range(FRAMES + 1):
        name = f"frames/{frame:06}.jpg"
        lists: dict[str, Any] = {
            "time": frame,
            "shot": 0,
            "frame_path": name,
            "tracked_ids": [],
            "tracked_bbox": [],
            "tid": [],
        }
        lists |= {"bbox": [], "tracked_time": []}
        for number in range(people):
            ghost = number == 0 and frame == FRAMES
            entry = person(number, frame - ghost)
            lists["tid"].append(number + 1)
            lists["tracked_time"].append(int(ghost))
            if not ghost:
                lists["tracked_ids"].append(number + 1)
                lists["tracked_bbox"].append(entry["bbox"])
            for key, value in entry.items():
                lists.setdefault(key, []).append(value)
        content[name] = lists | {"somebody_elses": np.arange(3)}
    empty = {key: [] for key, value in content["frames/000000.jpg"].items() if isinstance(value, list)}
    content["frames/000009.jpg"] = {"time": 9, "shot": 0, "frame_path": "frames/000009.jpg"} | empty
    return content


def write(path: Path, people: int = 2) -> Path:
    """A video's file."""
    joblib_layout.dump(frames(people), path, 3)
    return path
