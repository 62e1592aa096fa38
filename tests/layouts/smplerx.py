"""SMPLer-X's npz of one person and its meta file, in its folders, as `main/inference.py` writes them."""

import json
from pathlib import Path

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".npz"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
BOX = (300.0, 40.0, 225.0, 300.0)
"""x, y, w, h (px) after its aspect ratio was put to 3:4: not in the photo's middle."""


def arrays() -> dict[str, np.ndarray]:
    """What the npz holds: float32 from the network, float64 zeros for the eyes."""
    draw = np.random.default_rng(3)
    pose = random_pose(1)[0]
    gamma = 1 / (1 + np.exp(-0.35))
    depth = np.sqrt(5000.0 * 5000.0 * 2.5 * 2.5 / (256 * 192)) * gamma
    network = {
        "global_orient": pose[:1],
        "body_pose": pose[1:22],
        "left_hand_pose": 0.2 * draw.standard_normal((15, 3)),
        "right_hand_pose": 0.2 * draw.standard_normal((15, 3)),
        "jaw_pose": 0.1 * draw.standard_normal((1, 3)),
        "leye_pose": np.zeros((1, 3)),
        "reye_pose": np.zeros((1, 3)),
        "betas": draw.standard_normal((1, 10)),
        "expression": draw.standard_normal((1, 10)),
        "transl": np.array([[0.04, 0.31, depth]]),
    }
    return {name: value if "eye" in name else value.astype(np.float32) for name, value in network.items()}


def meta() -> dict[str, object]:
    """What the meta file holds."""
    x, y, w, h = BOX
    return {
        "focal": [5000 / 192 * w, 5000 / 256 * h],
        "princpt": [96.0 / 192 * w + x, 128.0 / 256 * h + y],
        "bbox": list(BOX),
        "bbox_mmdet": [x + w / 10, y + h / 10, w / 1.25, h / 1.25],
        "bbox_id": 1,
        "img_path": "../demo/images/000012.jpg",
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the person's two files into the folders `smplx` and `meta`; one person a file, whatever `people` says."""
    for folder in ("smplx", "meta"):
        (path.parent / folder).mkdir(exist_ok=True)
    place = path.parent / "smplx" / path.name
    np.savez(place, **arrays(), somebody_elses=np.arange(3))
    (path.parent / "meta" / f"{path.stem}.json").write_text(json.dumps(meta(), indent=4))
    return place
