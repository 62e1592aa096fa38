"""Joint orders of the SMPL family, and the conversion of poses between them.

    SMPL      pelvis, 21 body joints, 2 hands                                   24
    SMPL-H    pelvis, 21 body joints, 15 + 15 finger joints                     52
    SMPL-X    pelvis, 21 body joints, jaw, 2 eyes, 15 + 15 finger joints        55, the built-in body's order too

Source: Loper et al., SMPL, 2015; Romero et al., Embodied Hands, 2017; Pavlakos et al., Expressive Body Capture, 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor

BODY_JOINTS = 22
"""The first 22 joints of SMPL, SMPL-H, SMPL-X and the built-in body are trunk and limbs; hands, jaw and eyes follow."""

FIRST_HAND_JOINT = {24: 22, 52: 22, 55: 25}
"""Index of the first left-hand joint by the number of joints: SMPL (one joint a hand), SMPL-H, SMPL-X and built-in."""

_BODY = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def _hands(first: int) -> tuple[int, ...]:
    """Return the parents of five fingers of three joints at each wrist, the first finger joint having index `first`."""
    return tuple((20 + n // 15) if n % 3 == 0 else first + n - 1 for n in range(30))


PARENTS = {"smpl": (*_BODY, 20, 21), "smplh": _BODY + _hands(22), "smplx": (*_BODY, 15, 15, 15, *_hands(25))}
"""The trees (`kintree_table` of the official files)."""


def joint_slices(model: str) -> dict[str, slice]:
    """Return the positions of each named part of a pose in a model's joint order.

    Args:
        model: "smpl", "smplh" or "smplx".

    Returns:
        Slices into the joints, by the part's public name.
    """
    if model == "smpl":
        return {"global_orient": slice(0, 1), "body_pose": slice(1, 24)}
    parts = {"global_orient": slice(0, 1), "body_pose": slice(1, BODY_JOINTS)}
    if model == "smplh":
        return parts | {"left_hand_pose": slice(22, 37), "right_hand_pose": slice(37, 52)}
    face = {"jaw_pose": slice(22, 23), "leye_pose": slice(23, 24), "reye_pose": slice(24, 25)}
    return parts | face | {"left_hand_pose": slice(25, 40), "right_hand_pose": slice(40, 55)}


def copy_pose(pose: Float[Tensor, "B J 3 3"], into: Float[Tensor, "B K 3 3"]) -> Float[Tensor, "B K 3 3"]:
    """Copy local rotations from one joint order into another.

    Args:
        pose: (B, J, 3, 3) rotations to copy, J = 24 (SMPL), 52 (SMPL-H) or 55 (SMPL-X, built-in).
        into: (B, K, 3, 3) rotations of the other order; joints that `pose` lacks stay (SMPL's two hand joints are only
            SMPL's, jaw and eyes only SMPL-X's).

    Returns:
        (B, K, 3, 3).
    """
    joints, other = pose.shape[1], into.shape[1]
    if joints == other:
        return pose
    copied = torch.cat((pose[:, :BODY_JOINTS], into[:, BODY_JOINTS:]), 1)
    first, start = FIRST_HAND_JOINT[joints], FIRST_HAND_JOINT[other]
    if min(joints, other) > 24:
        copied = torch.cat((copied[:, :start], pose[:, first : first + 30], copied[:, start + 30 :]), 1)
    return copied
