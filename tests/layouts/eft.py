"""EFT's JSON of a dataset, as `exportDB.py` writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".json"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
BOXES = ((200.3, 250.7, 1.334), (350.0, 240.0, 1.21), (100.5, 90.25, 0.5))
"""Centre px and scale of each person."""


def content(people: int = 2) -> dict[str, Any]:
    """Lists of numbers that were float32; two people of the first photo, the others in the second."""
    draw = np.random.default_rng(2)
    rotations = Rotation.from_rotvec(random_pose(people).reshape(-1, 3)).as_matrix().reshape(people, 24, 3, 3)
    data = []
    for n in range(people):
        x, y, scale = BOXES[n % len(BOXES)]
        data.append(
            {
                "parm_pose": rotations[n].astype(np.float32).tolist(),
                "parm_shape": draw.standard_normal(10).astype(np.float32).tolist(),
                "parm_cam": [0.9 - 0.1 * n, 0.02 * n, 0.1],
                "bbox_scale": scale,
                "bbox_center": [x, y],
                "gt_keypoint_2d": draw.uniform(0, 400, (49, 3)).tolist(),
                "joint_validity_openpose18": [1.0] * 18,
                "smpltype": "smpl",
                "annotId": 100 + n,
                "imageName": f"COCO_train2014_{n // 2:012d}.jpg",
                "somebody_elses": [0, 1, 2],
            }
        )
    return {"ver": 0.1, "data": data, "meta": {"dbname": "COCO2014-Part"}}


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    path.write_text(json.dumps(content(people)))
    return path
