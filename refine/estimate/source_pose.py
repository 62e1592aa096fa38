"""What SMPL-family sources have in common: joint orders, the pelvis, and copying a pose from one order into another.

    SMPL      pelvis, 21 body joints, 2 hands                                   24
    SMPL-H    pelvis, 21 body joints, 15 + 15 finger joints                     52
    SMPL-X    pelvis, 21 body joints, jaw, 2 eyes, 15 + 15 finger joints        55, the built-in body's order too

The pelvis lies at rest pelvis + `transl`; `transl` alone therefore places no other model.

Source: Loper et al., SMPL, 2015; Romero et al., Embodied Hands, 2017; Pavlakos et al., Expressive Body Capture, 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate.estimate import Source
from refine.state import BODY_JOINTS

FIRST_HAND_JOINT = {24: 22, 52: 22, 55: 25}
"""Index of the first left-hand joint by the number of joints: SMPL (one joint a hand), SMPL-H, SMPL-X and built-in."""

_BODY = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def _hands(first: int) -> tuple[int, ...]:
    """Return the parents of five fingers of three joints at each wrist, the first finger joint having index `first`."""
    return tuple((20 + n // 15) if n % 3 == 0 else first + n - 1 for n in range(30))


PARENTS = {"smpl": (*_BODY, 20, 21), "smplh": _BODY + _hands(22), "smplx": (*_BODY, 15, 15, 15, *_hands(25))}
"""The trees (`kintree_table` of the official files)."""

REST_PELVIS_M = {
    "smpl": (-0.0018, -0.2233, 0.0282),
    "smplh": (-0.0018, -0.2233, 0.0282),
    "smplx": (0.0031, -0.3514, 0.0120),
}
"""Pelvis of the mean neutral body at rest (m), used where a source stores no joints. SMPL's is printed in many repositories
(e.g. VIBE, SPIN: root of the mean body); betas move it by a centimetre or two, which is the error made."""


def joint_slices(model: str) -> dict[str, slice]:
    """Return where each named part of a pose stands in a model's joint order.

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


def rest_pelvis(source: Source) -> Float[Tensor, "B 3"]:
    """Return where the source's own model has its pelvis at rest, so that its pelvis lies at rest pelvis + translation.

    Stored pelvis minus `transl` where both are known, the mean body's otherwise (`REST_PELVIS_M`).

    Args:
        source: The regressor's words.

    Returns:
        (B, 3) m, the model's own frame.
    """
    if source.joints is not None and source.translation is not None:
        return source.joints[:, 0] - source.translation
    mean = source.pose.new_tensor(REST_PELVIS_M.get(source.model, REST_PELVIS_M["smpl"])).expand(len(source), 3)
    found = source.found  # what the words' writer knew of the source's pelvis
    return mean if found is None else torch.where(found.valid[:, None], found.pelvis - found.transl, mean)


def source_pelvis(source: Source) -> Float[Tensor, "B 3"]:
    """Return the source's pelvis (B, 3) m in the camera frame: the stored joint, else translation plus rest pelvis."""
    if source.joints is not None:
        return source.joints[:, 0]
    if source.translation is None:
        raise InputError(
            str(source.path or "init"),
            "a translation or joints",
            "neither",
            "Store `transl`, or `joints` in the camera frame.",
        )
    return source.translation + rest_pelvis(source)


def copy_pose(pose: Float[Tensor, "B J 3 3"], into: Float[Tensor, "B K 3 3"]) -> Float[Tensor, "B K 3 3"]:
    """Copy local rotations from one joint order into another.

    Args:
        pose: (B, J, 3, 3) rotations to copy, J = 24 (SMPL), 52 (SMPL-H) or 55 (SMPL-X, built-in).
        into: (B, K, 3, 3) rotations of the other order; what `pose` has no word for stays (SMPL's two hand joints are
            SMPL's alone, jaw and eyes SMPL-X's).

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
