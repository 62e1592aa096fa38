"""ROMP's npz of one photo: a dictionary `results` with SMPL's numbers and a weak-perspective camera.

    u = (s X + tx + 1) M/2 - pad_x,   v = (s Y + ty + 1) M/2 - pad_y,   M = max(W, H), pads (M - W)/2 and (M - H)/2

in the photo padded to a square; `joints` and `verts` are SMPL's without `transl`, `cam` is (s, tx, ty). The file does
not hold the photo's size: M and the pads follow exactly from the stored joints and their stored pixels. Its `cam_trans`
belongs to another, full-perspective camera that ROMP fits afterwards and that is off by about 10 px; here the camera
ROMP means is kept by seeing the body from `LONG_DISTANCE_M` away through an equally long lens, where perspective and
weak perspective agree to a fraction of a pixel. Pixels count from the image's corner. Results of videos are one such
dictionary a frame: `romp_video`.

Source: Arthur151/ROMP, `simple_romp/romp/utils.py`, `simple_romp/romp/post_parser.py`; checked on real files.
"""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import rest_pelvis
from refine.files.npz import write_arrays
from refine.formats import Sizes
from refine.formats._own_source import own_source
from refine.formats._simple_romp import (
    Results,
    axis_angles,
    checked,
    known_rows,
    pick,
    put_rotations,
    put_surface,
    results_of,
)
from refine.geometry.camera import Camera
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.carry import joints_after

SHAPES = {"cam": (3,), "smpl_thetas": (72,), "smpl_betas": (10,), "joints": (71, 3), "pj2d_org": (71, 2)}

KEYS = {*SHAPES, "global_orient", "body_pose"}
"""What ROMP stores of every photo."""

LONG_DISTANCE_M = 400.0
"""Distance of the nearest body. A point 0.3 m behind the pelvis and 400 px off the axis is then off by 400 · 0.3/400 =
0.3 px."""

FITS_PX = 0.5
"""How exactly the stored pixels must follow from the stored joints; float32 leaves a thousandth."""

ROMP_FOCAL = 443.4 / 512
"""Focal length over M of the camera that `cam_trans` belongs to (60° across the longer side, `romp/utils.py`)."""


def recognises(path: Path) -> bool:
    """Say whether a file is ROMP's: a dictionary with `global_orient` beside `cam` and `pj2d_org`."""
    return is_photo(results_of(path))


def is_photo(content: Results | None) -> bool:
    """Say whether a dictionary is ROMP's of one photo."""
    return content is not None and {"cam", "pj2d_org", "global_orient", "body_pose"} <= set(content)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read ROMP's result of one photo.

    Raises:
        InputError: The file is broken or holds something else.
    """
    source, own = source_of(Path(path), results_of(path))
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def source_of(path: Path, stored: Results | None) -> tuple[Source, Camera]:
    """Return what ROMP stored of the people of one photo, and their cameras; `stored` is its dictionary.

    Raises:
        InputError: It is broken or holds something else.
    """
    content = checked(path, stored, SHAPES)
    own = _camera(path, content)
    translation = _translation(content, own)
    focal = float(own.focal[0, 0])
    source = Source(
        format="romp",
        model="smpl",
        pose=axis_angles(content["smpl_thetas"]),
        betas=torch.as_tensor(content["smpl_betas"], dtype=torch.float32),
        expression=torch.zeros(len(translation), 0),
        translation=translation,
        joints=torch.as_tensor(content["joints"], dtype=torch.float32) + translation[:, None],
        vertices=_vertices(content, translation),
        keypoints_2d=torch.as_tensor(content["pj2d_org"], dtype=torch.float32),
        arrays=content,
        focal_rule=f"{focal:.0f} px, so long that it equals ROMP's weak perspective",
        path=path,
    )
    return source, own


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as ROMP's npz.

    Rotations, `cam`, `cam_trans`, `joints` and `pj2d_org` are refined, betas and unknown keys stay, and `verts` is left
    out (`_simple_romp` says why, `refine.transfer.carry` how joints are carried). Bodies that did not change keep every
    number.

    Raises:
        InputError: The estimate was read from another format.
    """
    own_source(refined, "romp", "ROMP")
    write_arrays(Path(path), {"results": refined_content(refined)})


