"""CameraHMR: `out_smpl_params, out_cam, focal_length_ = model(batch)`.

    t by `_crops` with box_center and box_size,   f = cam_int[0, 0] = H / (2 tan(vfov/2)) px (predicted by HumanFoV),
    c = (W/2, H/2)

Rotations are matrices; SMPL (24 joints), or SMPL-X with hands (22 + 30) in the `smplx` model, whose layer
(`SMPLXLayer`) takes matrices as they are: flat hand. No joints come out: the person's size is that of the mean body
here, and the pelvis lies where that body has it. The trap: `img_size` is (H, W), HMR2's of the same name (W, H).

Source: pixelite1201/CameraHMR@65d11a0640 `mesh_estimator.py` lines 90-181, `core/camerahmr_model.py` (forward),
`core/datasets/dataset.py` lines 80-90, `core/heads/smplx_head_cliff_with_hands.py` (the last lines).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import Crops, fresh_of, pictures, placed
from refine.plugin.adapters._tensors import matrices, plain, put_rotations, put_rows, put_shape, rows_of, tensor

Three = tuple[Mapping[str, Tensor], Tensor, Tensor]
"""Parameters, crop camera (B, 3), focal length (B,) px."""

ADVICE = "The batch is the one of the demo's Dataset: box_center, box_size, img_size (H, W), cam_int."

__all__ = ["estimate", "people", "pictures", "refined_output"]


def people(output: Three) -> int:
    """Return how many bodies an output holds."""
    return len(output[1])


def estimate(output: Three, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the model's output into an estimate.

    Args:
        output: Parameters (`global_orient, body_pose, betas` and, of SMPL-X, `left_hand_pose, right_hand_pose`), crop
            camera, focal length.
        batch: `box_center` (B, 2), `box_size` (B,) px, `img_size` (B, 2) (H, W) px, `cam_int` (B, 3, 3) px; optional
            `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    parts, camera, _ = output
    weak = plain("camerahmr", camera, "out_cam", None, 3)
    count = len(weak)
    size = rows_of("camerahmr", batch, "img_size", count, 2, ADVICE)
    intrinsics = rows_of("camerahmr", batch, "cam_int", count, 9, ADVICE)
    model = "smplx" if "left_hand_pose" in parts else "smpl"
    slices = joint_slices(model)
    pose = torch.eye(3).repeat(count, max(part.stop for part in slices.values()), 1, 1)
    for name, joints in slices.items():
        if name in parts:
            pose[:, joints] = matrices("camerahmr", parts[name], name, count, joints.stop - joints.start)
    crops = Crops(
        rows_of("camerahmr", batch, "box_center", count, 2, ADVICE),
        rows_of("camerahmr", batch, "box_size", count, 1, ADVICE)[:, 0],
        Camera(intrinsics[:, :1].expand(-1, 2), size.flip(-1) / 2, size),
    )
    source = Source(
        format="camerahmr",
        model=model,
        pose=pose,
        betas=tensor("camerahmr", parts, "betas", count, None),
        expression=torch.zeros(count, 0),
        focal_rule=f"{float(intrinsics[0, 0]) if count else 0:.0f} px, from the predicted field of view (CameraHMR)",
        hand_mean="flat" if model == "smplx" else "",
    )
    return placed(source, weak, crops, batch, body)


def refined_output(output: Three, refined: Estimate, *, model: nn.Module | None = None) -> Three:
    """Return the three with refined rotations and crop camera (betas on the model's own file only)."""
    parts, camera, focal = output
    fresh = fresh_of(refined)
    if not bool(fresh.changed.any()):
        return dict(parts), camera, focal
    before, after = refined.source.pose, fresh.back.pose
    slices = {name: joints for name, joints in joint_slices(refined.source.model).items() if name in parts}
    turned = {name: put_rotations(parts[name], before[:, part], after[:, part]) for name, part in slices.items()}
    betas = put_shape(refined, fresh.changed, parts["betas"])
    return dict(parts) | turned | {"betas": betas}, put_rows(fresh.changed, fresh.weak, camera), focal
