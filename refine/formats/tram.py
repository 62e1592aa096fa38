"""TRAM's `hps/hps_track_<k>.npy` of a video: one person's SMPL track; its camera is `camera.npy` in the folder above.

    u = f (X + T_x) / (Z + T_z) + c_x,   v likewise,   f = img_focal, c = img_center (px), T = pred_trans (m)
    T_z = 2 f / (b s),   T_x = t_x + 2 (x - c_x) / (b s),   T_y likewise,
    pred_cam = (s, t_x, t_y) in the box (x, y, b)

The track's file has no intrinsics, which is the trap: without its `camera.npy` it needs a camera from the caller.
`pred_trans` (N, 1, 3) is SMPL's `transl`. `pred_pose` (N, 144) are the first two *columns* of each matrix in
`pred_rotmat`, row by row. The box of `pred_cam` is not stored and follows from the formula. `frame` says in which frame
of the video a row is. Pixels count from the image's corner, twice the centre is the frame's size. SMPL has no hand
mean.

Where the camera stands in a world is in `camera.npy`, by frame of the video: `world_cam_R` and `world_cam_T` (camera to
world, y up), or where these are missing, as newer versions write it, `pred_cam_R` and `pred_cam_T` (the world is the
first camera's frame). `refine.transfer.in_world` puts the bodies there.

Source: yufu-wang/tram@4861c112f3 `lib/pipeline/visualization.py` lines 36-66, `lib/camera/est_gravity.py` lines 41-49;
@0b1d84401d `scripts/estimate_camera.py` (no world_cam); `scripts/estimate_humans.py`, `lib/models/hmr_vimo.py`
lines 130-275 (no joints are stored), `lib/utils/geometry.py` lines 129-143.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.files.pickled import read_pickled, write_object_npy
from refine.files.same_kind import same_kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._crop_camera import crop_after
from refine.formats._intrinsics import camera_of, focal_words, shared_intrinsics
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import numbers, put_rotations, put_rows, put_shape, rotations
from refine.formats._world import knowing
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera

KEYS = {"pred_cam", "pred_pose", "pred_shape", "pred_rotmat", "pred_trans", "frame"}

CAMERA = "camera.npy"

ADVICE = "Write the files again with TRAM's own scripts/estimate_humans.py."

OVER_TIME = True
"""A file is one person's track."""

ONE_PERSON = True


