"""EasyMocap's JSON of one frame of a calibrated recording, as `write_smpl` writes it: three digits, CR LF inside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from refine.geometry.camera import Camera
from tests.regressor_files import BONES, HEIGHT, WIDTH, random_pose

SUFFIX = ".json"
WORLD = Rotation.from_euler("xyz", (100, 5, -20), degrees=True).as_matrix()
PLACE = np.array([0.3, -0.2, 4.0])
CAMERA = Camera(
    torch.tensor([[600.0, 602.0]]),
    torch.tensor([[WIDTH / 2 + 3, HEIGHT / 2 - 2]]),
    torch.tensor([[float(HEIGHT), float(WIDTH)]]),
    torch.as_tensor(np.concatenate((WORLD, PLACE[:, None]), 1), dtype=torch.float32)[None],
)
"""One view of the recording; the file does not hold it."""

EXEMPT = {
    "test_another_camera_leaves_every_pelvis_where_it_is_seen": (
        "the bodies' places are in the world, not in this camera's photo"
    )
}


def content(people: int = 2, kind: str = "smpl") -> list[dict[str, Any]]:
    """What the file holds; `kind`: "smpl", "smpl 69", "smplh", "smplh hands", "smplx"."""
    draw = np.random.default_rng(4)
    pose = random_pose(people)
    seen = [np.array([0.4 * n - 0.2, 0.1, 0.5 * n]) for n in range(people)]
    rows = []
    for n in range(people):
        root = WORLD.T @ Rotation.from_rotvec(pose[n, 0]).as_matrix()
        pelvis = WORLD.T @ seen[n]  # 4 m before the camera, as its translation is
        joints = pose[n, 1:].reshape(-1)
        hands = 0.3 * draw.standard_normal(12)
        poses = {
            "smpl": np.concatenate((np.zeros(3), joints)),
            "smpl 69": joints,
            "smplh": np.concatenate((np.zeros(3), joints[:63], hands)),
            "smplh hands": joints[:63],
            "smplx": np.concatenate((np.zeros(3), joints[:63], hands, 0.1 * draw.standard_normal(9))),
        }[kind]
        row = {
            "id": 3 + n,
            "Rh": Rotation.from_matrix(root).as_rotvec()[None],
            "Th": (pelvis - root @ BONES[0])[None],
            "poses": poses[None],
            "shapes": draw.standard_normal((1, 10)),
        }
        row |= {"handl": hands[None, :6], "handr": hands[None, 6:]} if kind == "smplh hands" else {}
        row |= {"expression": draw.standard_normal((1, 10))} if kind == "smplx" else {}
        rows.append({name: np.round(value, 3).tolist() if name != "id" else value for name, value in row.items()})
    return rows


def write(path: Path, people: int = 2, kind: str = "smpl") -> Path:
    """Write the file, with a key of somebody else's."""
    text = json.dumps([row | {"somebody_elses": [0, 1, 2]} for row in content(people, kind)], indent=4)
    path.write_bytes(text.replace("\n", "\r\n").encode())
    return path
