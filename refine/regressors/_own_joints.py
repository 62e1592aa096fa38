"""A model's own joints from regressors' lists that hold some of them: OpenPose's BODY_25 order, SPIN's 49, HMR2's 44, SMPL-X's 137.

    neck from pelvis:   X12 - X0 = Σ G_parent k o + r,   o mean rest offsets, k the person's size, G global rotations; each of four bones takes r/4
    others:             X_j = X_parent + G_parent k o_j

What the list holds is kept to the bit; spine, collars, feet (and in SMPL's lists head and hands) are put where the pose and the mean body have
them, a centimetre or two from where they are. k is the ratio of the limbs' lengths.

Source: shubham-goel/4D-Humans@6ec79656a2 `hmr2/models/smpl_wrapper.py` (smpl_to_openpose: BODY_25's first fifteen are SMPL's joints but for the
nose); saidwivedi/POCO@657ad34138 `pocolib/core/constants.py` lines 73-81 (the same of SPIN's 49); MotrixLab/SMPLest-X@fdebd887a3
`human_models/human_models.py` lines 80-82 (joint_idx). Mean offsets: read off stored SMPL joints, rounded to millimetres.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from refine.formats._carry import global_rotations
from refine.source_pose import PARENTS

BODY25 = {12: 1, 17: 2, 19: 3, 21: 4, 16: 5, 18: 6, 20: 7, 0: 8, 2: 9, 5: 10, 8: 11, 1: 12, 4: 13, 7: 14}
"""Place in a list that starts with OpenPose's BODY_25, by SMPL's joint."""

_SMPLX_LIST = (
    *(0, 1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21, 60, 61, 62, 63, 64, 65, 59, 58, 57, 56, 55),
    *(37, 38, 39, 66, 25, 26, 27, 67, 28, 29, 30, 68, 34, 35, 36, 69, 31, 32, 33, 70),
    *(52, 53, 54, 71, 40, 41, 42, 72, 43, 44, 45, 73, 49, 50, 51, 74, 46, 47, 48, 75),
    *(22, 15),
)
"""Indices into the layer's output of the first 67 of the 137; the other 70 are points of the face."""

SMPLX137 = {own: place for place, own in enumerate(_SMPLX_LIST) if own < 55} | {23: 22, 24: 23}
"""Place in the 137 joints of Hand4Whole's descendants (OSX, SMPLer-X, SMPLest-X), by SMPL-X's joint; the pupils stand for the eyes."""

OFFSETS_M = (
    (0.0, 0.0, 0.0), (0.060, -0.085, -0.016), (-0.060, -0.085, -0.016), (0.0, 0.125, -0.038), (0.043, -0.386, 0.0), (-0.043, -0.386, 0.0),
    (0.0, 0.138, 0.027), (-0.017, -0.424, -0.036), (0.017, -0.424, -0.036), (0.0, 0.056, 0.003), (0.038, -0.062, 0.126), (-0.038, -0.062, 0.126),
    (-0.010, 0.212, -0.034), (0.078, 0.114, -0.022), (-0.078, 0.114, -0.022), (0.010, 0.089, 0.050), (0.118, 0.046, -0.014),
    (-0.118, 0.046, -0.014), (0.258, -0.016, -0.027), (-0.258, -0.016, -0.027), (0.267, 0.010, -0.006), (-0.267, 0.010, -0.006),
    (0.085, -0.010, -0.015), (-0.085, -0.010, -0.015),
)  # fmt: skip
"""Rest offset of each of SMPL's joints from its parent, m: x left, y up, z front."""

LIMBS = (4, 5, 7, 8, 18, 19, 20, 21)
"""Knees, ankles, elbows and wrists: the bones above them are in every list and tell the person's size."""

SPINE = (3, 6, 9, 12)
"""From the pelvis to the neck."""


def own_joints(
    listed: Float[Tensor, "B L 3"], places: Mapping[int, int], pose: Float[Tensor, "B J 3 3"], model: str = "smpl"
) -> Float[Tensor, "B K 3"]:
    """Return the model's own joints, 24 of SMPL or 55 of SMPL-X.

    Args:
        listed: (B, L, 3) m, the regressor's list, any frame.
        places: `BODY25` or `SMPLX137`.
        pose: (B, J, 3, 3) local rotations, the first 22 being the body's.
        model: "smpl" or "smplx".

    Returns:
        (B, K, 3) m, the list's frame.
    """
    parents = PARENTS[model]
    turned = global_rotations(pose, PARENTS["smpl"][:22])
    offset = listed.new_tensor(OFFSETS_M)
    unknown = listed.new_full(listed[:, 0].shape, torch.nan)
    own = [listed[:, places[joint]] if joint in places else unknown for joint in range(len(parents))]
    length = torch.stack([(own[joint] - own[parents[joint]]).norm(dim=1) for joint in LIMBS], 1).sum(1)
    size = length / offset[list(LIMBS)].norm(dim=1).sum()  # (B,)

    def bone(joint: int) -> Tensor:
        return size[:, None] * (turned[:, parents[joint]] @ offset[joint])

    left = (own[12] - own[0] - torch.stack([bone(joint) for joint in SPINE]).sum(0)) / len(SPINE)
    for joint in range(len(parents)):
        if joint not in places:
            own[joint] = own[parents[joint]] + bone(joint) + (left if joint in SPINE else torch.zeros_like(left))
    return torch.stack(own, 1)