def recognises(path: Path) -> bool:
    """Say whether a file is TRAM's track: a numpy file of a dictionary with `pred_rotmat`, `pred_trans` and `frame`."""
    return holds(path, ("npy",), KEYS)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read one person's track.

    `camera.npy` is looked for in the folder above the track's and beside it; where it is missing, `camera` is taken to
    be TRAM's own.

    Raises:
        InputError: The file is broken, or there is no camera.
    """
    path = Path(path)
    where, content = str(path), read_dict(path, KEYS, ADVICE)
    transl = np.asarray(numbers(where, content, "pred_trans", None, 1, 3, advice=ADVICE))[:, 0]
    count = len(transl)
    if count == 0:
        raise InputError(f"{where}: pred_trans", "at least one frame", "none", ADVICE)
    crop = numbers(where, content, "pred_cam", count, 3, advice=ADVICE)
    transl = np.where(
        np.isfinite(crop).all(1, keepdims=True), transl, np.nan
    )  # a row has all its numbers, or none that count
    numbers(where, content, "pred_pose", count, 144, advice=ADVICE)
    stored = _stored_camera(path)
    if stored is None and camera is None:
        advice = f"Keep the folder as TRAM made it ({CAMERA} above hps/), or give a camera."
        raise InputError(where, f"the intrinsics in {CAMERA} in the folder above", "no such file", advice)
    own = camera if stored is None else _camera(where, stored, count)
    assert own is not None
    source = Source(
        format="tram",
        model="smpl",
        pose=rotations(where, "pred_rotmat", content.get("pred_rotmat", ()), count, 24),
        betas=torch.as_tensor(numbers(where, content, "pred_shape", count, None, advice=ADVICE)).float(),
        expression=torch.zeros(count, 0),
        translation=torch.as_tensor(transl).float(),
        arrays={"track": content} if stored is None else {"track": content, "camera": stored},
        focal_rule=focal_words(own, "TRAM"),
        path=path,
    )
    index = torch.as_tensor(np.asarray(numbers(where, content, "frame", count, advice=ADVICE))).long()
    source = source if stored is None else knowing(source, _camera_from_world(stored, index))
    estimate = to_body(source, own, body, index)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as TRAM's track, and the camera's file in the folder above where there is none yet.

    `pred_rotmat`, `pred_pose`, `pred_trans` and `pred_cam` are refined, `pred_shape` on SMPL's own file too. Frames
    that did not change keep every number, and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "tram", "TRAM")
    path, where, count = Path(path), str(source.path), len(source)
    content: Any = source.arrays["track"]
    stored = source.arrays.get("camera")
    if stored is not None:
        refined = with_camera(refined, _camera(where, stored, count))
    back = refined_source(refined)
    if bool(back.changed.any()):
        crop, before, after = (
            np.asarray(values, np.float64).reshape(count, 3)
            for values in (content["pred_cam"], content["pred_trans"], back.translation.numpy())
        )
        turned = (back.pose != source.pose).flatten(2).any(2)[..., None].numpy()
        six = back.pose[..., :2].flatten(2).numpy()  # (B, 24, 6): the first two columns, row by row
        old = np.asarray(content["pred_pose"]).reshape(six.shape)
        content = (
            content
            | {
                "pred_rotmat": put_rotations(content["pred_rotmat"], source.pose, back.pose),
                "pred_pose": same_kind(np.where(turned, six, old), content["pred_pose"]),
                "pred_trans": put_rows(back.moved, back.translation, content["pred_trans"]),
                "pred_cam": put_rows(back.moved, crop_after(crop, before, after), content["pred_cam"]),
                "pred_shape": put_shape(refined, back.changed, content["pred_shape"]),
            }
            | beside(refined, back)
        )
    write_object_npy(path, content)
    if stored is not None and _stored_camera(path) is None:
        write_object_npy(_places(path)[0], stored)


def _places(path: Path) -> tuple[Path, Path]:
    """Return where the camera's file may lie: above the track's folder, as TRAM makes it, or beside the track."""
    return path.absolute().parent.parent / CAMERA, path.parent / CAMERA


def _stored_camera(path: Path) -> dict[str, Any] | None:
    """Return the camera's file, None where there is none.

    Raises:
        InputError: There is one and it is broken.
    """
    for place in _places(path):
        if place.is_file():
            content = read_pickled(place)
            shared_intrinsics(str(place), content, 1, "Write it again with TRAM's own scripts/estimate_camera.py.")
            return dict(content)
    return None


def _camera_from_world(stored: Mapping[str, Any], index: Tensor) -> Tensor | None:
    """Return where the camera stands in the world in each row's frame (B, 3, 4); None where the file does not say."""
    for kind in ("world", "pred"):
        turn, place = (stored.get(f"{kind}_cam_{part}") for part in "RT")
        if turn is None or place is None:
            continue
        turn, place = (torch.from_numpy(as_array(part).astype(np.float64)) for part in (turn, place))
        if turn.dim() == 3 and turn.shape == (len(place), 3, 3) and place.shape[1:] == (3,):
            if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(turn):
                return None
            back = turn[index].mT
            return torch.cat((back, -back @ place[index][..., None]), 2)
    return None


def _camera(where: str, stored: object, count: int) -> Camera:
    """Return the camera of each frame, all the same."""
    return camera_of(where, *shared_intrinsics(f"{where}: {CAMERA}", stored, count, ADVICE), None)
