"""Orders of 3D joints, and where a body has them.

    h36m17      pelvis, right leg, left leg, spine, thorax, nose, top of the head, left arm, right arm
    metrabs17   the same, the pelvis last
    mupots17    top of the head, neck, right arm, left arm, right leg, left leg, spine, head, pelvis (MPI-INF-3DHP's 17)
    coco17, smpl24 and the other sets of a body are its own

A joint that two data sets call by one name lies centimetres apart in them, and in a body's skeleton elsewhere again
(hips above all): `definition_sigma_m` has that part of the error, which no network's accuracy lowers.

Source: H36M-17: facebookresearch/VideoPose3D@11e90ad929 `common/h36m_dataset.py` (32 joints reduced to 17),
Walter0807/MotionBERT@c5db08c5ff `lib/utils/vismo.py`; MuPoTS: isarandi/metrabs@d658137f04 `src/data/mupots.py`.
"""

from functools import lru_cache

import torch
from torch import Tensor

from refine.body import KeypointSet, SkinnedBody
from refine.errors import InputError

H36M17 = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "thorax",
    "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
MUPOTS17 = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "head", "pelvis",
)  # fmt: skip
ORDERS = {"h36m17": H36M17, "mupots17": MUPOTS17, "metrabs17": (*H36M17[1:], "pelvis")}
"""Those that are not a body's own keypoint sets."""
OF_JOINTS = {
    "pelvis": ("left_hip", "right_hip"), "spine": ("spine2",), "thorax": ("left_shoulder", "right_shoulder", "neck"),
    "neck": ("neck",), "head": ("head",),
}  # fmt: skip
"""Points that are means of other joints than those of their names."""
DEFINITION_M = {
    "hip": 0.03, "pelvis": 0.02, "spine": 0.04, "thorax": 0.03, "neck": 0.03, "nose": 0.02, "head": 0.04,
    "head_top": 0.03, "shoulder": 0.025,
}  # fmt: skip
"""Standard deviation per axis of a joint's place in one data set's definition around another's, m: a judgement, by
the spread of SMPL's own joints around those that regressors of H36M's and LSP's points find on its surface."""
LIMB_DEFINITION_M = 0.015
"""The same of knees, ankles, elbows and wrists, whose place anatomy fixes."""
TOP_GRID_M = 1e-4
"""Vertices at the top of the head that differ by less are alike: the one nearest to the middle is taken."""


def point_set(body: SkinnedBody, order: str) -> KeypointSet:
    """Return the points of a body in an order of 3D joints.

    Args:
        body: The model.
        order: "h36m17", "mupots17", or one of the body's own keypoint sets ("coco17", "smpl24", ...).

    Raises:
        InputError: There is no such order, or the body lacks a joint.
    """
    if order in body.keypoint_sets:
        return body.keypoint_sets[order]
    if order not in ORDERS:
        known = sorted({*ORDERS, *body.keypoint_sets})
        raise InputError("order", f"one of {', '.join(known)}", repr(order))
    return _built(body, order)


@lru_cache(maxsize=8)
def _built(body: SkinnedBody, order: str) -> KeypointSet:
    names = ORDERS[order]
    weights = body.template.new_zeros(len(names), len(body.joint_names))
    triangle = torch.zeros(len(names), dtype=torch.long, device=weights.device)
    barycentric = weights.new_zeros(len(names), 3)
    face = body.keypoint_sets.get("coco17")
    for place, name in enumerate(names):
        joints = OF_JOINTS.get(name, (name,))
        if name == "head_top":
            triangle[place], barycentric[place] = _top(body)
        elif name == "nose":
            if face is None:
                raise InputError("body", "one with a nose (keypoint set coco17)", body.name)
            own = face.names.index("nose")
            weights[place] = face.joint_weights[own]
            triangle[place], barycentric[place] = face.triangle[own], face.barycentric[own]
        elif missing := [joint for joint in joints if joint not in body.joint_names]:
            raise InputError("body", f"one with the joint {missing[0]}", body.name)
        else:
            for joint in joints:
                weights[place, body.joint_names.index(joint)] = 1 / len(joints)
    return KeypointSet(names, weights, triangle, barycentric)


def _top(body: SkinnedBody) -> tuple[int, Tensor]:
    """Return the triangle of the top of the head at rest, and its weights (3,): all on that vertex."""
    height, aside = body.template[:, 1], body.template[:, 0].abs()
    high = (height >= height.amax() - TOP_GRID_M).nonzero()[:, 0]
    vertex = int(high[aside[high].argmin()])
    corner = (body.faces == vertex).nonzero()[0]
    return int(corner[0]), torch.nn.functional.one_hot(corner[1], 3).to(body.template)


def definition_sigma_m(names: tuple[str, ...]) -> Tensor:
    """Return how far (K,) m per axis the body's points may lie from the joints that others call so.

    Args:
        names: K of an order.
    """

    def own(name: str) -> float:
        plain = name.removeprefix("left_").removeprefix("right_")
        plain = "spine" if plain.startswith("spine") else plain
        return DEFINITION_M.get(plain, LIMB_DEFINITION_M)

    return torch.tensor([own(name) for name in names])
