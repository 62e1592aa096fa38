"""Hand4Whole's JSON and obj of one person, as `demo/demo.py` writes them."""

import json
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from refine.geometry.camera import Camera
from tests.regressor_files import HEIGHT, WIDTH, random_pose, skeleton

SUFFIX = ".json"
BOX = (300.0, 40.0, 225.0, 300.0)
CAMERA = Camera(
    torch.tensor([[5000 / 192 * BOX[2], 5000 / 256 * BOX[3]]]),
    torch.tensor([[BOX[0] + BOX[2] / 2, BOX[1] + BOX[3] / 2]]),
    torch.tensor([[float(HEIGHT), float(WIDTH)]]),
)
"""The file holds none: it must be given."""

EXEMPT = {
    "test_a_refined_file_keeps_keys_shapes_and_types_and_what_it_does_not_know": (
        "a refined file has one more, its translation"
    ),
    "test_another_camera_leaves_every_pelvis_where_it_is_seen": "the file has no camera that could be replaced",
}

TRANSLATION = (0.02, 0.3, 34.0)


def content() -> dict[str, object]:
    """What the JSON holds: lists of 32-bit numbers."""
    draw = np.random.default_rng(5)
    pose = random_pose(1)[0]
    parts = {
        "root_pose": pose[0],
        "body_pose": pose[1:22],
        "lhand_pose": 0.2 * draw.standard_normal(45),
        "rhand_pose": 0.2 * draw.standard_normal(45),
        "jaw_pose": 0.1 * draw.standard_normal(3),
        "shape": draw.standard_normal(10),
        "expr": draw.standard_normal(10),
    }
    return {name: value.astype(np.float32).reshape(-1).tolist() for name, value in parts.items()}


def write(path: Path, people: int = 2) -> Path:
    """Write the JSON, with a key of somebody else's, and the obj beside it; one person a file."""
    path.write_text(json.dumps(content() | {"somebody_elses": [0, 1, 2]}))
    joints, turned = skeleton(random_pose(1))
    draw = np.random.default_rng(6)
    carrier = draw.integers(0, 22, 2000)
    around = Rotation.random(2000, rng=7).apply([0.08, 0, 0])
    surface = joints[0, carrier] + np.einsum("nab,nb->na", turned[0, carrier], around) + TRANSLATION
    lines = [f"v {x:f} {y:f} {z:f}" for x, y, z in surface] + ["f 1/1 2/2 3/3"]
    path.with_name("output.obj").write_text("\n".join(lines))
    return path
