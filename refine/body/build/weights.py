"""Skinning weights of the 55 joints, at most eight a vertex, and the body part of each vertex.

    w'_vj = sum of w_vb over the bones b that joint j replaces,   then the eight largest, scaled to sum 1

Source: the weights are those of MakeHuman's default rig.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.build.skeleton import JOINT_NAMES

INFLUENCES = 8
"""Most joints that move one vertex."""
TIE = 1e-6
"""Weights that differ by less are equal; MakeHuman writes five decimals."""

PARTS = (
    "pelvis", "abdomen", "chest", "neck", "head", "left_shoulder", "left_upper_arm", "left_forearm", "left_hand",
    "left_fingers", "left_thigh", "left_calf", "left_foot", "left_toes", "right_shoulder", "right_upper_arm",
    "right_forearm", "right_hand", "right_fingers", "right_thigh", "right_calf", "right_foot", "right_toes",
    "left_eye", "right_eye",
)  # fmt: skip
"""Names of the body parts; a vertex belongs to the part of its strongest joint."""

PART_OF = {
    "pelvis": "pelvis", "spine1": "abdomen", "spine2": "abdomen", "spine3": "chest", "neck": "neck", "head": "head",
    "jaw": "head", "collar": "shoulder", "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh",
    "knee": "calf", "ankle": "foot", "foot": "toes", "eye_smplhf": "eye",
}  # fmt: skip
"""Joint (without its side): body part; finger joints belong to the fingers."""


def strongest(weights: Float[Tensor, "V 55"]) -> tuple[Int[Tensor, "V K"], Float[Tensor, "V K"]]:
    """Keep the largest weights of each vertex.

    Args:
        weights: (V, 55).

    Returns:
        joints (V, K) and values (V, K), largest first; each row of values sums to 1; unused slots are joint 0, weight
        0.
    """
    # Of equal weights the first joint comes first, whatever the rounding of their sums.
    joints = by_size(weights)[:, :INFLUENCES]
    values = weights.gather(1, joints)
    joints = torch.where(values > 0, joints, 0)
    return joints, values / values.sum(1, keepdim=True)


def vertex_parts(weights: Float[Tensor, "V 55"]) -> Int[Tensor, "V"]:
    """Return the index (V,) into `PARTS` of each vertex.

    Args:
        weights: (V, 55).
    """
    parts = []
    for name in JOINT_NAMES:
        side, _, rest = name.partition("_")
        sided = side in ("left", "right")
        part = PART_OF.get(rest if sided else name, "fingers")
        parts.append(PARTS.index(f"{side}_{part}" if sided else part))
    return torch.tensor(parts)[by_size(weights)[:, 0]]


def by_size(weights: Float[Tensor, "V 55"]) -> Int[Tensor, "V 55"]:
    """Return the joints (V, 55) of each vertex by weight, the largest first; of equal ones (`TIE`) in their order."""
    return (weights / TIE).round().sort(dim=1, descending=True, stable=True).indices
