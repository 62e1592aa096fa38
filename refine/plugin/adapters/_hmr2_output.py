"""What HMR2 and TokenHMR return: SMPL's parameters as matrices, a crop camera, and what SMPL made of them.

    full photo:  t by `_crops`, f = FOCAL_LENGTH / IMAGE_SIZE · max(W, H), c = (W/2, H/2);
                 crop:  pred_cam_t = (tx, ty, 2 FOCAL_LENGTH / (IMAGE_SIZE s))

FOCAL_LENGTH / IMAGE_SIZE (5000/256 in the released models) is read off `pred_cam_t`: it is half of its z times s.
Joints are the 44 of HMR2's SMPL wrapper, in the body's frame: OpenPose's BODY_25 (fifteen of them SMPL's own joints)
and 19 regressed ones. The traps: the batch's `img_size` is (W, H); the stock demo takes the longer side of the whole
*batch* for max(W, H), here it is each photo's own.

Source: shubham-goel/4D-Humans@6ec79656a2 `demo.py` lines 95-165, `hmr2/models/hmr2.py` lines 86-142,
`hmr2/utils/renderer.py` lines 12-22, `hmr2/datasets/vitdet_dataset.py` lines 50-95; saidwivedi/TokenHMR@198645f778
`tokenhmr/demo.py`, `tokenhmr/lib/models/tokenhmr.py` lines 140-190.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import Crops, Fresh, fresh_of, placed
from refine.plugin.adapters._tensors import matrices, put_rotations, put_rows, put_shape, rows_of, tensor
from refine.transfer.joint_orders import HMR2_44

NOTE = (
    "Refined: rotations, cameras and joints are new; joints that are not SMPL's own move rigidly with the nearest of "
    "these. pred_vertices is left out: give the model to make them anew."
)
BOX_ADVICE = "The batch is the one of the demo's ViTDetDataset: box_center, box_size, img_size (W, H)."


def people(output: Mapping[str, Any]) -> int:
    """Return how many bodies an output holds."""
    return len(output["pred_cam"])


def estimate(
    name: str, output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None
) -> Estimate:
    """Turn an output into an estimate in the photo's full-perspective camera.

    Args:
        name: The regressor's.
        output: `model(batch)`.
        batch: The demo's: `box_center` (B, 2), `box_size` (B,) px, `img_size` (B, 2) (W, H) px; optional `image_index`
            (B,), 0 without.
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    weak = tensor(name, output, "pred_cam", None, 3)
    count = len(weak)
    size = rows_of(name, batch, "img_size", count, 2, BOX_ADVICE).flip(-1)
    crop = tensor(name, output, "pred_cam_t", count, 3)
    ratio = float((crop[:, 2].double() * weak[:, 0].double() / 2).median()) if count else 0.0
    focal = ratio * size.amax(1)
    crops = Crops(
        rows_of(name, batch, "box_center", count, 2, BOX_ADVICE),
        rows_of(name, batch, "box_size", count, 1, BOX_ADVICE)[:, 0],
        Camera(focal[:, None].expand(-1, 2), size.flip(-1) / 2, size),
    )
    parts = output["pred_smpl_params"]
    pose = torch.cat(
        [matrices(name, parts[part], part, count, n) for part, n in (("global_orient", 1), ("body_pose", 23))], 1
    )
    listed = tensor(name, output, "pred_keypoints_3d", count, None, 3)
    source = Source(
        format=name,
        model="smpl",
        pose=pose,
        betas=tensor(name, parts, "betas", count, None),
        expression=torch.zeros(count, 0),
        joints=listed,
        joint_names=(HMR2_44 + ("",) * listed.shape[1])[: listed.shape[1]],
        vertices=tensor(name, output, "pred_vertices", count, None, 3) if "pred_vertices" in output else None,
        focal_rule=f"{float(focal[0]) if count else 0:.0f} px, {ratio:.2f} max(W, H) ({name})",
        persons=tuple(str(int(who)) for who in batch["personid"]) if "personid" in batch else (),
    )
    return placed(source, weak, crops, batch, body)


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: `pred_smpl_params` (betas on SMPL's own file only), `pred_cam`, `pred_cam_t`, `pred_keypoints_3d` and
    `pred_keypoints_2d`. `pred_vertices` is made by `model.smpl`, and left out where no model is given. Everything else
    is the output's.
    """
    listed = tensor(refined.source.format, output, "pred_keypoints_3d", len(refined), None, 3)
    result, fresh = dict(output), fresh_of(refined, listed)
    if not bool(fresh.changed.any()):
        return result
    changed, pose, parts = fresh.changed, refined.source.pose, output["pred_smpl_params"]
    result["pred_smpl_params"] = dict(parts) | {
        "global_orient": put_rotations(parts["global_orient"], pose[:, :1], fresh.back.pose[:, :1]),
        "body_pose": put_rotations(parts["body_pose"], pose[:, 1:], fresh.back.pose[:, 1:]),
        "betas": put_shape(refined, changed, parts["betas"]),
    }
    result |= crop_cameras(output, fresh)
    result |= _surface(result, output, fresh, model)
    if "pred_vertices" in output and model_layer(model) is None:
        del result["pred_vertices"]
        result["refine_note"] = NOTE
    return result


def crop_cameras(output: Mapping[str, Any], fresh: Fresh) -> dict[str, Tensor]:
    """Return the refined `pred_cam` and `pred_cam_t`, the crop's camera, whose depth times s stays."""
    weak, crop = output["pred_cam"].detach(), output["pred_cam_t"].detach()
    depth = crop[:, 2].cpu().double() * weak[:, 0].cpu().double() / fresh.weak[:, 0].double()
    place = torch.cat((fresh.weak[:, 1:].double(), depth[:, None]), 1)
    return {"pred_cam": put_rows(fresh.changed, fresh.weak, weak), "pred_cam_t": put_rows(fresh.changed, place, crop)}


def model_layer(model: nn.Module | None) -> nn.Module | None:
    """Return the regressor's own SMPL layer."""
    layer = getattr(model, "smpl", None)
    return layer if isinstance(layer, nn.Module) else None


def _surface(
    result: Mapping[str, Any], output: Mapping[str, Any], fresh: Fresh, model: nn.Module | None
) -> dict[str, Tensor]:
    """Return joints, their projection in the crop, and vertices where the regressor's own layer makes them."""
    assert fresh.joints is not None
    listed, made = fresh.joints, {}
    layer = model_layer(model)
    if layer is not None:
        parts = {part: value.float() for part, value in result["pred_smpl_params"].items()}
        posed = layer(**parts, pose2rot=False)
        listed = posed.joints.detach().reshape(output["pred_keypoints_3d"].shape).cpu()
        made["pred_vertices"] = put_rows(fresh.changed, posed.vertices.detach(), output["pred_vertices"])
    place = result["pred_cam_t"].detach().cpu().double()
    weak = result["pred_cam"].detach().cpu().double()
    ratio = (place[:, 2] * weak[:, 0] / 2)[:, None, None]  # focal length over the crop's side
    seen = listed.double() + place[:, None]
    flat = ratio * seen[..., :2] / seen[..., 2:]
    made["pred_keypoints_3d"] = put_rows(fresh.changed, listed, output["pred_keypoints_3d"])
    if "pred_keypoints_2d" in output:
        made["pred_keypoints_2d"] = put_rows(fresh.changed, flat, output["pred_keypoints_2d"])
    return made
