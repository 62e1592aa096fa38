"""D-PoSE: `output, depth, _, _, segmentation = model(images, bbox_scale=..., ...)`, or `output` alone.

    t = pred_cam_t by `_crops` with b = 200 bbox_scale,   f = sqrt(W² + H²) px, or the `fl` (B, 2) that was given,
    c = (W/2, H/2)

SMPL-X: `pred_pose` is the first 22 rotations as matrices, hands and face stay at rest (`SMPLXLayer`: flat hand); 11
betas; `joints3d` are SMPL-X's 127 in the body's frame, `joints2d` their pixels in the photo. The trap: the demo's
renderer of later versions hard-codes f = 1468.6 px.

Evidence, of the square crop (`source.arrays["box"]`): "depth_normalized" (B, h, w), 0 background, 0.1 the nearest and 1
the farthest of the person: stretched between the 5th and the 95th percentile of each picture, so it orders pixels and
has no unit; "part_scores" (B, C, h, w) unnormalised scores, channel 0 background; "parts" (B, h, w) the best of them.

Source: nvasilik/D-PoSE@7cedf7435f `train/models/hmr.py` (forward), `train/models/head/smplx_cam_head.py`,
`train/models/head/smplx_local.py`, `train/models/head/refit_regressor.py` (forward), `train/core/tester.py` lines
85-125, `train/utils/depth_utils.py` lines 227-254 (read_depth_percentile_norm).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import Crops, fresh_of, pictures, placed
from refine.plugin.adapters._tensors import matrices, plain, put_rotations, put_rows, put_shape, rows_of, tensor

ADVICE = "The batch is what the model was called with: bbox_center (B, 2), bbox_scale (B,), img_w and img_h (B,)."
NOTE = (
    "Refined: rotations, cameras and joints are new; joints beyond SMPL-X's 55 move rigidly with the nearest of "
    "these. vertices is left out: give the model to make them anew."
)

JOINTS = 22
"""Rotations the network predicts."""

__all__ = ["estimate", "people", "pictures", "refined_output"]


def people(output: Any) -> int:
    """Return how many bodies an output holds."""
    return len(_parameters(output)["pred_cam"])


def estimate(output: Any, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the model's output into an estimate; depth and segmentation become `source.evidence`.

    Args:
        output: The tuple of five, or its first entry, a dictionary.
        batch: `bbox_center` (B, 2) px, `bbox_scale` (B,), `img_w` and `img_h` (B,) px; optional `fl` (B, 2) px and
            `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    parts = _parameters(output)
    weak = tensor("dpose", parts, "pred_cam", None, 3)
    count = len(weak)
    height, width, scale = (
        rows_of("dpose", batch, name, count, 1, ADVICE) for name in ("img_h", "img_w", "bbox_scale")
    )
    size = torch.cat((height, width), 1)
    given = batch.get("fl") is not None
    focal = rows_of("dpose", batch, "fl", count, 2) if given else size.norm(dim=1, keepdim=True).expand(-1, 2)
    center = rows_of("dpose", batch, "bbox_center", count, 2, ADVICE)
    crops = Crops(center, 200 * scale[:, 0], Camera(focal, size.flip(-1) / 2, size))
    pose = torch.eye(3).repeat(count, 55, 1, 1)
    pose[:, :JOINTS] = matrices("dpose", parts["pred_pose"], "pred_pose", count, JOINTS)
    source = Source(
        format="dpose",
        model="smplx",
        pose=pose,
        betas=tensor("dpose", parts, "pred_shape", count, None),
        expression=torch.zeros(count, 0),
        joints=tensor("dpose", parts, "joints3d", count, None, 3),
        vertices=tensor("dpose", parts, "vertices", count, None, 3) if "vertices" in parts else None,
        keypoints_2d=tensor("dpose", parts, "joints2d", count, None, 2) if "joints2d" in parts else None,
        focal_rule=f"{float(focal[0, 0]) if count else 0:.0f} px, "
        + ("given by the caller" if given else "sqrt(W² + H²) (D-PoSE)"),
        hand_mean="flat",
        evidence=_evidence(output, count),
    )
    return placed(source, weak, crops, batch, body)


def refined_output(output: Any, refined: Estimate, *, model: nn.Module | None = None) -> Any:
    """Put refined numbers into a copy of the output.

    New: `pred_pose`, `pred_pose_6d`, `pred_cam`, `pred_cam_t`, `joints3d`, `joints2d` (and `pred_shape` on SMPL-X's own
    file). `vertices` are made by the model's own `smpl.smplx` layer, and left out where no model is given. Depth and
    segmentation are the network's.
    """
    parts = _parameters(output)
    fresh = fresh_of(refined, tensor("dpose", parts, "joints3d", len(refined), None, 3))
    result = dict(parts)
    if bool(fresh.changed.any()):
        assert fresh.joints is not None
        before, after = refined.source.pose[:, :JOINTS], fresh.back.pose[:, :JOINTS]
        for name in ("pred_pose", "pred_pose_6d"):
            if name in parts:
                result[name] = put_rotations(parts[name], before, after)
        result["pred_shape"] = put_shape(refined, fresh.changed, parts["pred_shape"])
        result["pred_cam"] = put_rows(fresh.changed, fresh.weak, parts["pred_cam"])
        result["pred_cam_t"] = put_rows(fresh.changed, fresh.back.translation, parts["pred_cam_t"])
        joints = fresh.joints
        layer = getattr(getattr(model, "smpl", None), "smplx", None)
        if isinstance(layer, nn.Module) and "vertices" in parts:
            rotations = result["pred_pose"].float()
            posed = layer(
                betas=result["pred_shape"].float(),
                body_pose=rotations[:, 1:],
                global_orient=rotations[:, :1],
                pose2rot=False,
            )
            joints = posed.joints.detach().cpu()
            result["vertices"] = put_rows(fresh.changed, posed.vertices.detach(), parts["vertices"])
        elif "vertices" in parts:
            del result["vertices"]
            result["refine_note"] = NOTE
        result["joints3d"] = put_rows(fresh.changed, joints, parts["joints3d"])
        if "joints2d" in parts:
            pixel = refined.camera.to("cpu", torch.float32).project(joints + fresh.back.translation[:, None])
            result["joints2d"] = put_rows(fresh.changed, pixel, parts["joints2d"])
    return result if isinstance(output, Mapping) else type(output)((result, *output[1:]))


def _parameters(output: Any) -> Mapping[str, Any]:
    """Return the dictionary, alone or first of five."""
    found: Mapping[str, Any] = output if isinstance(output, Mapping) else output[0]
    return found


def _evidence(output: Any, count: int) -> dict[str, torch.Tensor]:
    """Return depth and segmentation, where the network has those branches."""
    if isinstance(output, Mapping):
        return {}
    depth, scores = output[1], output[4]
    found = {}
    if depth is not None:
        found["depth_normalized"] = plain("dpose", depth, "depth", count, 1, None, None)[:, 0]
    if scores is not None:
        found["part_scores"] = plain("dpose", scores, "segmentation", count, None, None, None)
        found["parts"] = found["part_scores"].argmax(1)
    return found
