"""Orders in which systems list joints, and where a listed point lies on the skeleton of its own rotations.

    point = X_c + k G_c o      joint c, its global rotation, the point's rest offset from it, the person's size k

Joints hang on their parents, everything else on the joint that carries it. Offsets are the mean body's: a person's own
bones differ from them by a centimetre or two after scaling (three stored people of two systems: 20 mm at most).

    BODY25_OF_SMPL     OpenPose's BODY_25 as SMPL wrappers fill it: 14 of SMPL's own joints, face and feet from the
                       surface
    HMR2_44            the same and 19 regressed points (SMPL_to_J19): HMR2, TokenHMR, PHALP (whose 45th is zeros)
    SPIN49             the same and nose, eyes and ears again: SPIN, EFT, PyMAF-X, POCO
    SMPL45, SMPLX127   the model's own, and what the package smplx picks from its surface: CLIFF; D-PoSE, Multi-HMR
    ROMP71             SMPL45, nine of the regressed ones, and Human3.6M's 17 in the order of LSP: ROMP, BEV
    OSX137             SMPLX127 in Hand4Whole's order: OSX, SMPLer-X, SMPLest-X

Source: shubham-goel/4D-Humans@6ec79656a2 `hmr2/models/smpl_wrapper.py` (smpl_to_openpose); brjathu/PHALP@96f7e6c09f
`phalp/utils/smpl_utils.py` (the same, without `update_hips`), `phalp/models/hmar/hmar.py` get_3d_parameters;
saidwivedi/TokenHMR@198645f778 `tokenhmr/lib/models/smpl_wrapper.py`; nkolot/SPIN@2476c43601 `constants.py`
(JOINT_NAMES, JOINT_MAP, H36M_TO_J17), `models/smpl.py`; HongwenZhang/PyMAF-X@a6fef4deb7 `core/constants.py`;
saidwivedi/POCO@657ad34138 `pocolib/core/constants.py`; yufu-wang/PromptHMR@ea85d0abc7
`prompt_hmr/smpl_family/vertex_ids.py`, `smpl_wrapper.py`; haofanwang/CLIFF@f38cad87cb `models/smpl.py`; vchoutas/smplx
`vertex_joint_selector.py`; Arthur151/ROMP@a8558aed48 `simple_romp/romp/smpl.py`, `simple_romp/README.md`;
MotrixLab/SMPLest-X@fdebd887a3 `human_models/human_models.py` lines 80-82. Offsets: read off stored results as G_c^T (X
- X_c), rounded, and both sides made equal; fingers, jaw, eyes and face are the built-in body's.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.keypoint_names import BODY25, COCO17, FEET, SMPL22, SMPL24, SMPLH52, SMPLX55
from refine.body.skinned_body import SkinnedBody
from refine.body.smpl_joints import PARENTS

Names = tuple[str, ...]

BODY25_OF_SMPL: Names = tuple("pelvis" if name == "mid_hip" else name for name in BODY25)
"""SMPL wrappers' middle hip is SMPL's pelvis, their neck and hips are SMPL's too."""

_LSP14 = (
    "right_ankle", "right_knee", "right_hip_lsp", "left_hip_lsp", "left_knee", "left_ankle", "right_wrist",
    "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck_lsp", "head_top",
)  # fmt: skip
_REGRESSED = ("pelvis_mpii", "thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m")
_FACE5 = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_PICKED = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear", *FEET,
    *(f"{side}_{finger}4" for side in ("left", "right") for finger in ("thumb", "index", "middle", "ring", "pinky")),
)  # fmt: skip

HMR2_44: Names = BODY25_OF_SMPL + _LSP14 + _REGRESSED
SPIN49: Names = HMR2_44 + _FACE5
SMPL45: Names = SMPL24 + _PICKED
SMPLH73: Names = SMPLH52 + _PICKED
SMPLX127: Names = SMPLX55 + _PICKED + tuple(f"face_{n}" for n in range(17, 68))
_H36M_SIDES = tuple(
    f"{name}_h36m" for name in (*_LSP14[:2], "right_hip", "left_hip", *_LSP14[4:12])
)  # regressed from the surface, some centimetres from SMPL's own
ROMP71: Names = (
    *SMPL45, "right_hip_lsp", "left_hip_lsp", "neck_lsp", "head_top", *_REGRESSED,
    *_H36M_SIDES, "neck_lsp", "head_h36m", "pelvis_mpii", "spine_h36m", "jaw_h36m",
)  # fmt: skip
H36M17: Names = (
    "pelvis_mpii",
    *(f"left_{part}_h36m" for part in ("hip", "knee", "ankle")),
    *(f"right_{part}_h36m" for part in ("hip", "knee", "ankle")),
    "spine_h36m", "neck_lsp", "jaw_h36m", "head_h36m",
    *(f"left_{part}_h36m" for part in ("shoulder", "elbow", "wrist")),
    *(f"right_{part}_h36m" for part in ("shoulder", "elbow", "wrist")),
)  # fmt: skip
"""Rows of `J_regressor_h36m`, which has the left leg first and the left arm first."""

