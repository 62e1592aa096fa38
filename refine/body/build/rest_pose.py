"""Poses bodies from Anny's rest (arms down, feet apart) to SMPL's T pose, by Anny's own skinning weights.

    pivot_c' = pivot_j' + G_j (pivot_c - pivot_j)      joint_c' = pivot_j' + G_j (joint_c - pivot_j)      c a child of j
    G_j: the least turn from G_parent for which joint_c' - joint_j' points as SMPL's bone does, root first
    v' = sum_j w_j (G_j (v - pivot_j) + pivot_j')

A pivot is the centre of a bone's rotation in Anny, a joint that in the 55-joint body (`skeleton.POINTS`).

Every body is turned by its own rotations, so the directions of its bones do not depend on its shape.

Source: linear blend skinning: Loper et al., SMPL, ACM TOG 34(6), 2015, eq. 2-4.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.build.anny_source import AnnySource, RestBodies
from refine.body.build.skeleton import JOINT_NAMES, MAKEHUMAN_FINGER, PARENTS, anchors, joint_points, mirrored, owners
from refine.geometry.rotation import exp

DIRECTIONS: dict[str, tuple[str, tuple[float, float, float]]] = {
    "spine1": ("neck", (0.0, 0.420, -0.0065)),
    "neck": ("head", (0.0, 0.075, 0.053)),
    "left_hip": ("left_knee", (0.041, -0.388, -0.002)),
    "left_knee": ("left_ankle", (-0.017, -0.420, -0.040)),
    "left_ankle": ("left_foot", (0.034, -0.058, 0.125)),
    "left_collar": ("left_shoulder", (0.106, 0.037, -0.010)),
    "left_shoulder": ("left_elbow", (0.263, -0.015, -0.026)),
    "left_elbow": ("left_wrist", (0.264, 0.009, -0.005)),
    "left_wrist": ("left_middle1", (1.0, 0.0, 0.0)),
    **{
        f"left_{f}{n}": (f"left_{f}{n + 1}" if n < 3 else "", (1.0, 0.0, 0.0))
        for f in ("index", "middle", "ring", "pinky")
        for n in (1, 2, 3)
    },
    **{f"left_thumb{n}": (f"left_thumb{n + 1}" if n < 3 else "", (0.7, 0.0, 0.7)) for n in (1, 2, 3)},
}
"""Joint: the joint its bone ends at ("" for the tip of the finger) and the bone's direction (x left, y up, z front).
Body: SMPL's rest offsets, means of left and right over three stored results (in m; only the direction is used).
Hands: fingers along the arm, the thumb 45 degrees forward in the plane of the palm, the knuckle line level: our choice,
after SMPL-X's flat hand."""

UPRIGHT = ("head",)
"""Joints whose bones keep their direction in Anny's rest, in which the face looks straight ahead."""


ROUNDS = 8
"""Iterations of a bone's rotation: joint and pivot lie apart by up to 0.1 of the bone, so each gains a digit."""


@dataclass(frozen=True, eq=False)
class TPosed:
    """B bodies in the T pose, the pelvis at the origin.

    Attributes:
        vertices: (B, V, 3) m.
        joints: (B, 55, 3) m.
        turned: (B, 55, 3, 3) rotation of each joint's bones from Anny's rest.
    """

    vertices: Float[Tensor, "B V 3"]
    joints: Float[Tensor, "B J 3"]
    turned: Float[Tensor, "B J 3 3"]


