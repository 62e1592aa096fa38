"""Named points in other systems' outputs: MHR's keypoints, and vertices of SMPL-X's mesh.

    joint ≈ middle of the skin on both sides of it (knee, elbow, wrist, ankle);
    hip = Bell's offset from the pelvis' bony points

Vertex numbers are those published beside the models (`refine/body/landmarks_smpl.py` for their licence), and those of
bony landmarks in repositories on marker placement; they agree with each other and with a stored SMPL-X mesh.

Source: MHR-70: facebookresearch/sam-3d-body, `sam_3d_body/metadata/mhr70.py`; SMPL-X vertices: vchoutas/smplx
`vertex_ids.py`, and the markers of SOMA and MoSh++ (nghorbani/soma); hip centre: Bell, Brand and Pedersen, Human
Movement Science 8, 1989 (14 %, 30 %, 19 % of the pelvis' width).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.keypoint_names import MHR70, SMPL22, SMPL24, SMPLH52, SMPLX55
from refine.body.landmarks_smpl import SMPLX_VERTICES

BY_COUNT = {22: SMPL22, 24: SMPL24, 52: SMPLH52, 55: SMPLX55, 70: MHR70}
"""Names of joints by their number."""

SMPLX_MESH = 10475

_TWO_SIDES = {
    "elbow": ((4302, 4369), (7040, 7105)),
    "wrist": ((4848, 4721), (7584, 7457)),
    "knee": ((3640, 3646), (6401, 6407)),
    "ankle": ((5882, 8892), (8576, 8680)),
}
"""Vertices on the outer and inner side of a joint, left and right."""

_PELVIS = {"asis": (5727, 8421), "psis": (5677, 8371)}
"""Front and back points of the pelvis, left and right."""

_ACROMION = (3878, 6629)

BELL = (0.14, 0.30, 0.19)
"""Offset of the hip from each front point, inwards, downwards, backwards, over the distance between them."""

SHOULDER_DROP = 0.2
"""Offset of the shoulder joint below its acromion, over the distance between the acromions."""


def named_joints(joints: Float[Tensor, "B J 3"]) -> dict[str, Float[Tensor, "B 3"]]:
    """Return joints (B, 3) by name; their number J is that of a known set (`BY_COUNT`)."""
    return dict(zip(BY_COUNT[joints.shape[1]], joints.unbind(1), strict=True))


def smplx_points(vertices: Float[Tensor, "B 10475 3"]) -> dict[str, Float[Tensor, "B 3"]]:
    """Return named points (B, 3) m of SMPL-X meshes, joints estimated from the skin around them.

    Args:
        vertices: (B, 10475, 3) m.
    """
    points = {name: vertices[:, vertex] for name, vertex in SMPLX_VERTICES.items() if "pupil" not in name}
    for part, both in _TWO_SIDES.items():
        for side, pair in zip(("left", "right"), both, strict=True):
            points[f"{side}_{part}"] = vertices[:, list(pair)].mean(1)
    front, back = (vertices[:, list(_PELVIS[name])] for name in ("asis", "psis"))  # (B, 2, 3)
    across = front[:, 0] - front[:, 1]  # to the left
    width = across.norm(dim=1, keepdim=True)
    left = across / width
    forward = front.mean(1) - back.mean(1)
    forward = forward - (forward * left).sum(1, keepdim=True) * left
    forward = forward / forward.norm(dim=1, keepdim=True)
    up = torch.linalg.cross(forward, left)
    inward, down, backward = BELL
    shoulders = vertices[:, list(_ACROMION)]
    reach = (shoulders[:, 0] - shoulders[:, 1]).norm(dim=1, keepdim=True)
    chest = shoulders.mean(1) - front.mean(1)
    chest = chest / chest.norm(dim=1, keepdim=True)
    for n, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        points[f"{side}_hip"] = front[:, n] - width * (sign * inward * left + down * up + backward * forward)
        points[f"{side}_shoulder"] = shoulders[:, n] - SHOULDER_DROP * reach * chest
    return points
