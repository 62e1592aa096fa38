"""PromptHMR's `output.pt` of one photo: all detected people, SMPL-X's body in the full photo's camera.

    u = f (X + T_x) / (Z + T_z) + c_x,   v likewise,   T = transl (m)
    f = f_net / k,   c = (c_net - o) / k,   k = 896 / max(W, H),   o = ((896, 896) - k (W, H)) / 2

`cam_int` is the camera (f_net, c_net) of the photo padded to a square of 896 px: the trap. The photo's own, f = sqrt(W²
+ H²) and c = (W/2, H/2), follows from it with the photo's size, which the file does not hold. `transl` is SMPL-X's.
`pose` are the first two *rows* of each of the 22 matrices in `rotmat`. Hands are SMPL-X's mean hands and are not
stored. `vertices` are in the camera's frame; `body_joints` are BODY_25 as `joint_orders` has it (the pelvis SMPL-X's
own, limbs regressed as SMPL's, the hips moved), and more regressed ones. Pixels count from the image's corner.

Source: yufu-wang/PromptHMR@ea85d0abc7 `scripts/demo_phmr.py` lines 40-52, `prompt_hmr/models/phmr.py` lines 99-155,
`prompt_hmr/models/inference.py` lines 68-145, `prompt_hmr/smpl_family/smpl_wrapper.py`, `vertex_ids.py` line 38.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import write_torch
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._intrinsics import camera_of, focal_words
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import numbers, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.joint_orders import BODY25_OF_SMPL

KEYS = {"pose", "rotmat", "betas", "transl", "cam_int"}

JOINTS = 22
"""The root and 21 body joints; the rest of SMPL-X's 55 do not turn."""

NETWORK_PX = 896
"""Side of the padded square the network sees (`scripts/demo_phmr.py`, img_size)."""

LISTED = tuple("" if name in ("left_hip", "right_hip") else name for name in BODY25_OF_SMPL)
"""Of `body_joints`; the hips are moved outwards and up (`smpl_wrapper.py`, update_hips)."""

DERIVED = {"vertices", "body_joints"}

PELVES = "refine_pelvis"
"""Our key in a refined file, (B, 3) m: where the pelvis lies, which `body_joints` said and `transl` alone says to a
centimetre or two."""

ADVICE = "Write the file again with PromptHMR's own scripts/demo_phmr.py."

NOTE = (
    "Refined: pose, rotmat and transl are new; betas are the regressor's unless SMPL-X's own file was used. vertices "
    "and body_joints are left out: they cannot be posed again without the SMPL-X model file."
)


def recognises(path: Path) -> bool:
    """Say whether a file is PromptHMR's of a photo: a torch file with `rotmat`, `cam_int` and the rest of `KEYS`."""
    return holds(path, ("torch",), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read PromptHMR's result of a photo.

    Raises:
        InputError: The file is broken, or the photo's size is not known.
    """
    path = Path(path)
    where, content = str(path), read_dict(path, KEYS, ADVICE)
    transl = numbers(where, content, "transl", None, 3, advice=ADVICE)
    count = len(transl)
    if count == 0:
        raise InputError(f"{where}: transl", "at least one person", "none", "Nobody was detected in this photo.")
    index = torch.zeros(count, dtype=torch.long)
    own = _camera(where, content, needed_sizes(where, index, sizes, camera))
    pose = torch.eye(3).repeat(count, 55, 1, 1)
    pose[:, :JOINTS] = rotations(where, "rotmat", content.get("rotmat", ()), count, JOINTS)
    joints = _joints(where, content, count)
    source = Source(
        format="prompthmr",
        model="smplx",
        pose=pose,
        betas=torch.as_tensor(numbers(where, content, "betas", count, None, advice=ADVICE)).float(),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(transl).float(),
        joints=joints,
        joint_names=()
        if joints is None or joints.shape[1] == 1
        else (LISTED + ("",) * joints.shape[1])[: joints.shape[1]],
        vertices=_points(where, content, "vertices", count),
        arrays=content,
        focal_rule=focal_words(own, "PromptHMR"),
        path=path,
        hand_mean="mean",
    )
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as PromptHMR's pt of a photo.

    `pose`, `rotmat` and `transl` are refined, `betas` on SMPL-X's own file too; `vertices` and `body_joints` are left
    out of a refined file. People who did not change keep every number, and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "prompthmr", "PromptHMR")
    content: dict[str, Any] = dict(source.arrays)
    refined = with_camera(refined, _camera(str(source.path), content, refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    if bool(back.changed.any()):
        before, after = source.pose[:, :JOINTS], back.pose[:, :JOINTS]
        turned = (before != after).flatten(2).any(2)[..., None]
        rows = after[:, :, :2].flatten(2)  # (B, 22, 6): the first two rows of each matrix
        six = np.asarray(content["pose"]).reshape(rows.shape)
        content = {name: value for name, value in content.items() if name not in DERIVED} | {
            "pose": same_kind(np.where(turned.numpy(), rows.numpy(), six), content["pose"]),
            "rotmat": put_rotations(content["rotmat"], before, after),
            "transl": put_rows(back.moved, back.translation, content["transl"]),
            "betas": put_shape(refined, back.changed, content["betas"]),
        }
        content |= beside(refined, back, NOTE)
        if source.joints is not None:
            content[PELVES] = back.pelvis.numpy().astype(np.float32)
    write_torch(Path(path), content)


def _points(where: str, content: dict[str, Any], name: str, count: int) -> Tensor | None:
    """Return stored points (B, n, 3) m in the camera's frame, None where there are none."""
    if name not in content:
        return None
    return torch.as_tensor(np.asarray(numbers(where, content, name, count, None, 3, advice=ADVICE))).float()


def _joints(where: str, content: dict[str, Any], count: int) -> Tensor | None:
    """Return the joints (B, L, 3) m; of a refined file the pelvis (B, 1, 3) alone; None: there are neither."""
    if PELVES in content:
        return torch.as_tensor(np.asarray(numbers(where, content, PELVES, count, 3, advice=ADVICE))).float()[:, None]
    joints = _points(where, content, "body_joints", count)
    return None if joints is None or joints.shape[1] < len(LISTED) else joints


def _camera(where: str, content: dict[str, Any], size: Float[Tensor, "B 2"]) -> Camera:
    """Return the full photo's camera of each person."""
    matrices = np.asarray(numbers(where, content, "cam_int", len(size), 3, 3, advice=ADVICE), np.float64)
    wide = size.flip(-1).double().numpy()  # (B, 2) px, (width, height)
    scale = NETWORK_PX / wide.max(1, keepdims=True)
    pads = (NETWORK_PX - scale * wide) / 2
    focal, center = matrices[:, (0, 1), (0, 1)] / scale, (matrices[:, :2, 2] - pads) / scale
    return camera_of(where, focal, center, size)
