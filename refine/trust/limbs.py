"""Limbs of a body (`refine.body.anatomy`), each accepted or put back by itself."""

from dataclasses import replace

import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.state import State, Unknowns


def free_limbs(body: SkinnedBody, unknowns: Unknowns) -> dict[str, list[int]]:
    """Return the free joints of every limb, in the order in which the limbs' first free joints come.

    Args:
        body: The model.
        unknowns: The columns.

    Returns:
        Indices of joints by the limb's name; a limb without a free joint is left out.
    """
    limb_of = {joint: limb for limb, joints in body.anatomy.limbs.items() for joint in joints}
    found: dict[str, list[int]] = {}
    for joint in unknowns.joints:
        if joint in limb_of:
            found.setdefault(limb_of[joint], []).append(joint)
    return found


def put_back(state: State, start: State, joints: list[int], rows: Tensor) -> State:
    """Return the state with the rotations of some joints of some bodies put back.

    Args:
        state: B bodies.
        start: The same bodies before.
        joints: Indices.
        rows: (B,) true where they are put back.
    """
    chosen = torch.zeros(state.bodies.pose.shape[1], dtype=torch.bool, device=rows.device)
    chosen[joints] = True
    take = (rows[:, None] & chosen)[..., None, None]
    bodies = replace(state.bodies, pose=torch.where(take, start.bodies.pose, state.bodies.pose))
    return replace(state, bodies=bodies)
