"""HybrIK's `res.pk` of a video (`demo_video.py --save-pk`): one person a frame, SMPL, seen through the box's lens.

    u = f (X + T_x) / (Z + T_z) + W/2,   v likewise with H/2,   f = 1000/256 w,   w = bbox[2] - bbox[0] px
    pelvis = pred_cam_root   (m);    transl = pred_cam_root - J_0,
    J_0 = 0: joints and vertices stand on the pelvis and on a regressed hip
    T_z = 1000 / (256 pred_camera) + k d_0,
    k = 2.2 m (the side of the network's box; told by the file's own numbers),   pred_uvd = (u - bbox middle)/w, .., d

`transl_camsys` is scaled for Blender and no place in this camera, which is a trap; `transl` is no SMPL `transl`, which
is another. Joints are `pred_xyz_24_struct` (SMPL's 24, from the rotations), `pred_xyz_29` (the network's, five leaves
behind them) and `pred_xyz_17` (Human3.6M's), all in units of k and on the pelvis. Rows are frames with a detection;
`img_path` names them. Early versions of HybrIK stored quaternions, and HybrIK-X's `res_SMPLX.pk` has 55 joints and 11
betas: neither is read. Pixels count from the image's corner.

Source: Jeff-sjtu/HybrIK@9b8681d `scripts/demo_video.py` lines 225-347, `hybrik/models/HRNetWithCam.py` lines 370-470,
`hybrik/models/layers/smpl/SMPL.py` (`hybrik`), `hybrik/utils/presets/simple_transform_3d_smpl_cam.py`
(`test_transform`: img_center), configs (BBOX_3D_SHAPE). Source only, never held against a real file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.pickled import kind
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._own_source import own_source
from refine.formats._parameter_file import write_content
from refine.formats._pickled_dict import peek, read_dict
from refine.formats._smpl_parts import kept, numbers, put_rotations, put_rows, put_shape, rotations
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after, points_after

KEYS = frozenset(
    "pred_thetas pred_betas pred_cam_root pred_camera pred_uvd pred_xyz_24_struct transl bbox height width".split()
)

KINDS = ("pickle", "joblib")
LENS, INPUT_PX = 1000.0, 256.0
"""Focal length and side of the network's input, px."""

SIDE_M, SIDES_M = 2.2, (1.5, 3.0)
"""Side of the network's box in the released configurations, and what is believed of a file's own numbers."""

LEAST_DEPTH = 1e-6
"""Sum of squares of the pelves' depths in the box below which they say nothing about its side."""

JOINTS, MATRIX = 24, 9

DERIVED = frozenset({"pred_phi"})
"""The network's twists, from which the rotations were made: left out of a refined file."""

ADVICE = "Run HybrIK's demo_video.py with --save-pk again."

NOTE = (
    "Refined: pred_thetas, pred_cam_root, transl, transl_camsys, pred_camera and the joints are new; points beside "
    "SMPL's 24 move rigidly with the nearest "
    "joint. pred_betas are the regressor's unless SMPL's own file was used. pred_phi is left out."
)


def recognises(path: Path) -> bool:
    """Say whether a file is HybrIK's: a pickled dictionary of a video's arrays, 24 matrices a row."""
    content = peek(path, KINDS)
    if not set(content) >= KEYS:
        return False
    shape = np.shape(content["pred_thetas"])
    return len(shape) > 1 and int(np.prod(shape[1:])) == JOINTS * MATRIX


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read HybrIK's result of a video.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    where, content = str(path), read_dict(Path(path), KEYS, ADVICE)
    root = torch.as_tensor(numbers(where, content, "pred_cam_root", None, 3, advice=ADVICE)).float()
    count = len(root)
    own = _camera(where, content, count)
    side = _side(where, content, count)
    joints = torch.as_tensor(_points(where, content, "pred_xyz_24_struct", count, JOINTS)).float() * side
    source = Source(
        format="hybrik",
        model="smpl",
        pose=rotations(where, "pred_thetas", content["pred_thetas"], count, JOINTS),
        betas=torch.as_tensor(numbers(where, content, "pred_betas", count, None, advice=ADVICE)).float(),
        expression=torch.zeros(count, 0),
        joints=joints - joints[:, :1] + root[:, None],
        arrays={"content": content, "kind": kind(path)},
        focal_rule=f"{float(own.focal[0, 0]):.0f} px in the first frame, 1000/256 of the box's width (HybrIK)",
        path=path,
        images=tuple(str(name) for name in np.asarray(content["img_path"]).reshape(-1))
        if "img_path" in content
        else (),
    )
    estimate = to_body(source, own, body, torch.arange(count))
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as HybrIK's pk.

    Rotations, places, crop camera and joints are refined, `pred_betas` on SMPL's own file too; `pred_phi` is left out
    of a refined file. Rows that did not change keep every number, and unknown keys stay.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "hybrik", "HybrIK")
    content: dict[str, Any] = dict(source.arrays["content"])  # type: ignore[call-overload]
    where, count = str(source.path), len(source)
    refined = with_camera(refined, _camera(where, content, count))
    back = refined_source(refined)
    if bool(back.changed.any()):
        changed = back.changed
        moved = (back.pelvis - source_pelvis(source)).double().numpy()
        root, side = np.asarray(content["pred_cam_root"], np.float64), _side(where, content, count)
        fresh: dict[str, Any] = {name: np.asarray(content[name]) + moved for name in ("pred_cam_root", "transl")}
        if "transl_camsys" in content:
            fresh["transl_camsys"] = fresh["transl"] * (INPUT_PX / _width(where, content, count))[:, None]
        struct = _points(where, content, "pred_xyz_24_struct", count, JOINTS)
        posed = joints_after(struct * side, refined, back).numpy()
        fresh["pred_xyz_24_struct"] = (posed - posed[:, :1] + struct[:, :1] * side) / side
        for name in ("pred_xyz_29", "pred_xyz_17"):
            if name in content:
                stored = _points(where, content, name, count, None)
                seen = points_after(torch.as_tensor(stored * side + root[:, None]), refined).numpy()
                fresh[name] = (seen - fresh["pred_cam_root"][:, None]) / side
        fresh |= _in_the_box(where, content, fresh, side, count)
        content["pred_thetas"] = put_rotations(kept(content["pred_thetas"]), source.pose, back.pose)
        content["pred_betas"] = put_shape(refined, changed, kept(content["pred_betas"]))
        content |= {name: put_rows(changed, value, kept(content[name])) for name, value in fresh.items()}
        content = {name: value for name, value in content.items() if name not in DERIVED} | beside(refined, back, NOTE)
    write_content(Path(path), str(source.arrays["kind"]), content)


