"""SPIN's npz of `eval.py --result_file`: SMPL and a crop camera for every sample of a test set, without boxes or names.

    u = f (X + T_x) / (Z + T_z) + 112,   v = f (Y + T_y) / (Z + T_z) + 112,   T = (t_x, t_y, 2 f / (224 s)),
    f = 5000 px,   camera = (s, t_x, t_y)

The boxes are not stored, so the photo is the network's own 224 x 224 crop, and sample n is photo n: give these crops as
photos. (With the dataset's centre and scale the same numbers can be said of the whole photo:
`refine.geometry.weak_perspective.from_box` with side 200 scale.) T is SMPL's `transl`. `pose` is axis-angle (N, 72);
SMPL has no hand mean. `pred_joints` (N, 17, 3) are Human3.6M's, regressed from the surface, without T; the left leg
first (`joint_orders.H36M17`); zeros where the set has no 3D (lsp). Pixels count from the crop's corner.

Source: nkolot/SPIN@2476c43601 `eval.py` lines 95-100, 140-170 and 248, `constants.py`, `demo.py` (camera).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.check import check_positive
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import carried_joints
from refine.transfer.joint_orders import H36M17
from refine.transfer.source_fit import fit_bodies

KEYS = {"pred_joints", "pose", "betas", "camera"}
CROP_PX = 224.0
"""Side of the network's input (`constants.py`, IMG_RES)."""

ADVICE = "Write it again with SPIN's eval.py --result_file."
NOTE = (
    "Refined: pose and camera are new; pred_joints move rigidly with the nearest of SMPL's joints, which are taken "
    "from another body in the same pose."
)


def recognises(path: Path) -> bool:
    """Say whether a file is SPIN's: an npz with `pred_joints`, `pose`, `betas` and `camera`."""
    return set(member_names(path)) >= KEYS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the result of a test set.

    Raises:
        InputError: The file is broken, or a scale is not above zero.
    """
    path, content = Path(path), read_arrays(Path(path))
    where = str(path)
    crop = torch.as_tensor(numbers(where, content, "camera", None, 3, advice=ADVICE), dtype=torch.float64)
    count = len(crop)
    if count == 0:
        raise InputError(f"{where}: camera", "at least one sample", "none", ADVICE)
    check_positive(
        f"{where}: camera scale", crop[:, 0].nan_to_num(1.0), "", "SPIN failed on this sample: remove the row."
    )
    listed = torch.as_tensor(numbers(where, content, "pred_joints", count, 17, 3, advice=ADVICE), dtype=torch.float32)
    regressed = bool(listed.flatten(1).any(1).all())
    translation = torch.cat((crop[:, 1:], 2 * SPIN_FOCAL_PX / (CROP_PX * crop[:, :1])), 1).float()
    source = Source(
        format="spin",
        model="smpl",
        pose=rotations(where, "pose", numbers(where, content, "pose", count, 72, advice=ADVICE), count, 24),
        betas=torch.as_tensor(numbers(where, content, "betas", count, 10, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=translation,
        joints=listed + translation[:, None] if regressed else None,
        joint_names=H36M17 if regressed else (),
        arrays=content,
        focal_rule="5000 px in the 224 px crop, which is the photo here (SPIN)",
        path=path,
    )
    estimate = to_body(source, _camera(count), body, torch.arange(count))
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as SPIN's npz.

    `pose` and `camera` are refined, `betas` on SMPL's own file too, `pred_joints` are carried along; unknown keys stay.
    Samples that did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "spin", "SPIN")
    content: dict[str, Any] = {name: np.asarray(value) for name, value in source.arrays.items()}
    refined = with_camera(refined, _camera(len(refined)))
    back = refined_source(refined)
    if bool(back.changed.any()):
        place = back.translation.double()
        crop = torch.cat((2 * SPIN_FOCAL_PX / (CROP_PX * place[:, 2:]), place[:, :2]), 1)
        regressed = content["pred_joints"].any(axis=(1, 2))
        content |= {
            "pred_joints": put_rows(
                back.changed & torch.as_tensor(regressed), _joints(refined, back), content["pred_joints"]
            ),
            "pose": put_rotations(content["pose"], source.pose, back.pose),
            "betas": put_shape(refined, back.changed, content["betas"]),
            "camera": put_rows(back.changed, crop, content["camera"]),
        } | beside(refined, back, NOTE)
    write_arrays(Path(path), content)


def _camera(count: int) -> Camera:
    like = torch.ones(count, 2)
    return Camera(SPIN_FOCAL_PX * like, CROP_PX / 2 * like, CROP_PX * like)


def _joints(refined: Estimate, back: RefinedSource) -> Float[Tensor, "B 17 3"]:
    """Return the regressed joints (m, without T) in the refined pose."""
    source, body = refined.source, refined.body
    assert source.translation is not None
    own = pose_body(body, fit_bodies(source, body).bodies).joints[:, :22].detach().cpu().float()
    own = own - own[:, :1] + (source_pelvis(source) - source.translation)[:, None]
    own = torch.cat((own, own[:, 20:22]), 1)  # SMPL's two hands lie near the wrists
    stored = torch.as_tensor(np.asarray(source.arrays["pred_joints"]), dtype=torch.float32)
    return carried_joints(torch.cat((own, stored), 1), source.pose, back.pose, "smpl")[:, 24:]