def refined_content(refined: Estimate) -> Results:
    """Return the dictionary of a photo, `refined.source.arrays`, with what was refined in it."""
    source = refined.source
    content: Results = dict(source.arrays)
    camera = _camera(source.path, content)
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        changed, half = back.changed, float(camera.size[0].max()) / 2
        stored = content["joints"]
        joints = joints_after(stored, refined, back).numpy()
        # ROMP's scale is focal over the depth of the joints' origin, and its shift the origin's place times that: the
        # way of
        # `_translation` back.
        root = joints[:, 0] if source.joints is not None else rest_pelvis(source).double().numpy()
        place = back.pelvis.double().numpy() - root
        focal, center = camera.focal[0].double().numpy(), camera.center[0].double().numpy()
        scale = focal[0] / place[:, 2] / half
        shift = scale[:, None] * place[:, :2]
        cam = np.concatenate((scale[:, None], shift), 1)
        pixels = (scale[:, None, None] * joints[..., :2] + shift[:, None]) * half + center
        content = put_rotations(content, source.pose, back)
        content |= {
            "cam": pick(changed, cam, content["cam"]),
            "joints": pick(changed, joints, stored),
            "pj2d_org": pick(changed, pixels, content["pj2d_org"]),
        }
        if "cam_trans" in content:
            moved = _moved_cam_trans(dict(source.arrays), joints, cam, half)
            content["cam_trans"] = pick(changed, moved, content["cam_trans"])
        # The reader sees the body nearest to it from `LONG_DISTANCE_M` again: what stands beside is written for that
        # camera.
        seen = with_camera(refined, _camera(source.path, content))
        content = put_surface(content, seen, seen.bodies.translation)
    return content


def _camera(path: Path | None, content: Results) -> Camera:
    """Recover the photo's size from joints and pixels, and build the long lens; one camera a body, all the same."""
    people, content = len(content["cam"]), known_rows(content, ("cam", "joints", "pj2d_org"))
    scale, shift = content["cam"][:, :1].astype(np.float64), content["cam"][:, 1:].astype(np.float64)
    flat = scale[..., None] * content["joints"][..., :2] + shift[:, None] + 1  # (B, 71, 2) in half sides of the square
    ones, zeros = np.ones(flat[..., 0].size), np.zeros(flat[..., 0].size)
    rows_x = np.stack((flat[..., 0].ravel() / 2, -ones, zeros), 1)
    rows_y = np.stack((flat[..., 1].ravel() / 2, zeros, -ones), 1)
    seen = content["pj2d_org"].astype(np.float64)
    design, target = np.concatenate((rows_x, rows_y)), np.concatenate((seen[..., 0].ravel(), seen[..., 1].ravel()))
    (side, pad_x, pad_y), *_ = np.linalg.lstsq(design, target, rcond=None)
    error = float(np.abs(design @ (side, pad_x, pad_y) - target).max())
    nearest = float(scale.max())
    if error > FITS_PX or side <= 0 or float(scale.min()) <= 0 or not math.isfinite(error):
        got = f"{error:.1f} px apart" if scale.min() > 0 else "a body with a scale of zero or less"
        got = got if seen.any() else "no pixels at all"
        advice = (
            "The file was changed after ROMP wrote it, or is another program's. Without the pixels ROMP's camera is "
            "not known; to go by the one "
            "that ROMP fitted afterwards, store global_orient, body_pose, betas and transl = cam_trans, and give "
            'camera="fov60".'
        )
        raise InputError(str(path), "pj2d_org that follows from joints and cam as in ROMP", got, advice)
    width, height = round(side - 2 * pad_x), round(side - 2 * pad_y)
    focal = LONG_DISTANCE_M * nearest * side / 2
    like = torch.ones(people, 2)
    center = torch.tensor([side / 2 - pad_x, side / 2 - pad_y], dtype=torch.float32)
    return Camera(focal * like, center * like, torch.tensor([float(height), float(width)]) * like)


def _translation(content: Results, camera: Camera) -> Float[Tensor, "B 3"]:
    """Return where the long lens sees SMPL's origin: T = (tx / s, ty / s, f / (s M/2)), m."""
    cam = torch.as_tensor(content["cam"].astype(np.float64))
    half = camera.size.amax(1).double() / 2
    depth = camera.focal[:, 0].double() / (cam[:, 0] * half)
    return torch.cat((cam[:, 1:] / cam[:, :1], depth[:, None]), 1).float()


def _vertices(content: Results, translation: Tensor) -> Float[Tensor, "B V 3"] | None:
    """Return the stored surface in the camera frame, None in a refined file, which has none."""
    if "verts" not in content:
        return None
    return torch.as_tensor(content["verts"], dtype=torch.float32) + translation[:, None]


def _moved_cam_trans(content: Results, joints: np.ndarray, cam: np.ndarray, half: float) -> np.ndarray:
    """Return ROMP's own `cam_trans` moved as the pelvis moved in the photo, its depth by the change of scale."""
    was, stored, translation = content["cam"], content["joints"][:, 0], content["cam_trans"]
    focal = 2 * half * ROMP_FOCAL
    old_shift, new_shift = (
        half * (camera[:, :1] * pelvis[:, :2] + camera[:, 1:])
        for camera, pelvis in ((was, stored), (cam, joints[:, 0]))
    )
    pelvis = stored + translation
    depth = pelvis[:, 2:] * was[:, :1] / cam[:, :1]
    pixel = focal * pelvis[:, :2] / pelvis[:, 2:] + new_shift - old_shift
    moved: np.ndarray = np.concatenate((pixel * depth / focal, depth), 1) - joints[:, 0]
    return moved
