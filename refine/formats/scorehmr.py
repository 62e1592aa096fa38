"""ScoreHMR's cache of HMR 2.0b, `cache/hmr2b/<dataset>.npz`: SMPL of a dataset's rows in the photo's camera.

    u = f (X + T_x) / (Z + T_z) + W/2,   v = f (Y + T_y) / (Z + T_z) + H/2,   T = pred_cam_t (m, SMPL's transl),
    f = 5000 px
    T_z = 2 f / (b s),   (T_x, T_y) = (t_x, t_y) + (2 (c_x - W/2), 2 (c_y - H/2)) / (b s),   pred_cam = (s, t_x, t_y)

f is the default of HMR2's `cam_crop_to_full`, which the script does not override: not HMR2's own 5000/256 max(W, H),
which is the trap. The box (centre c, side b, px) is not stored and follows from the two cameras and the photo's size.
The photos' names and sizes are in the dataset's own npz: row n belongs to photo n in the dataset's order (a photo with
two people stands there twice), and the sizes must be given. `pred_pose` are matrices; SMPL has no hand mean. Pixels
count from the image's corner.

Source: statho/ScoreHMR@f623ed1f83 `data_preprocessing/cache_hmr2_preds.py` lines 62-92 (no joints are stored);
shubham-goel/4D-Humans@6ec79656a2 `hmr2/utils/renderer.py` cam_crop_to_full.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.check import check_positive
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.npz import member_names, read_arrays, write_arrays
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import numbers, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.geometry.weak_perspective import from_perspective
from refine.transfer import refined_source, to_body, with_camera

KEYS = {"pred_betas", "pred_pose", "pred_cam", "pred_cam_t"}
ADVICE = "Write it again with ScoreHMR's cache_hmr2_preds.py."


def recognises(path: Path) -> bool:
    """Say whether a file is the cache: an npz with `pred_betas`, `pred_pose`, `pred_cam` and `pred_cam_t`."""
    return set(member_names(path)) >= KEYS


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the cache of a dataset.

    Raises:
        InputError: The file is broken, or the photos' sizes are not known.
    """
    path, content = Path(path), read_arrays(Path(path))
    where = str(path)
    place = numbers(where, content, "pred_cam_t", None, 3, advice=ADVICE)
    count = len(place)
    if count == 0:
        raise InputError(f"{where}: pred_cam_t", "at least one row", "none", ADVICE)
    crop = torch.as_tensor(numbers(where, content, "pred_cam", count, 3, advice=ADVICE))
    check_positive(
        f"{where}: pred_cam scale", crop[:, 0].nan_to_num(1.0), "", "HMR2 failed on this person: remove the row."
    )
    index = torch.arange(count)
    own = _camera(needed_sizes(where, index, sizes, camera))
    source = Source(
        format="scorehmr",
        model="smpl",
        pose=rotations(
            where, "pred_pose", numbers(where, content, "pred_pose", count, 24, 3, 3, advice=ADVICE), count, 24
        ),
        betas=torch.as_tensor(numbers(where, content, "pred_betas", count, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(place, dtype=torch.float32),
        arrays=content,
        focal_rule="5000 px, the default of HMR2's cam_crop_to_full (ScoreHMR's cache)",
        path=path,
    )
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as the cache.

    Rotations, `pred_cam_t` and `pred_cam` (in the same box) are refined, `pred_betas` on SMPL's own file too; unknown
    keys stay. Rows that did not change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "scorehmr", "ScoreHMR")
    content: dict[str, Any] = {name: np.asarray(value) for name, value in source.arrays.items()}
    camera = _camera(refined.camera.size.detach().cpu().float())
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        place = torch.where(back.changed[:, None], back.translation, 1.0)  # who did not change may be nowhere
        content |= {
            "pred_pose": put_rotations(content["pred_pose"], source.pose, back.pose),
            "pred_betas": put_shape(refined, back.changed, content["pred_betas"]),
            "pred_cam": put_rows(back.changed, _crop(content, camera, place), content["pred_cam"]),
            "pred_cam_t": put_rows(back.changed, back.translation, content["pred_cam_t"]),
        } | beside(refined, back)
    write_arrays(Path(path), content)


def _camera(size: Tensor) -> Camera:
    """Return one camera a row: 5000 px, the photo's middle."""
    return camera_from_rule("spin", size)


def _crop(content: dict[str, np.ndarray], camera: Camera, translation: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3"]:
    """Return HMR2's crop camera of refined translations, in the box that the two stored cameras say."""
    camera = camera.to(dtype=torch.float64)
    crop, place = (torch.as_tensor(content[name]).double() for name in ("pred_cam", "pred_cam_t"))
    apparent = 2 * camera.focal[:, 0] / place[:, 2]  # b s, px
    center = camera.center + (place[:, :2] - crop[:, 1:]) * apparent[:, None] / 2
    return from_perspective(translation.double(), camera).in_box(center, apparent / crop[:, 0])