def _in_the_box(where: str, content: dict[str, Any], fresh: dict[str, Any], side: float, count: int) -> dict[str, Any]:
    """Return `pred_camera` and `pred_uvd` of new places; the pelvis stays as deep in the box as it was."""
    uvd = np.asarray(_points(where, content, "pred_uvd", count, None), np.float64)
    root = fresh["pred_cam_root"]
    depth = root[:, 2] - side * uvd[:, 0, 2]  # (N,) m, of the box's middle
    found = {"pred_camera": (LENS / (INPUT_PX * depth))[:, None]}
    points = fresh.get("pred_xyz_29")
    if points is not None and points.shape == uvd.shape:
        box, width = np.asarray(content["bbox"], np.float64), _width(where, content, count)
        middle = (box[:, :2] + box[:, 2:]) / 2 - np.stack(
            [_flat(content, name, count) for name in ("width", "height")], 1
        ) / 2
        place = side * points + root[:, None]
        flat = LENS / INPUT_PX * place[..., :2] / place[..., 2:] - (middle / width[:, None])[:, None]
        found["pred_uvd"] = np.concatenate((flat, points[..., 2:] + uvd[:, :1, 2:]), 2)
    return found


def _side(where: str, content: dict[str, Any], count: int) -> float:
    """Return the side of the network's box in m: what the pelves' depths in it and in the camera say of it."""
    inside = np.asarray(_points(where, content, "pred_uvd", count, None), np.float64)[:, 0, 2]
    scale = _flat(content, "pred_camera", count)
    depth = np.asarray(content["pred_cam_root"], np.float64)[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = depth - LENS / (INPUT_PX * scale)
    good = np.isfinite(apart) & np.isfinite(inside)
    square = float((inside[good] ** 2).sum())
    found = float((apart[good] * inside[good]).sum()) / square if square > LEAST_DEPTH else SIDE_M
    return found if SIDES_M[0] < found < SIDES_M[1] else SIDE_M


def _camera(where: str, content: dict[str, Any], count: int) -> Camera:
    """Return the lens of each row's box over the whole photo."""
    size = torch.as_tensor(np.stack([_flat(content, name, count) for name in ("height", "width")], 1)).float()
    focal = torch.as_tensor(LENS / INPUT_PX * _width(where, content, count)).float()
    return Camera(focal[:, None].expand(-1, 2), size.flip(-1) / 2, size)


def _width(where: str, content: dict[str, Any], count: int) -> Float[np.ndarray, "N"]:
    """Return the boxes' widths, px."""
    box = numbers(where, content, "bbox", count, 4, advice=ADVICE).astype(np.float64)
    width = box[:, 2] - box[:, 0]
    if not (width > 0).all():
        raise InputError(f"{where}: bbox", "x1, y1, x2, y2 with x2 beyond x1", "boxes without a width", ADVICE)
    return width


def _flat(content: dict[str, Any], name: str, count: int) -> Float[np.ndarray, "N"]:
    """Return one number a row.

    Raises:
        InputError: There are other numbers of them.
    """
    array = np.asarray(content[name], np.float64).reshape(-1)
    if len(array) != count:
        raise InputError(name, f"{count} numbers, one a row", f"{len(array)}", ADVICE)
    return array


def _points(
    where: str, content: dict[str, Any], name: str, count: int, points: int | None
) -> Float[np.ndarray, "N K 3"]:
    """Return points (N, K, 3) of an array that may be flat."""
    array = kept(content[name])
    if len(array) != count or array.size % (3 * max(count, 1)) or (points and array.size != 3 * points * count):
        raise InputError(
            f"{where}: {name}", f"{points or 'some'} points for each of {count} rows", f"shape {array.shape}", ADVICE
        )
    return array.reshape(count, -1, 3)
