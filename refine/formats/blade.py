"""BLADE's `<id>.pth` of one photo: one person in SMPL-X or SMPL, with the focal length BLADE found.

    u = f M/S (X + T_x) / (Z + T_z) + cx,   T = smplx_translation + camera_translation (m),   f = camera_focal_length,
    M = max(W, H)
    cx = M/2 - floor((M - W)/2),   cy likewise

BLADE pads the photo to a square and scales it to a side S: 1280 px, or 800 px where it works on several photos at once.
f is in px of that square, while `camera_hw` is the size it renders its masks at, half of S where S is above 512 px: the
trap, S is not `camera_hw`. A `camera_hw` from 257 to 512 px can be S or its half; it is taken for the half, which both
of BLADE's own settings make it. The photo's size is not stored.

Rotations are axis-angle (they go into smplx's `SMPLX` with `pose2rot`, and BLADE itself calls axis_angle_to_matrix on
them): root (1, 3), body (1, 63), hands (1, 45) on the model's mean hand (`flat_hand_mean=False`), jaw, eyes and
expression zero; in the SMPL setting (`convert_to_smpl`) body (1, 23, 3) and no hands. `smplx_translation` is the
model's `transl` and zero for SMPL-X; `camera_translation` is added to its vertices, pelvis and all, whatever its name
inside ("nopelvis") suggests. PyTorch3D's axes are turned away by flipping the picture: x right, y down. Pixels count
from the image's corner.

Source: NVlabs/blade@0097ac6d41 (code as in 58e17c38be) `blade/models/architectures/blade.py` lines 171-176, 930,
1128-1274, 1284-1296, 1472-1489, 1614, 2380-2398; `blade/datasets/itw_dataset.py` lines 60-130, `blade/configs/base.py`
lines 47-50 and 406-452, `api/BLADE_API.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import write_torch
from refine.files.plain_data import TensorArray
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import kept, numbers, pose_of, put_pose, put_rows, put_shape
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera

PARTS = {
    "smplx_global_orientation": "global_orient",
    "smplx_body_pose": "body_pose",
    "smplx_left_hand_pose": "left_hand_pose",
    "smplx_right_hand_pose": "right_hand_pose",
}
KEYS = ("smplx_betas", "smplx_body_pose", "smplx_global_orientation", "smplx_translation", "camera_translation")

SMPL_NUMBERS = 69
"""Of `smplx_body_pose` where the person was converted to SMPL; 63 otherwise."""

HALVED_ABOVE_PX = 512
"""Squares larger than this are rendered at half their side (`solve_fTxTy_pytorch3d`)."""

ADVICE = "Run BLADE again with temp_output_folder set."


def recognises(path: Path) -> bool:
    """Say whether a file is BLADE's: a torch dictionary with `smplx_global_orientation` and `camera_translation`."""
    return holds(path, ("torch",), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read BLADE's result of one photo.

    Raises:
        InputError: The file is broken, or the photo's size is not known.
    """
    path, content = Path(path), read_dict(Path(path), KEYS, ADVICE)
    where = str(path)
    model = _model(content)
    size = needed_sizes(where, torch.zeros(1, dtype=torch.long), sizes, camera)
    own, rule = _camera(where, content, size)
    source = Source(
        format="blade",
        model=model,
        pose=pose_of(where, content, _parts(model), model, 1),
        betas=torch.as_tensor(numbers(where, content, "smplx_betas", 1, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(1, 0),
        translation=torch.as_tensor(_translation(where, content), dtype=torch.float32),
        arrays=content,
        focal_rule=rule,
        path=path,
        hand_mean="mean" if model == "smplx" else "",
    )
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as BLADE's file.

    Rotations and `camera_translation` are refined, `smplx_betas` on the model's own file too; `smplx_translation`, the
    focal length and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "blade", "BLADE")
    content: dict[str, Any] = dict(source.arrays)
    own, _ = _camera(str(source.path), content, refined.camera.size.detach().cpu().float())
    refined = with_camera(refined, own)
    back = refined_source(refined)
    if bool(back.changed.any()):
        base = np.asarray(kept(content["smplx_translation"]), np.float64).reshape(1, 3)
        content |= put_pose(content, _parts(source.model), source.model, source.pose, back.pose)
        content |= {
            "smplx_betas": put_shape(refined, back.changed, kept(content["smplx_betas"])),
            "camera_translation": put_rows(
                back.changed, back.translation.double().numpy() - base, kept(content["camera_translation"])
            ),
        } | beside(refined, back)
    tensors = {
        name: value.view(TensorArray)
        for name, value in content.items()
        if name.startswith(("smplx_", "camera_")) and isinstance(value, np.ndarray)
    }
    write_torch(Path(path), content | tensors)


def _model(content: dict[str, Any]) -> str:
    """Return the body model by the pose's length."""
    return "smpl" if np.size(kept(content["smplx_body_pose"])) in (SMPL_NUMBERS, 3 * SMPL_NUMBERS) else "smplx"


def _parts(model: str) -> dict[str, str]:
    """Return the parts that a model has."""
    return {name: public for name, public in PARTS.items() if model == "smplx" or "hand" not in public}


def _translation(where: str, content: dict[str, Any]) -> np.ndarray:
    """Return the model's `transl` in the camera frame (1, 3) m."""
    parts = (numbers(where, content, name, 1, 3, advice=ADVICE) for name in ("smplx_translation", "camera_translation"))
    return sum((np.asarray(part, np.float64) for part in parts), np.zeros((1, 3)))


def _camera(where: str, content: dict[str, Any], size: Tensor) -> tuple[Camera, str]:
    """Return BLADE's camera in the photo, and its focal length in words."""
    focal = float(numbers(where, content, "camera_focal_length", 1, 1, advice=ADVICE, rows=False)[0, 0])
    rendered = float(numbers(where, content, "camera_hw", 1, 2, advice=ADVICE, rows=False).max())
    if focal <= 0 or rendered <= 0:
        got = f"{focal:g} px at a side of {rendered:g} px"
        raise InputError(f"{where}: camera_focal_length", "a focal length and a side above zero", got, ADVICE)
    side = 2 * rendered if 2 * rendered > HALVED_ABOVE_PX else rendered
    longer = size.amax(1, keepdim=True)
    center = longer / 2 - ((longer - size.flip(-1)) / 2).floor()
    camera = Camera((focal * longer / side).expand(-1, 2), center, size).checked()
    return camera, f"{float(camera.focal[0, 0]):.0f} px, found by BLADE on a square of {side:.0f} px"
