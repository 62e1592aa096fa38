"""The branches of a body that can be believed by themselves: arms, legs and head; what is none of them is the trunk.

arm: collar, shoulder, elbow, wrist, fingers      leg: hip, knee, ankle, foot      head: neck, head, jaw, eyes
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from refine.state import State, Unknowns

TRUNK = "trunk"
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "arm": ("collar", "shoulder", "elbow", "wrist", "hand", *FINGERS),
    "leg": ("hip", "knee", "ankle", "foot", "toe"),
    "head": ("neck", "head", "jaw", "eye"),
}


def branch_of(joint_name: str) -> str:
    """Return the branch of a joint: "left arm", "right leg", "head", "trunk", ..."""
    side, _, rest = joint_name.partition("_")
    sided = side in ("left", "right") and bool(rest)
    plain = rest if sided else joint_name
    kind = next((kind for kind, parts in MEMBERS.items() if any(part in plain for part in parts)), TRUNK)
    return f"{side} {kind}" if sided and kind in ("arm", "leg") else kind


def branches(joint_names: tuple[str, ...], unknowns: Unknowns) -> dict[str, list[int]]:
    """Return the free joints of every branch but the trunk.

    Args:
        joint_names: J names.
        unknowns: The columns.

    Returns:
        Indices of joints by the branch's name; a branch without a free joint is left out.
    """
    found: dict[str, list[int]] = {}
    for joint in unknowns.joints:
        name = branch_of(joint_names[joint])
        if name != TRUNK:
            found.setdefault(name, []).append(joint)
    return found


def put_back(state: State, start: State, joints: list[int], rows: Tensor) -> State:
    """Return the state with some joints of some bodies turned as they were.

    Args:
        state: B bodies.
        start: The same bodies as they were.
        joints: Indices.
        rows: (B,) true where they are put back.
    """
    chosen = torch.zeros(state.bodies.pose.shape[1], dtype=torch.bool, device=rows.device)
    chosen[joints] = True
    take = (rows[:, None] & chosen)[..., None, None]
    bodies = replace(state.bodies, pose=torch.where(take, start.bodies.pose, state.bodies.pose))
    return State(bodies, state.camera)
