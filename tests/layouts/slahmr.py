"""SLAHMR's npz of a video: people (P, T) in a world in which the camera moves; the second track is shorter."""

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.regressor_files import HEIGHT, WIDTH, random_pose

SUFFIX = ".npz"
FRAMES = 4
FOCAL = 560.0
REST_PELVIS = np.array([-0.0018, -0.2233, 0.0282])
DERIVED = frozenset({"latent_pose", "latent_motion"})


def world(people: int) -> dict[str, np.ndarray]:
    """What the file holds; poses and places are drawn in the camera's frame and carried into the world."""
    draw = np.random.default_rng(11)
    turn = Rotation.from_euler("y", 5.0 * np.arange(FRAMES)[:, None], degrees=True) * Rotation.from_euler("x", 0.2)
    step = np.array((0.3, -0.2, 0.5)) + 0.05 * np.arange(FRAMES)[:, None]
    orient, trans, body = [], [], []
    for person in range(people):
        pose = random_pose(FRAMES, person)
        pelvis = np.stack(
            (np.linspace(-0.3, 0.2, FRAMES) + 0.5 * person, np.full(FRAMES, 0.1), np.full(FRAMES, 4.0)), 1
        )
        orient.append((turn.inv() * Rotation.from_rotvec(pose[:, 0])).as_rotvec())
        trans.append(turn.inv().apply(pelvis - step) - REST_PELVIS)
        body.append(pose[:, 1:22].reshape(FRAMES, 63))
    mask = np.ones((people, FRAMES), bool)
    if people > 1:
        mask[1, :2] = False
    tracked = mask[..., None]
    return {
        "root_orient": (np.stack(orient) * tracked).astype(np.float32),
        "trans": (np.stack(trans) * tracked).astype(np.float32),
        "pose_body": (np.stack(body) * tracked).astype(np.float32),
        "betas": draw.standard_normal((people, 16)).astype(np.float32),
        "cam_R": np.tile(turn.as_matrix(), (people, 1, 1, 1)).astype(np.float32),
        "cam_t": np.tile(step, (people, 1, 1)).astype(np.float32),
        "intrins": np.array([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2], np.float32),
        "world_scale": np.ones((1, 1), np.float32),
        "floor_plane": np.array([[0.0, -0.5, 0.0]], np.float32),
        "latent_motion": draw.standard_normal((people, FRAMES - 1, 48)).astype(np.float32),
        "track_mask": mask,
    }


def write(path: Path, people: int = 2) -> Path:
    """Write the file, with a key of somebody else's."""
    np.savez(path, **world(people), somebody_elses=np.arange(3))
    return path
