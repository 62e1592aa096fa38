"""A submission to AGORA as AiOS writes it (`datasets/INFERENCE.py`): SMPL-X and 24 joints on 3840 x 2160 px."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".pkl"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
SCALED = (1066, 800)
"""Width and height AiOS scales a photo of 640 x 480 to."""


def joints_of(translation: np.ndarray, focal: tuple[float, float]) -> np.ndarray:
    """The skeleton's 24 joints on 3840 x 2160 px, seen by a camera (px of the photo) at its middle."""
    seen = skeleton(random_pose(1))[0][0] + (0, -0.12, 0) + translation  # SMPL-X's pelvis lies lower than SMPL's
    pixels = np.array(focal) * seen[:, :2] / seen[:, 2:] + (WIDTH / 2, HEIGHT / 2)
    return pixels / (WIDTH, HEIGHT) * (3840, 2160)


def content() -> dict[str, Any]:
    """What the file holds."""
    draw = np.random.default_rng(11)
    pose = random_pose(1)[0]
    scale, across, down = 0.035, 0.01, 0.02  # the network's camera
    translation = np.array([[across / scale, down / scale, 1 / scale]])
    params = {
        "transl": translation,
        "global_orient": pose[:1],
        "body_pose": pose[1:22].reshape(1, 63),
        "left_hand_pose": 0.2 * draw.standard_normal((1, 45)),
        "right_hand_pose": 0.2 * draw.standard_normal((1, 45)),
        "reye_pose": np.zeros((1, 3)),
        "leye_pose": np.zeros((1, 3)),
        "jaw_pose": 0.1 * draw.standard_normal((1, 3)),
        "expression": draw.standard_normal((1, 10)),
        "betas": draw.standard_normal((1, 10)),
    }
    focal = (5000 * WIDTH / SCALED[0], 5000 * HEIGHT / SCALED[1])
    return {
        "params": {name: value if "eye" in name else value.astype(np.float32) for name, value in params.items()},
        "joints": joints_of(translation[0], focal).astype(np.float32),
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the person's file, with a key of somebody else's; one person a file, whatever `people` says."""
    place = path.with_name("000000_personId_1.pkl")
    place.write_bytes(pickle.dumps(content() | {"somebody_elses": np.arange(3)}))
    return place
