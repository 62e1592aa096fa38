"""ROMP's npz of one photo: weak perspective in the photo padded to a square."""

from pathlib import Path

import numpy as np

from tests.regressor_files import HEIGHT, WIDTH, dressed, float32, random_pose

SUFFIX = ".npz"
PIXELS = 0.5
"""px; weak perspective is seen through a long lens."""


def romp_results(people: int = 2, seed: int = 0, scale: float = 1.0) -> dict[str, np.ndarray]:
    """The dictionary ROMP stores for a photo."""
    pose = random_pose(people, seed)
    joints, vertices = dressed(pose, seed, scale)
    cam = np.stack([np.array([0.5 + 0.1 * n, 0.2 * (-1) ** n, 0.3 - 0.1 * n]) for n in range(people)])
    half = max(WIDTH, HEIGHT) / 2
    pads = (half - WIDTH / 2, half - HEIGHT / 2)
    pixels = (cam[:, None, :1] * joints[..., :2] + cam[:, None, 1:] + 1) * half - pads
    return float32(
        {
            "cam": cam,
            "global_orient": pose[:, 0],
            "body_pose": pose[:, 1:].reshape(people, 69),
            "smpl_betas": np.random.default_rng(seed).standard_normal((people, 10)),
            "smpl_thetas": pose.reshape(people, 72),
            "center_preds": np.full((people, 2), 256),
            "center_confs": np.full((people, 1), 0.9),
            "track_ids": np.arange(people, dtype=np.int32),
            "cam_trans": np.concatenate((cam[:, 1:] / cam[:, :1], 443.4 / 256 / cam[:, :1]), 1),
            "verts": vertices,
            "joints": joints,
            "pj2d_org": pixels,
        }
    )


def write(path: Path, people: int = 2) -> Path:
    """A photo's file, with a key of somebody else's."""
    np.savez(path, results=romp_results(people) | {"somebody_elses": np.arange(3)})
    return path
