"""CLIFF's npz of a photo, folder or video: all detected people of all images, SMPL in the full photo's camera.

    u = f (X + T_x) / (Z + T_z) + W/2,   v = f (Y + T_y) / (Z + T_z) + H/2,   T = global_t (m),
    f = focal_l = sqrt(W² + H²) px

`global_t` is SMPL's `transl`; `pred_joints` (24 of SMPL's own, 21 picked vertices) have it added already, which is the
trap. `pose` is axis-angle (N, 72) or matrices (N, 24, 3, 3) (`--pose_format`); SMPL has no hand mean. `imgname` names
images, `detection_all[:, 0]` says which image each person is in. The photo's size is not stored, and the principal
point depends on it: W² + H² = f² alone does not tell. Pixels count from the image's corner.

haofanwang/CLIFF writes the same keys; the eighth column of its detections is a person's identity where the seventh is
0.99, and a file of `--infill` has more rows of `pred_joints` and `detection_all` than poses: those are interpolated
joints, and are kept as they are.

Source: huawei-noah/noah-research@0f51e31195 `CLIFF/demo.py`, @7956f49b22 `CLIFF/common/utils.py` (cam_crop2full,
estimate_focal_length); haofanwang/CLIFF@f38cad87cb `demo.py` lines 120-180 and 260-445.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after

KEYS = {"pose", "shape", "global_t", "pred_joints", "focal_l"}
"""`imgname` and `detection_all` may be missing in a file that somebody cut out of another."""

SAME_FOCAL = 0.01
"""A stored focal length this near to the diagonal, relatively, is the rule's; another is kept and noted."""

NMS = 0.99
"""Seventh column of haofanwang's detections, a constant; in the official ones it is the detector's class score."""

ADVICE = "Write the file again with CLIFF's own --save_results."

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file is CLIFF's: an npz with `global_t`, `pred_joints` and `focal_l` beside `pose` and `shape`."""
    return set(member_names(path)) >= KEYS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read CLIFF's result of a photo, a folder or a video.

    `sizes` go by the order of `imgname`.

    Raises:
        InputError: The file is broken, or the photo's size is not known.
    """
    path, content = Path(path), read_arrays(Path(path))
    where = str(path)
    translation = numbers(where, content, "global_t", None, 3, advice=ADVICE)
    count = len(translation)
    if count == 0:
        raise InputError(f"{where}: global_t", "at least one person", "none", "CLIFF found nobody in these images.")
    joints = numbers(where, content, "pred_joints", None, None, 3, advice=ADVICE)
    if len(joints) < count or joints.shape[1] < 24:
        wanted = f"at least {count} bodies of 24 joints or more"
        raise InputError(f"{where}: pred_joints", wanted, f"shape {joints.shape}", ADVICE)
    images = tuple(str(name) for name in np.atleast_1d(content["imgname"])) if "imgname" in content else ()
    index, persons = _detections(where, content, count, len(images))
    size = needed_sizes(where, index, sizes, camera)
    focal = torch.as_tensor(numbers(where, content, "focal_l", count, advice=ADVICE, rows=True), dtype=torch.float32)
    source = Source(
        format="cliff",
        model="smpl",
        pose=rotations(where, "pose", content.get("pose", ()), count, 24),
        betas=torch.as_tensor(numbers(where, content, "shape", count, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(translation, dtype=torch.float32),
        joints=torch.as_tensor(joints[:count], dtype=torch.float32),
        arrays=content,
        focal_rule=_rule(focal, size),
        path=path,
        images=images,
        persons=persons,
    )
    estimate = to_body(source, _camera(focal, size), body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as CLIFF's npz.

    Rotations, `global_t` and `pred_joints` are refined (`refine.transfer.carry` says how joints are carried), `shape`
    on SMPL's own file too; `focal_l`, detections and unknown keys stay. Bodies that did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "cliff", "CLIFF")
    content: dict[str, Any] = {name: np.asarray(value) for name, value in source.arrays.items()}
    focal = torch.as_tensor(content["focal_l"], dtype=torch.float32)
    refined = with_camera(refined, _camera(focal, refined.camera.size.detach().cpu().float()))
    back = refined_source(refined)
    if bool(back.changed.any()):
        own = content["pred_joints"]
        joints = (
            joints_after(own[: len(source)], refined, back) + (back.pelvis - source_pelvis(source)).double()[:, None]
        )
        fresh = put_rows(back.changed, joints, own[: len(joints)])
        content |= {
            "pose": put_rotations(content["pose"], source.pose, back.pose),
            "shape": put_shape(refined, back.changed, content["shape"]),
            "global_t": put_rows(back.changed, back.translation, content["global_t"]),
            "pred_joints": np.concatenate((fresh, own[len(joints) :])),
        } | beside(refined, back)
    write_arrays(Path(path), content)


def _detections(where: str, content: dict[str, np.ndarray], count: int, images: int) -> tuple[Tensor, tuple[str, ...]]:
    """Return which image each person is in, and who they are where the file says so."""
    if "detection_all" not in content:
        return torch.zeros(count, dtype=torch.long), ()
    rows = np.nan_to_num(numbers(where, content, "detection_all", None, None, advice=ADVICE))  # NaN: nobody there
    if len(rows) < count or rows.shape[1] < 6:
        wanted = f"at least {count} rows of 6 numbers or more"
        raise InputError(f"{where}: detection_all", wanted, f"shape {rows.shape}", ADVICE)
    index = torch.as_tensor(rows[:count, 0]).round().long()
    if int(index.min()) < 0 or (images and int(index.max()) >= images):
        got = f"images {int(index.min())} to {int(index.max())}"
        raise InputError(f"{where}: detection_all", f"images 0 to {images - 1}, as in imgname", got, ADVICE)
    tracked = rows.shape[1] >= 8 and bool(np.isclose(rows[:count, 6], NMS).all())
    return index, tuple(str(round(float(who))) for who in rows[:count, 7]) if tracked else ()


def _camera(focal: Tensor, size: Tensor) -> Camera:
    """Return CLIFF's camera of each body: the stored focal length, the photo's middle."""
    return Camera(focal[:, None].expand(-1, 2), size.flip(-1) / 2, size)


def _rule(focal: Tensor, size: Tensor) -> str:
    """Say where the focal length comes from, and when it does not follow from the photo's size."""
    diagonal = size.norm(dim=1)
    if bool(((focal - diagonal).abs() <= SAME_FOCAL * diagonal).all()):
        return f"{float(focal[0]):.0f} px, sqrt(W² + H²) (CLIFF)"
    return (
        f"{float(focal[0]):.0f} px, as stored; the photo's diagonal is {float(diagonal[0]):.0f} px: if that is not "
        "meant, it is another photo"
    )
