"""PHALP's tracks of a video: frames of lists, seen through 5000 px in the photo padded to a square and shrunk to 256 px."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests import joblib_layout
from tests.regressor_files import dressed, random_pose

SUFFIX = ".pkl"
WIDTH, HEIGHT = 640, 481  # an odd difference: the pads are rounded down
FRAMES = 2


def person(number: int, frame: int) -> dict[str, Any]:
    """What one track has in one frame."""
    seed = 10 * number + frame
    draw = np.random.default_rng(seed)
    pose = random_pose(1, seed)
    local = Rotation.from_rotvec(pose[0]).as_matrix().astype(np.float32)
    joints, _ = dressed(pose, seed, 1.0)
    points = np.concatenate((joints[0, :44], np.zeros((1, 3))))
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
    """What the file holds: everybody in every frame, and in the last frame a ghost of the first person's instead of him."""
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