def shortest(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the smallest rotation (..., 3, 3) that turns direction `start` (..., 3) to `end` (..., 3)."""
    start, end = torch.nn.functional.normalize(start, dim=-1), torch.nn.functional.normalize(end, dim=-1)
    axis = torch.linalg.cross(start, end)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return exp(axis / sine.clamp_min(1e-12) * angle)


def t_pose(source: AnnySource, rest: RestBodies) -> TPosed:
    """Pose bodies as SMPL's rest pose.

    Args:
        source: The bones and weights of the bodies.
        rest: B bodies at Anny's rest.

    Returns:
        The bodies in the T pose, and how each joint's bones turned.
    """
    joints = _centred(torch.einsum("jn,bnc->bjc", joint_points(source.bones), rest.heads))  # (B, 55, 3)
    pivots = _centred(rest.heads[:, anchors(source.bones)])  # (B, 55, 3) m, where Anny turns the joint's bones
    turns: list[Tensor] = []
    placed, moved = [torch.zeros_like(joints[:, 0])], [pivots[:, 0] - joints[:, 0]]  # joints and pivots in the T pose
    for joint, parent in enumerate(PARENTS):
        if joint:
            placed.append(moved[parent] + _apply(turns[parent], joints[:, joint] - pivots[:, parent]))
            moved.append(moved[parent] + _apply(turns[parent], pivots[:, joint] - pivots[:, parent]))
        above = turns[parent] if joint else torch.eye(3, dtype=joints.dtype).expand(len(joints), 3, 3)
        turns.append(_turn(source, rest, joints, joint, above, pivots[:, joint], moved[joint] - placed[joint]))
    turned, there, shown = torch.stack(turns, 1), torch.stack(moved, 1), torch.stack(placed, 1)
    shift = there - torch.einsum("bjik,bjk->bji", turned, pivots)
    blended = torch.einsum(
        "vj,bjk->bvk", merged_weights(source), torch.cat((turned.flatten(2), shift), 2)
    )  # (B, V, 12)
    vertices = torch.einsum("bvij,bvj->bvi", blended[..., :9].unflatten(-1, (3, 3)), rest.vertices) + blended[..., 9:]
    return TPosed(vertices, shown, turned)


def _centred(points: Tensor) -> Tensor:
    """Return joints (B, 55, 3) with the middle ones on the middle plane: Anny's neck bones are a millimetre off it."""
    middle = torch.tensor([not name.startswith(("left_", "right_")) for name in JOINT_NAMES])
    return torch.where(middle[:, None] & torch.tensor([True, False, False]), 0.0, points)


def merged_weights(source: AnnySource) -> Float[Tensor, "V 55"]:
    """Return the weights (V, 55): of each joint, the sum of those of the bones it replaces."""
    weights = source.weights.new_zeros(len(source.weights), len(JOINT_NAMES))
    return weights.index_add(1, owners(source.bones, source.parents), source.weights)


def _turn(
    source: AnnySource, rest: RestBodies, joints: Tensor, joint: int, above: Tensor, pivot: Tensor, lever: Tensor
) -> Tensor:
    """Return the rotation (B, 3, 3) of a joint's bones, given their parent's and the vector from joint to pivot."""
    name = JOINT_NAMES[joint]
    if name in UPRIGHT:
        return torch.eye(3, dtype=joints.dtype).expand_as(above)
    right = name.startswith("right_")
    found = DIRECTIONS.get(mirrored(name) if right else name)
    if found is None:
        return above
    child, direction = found
    target = torch.tensor([-direction[0] if right else direction[0], *direction[1:]], dtype=joints.dtype)
    if child:
        end = joints[:, JOINT_NAMES.index(mirrored(child) if right else child)]
    else:
        end = rest.tails[:, source.bones.index(_tip_bone(name))]
    turn = above
    for _ in range(ROUNDS):
        along = lever + _apply(turn, end - pivot)  # from the joint to its child
        turn = shortest(along, target.expand_as(along)) @ turn
        if name.endswith("wrist"):  # roll the hand until the knuckle line is level
            side = name.split("_")[0]
            across = joints[:, JOINT_NAMES.index(f"{side}_index1")] - joints[:, JOINT_NAMES.index(f"{side}_pinky1")]
            level = _apply(turn, across)
            roll = torch.atan2(level[:, 1], level[:, 2])
            turn = exp(torch.stack((roll, torch.zeros_like(roll), torch.zeros_like(roll)), -1)) @ turn
    return turn


def _tip_bone(name: str) -> str:
    """Return Anny's last bone of a finger, whose tail is the finger's tip."""
    side, finger = name.split("_")
    return f"finger{MAKEHUMAN_FINGER[finger[:-1]]}-3.{side[0].upper()}"


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return matrix @ vector over the batch."""
    return (matrix @ vector[..., None])[..., 0]