H36M17_RIGHT_FIRST: Names = (H36M17[0], *H36M17[4:7], *H36M17[1:4], *H36M17[7:])
"""Human3.6M's own order, the right leg first."""

_OF_THE_LAYER = (
    *(0, 1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21, 60, 61, 62, 63, 64, 65, 59, 58, 57, 56, 55),
    *(37, 38, 39, 66, 25, 26, 27, 67, 28, 29, 30, 68, 34, 35, 36, 69, 31, 32, 33, 70),
    *(52, 53, 54, 71, 40, 41, 42, 72, 43, 44, 45, 73, 49, 50, 51, 74, 46, 47, 48, 75),
    *(22, 15),
)
OSX137: Names = tuple(SMPLX127[place] for place in _OF_THE_LAYER) + ("",) * 70
"""Of the layer's 127 and 17 more; the last 70 are points of the face."""

ORDERS: dict[str, Names] = {
    "SMPL": SMPL24, "SMPL and its picked vertices": SMPL45, "ROMP's 71": ROMP71, "SMPL-H": SMPLH52,
    "SMPL-H and its picked vertices": SMPLH73,
    "SMPL-X": SMPLX55, "SMPL-X and its picked vertices": SMPLX127, "OSX's 137": OSX137, "BODY_25": BODY25_OF_SMPL,
    "BODY_25 and 19 regressed joints": HMR2_44, "SPIN's 49": SPIN49, "Human3.6M's 17": H36M17,
    "Human3.6M's 17, right leg first": H36M17_RIGHT_FIRST,
    "COCO's 17": COCO17, "SMPL's body": SMPL22,
}  # fmt: skip
"""The known orders by their titles in messages."""

OWN = {"smpl": SMPL24, "smplh": SMPLH52, "smplx": SMPLX55, "anny": SMPLX55}
"""Each model's own joints."""

_BY_COUNT = {
    ("smpl", 45): SMPL45, ("smpl", 71): ROMP71, ("smplh", 73): SMPLH73, ("smplx", 127): SMPLX127,
    ("smplx", 144): SMPLX127,
}  # fmt: skip

SMPL_OFFSETS_M = (
    (0.0, 0.0, 0.0), (0.060, -0.085, -0.016), (-0.060, -0.085, -0.016), (0.0, 0.125, -0.038), (0.043, -0.386, 0.0),
    (-0.043, -0.386, 0.0),
    (0.0, 0.138, 0.027), (-0.017, -0.424, -0.036), (0.017, -0.424, -0.036), (0.0, 0.056, 0.003), (0.038, -0.062, 0.126),
    (-0.038, -0.062, 0.126),
    (-0.010, 0.212, -0.034), (0.078, 0.114, -0.022), (-0.078, 0.114, -0.022), (0.010, 0.089, 0.050),
    (0.118, 0.046, -0.014),
    (-0.118, 0.046, -0.014), (0.258, -0.016, -0.027), (-0.258, -0.016, -0.027), (0.267, 0.010, -0.006),
    (-0.267, 0.010, -0.006),
    (0.085, -0.010, -0.015), (-0.085, -0.010, -0.015),
)  # fmt: skip
"""Rest offset of each of SMPL's joints from its parent, m: x left, y up, z front."""

_MIDDLE = {
    "nose": (15, (0.0, 0.055, 0.105)), "neck_lsp": (12, (0.0, 0.012, 0.015)), "head_top": (15, (0.0, 0.2, -0.03)),
    "pelvis_mpii": (0, (0.0, 0.03, -0.022)), "thorax_mpii": (9, (0.0, 0.17, -0.017)),
    "spine_h36m": (9, (0.0, -0.027, -0.031)),
    "jaw_h36m": (15, (0.0, 0.013, 0.035)), "head_h36m": (15, (0.0, 0.125, -0.025)),
}  # fmt: skip
_LEFT = {
    "eye": (15, (0.034, 0.09, 0.065)), "ear": (15, (0.076, 0.06, -0.028)), "big_toe": (10, (-0.045, 0.003, 0.074)),
    "small_toe": (10, (0.032, -0.011, 0.025)), "heel": (7, (0.015, -0.05, -0.065)),
    "hip_lsp": (0, (0.14, 0.03, -0.005)),
    "hip_h36m": (0, (0.147, 0.039, -0.017)), "knee_h36m": (4, (0.006, 0.041, -0.012)),
    "ankle_h36m": (7, (0.015, 0.038, -0.028)),
    "shoulder_h36m": (16, (-0.043, -0.011, 0.025)), "elbow_h36m": (18, (0.01, 0.045, 0.013)),
    "wrist_h36m": (20, (-0.014, 0.01, 0.028)),
    "thumb4": (20, (0.11, -0.025, 0.095)), "index4": (20, (0.187, -0.01, 0.027)),
    "middle4": (20, (0.196, -0.005, -0.013)),
    "ring4": (20, (0.178, -0.008, -0.045)), "pinky4": (20, (0.138, -0.016, -0.077)),
}  # fmt: skip
"""The joint on the left that carries a point, and its rest offset from that (m); the right side is the mirror image."""

