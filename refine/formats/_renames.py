"""Systems whose files leave the frame or the camera of their parameters open: what to rename to what.

    a system is named where all of its telling names stand on one level of the file

Source: isarandi/nlf `README.md` (predictions); Jeff-sjtu/HybrIK@9b8681d `scripts/demo_video.py` lines 96-347,
`hybrik/models/HRNetWithCam.py` line 446; vye16/slahmr@58518fe `slahmr/optim/base_scene.py` lines 105-165;
yohanshin/WHAM@2b54f77973 `lib/models/wham.py` (network's output); shubham-goel/4D-Humans@6ec79656a2 `demo.py`.
"""

from collections.abc import Sequence

FOUR = "Store the four names global_orient, body_pose, betas and transl (m, camera frame: x right, y down, z forward)"

SYSTEMS: tuple[tuple[str, frozenset[str], str], ...] = (
    (
        "HMR2's output",
        frozenset({"pred_smpl_params", "pred_cam"}),
        "pred_cam and pred_cam_t are of the 256 px crop. Store cam_crop_to_full(pred_cam, box_center, box_size, "
        "img_size, scaled_focal_length) as "
        "pred_cam_t_full beside pred_smpl_params, and scaled_focal_length as focal_length.",
    ),
    (
        "HybrIK's",
        frozenset({"pred_thetas", "pred_cam_root", "bbox"}),
        "res.pk of demo_video.py --save-pk is read as it is: 24 matrices a row in pred_thetas, with pred_camera, "
        f"pred_uvd and pred_xyz_24_struct. Of other versions: {FOUR}: pred_thetas (matrices) split into 1 and 23, "
        "pred_betas as betas, the pelvis pred_cam_root as joints (N, 1, 3) in place of transl, and focal = 1000/256 "
        "of the box's width in px, for each row.",
    ),
    (
        "HybrIK's network's",
        frozenset({"pred_theta_mats"}),
        f"{FOUR}: pred_theta_mats are 24 matrices a person (216 numbers) or, in early versions, 24 quaternions (96; "
        "to matrices first), split into 1 and 23; pred_shape as betas; the pelvis cam_root as joints (N, 1, 3) in "
        "place of transl, which is no SMPL transl; and focal = 1000/256 of the box's width in px.",
    ),
    (
        "NLF's",
        frozenset({"pose", "betas", "trans", "vertices3d"}),
        "Save the whole dictionary that detect_smpl_batched returned: joints3d says where people are, and joints2d "
        "through which lens.",
    ),
    (
        "SLAHMR's",
        frozenset({"root_orient", "pose_body", "trans", "cam_R", "cam_t"}),
        "Give <video>_<iteration>_world_results.npz as it is: it has betas and intrins too. root_orient and trans are "
        "in a world: a frame's camera sees x_camera = cam_R x + cam_t.",
    ),
    (
        "SLAHMR's, in the frame of its motion prior",
        frozenset({"root_orient", "pose_body", "trans", "cond_prior"}),
        "No camera is known in that frame: give the ..._world_results.npz beside it.",
    ),
    (
        "WHAM's network's",
        frozenset({"poses_body", "poses_root_cam"}),
        "Give wham_output.pkl of demo.py --save_pkl, or store poses_root_cam as global_orient, poses_body as "
        "body_pose, betas, and trans_cam as transl without the offset of WHAM's middle hip.",
    ),
    (
        "an output of the HMR family",
        frozenset({"pred_rotmat", "pred_betas", "pred_camera"}),
        f"pred_camera is of the crop. {FOUR}: pred_rotmat split into 1 and 23, pred_betas as betas, and transl from "
        "the crop camera and the box (docs/formats.md).",
    ),
    *(
        (
            "an output of the HMR family",
            frozenset({pose, "pred_cam"}),
            f"pred_cam is of the crop. {FOUR}: {pose} (matrices) split into 1 and 23, the shape as betas, and transl "
            "from the crop camera and the box (docs/formats.md).",
        )
        for pose in ("pred_rotmat", "pred_pose")
    ),
    (
        "a place in the crop",
        frozenset({"global_orient", "body_pose", "pred_cam_t"}),
        "pred_cam_t is of the crop: store the place in the whole photo as transl (pred_cam_t_full in 4D-Humans' "
        "demo), with its focal_length.",
    ),
    (
        "EasyMocap's",
        frozenset({"Rh", "Th", "poses", "shapes"}),
        "Th is no transl: the model's origin is turned by Rh too. Give EasyMocap's own JSON of the frame.",
    ),
)  # fmt: skip
"""Whose it is, the names that tell, and what to do."""


def without_root(levels: Sequence[frozenset[str]]) -> str:
    """Say that a pose lacks its root, empty where there is no pose."""
    pose = next((name for level in levels for name in ("body_pose", "pose_body") if name in level), "")
    return f"{pose} is SMPL's, but global_orient is missing: store it beside, with betas and transl." if pose else ""


def renames(levels: Sequence[frozenset[str]]) -> str:
    """Return whose a file's parameters are and what to rename to what; empty where nothing tells.

    Args:
        levels: The file's names, level by level.
    """
    for system, names, advice in SYSTEMS:
        if any(names <= level for level in levels):
            return f"The names are {system}. {advice}"
    return ""
