"""SMPLify-X's pickle of one person, run without VPoser, in its folders, with the settings of the run."""

import pickle
from pathlib import Path

import numpy as np
import torch

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".pkl"
SIZES = torch.tensor([[float(HEIGHT), float(WIDTH)]])
FOCAL = 4200.0


def content(vposer: bool = False) -> dict[str, np.ndarray]:
    """What the pickle holds, in the order of torch's named parameters."""
    draw = np.random.default_rng(8)
    pose = random_pose(1)[0]
    parts = {
        "camera_rotation": np.eye(3)[None],
        "camera_translation": np.array([[0.2, 0.5, 18.0]]),
        "betas": draw.standard_normal((1, 10)),
        "global_orient": pose[:1],
        "body_pose": pose[1:22].reshape(1, 63),
        "left_hand_pose": draw.standard_normal((1, 12)),
        "right_hand_pose": draw.standard_normal((1, 12)),
        "jaw_pose": 0.1 * draw.standard_normal((1, 3)),
        "leye_pose": np.zeros((1, 3)),
        "reye_pose": np.zeros((1, 3)),
        "expression": draw.standard_normal((1, 10)),
    }
    if vposer:
        parts["body_pose"] = draw.standard_normal((1, 32))
    return {name: value.astype(np.float32) for name, value in parts.items()}


def write(path: Path, people: int = 2) -> Path:
    """Write the person's pickle with a key of somebody else's; one person a file, whatever `people` says."""
    place = path.parent / "results" / "photo_0001" / "000.pkl"
    place.parent.mkdir(parents=True)
    place.write_bytes(pickle.dumps(content() | {"somebody_elses": np.arange(3)}, protocol=2))
    return place


def write_settings(folder: Path) -> None:
    """Write conf.yaml of the run, as far as it matters."""
    (folder / "conf.yaml").write_text(f"batch_size: 1\nfocal_length: {FOCAL}\nuse_vposer: false\n")
