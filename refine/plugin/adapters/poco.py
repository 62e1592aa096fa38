"""POCO: `output = model(batch)`, a dictionary with `pred_pose`, `pred_shape`, `pred_cam`, `var_pose`, ...

    t = pred_fullimg_cam_t by `_crops` with b = 200 scale,   f = focal_length = sqrt(W² + H²) px,   c = (W/2, H/2)

`pred_pose` is 24 rotation *matrices* (B, 24, 3, 3), and the demo's `pose` is the same array. `smpl_joints3d` are SPIN's
49 in the body's frame; with a CLIFF head `smpl_joints2d` are pixels of the photo, with a PARE head the crop's -1..1 (f
= 5000 px in 224).

`var_pose` (B, 24), a sigmoid's output, is called a variance and is used as a scale: the flow is trained on |R - R*| /
var_pose for each of a matrix's nine entries, with log(var_pose) as its cost. What a unit of it is, the flow decides; it
is taken as the standard deviation s of an entry here. A small turn w changes a matrix by |dR|² = 2 |w|², so nine
entries of s² make 3 sigma_rad² = |w|² = 9 s²/2, and

    sigma_rad = sqrt(3/2) var_pose        of each coordinate of a joint's turn

(`var_pose` of nine numbers a joint, SIGMA_DIM = 9, is a variance in one of the losses and a scale in the other: it is
carried as evidence and makes no sigma. What the demo draws, `prepare_uncert`, adds up along the limbs and is not used.)

Source: saidwivedi/POCO@657ad34138 `pocolib/models/head/cliff_head.py` lines 100-120 (rot6d_to_rotmat),
`pocolib/core/tester.py` lines 215-260 and 468, `pocolib/models/head/smplcam_head.py`,
`pocolib/models/head/smpl_head.py`, `pocolib/models/head/poco_head.py` (forward), `pocolib/models/head/nf_head.py`
(forward), `pocolib/losses/losses.py` (POCOLoss, smpl_losses_uncertainty), `configs/demo_poco_cliff.yaml` and
`demo_poco_pare.yaml` (SIGMA_DIM: 1).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import Crops, Fresh, fresh_of, pictures, placed
from refine.plugin.adapters._hmr2_output import crop_cameras
from refine.plugin.adapters._tensors import matrices, put_rotations, put_rows, put_shape, rows_of, tensor
from refine.transfer.joint_orders import SPIN49

OWN = 24
"""Joints of SMPL."""

RAD_PER_ENTRY = math.sqrt(1.5)
"""Standard deviation of a turn's coordinate, in radians, for one of a matrix entry."""

ADVICE = "The batch is the demo's: center (B, 2), scale (B,), orig_shape (B, 2) and focal_length (B,)."
NOTE = (
    "Refined: rotations, cameras and joints are new; joints that are not SMPL's own move rigidly with the nearest of "
    "these. smpl_vertices is left out: it cannot be made anew without the SMPL model file."
)

__all__ = ["estimate", "people", "pictures", "refined_output"]


def people(output: Mapping[str, Any]) -> int:
    """Return how many bodies an output holds."""
    return len(output["pred_cam"])


def estimate(output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the output into an estimate, with its uncertainty in `source.sigma_rad` and `source.evidence["var_pose"]`.

    Args:
        output: `model(batch)`.
        batch: `center` (B, 2) px, `scale` (B,), `orig_shape` (B, 2) (height, width) px, `focal_length` (B,) px;
            optional `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    weak = tensor("poco", output, "pred_cam", None, 3)
    count = len(weak)
    size = rows_of("poco", batch, "orig_shape", count, 2, ADVICE)
    focal = rows_of("poco", batch, "focal_length", count, 1, ADVICE)
    scale = rows_of("poco", batch, "scale", count, 1, ADVICE)[:, 0]
    crops = Crops(
        rows_of("poco", batch, "center", count, 2, ADVICE),
        200 * scale,
        Camera(focal.expand(-1, 2), size.flip(-1) / 2, size),
    )
    pose = matrices("poco", output["pred_pose"], "pred_pose", count, 24)
    listed = tensor("poco", output, "smpl_joints3d", count, None, 3)
    spread = tensor("poco", output, "var_pose") if output.get("var_pose") is not None else None
    sigma = spread * RAD_PER_ENTRY if spread is not None and spread.shape == (count, OWN) else None
    source = Source(
        format="poco",
        model="smpl",
        pose=pose,
        betas=tensor("poco", output, "pred_shape", count, None),
        expression=torch.zeros(count, 0),
        joints=listed,
        joint_names=(SPIN49 + ("",) * listed.shape[1])[: listed.shape[1]],
        vertices=tensor("poco", output, "smpl_vertices", count, None, 3) if "smpl_vertices" in output else None,
        focal_rule=f"{float(focal[0]) if count else 0:.0f} px, as POCO was given it (its demo: sqrt(W² + H²))",
        sigma_rad=sigma,
        evidence={} if spread is None else {"var_pose": spread},
    )
    return placed(source, weak, crops, batch, body)


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: `pred_pose`, `pred_pose_6d`, `pred_cam`, `pred_cam_t`, `pred_fullimg_cam_t`, `smpl_joints3d`, `smpl_joints2d`
    (and `pred_shape` on SMPL's own file). `smpl_vertices` is left out; features and `var_pose` are the network's.
    """
    listed = tensor("poco", output, "smpl_joints3d", len(refined), None, 3)
    result, fresh = dict(output), fresh_of(refined, listed)
    if not bool(fresh.changed.any()):
        return result
    before, after = refined.source.pose, fresh.back.pose
    for name in ("pred_pose", "pred_pose_6d"):
        if name in output:
            result[name] = put_rotations(output[name], before, after)
    result["pred_shape"] = put_shape(refined, fresh.changed, output["pred_shape"])
    result |= crop_cameras(output, fresh)
    if "pred_fullimg_cam_t" in output:
        result["pred_fullimg_cam_t"] = put_rows(fresh.changed, fresh.back.translation, output["pred_fullimg_cam_t"])
    result |= _joints(result, output, refined, fresh)
    if "smpl_vertices" in output:
        del result["smpl_vertices"]
        result["refine_note"] = NOTE
    return result


def _joints(result: Mapping[str, Any], output: Mapping[str, Any], refined: Estimate, fresh: Fresh) -> dict[str, Tensor]:
    """Return the 49 joints and their pixels, of the photo or of the crop."""
    assert fresh.joints is not None
    listed = fresh.joints
    made = {"smpl_joints3d": put_rows(fresh.changed, listed, output["smpl_joints3d"])}
    if "smpl_joints2d" not in output:
        return made
    if "pred_fullimg_cam_t" in output:
        seen = listed + fresh.back.translation[:, None]
        camera = refined.camera.to("cpu", torch.float32)
        pixel = camera.project(seen)
    else:  # the crop in -1..1
        place, weak = (result[name].detach().cpu() for name in ("pred_cam_t", "pred_cam"))
        seen = listed + place[:, None]
        pixel = (place[:, 2] * weak[:, 0])[:, None, None] * seen[..., :2] / seen[..., 2:]
    return made | {"smpl_joints2d": put_rows(fresh.changed, pixel, output["smpl_joints2d"])}
