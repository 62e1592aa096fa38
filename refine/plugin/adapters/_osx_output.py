"""What OSX, SMPLer-X and SMPLest-X return: SMPL-X's parameters as axis-angle, and a camera of the box.

    u = fx (X + T_x) / (Z + T_z + 0.0001) + px,   fx = 5000/192 w,   fy = 5000/256 h,   (px, py) = (x + w/2, y + h/2),
    bbox = (x, y, w, h)

T = `cam_trans` is SMPL-X's `transl`: OSX adds it to vertices, SMPLest-X gives it to the layer, which does the same. The
trap: every person has a camera of their own, centred on their box and not on the photo, and the output does not hold
the box: put the demo's processed `bbox` into the batch. Hand poses are axis-angle on top of the model's mean hand (the
layer is made with `use_pca=False` and without `flat_hand_mean`); eyes are zeros.

Source: IDEA-Research/OSX@14b1cb41a3 `demo/demo.py`, `main/OSX.py` (get_camera_trans, get_coord, forward),
`main/config.py`, `common/utils/human_models.py` lines 10-14; MotrixLab/SMPLest-X@fdebd887a3 `main/inference.py` lines
115-165, `models/SMPLest_X.py` lines 45-85 and 310-326, `configs/config_smplest_x_h.py` lines 80-93,
`human_models/human_models.py` lines 17-21 and 80-92.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.estimate import Estimate, Source, as_tensor
from refine.estimate.pelvis import source_pelvis
from refine.geometry.camera import Camera
from refine.plugin.adapters._tensors import (
    images_of,
    matrices,
    put_rotations,
    put_rows,
    put_shape,
    rows_of,
    tensor,
    unnormalised,
)
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import joints_after
from refine.transfer.joint_orders import OSX137

PARTS = {
    "smplx_root_pose": "global_orient",
    "smplx_body_pose": "body_pose",
    "smplx_lhand_pose": "left_hand_pose",
    "smplx_rhand_pose": "right_hand_pose",
    "smplx_jaw_pose": "jaw_pose",
}
"""The output's names of SMPL-X's parts."""

FOCAL_PX, BODY_SHAPE = 5000.0, (256, 192)
"""The virtual focal length, and height and width of the input it belongs to (`config.py`)."""

HEATMAP = (16, 12)
"""Height and width `smplx_joint_proj` is scaled to (`output_hm_shape`)."""

DEPTH_FLOOR_M = 1e-4
"""Added to depths before they are divided by (`get_coord`)."""

ADVICE = "Put the demo's processed bbox (x, y, w, h) into the batch: into meta_info, which the model does not look at."
DERIVED = ("smplx_mesh_cam", "smplx_joint_proj", "smplx_joint_cam")
NOTE = (
    "Refined: rotations and cam_trans are new, and joints, where 3D joints came, which move rigidly with the nearest "
    "of SMPL-X's 55. The mesh, and what else is missing, is left out: give the model to make it anew."
)


def people(output: Mapping[str, Any]) -> int:
    """Return how many bodies an output holds."""
    return len(output["cam_trans"])


def estimate(
    name: str, output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None
) -> Estimate:
    """Turn an output into an estimate in the person's own off-centre camera.

    Args:
        name: The regressor's.
        output: `model(inputs, targets, meta_info, 'test')`.
        batch: `bbox` (4,) or (B, 4), the processed (x, y, w, h) px; `img_shape` (2,) or (B, 2), height and width of the
            photo in px, without which the photo is taken to end where the box does; optional `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    place = tensor(name, output, "cam_trans", None, 3)
    count = len(place)
    box = rows_of(name, batch, "bbox", count, 4, ADVICE)
    known = batch.get("img_shape") is not None
    size = rows_of(name, batch, "img_shape", count, 2) if known else (box[:, :2] + box[:, 2:]).flip(1).ceil()
    focal = FOCAL_PX * box[:, 2:] / box.new_tensor(BODY_SHAPE[::-1])
    pose, slices = torch.eye(3).repeat(count, 55, 1, 1), joint_slices("smplx")
    for part, public in PARTS.items():
        place_of = slices[public]
        pose[:, place_of] = matrices(name, tensor(name, output, part), part, count, place_of.stop - place_of.start)
    joints = _joints(name, output, place)
    source = Source(
        format=name,
        model="smplx",
        pose=pose,
        betas=tensor(name, output, "smplx_shape", count, None),
        expression=tensor(name, output, "smplx_expr", count, None),
        translation=place,
        joints=joints,
        joint_names=() if joints is None else (OSX137 + ("",) * joints.shape[1])[: joints.shape[1]],
        vertices=tensor(name, output, "smplx_mesh_cam", count, None, 3) if "smplx_mesh_cam" in output else None,
        arrays={"box": box, "focal": focal},
        focal_rule=f"{float(focal[0, 0]) if count else 0:.0f} px, 5000/192 of the box's width"
        + ("" if known else "; the photo is taken to end where the box does (no img_shape in the batch)"),
        hand_mean="mean",
    )
    return to_body(source, _camera(box, focal, size), body, images_of(name, batch, count))


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: rotations and `cam_trans` (shape and expression on SMPL-X's own file). Mesh and joints are made by
    `model.get_coord`; without a model the mesh is left out, and joints move along where 3D joints came. Everything else
    is the output's.
    """
    source = refined.source
    box, focal = (as_tensor(source.arrays[part]) for part in ("box", "focal"))
    refined = with_camera(refined, _camera(box, focal, refined.camera.size.detach().cpu().float()))
    back, result = refined_source(refined), dict(output)
    if not bool(back.changed.any()):
        return result
    slices = joint_slices("smplx")
    for part, public in PARTS.items():
        joints = slices[public]
        result[part] = put_rotations(output[part], source.pose[:, joints], back.pose[:, joints])
    result["cam_trans"] = put_rows(back.changed, back.translation, output["cam_trans"])
    result["smplx_shape"] = put_shape(refined, back.changed, output["smplx_shape"])
    result["smplx_expr"] = put_shape(refined, back.changed, output["smplx_expr"], expression=True)
    derived = _made_anew(result, output, model) or _carried(refined, back, output["smplx_joint_proj"].shape[1])
    for part in DERIVED:
        if part in output and part in derived:
            result[part] = put_rows(back.changed, derived[part], output[part])
        elif part in output:
            del result[part]
            result["refine_note"] = NOTE
    return result


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops the network was shown, (512, 384, 3) uint8 each; they are not normalised."""
    return unnormalised(batch, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _camera(box: Tensor, focal: Tensor, size: Tensor) -> Camera:
    return Camera(focal, box[:, :2] + box[:, 2:] / 2, size)


def _joints(name: str, output: Mapping[str, Any], place: Tensor) -> Float[Tensor, "B L 3"] | None:
    """Return the 137 joints (B, 137, 3) m, camera frame: `smplx_joint_cam`, placed by their projections."""
    if "smplx_joint_cam" not in output or "smplx_joint_proj" not in output:
        return None
    count = len(place)
    listed = tensor(name, output, "smplx_joint_cam", count, None, 3).double()
    seen = tensor(name, output, "smplx_joint_proj", count, listed.shape[1], 2).double()
    # proj = (f (X + p) / (Z + p_z + floor) + c) / input * heatmap is linear in the pelvis p.
    wide = seen.new_tensor(BODY_SHAPE[::-1])
    ray = (seen * wide / seen.new_tensor(HEATMAP[::-1]) - wide / 2) / FOCAL_PX  # (B, L, 2)
    rows = torch.zeros(count, listed.shape[1], 2, 3, dtype=torch.float64)
    rows[:, :, 0, 0] = rows[:, :, 1, 1] = 1.0
    rows[..., 2] = -ray
    target = ray * (listed[..., 2:] + DEPTH_FLOOR_M) - listed[..., :2]
    pelvis = torch.linalg.lstsq(rows.flatten(1, 2), target.flatten(1)[..., None]).solution[..., 0]
    return (listed + pelvis[:, None]).float()


def _carried(refined: Estimate, back: RefinedSource, count: int) -> dict[str, Tensor]:
    """Return the last `count` joints and their heatmap places in the refined pose; empty where not known."""
    if refined.source.joints is None:
        return {}
    listed = refined.source.joints[:, -count:]
    joints = joints_after(listed, refined, back) + (back.pelvis - source_pelvis(refined.source)).double()[:, None]
    wide = joints.new_tensor(BODY_SHAPE[::-1])
    inside = FOCAL_PX * joints[..., :2] / (joints[..., 2:] + DEPTH_FLOOR_M) + wide / 2
    proj = inside / wide * joints.new_tensor(HEATMAP[::-1])
    return {"smplx_joint_cam": joints - joints[:, :1], "smplx_joint_proj": proj}


def _made_anew(result: Mapping[str, Any], output: Mapping[str, Any], model: nn.Module | None) -> dict[str, Tensor]:
    """Return what the model's own `get_coord` derives from refined parameters; empty where it has none."""
    coordinates = getattr(model, "get_coord", None)
    if coordinates is None:
        return {}
    angles = [result[part].float() for part in PARTS]
    made = coordinates(
        *angles, result["smplx_shape"].float(), result["smplx_expr"].float(), result["cam_trans"].float(), "test"
    )
    # OSX: (joint_proj, joint_cam, mesh_cam); SMPLest-X: (joint_proj, joint_cam relative to hands' roots, joint_cam,
    # mesh_cam, root_cam)
    mesh, cam = (made[2], None) if len(made) == 3 else (made[3], made[2])
    found = {"smplx_joint_proj": made[0], "smplx_mesh_cam": mesh} | ({} if cam is None else {"smplx_joint_cam": cam})
    return {
        part: value.detach() for part, value in found.items() if part in output and value.shape == output[part].shape
    }