_OTHER_SIDE = {7: 8, 10: 11, 4: 5, 16: 17, 18: 19, 20: 21, 0: 0, 15: 15}


def names_of(model: str, count: int) -> Names:
    """Return what a list of `count` joints is that begins with a model's own: each joint's name, "" where not known.

    Args:
        model: "smpl", "smplh", "smplx" or "anny"; another has no names.
        count: Number of joints; fewer than the body's 22 have no names but the pelvis.
    """
    own = OWN.get(model)
    if own is None:
        return ("",) * count
    known = _BY_COUNT.get((model, count), own if count >= len(own) else own[:22] if count >= 22 else own[:1])
    return (known + ("",) * count)[:count]


Hung = tuple[str, int, Float[Tensor, "3"]]
"""A point that is no joint: its name, the joint that carries it, its rest offset from it (m)."""


@cache
def _rest(model: str) -> tuple[Names, tuple[int, ...], Float[Tensor, "J 3"], tuple[Hung, ...]]:
    """Return a model's joints, their parents, their rest offsets, and the points that hang on them."""
    from refine.body.anny import load

    built_in = load()
    offsets = built_in.joint_template - built_in.joint_template[[max(joint, 0) for joint in built_in.parent_list]]
    places = {name: place for place, name in enumerate(built_in.joint_names)}
    own, parents = OWN[model], tuple(built_in.parent_list)
    if model != "anny":
        parents, mean = PARENTS[model], torch.tensor(SMPL_OFFSETS_M)
        offsets = torch.stack([mean[row] if name in SMPL24 else offsets[places[name]] for row, name in enumerate(own)])
    found = [(name, joint, torch.tensor(offset)) for name, (joint, offset) in _MIDDLE.items()]
    for name, (joint, (x, y, z)) in _LEFT.items():
        found.append((f"left_{name}", joint, torch.tensor((x, y, z))))
        found.append((f"right_{name}", _OTHER_SIDE[joint], torch.tensor((-x, y, z))))
    for name in own:
        if (
            name.endswith("3") and f"{name[:-1]}1" in own
        ):  # a finger's last joint: its tip lies as far beyond it as it beyond the one before
            found = [point for point in found if point[0] != f"{name[:-1]}4"]
            found.append((f"{name[:-1]}4", own.index(name), offsets[own.index(name)]))
    return own, parents, offsets, tuple(found) + _face(built_in)


def _bones_of_shape(model: str, shape: Tensor | None) -> Tensor:
    """Return what a shape of the built-in body adds to its bones, (B, J, 3) m; zeros for other bodies."""
    basis = _bone_basis()
    if model != "anny" or shape is None or shape.shape[1] != basis.shape[2]:
        return torch.zeros(3)
    return torch.einsum("jcs,bs->bjc", basis.to(shape), shape)


@cache
def _bone_basis() -> Float[Tensor, "J 3 S"]:
    """Return what each shape coefficient of the built-in body adds to its bones, m."""
    from refine.body.anny import load

    body = load()
    return body.joint_basis - body.joint_basis[[max(joint, 0) for joint in body.parent_list]]


def _face(body: SkinnedBody) -> tuple[Hung, ...]:
    """Return the built-in body's points of the face, carried by the head."""
    points = body.keypoint_set("coco133")
    corners = body.template[body.faces[points.triangle]]  # (K, 3, 3)
    places = (points.barycentric[..., None] * corners).sum(1) - body.joint_template[SMPL22.index("head")]
    return tuple(
        (name, SMPL22.index("head"), place)
        for name, place in zip(points.names, places, strict=True)
        if name.startswith("face_")
    )


def posed_points(
    pose: Float[Tensor, "B J 3 3"], model: str, shape: Float[Tensor, "B S"] | None = None
) -> tuple[Names, Float[Tensor, "B N 3"]]:
    """Return a mean body's joints and points in a pose, or the built-in body's in its shape, the pelvis at the origin.

    Args:
        pose: (B, J, 3, 3) local rotations in the model's joint order.
        model: "smpl", "smplh", "smplx" or "anny".
        shape: (B, S) shape coefficients of that model; only the built-in body's are looked at.

    Returns:
        N names, the model's own joints first, and their places (B, N, 3) m, the pose's frame.
    """
    own, parents, offsets, points = _rest(model)
    turned, places = [pose[:, 0]], [torch.zeros_like(pose[:, 0, 0])]
    offsets = offsets.to(pose) + _bones_of_shape(model, shape).to(pose)  # (J, 3) or (B, J, 3)
    for joint in range(1, len(own)):
        parent = parents[joint]
        places.append(places[parent] + (turned[parent] @ offsets[..., joint, :, None])[..., 0])
        turned.append(turned[parent] @ pose[:, joint])
    joints, turn = torch.stack(places, 1), torch.stack(turned, 1)
    carrier = [joint for _, joint, _ in points]
    at_rest = torch.stack([offset for _, _, offset in points]).to(pose)
    hung = joints[:, carrier] + (turn[:, carrier] @ at_rest[..., None])[..., 0]
    return (*own, *(name for name, _, _ in points)), torch.cat((joints, hung), 1)
