"""A model's own joints from lists that hold some of them (BODY_25, SPIN's 49, ...) or none (Human3.6M's 17).

    neck from pelvis:   X12 - X0 = Σ G_parent k o + r,   each of the four bones takes r/4
    others:             X_j = X_parent + G_parent k o_j
    none listed:        X_j = k P_j + t,   k and t fitted to what is listed

with o the mean rest offsets, G global rotations, k the person's size and P a mean body's joints in the pose.

What the list holds is kept to the bit; spine, collars, feet (and in SMPL's lists head and hands) are put where the pose
and the mean body have them, a centimetre or two from where they are. k is the ratio of the limbs' lengths.

Source: derived here; orders and mean offsets: `refine/transfer/joint_orders.py`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.smpl_joints import PARENTS
from refine.transfer.joint_orders import OWN, posed_points

LIMBS = (4, 5, 7, 8, 18, 19, 20, 21)
"""Knees, ankles, elbows and wrists: those of the bones above them that are listed tell the person's size."""

SPINE = (3, 6, 9, 12)
"""From the pelvis to the neck."""

ROOTS = (0, 12)
"""Pelvis and neck; a list without them holds other points of that kind, and no joint is taken from it as it is."""


def own_joints(
    listed: Float[Tensor, "B L 3"], names: Sequence[str], pose: Float[Tensor, "B J 3 3"], model: str
) -> Float[Tensor, "B K 3"]:
    """Return the model's own joints, 24 of SMPL, 52 of SMPL-H, 55 of SMPL-X.

    Args:
        listed: (B, L, 3) m, the regressor's list, any frame.
        names: What it lists.
        pose: (B, J, 3, 3) local rotations in the model's order.
        model: "smpl", "smplh", "smplx" or "anny".

    Returns:
        (B, K, 3) m, the list's frame.
    """
    known, predicted = posed_points(pose, model)
    count = len(OWN[model])
    parents = PARENTS["smplx" if model == "anny" else model]
    places = {known.index(name): place for place, name in reversed(list(enumerate(names))) if name in known[:count]}
    limbs = [joint for joint in LIMBS if {joint, parents[joint]} <= set(places)]
    if not {*ROOTS, *LIMBS} <= set(places) or not limbs:
        return _fitted(listed, names, known, predicted)[:, :count]
    bones = predicted[:, :count] - predicted[:, [max(parent, 0) for parent in parents]]  # (B, K, 3), turned
    unknown = listed.new_full(listed[:, 0].shape, torch.nan)
    own = [listed[:, places[joint]] if joint in places else unknown for joint in range(count)]
    length = torch.stack([(own[joint] - own[parents[joint]]).norm(dim=1) for joint in limbs], 1).sum(1)
    size = (length / bones[:, limbs].norm(dim=2).sum(1))[:, None]  # (B, 1)
    left = (own[12] - own[0] - size * bones[:, list(SPINE)].sum(1)) / len(SPINE)
    for joint in range(count):
        if joint not in places:
            step = size * bones[:, joint] + (left if joint in SPINE else torch.zeros_like(left))
            own[joint] = own[parents[joint]] + step
    return torch.stack(own, 1)


def _fitted(listed: Tensor, names: Sequence[str], known: Sequence[str], predicted: Tensor) -> Tensor:
    """Return the predicted points where size and translation put them onto the listed ones."""
    places = [place for place, name in enumerate(names) if name in known]
    chosen = predicted[:, [known.index(names[place]) for place in places]]
    x, p = (part - part.mean(1, keepdim=True) for part in (listed[:, places], chosen))
    size = ((x * p).sum((1, 2)) / (p * p).sum((1, 2)))[:, None, None]
    return size * (predicted - chosen.mean(1, keepdim=True)) + listed[:, places].mean(1, keepdim=True)
