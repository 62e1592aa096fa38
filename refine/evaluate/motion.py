"""Poses of synthetic people: recorded ones mirrored, recombined and widened, and made ones that sit, squat and lie.

    pose = mirror?( legs of frame a, trunk and arms of frame b )  exp(width n_j)

The recorded root keeps its tilt (hanging, bending) and loses its heading, which is drawn.

Source: CMU Graphics Lab Motion Capture Database: "The data used in this project was obtained from mocap.cs.cmu.edu. The
database was created with funding from NSF EIA-0196217." Fingers, sitting and lying are made up: the recordings have
none.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.anatomy import mirror_images
from refine.body.keypoint_names import SMPL22
from refine.errors import InputError
from refine.geometry import rotation

RECORDED = 22
"""Joints of a recording: SMPL's without hands."""
LEGS = np.array((1, 2, 4, 5, 7, 8, 10, 11))
"""Joints of the legs, among SMPL's 22."""
FEET = LEGS[4:]
"""Ankles and feet."""
SIDES = mirror_images(SMPL22)
"""The joint on the other side, among SMPL's 22."""
RECOMBINED, SITTING, LYING, STANDING = 0.35, 0.2, 0.05, 0.28
"""Shares: legs and arms of different frames, people who sit, who lie, who stand upright with arms as drawn."""
WIDTH_RAD = 0.10
"""Standard deviation per axis of what is added to every recorded rotation, rad."""
STRIDE = 3
"""Every third frame is kept: neighbours at 12 a second are alike."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recorded poses: `pose` (F, 22, 3) rad, root included (x left, y up, z front), `sequence` (F,) recordings."""

    pose: np.ndarray
    sequence: np.ndarray


