"""CLIFF's npz of three images, as `demo.py --save_results` of huawei-noah/noah-research writes it (axis-angle)."""

from pathlib import Path

import numpy as np
import torch

from tests.regressor_files import HEIGHT, PARENTS, PICKED, RIDERS, WIDTH, random_pose, riders, skeleton

SUFFIX = ".npz"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
IMAGES = ("imgs/000001.jpg", "imgs/000002.jpg", "imgs/000003.jpg")


def arrays(people: int = 2, matrices: bool = False, tracked: bool = False) -> dict[str, np.ndarray]:
    """What the file holds."""
    pose = random_pose(people)
    joints, turned = skeleton(pose)
    focal = np.hypot(WIDTH, HEIGHT)
    crop = np.array([(0.9 - 0.1 * n, 0.02 * n, 0.1) for n in range(people)])  # s, tx, ty
    box = np.array([(200.0 + 150 * n, 250.0, 260.0 + 20 * n) for n in range(people)])  # centre and side, px
    apparent = box[:, 2] * crop[:, 0]
    depth = 2 * focal / apparent
    across = crop[:, 1] + 2 * (box[:, 0] - WIDTH / 2) / apparent
    down = crop[:, 2] + 2 * (box[:, 1] - HEIGHT / 2) / apparent
    translation = np.stack((across, down, depth), 1)
    extra = riders(joints, turned, tuple(RIDERS[name] for name in PICKED), 1.0)
    image = np.minimum(np.arange(people), 2)
    corners = np.concatenate((box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2), 1)
    detections = np.concatenate((image[:, None], corners, np.full((people, 2), 0.9), np.zeros((people, 1))), 1)
    if tracked:  # haofanwang's
        detections[:, 6], detections[:, 7] = 0.99, 7 + np.arange(people)
    local = pose.reshape(people, 72)
    if matrices:
        local = np.stack(
            [turned[:, 0]] + [np.linalg.inv(turned[:, PARENTS[j]]) @ turned[:, j] for j in range(1, 24)], 1
        )
    return {
        "imgname": np.array(IMAGES),
        "pose": local.astype(np.float32),
        "shape": np.random.default_rng(1).standard_normal((people, 10)).astype(np.float32),
        "global_t": translation.astype(np.float32),
        "pred_joints": (np.concatenate((joints, extra), 1) + translation[:, None]).astype(np.float32),
        "focal_l": np.full(people, focal, np.float32),
        "detection_all": detections.astype(np.float32),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    np.savez(path, **arrays(people), somebody_elses=np.arange(3))
    return path
