"""PersPose: `output = model({'img': ...}, {'cam_intrinsics': ..., ...})`, SMPL in a camera turned towards the person.

    uv = c + (xy + xyz0_xy) f / (depth + xyz0_z),   K = cam_intrinsics (B, 3, 3) of the *crop*,
    transl = SMPL's `transl`

The photo is warped as if the camera looked at the person, and then cropped to 256 px; everything the output says is in
that picture, so here that picture is the photo. (The turn is `rotation_3d` of the transform's labels, which the model
is not given: turn the bodies by its inverse to be back in the whole photo.) `theta` is 24 matrices; 11 betas; `xyz` are
SMPL's 24 joints and Human3.6M's pelvis relative to the first, as the network saw them: inverse kinematics put the model
on them with a few millimetres left. No hand mean.

Source: KenAdamsJoseph/PersPose@1863de7a45 `src_PersPose/inference.py` lines 60-115, `src_PersPose/PersPose.py` (inner,
forward), `common/smpl_wrapper.py` lines 593-638 (ik_w_ortho_twist), `datasets/transform.py` lines 180-300 and 355-360.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._tensors import matrices, put_rotations, put_rows, put_shape, rows_of, tensor
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after

ADVICE = "The batch is what the model was called with: img (B, 3, 256, 256) and cam_intrinsics (B, 3, 3)."

__all__ = ["estimate", "people", "pictures", "refined_output"]


def people(output: Mapping[str, Any]) -> int:
    """Return how many bodies an output holds."""
    return len(output["transl"])


def estimate(output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the model's output into an estimate; each body's photo is its own turned crop.

    Args:
        output: `model(inp, labels)`.
        batch: `img` (B, 3, h, w) and `cam_intrinsics` (B, 3, 3) px.
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    place = tensor("perspose", output, "transl", None, 3)
    count = len(place)
    camera = _camera(batch, count)
    joints = _listed(output, count)
    box = torch.cat((torch.zeros(count, 2), camera.size.flip(1)), 1)
    source = Source(
        format="perspose",
        model="smpl",
        pose=matrices("perspose", output["theta"], "theta", count, 24),
        betas=tensor("perspose", output, "beta", count, None),
        expression=torch.zeros(count, 0),
        translation=place,
        joints=joints,
        keypoints_2d=tensor("perspose", output, "uv", count, joints.shape[1], 2),
        arrays={"box": box, "focal": camera.focal, "center": camera.center},
        focal_rule=(
            f"{float(camera.focal[0, 0]) if count else 0:.0f} px of the turned crop (PersPose: f35/36 · W of the photo)"
        ),
    )
    return to_body(source, camera, body, torch.arange(count))


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: `theta`, `transl`, `xyz`, `xyz0`, `uv`, `depth`, `density` (and `beta` on SMPL's own file). `ortho_twist` and
    `leaf_rot`, which inverse kinematics started from, are the network's.
    """
    result, source = dict(output), refined.source
    focal, center = (torch.as_tensor(source.arrays[name]) for name in ("focal", "center"))
    camera = Camera(focal, center, refined.camera.size.detach().cpu().float())
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if not bool(back.changed.any()):
        return result
    listed = _listed(output, len(refined))
    joints = joints_after(listed, refined, back) + (back.pelvis - source_pelvis(source)).double()[:, None]
    mean = focal.double().mean(1)[:, None, None]
    fresh: dict[str, Tensor] = {
        "transl": back.translation,
        "xyz": joints - joints[:, :1],
        "xyz0": joints[:, :1],
        "uv": camera.to(dtype=torch.float64).project(joints),
        "depth": (joints - joints[:, :1])[..., 2:],
        "density": 1000 * joints[..., 2:] / mean,
    }
    result |= {name: put_rows(back.changed, value, output[name]) for name, value in fresh.items() if name in output}
    result["theta"] = put_rotations(output["theta"], source.pose, back.pose)
    result["beta"] = put_shape(refined, back.changed, output["beta"])
    return result


def _listed(output: Mapping[str, Any], count: int) -> Tensor:
    """Return the joints in the camera's frame."""
    return tensor("perspose", output, "xyz", count, None, 3) + tensor("perspose", output, "xyz0", count, 1, 3)


def _camera(batch: Mapping[str, Any], count: int) -> Camera:
    """Return the crops' cameras."""
    shown = batch.get("img")
    if not isinstance(shown, Tensor) or shown.dim() != 4:
        raise InputError("perspose: img", "the network's input (B, 3, h, w)", "none", ADVICE)
    matrix = rows_of("perspose", batch, "cam_intrinsics", count, 9, ADVICE)
    size = torch.tensor([list(shown.shape[2:])], dtype=torch.float32).expand(count, 2)
    return Camera(matrix[:, [0, 4]], matrix[:, [2, 5]], size)
