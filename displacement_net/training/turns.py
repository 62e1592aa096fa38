"""Whom a photo's estimates are of, in turn, and which of their limbs move or hold something."""

import numpy as np
from jaxtyping import Float, Int

from displacement_net.training.camera_noise import Limb

LIMBS = (("elbow", "wrist"), ("knee", "ankle"))
"""What may move, from one joint to the next."""
IN_TURN, IN_SIGHT = 0.7, (0.15, 0.85)
"""Share of a photo's further estimates that are of somebody else in it, if there is one whose pelvis lies well inside
the crop (of its sides)."""


def in_turn(
    photo: Int[np.ndarray, "B"],
    table: Int[np.ndarray, "P K"],
    pelvis: Float[np.ndarray, "A 2"],
    rng: np.random.Generator,
) -> Int[np.ndarray, "B"]:
    """Return who is estimated in each sample (B,): a photo's first person first, then now and then one of the others.

    Args:
        photo: (B,) photos; the first time a photo comes its first person is meant.
        table: (P, K) who is in each photo, -1 for nobody.
        pelvis: (A, 2) where they are in the crop, of its sides.
        rng: Draws.
    """
    low, high = IN_SIGHT
    central = np.asarray(((pelvis > low) & (pelvis < high)).all(1))
    can = (table >= 0) & central[table]
    can[:, 0] = False
    lot = np.where(can[photo], rng.random((len(photo), table.shape[1])), -1.0)
    other = lot.argmax(1)
    turn = can[photo].any(1) & (rng.random(len(photo)) < IN_TURN) & (np.arange(len(photo)) >= len(table))
    return np.where(turn, table[photo, other], table[photo, 0])


def hands(
    names: tuple[str, ...], joints: Float[np.ndarray, "B J 2"], size: int
) -> tuple[Float[np.ndarray, "B 2 2"], Float[np.ndarray, "B"]]:
    """Return where wrists are and how long the left forearm looks, in sides of the crop.

    Args:
        names: Of the J joints.
        joints: (B, J, 2) px.
        size: Side of the crop, px.
    """
    wrists, elbows = ([names.index(f"{side}_{name}") for side in ("left", "right")] for name in ("wrist", "elbow"))
    length = np.linalg.norm(joints[:, wrists[0]] - joints[:, elbows[0]], axis=1)
    return joints[:, wrists] / size, np.asarray(length / size)


def moving_limb(names: tuple[str, ...], joints: Float[np.ndarray, "B J 2"], rng: np.random.Generator) -> Limb:
    """Draw a forearm or shank of each person.

    Args:
        names: Of the J joints.
        joints: (B, J, 2) px.
        rng: Draws.
    """
    pairs = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in LIMBS]
    ends = np.array([[names.index(name) for name in pair] for pair in pairs])
    which, row = ends[rng.integers(len(ends), size=len(joints))], np.arange(len(joints))
    near, far = joints[row, which[:, 0]], joints[row, which[:, 1]]
    along = far - near
    reach = 0.7 * np.linalg.norm(along, axis=1)
    return Limb(near + 0.8 * along, np.asarray(reach), np.arctan2(along[:, 1], along[:, 0]))