def load_recordings(path: Path) -> Recordings:
    """Read recorded poses.

    Args:
        path: An npz with `pose (F, 22, 3)` and `sequence (F,)`.

    Raises:
        InputError: The file is missing, or holds something else.
    """
    try:
        with np.load(path) as stored:
            pose, sequence = stored["pose"], stored["sequence"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError("assets", f"poses in {path.name} with pose and sequence", str(error)) from error
    if pose.ndim != 3 or pose.shape[1:] != (RECORDED, 3) or len(pose) != len(sequence) or not len(pose):
        raise InputError("assets", f"{path.name} with pose (F, {RECORDED}, 3)", f"shape {pose.shape}")
    return Recordings(pose[::STRIDE].astype(np.float64), sequence[::STRIDE])


def shipped_recordings() -> Recordings:
    """Return the 64 poses that ship with the library, for those who have no assets."""
    from refine.evaluate.people import poses

    recorded = poses().double().numpy()
    return Recordings(recorded, np.arange(len(recorded)))


def draw_poses(
    recordings: Recordings, joint_names: tuple[str, ...], count: int, rng: np.random.Generator
) -> Float[Tensor, "B J 3 3"]:
    """Draw poses of people in a level frame (x left, y up, z front), each facing any way.

    Args:
        recordings: What to draw from.
        joint_names: J names; the first 22 are SMPL's.
        count: B.
        rng: Draws everything.

    Returns:
        (B, J, 3, 3) local rotations, float64 on the CPU.
    """
    frames = recordings.pose
    pose = frames[rng.integers(len(frames), size=count)].copy()
    other = frames[rng.integers(len(frames), size=count)]
    recombined = rng.random(count) < RECOMBINED
    rows = np.flatnonzero(recombined)[:, None]
    pose[rows, LEGS] = other[rows, LEGS]
    kind = rng.random(count)
    _stand(pose, (kind > 1 - STANDING), rng)
    _sit(pose, kind < SITTING, rng)
    lying = (kind >= SITTING) & (kind < SITTING + LYING)
    mirrored = rng.random(count) < 0.5
    pose[mirrored] = pose[mirrored][:, SIDES] * (1.0, -1.0, -1.0)
    local = np.zeros((count, len(joint_names), 3))
    local[:, :RECORDED] = pose
    local[:, 1:RECORDED] += WIDTH_RAD * rng.standard_normal((count, RECORDED - 1, 3))
    _fingers(local, joint_names, rng)
    turned = rotation.exp(torch.from_numpy(local))
    root = _without_heading(turned[:, 0])
    lie = np.zeros((count, 3))
    lie[lying, 0] = rng.choice((-1.0, 1.0), lying.sum()) * rng.uniform(1.3, 1.7, lying.sum())
    upright = np.where(lying[:, None], 0.1 * rng.standard_normal((count, 3)), 0.0)
    root = torch.where(torch.from_numpy(lying)[:, None, None], rotation.exp(torch.from_numpy(upright)), root)
    # Most photos show people from the front or a little from the side; every direction is there.
    heading = np.where(rng.random(count) < 0.6, 0.8 * rng.standard_normal(count), rng.uniform(-np.pi, np.pi, count))
    turned[:, 0] = _about_y(heading) @ rotation.exp(torch.from_numpy(lie)) @ root
    return turned


def _stand(pose: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> None:
    """Let some people stand on straight legs, arms at their sides or on hips; `pose` is changed."""
    count = int(chosen.sum())
    pose[np.flatnonzero(chosen)[:, None], LEGS] = 0.08 * rng.standard_normal((count, len(LEGS), 3))
    pose[chosen, 0] = 0.06 * rng.standard_normal((count, 3))
    for shoulder, elbow, sign in ((16, 18, 1.0), (17, 19, -1.0)):
        down, fold = rng.uniform(0.5, 1.4, count), rng.gamma(1.2, 0.35, count).clip(0, 2.2)
        pose[chosen, shoulder] = np.stack(
            (0.2 * rng.standard_normal(count), 0.25 * rng.standard_normal(count), -sign * down), 1
        )
        pose[chosen, elbow] = np.stack((0.1 * rng.standard_normal(count), -sign * fold, 0 * fold), 1)


def _sit(pose: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> None:
    """Bend hips and knees of some people as on a chair, a floor or in a squat; `pose` is changed."""
    count = int(chosen.sum())
    bend, knee = rng.normal(-1.5, 0.3, count), rng.normal(1.5, 0.4, count).clip(0, 2.4)
    for hip, knee_joint, sign in ((1, 4, 1.0), (2, 5, -1.0)):
        spread = np.abs(0.25 * rng.standard_normal(count))
        pose[chosen, hip] = np.stack(
            (bend + 0.15 * rng.standard_normal(count), sign * spread, sign * 0.2 * rng.standard_normal(count)), 1
        )
        pose[chosen, knee_joint] = np.stack((knee + 0.2 * rng.standard_normal(count), 0 * knee, 0 * knee), 1)
    pose[chosen, 0] = np.stack((rng.normal(0.1, 0.2, count), 0 * bend, 0.05 * rng.standard_normal(count)), 1)
    pose[np.flatnonzero(chosen)[:, None], FEET] *= 0.3


def _fingers(local: np.ndarray, joint_names: tuple[str, ...], rng: np.random.Generator) -> None:
    """Bend fingers: between flat and a fist, each hand as one with a little for each finger; `local` is changed."""
    for side, sign in (("left", -1.0), ("right", 1.0)):
        fist = rng.beta(1.2, 2.5, len(local))
        for joint, name in enumerate(joint_names):
            if name.startswith(side) and name[-1] in "123" and name.split("_")[1][:-1] in _FINGERS:
                local[:, joint, 2] = sign * (1.5 * fist + 0.12 * rng.standard_normal(len(local)))
            elif name.startswith(f"{side}_thumb"):
                local[:, joint] = 0.15 * rng.standard_normal((len(local), 3))


_FINGERS = ("index", "middle", "ring", "pinky")


def _without_heading(root: Tensor) -> Tensor:
    """Turn roots (B, 3, 3) about the vertical until they face front: what stays is tilt."""
    heading = torch.atan2(root[:, 0, 2], root[:, 2, 2])
    return _about_y(-heading.numpy()) @ root


def _about_y(angle: np.ndarray) -> Tensor:
    """Return rotations (B, 3, 3) about the vertical."""
    zero = np.zeros_like(angle)
    return rotation.exp(torch.from_numpy(np.stack((zero, angle, zero), -1)))
