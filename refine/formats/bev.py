"""BEV's npz of one photo: a dictionary `results` with SMPL's numbers and a full-perspective camera.

    u = f (X + T_x) / (Z + T_z) + W/2,   f = max(W, H) / (2 tan 30°),   T = cam_trans
    T_z = 1 / (s tan 30° + 0.001),   (T_x, T_y) = (c_x, c_y) T_z tan 30°,   cam = (s, c_y, c_x)

`joints` and `verts` have the middle of the hips (joints 45 and 46) at their origin, so SMPL's pelvis lies at joint 0 +
T and `transl` is not known without the model. `params_pred` is cam, 22 rotations as their first two columns, and betas.
Betas are 11, the last one SMPL+A's age. The file does not hold the photo's size: centre and focal length follow exactly
from the stored joints and pixels. Pixels count from the image's corner.

Source: Arthur151/ROMP, `simple_romp/bev/post_parser.py`, `simple_romp/bev/main.py`; checked on real files.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import write_arrays
from refine.formats import Sizes
from refine.formats._own_source import own_source
from refine.formats._perspective import recover
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
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import joints_after

SHAPES = {"cam_trans": (3,), "smpl_thetas": (72,), "smpl_betas": (11,), "joints": (71, 3), "pj2d_org": (71, 2)}

TAN_HALF_FOV = math.tan(math.radians(60) / 2)
"""BEV's field of view is 60° across the longer side (`bev/main.py`)."""

DEPTH_FLOOR = 1e-3
"""Added to the scale before it becomes a depth (`bev/post_parser.py`, convert_scale_to_depth)."""

HIPS = (45, 46)
"""The joints whose middle is the origin of `joints` and `verts`."""

FITS_PX = 0.5
"""How exactly the stored pixels must follow from the stored joints; float32 leaves a thousandth."""

SAME_FOCAL = 1e-3
"""A recovered focal length this near to the rule's, relatively, is the rule's."""

ROTATIONS = 22
"""Joints whose rotations stand in `params_pred`, behind the three of `cam`, six numbers each."""


def recognises(path: Path) -> bool:
    """Say whether a file is BEV's: a dictionary with `cam_trans` and `pj2d_org`, but without ROMP's `global_orient`."""
    return is_photo(results_of(path))


def is_photo(content: Results | None) -> bool:
    """Say whether a dictionary is BEV's of one photo."""
    return content is not None and {"cam_trans", "pj2d_org"} <= set(content) and "global_orient" not in content


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read BEV's result of one photo.

    Raises:
        InputError: The file is broken or holds something else.
    """
    source, own = source_of(Path(path), results_of(path))
    estimate = to_body(source, own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def source_of(path: Path, stored: Results | None) -> tuple[Source, Camera]:
    """Return what BEV stored of the people of one photo, and their cameras; `stored` is its dictionary.

    Raises:
        InputError: It is broken or holds something else.
    """
    content = checked(path, stored, SHAPES)
    own, rule = _camera(path, content)
    translation = torch.as_tensor(content["cam_trans"], dtype=torch.float32)
    vertices = content.get("verts")
    source = Source(
        format="bev",
        model="smpl",
        pose=axis_angles(content["smpl_thetas"]),
        betas=torch.as_tensor(content["smpl_betas"], dtype=torch.float32),
        expression=torch.zeros(len(translation), 0),
        joints=torch.as_tensor(content["joints"], dtype=torch.float32) + translation[:, None],
        vertices=None if vertices is None else torch.as_tensor(vertices, dtype=torch.float32) + translation[:, None],
        keypoints_2d=torch.as_tensor(content["pj2d_org"], dtype=torch.float32),
        arrays=content,
        focal_rule=rule,
        path=path,
    )
    return source, own


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as BEV's npz.

    Rotations, `cam`, `cam_trans`, `params_pred`, `joints` and `pj2d_org` are refined, betas and unknown keys stay, and
    `verts` is left out (`_simple_romp` says why, `refine.transfer.carry` how joints are carried). Bodies that did not
    change keep every number.

    Raises:
        InputError: The estimate was read from another format.
    """
    own_source(refined, "bev", "BEV")
    write_arrays(Path(path), {"results": refined_content(refined)})


def refined_content(refined: Estimate) -> Results:
    """Return the dictionary of a photo, `refined.source.arrays`, with what was refined in it."""
    source = refined.source
    content: Results = dict(source.arrays)
    camera, _ = _camera(source.path, content)
    refined = with_camera(refined, camera)
    back = refined_source(refined)
    if bool(back.changed.any()):
        changed = back.changed
        joints = joints_after(content["joints"], refined, back)
        middle = joints[:, list(HIPS)].mean(1)
        root = joints[:, 0]
        if source.joints is None:  # set aside: what is stored moves as the pelvis does
            root = (source_pelvis(source) - torch.as_tensor(content["cam_trans"])).double() + middle
        translation = back.pelvis.double() + middle - root
        joints = joints - middle[:, None]
        pixels = camera.to(dtype=torch.float64).project(joints + translation[:, None])
        content = put_rotations(content, source.pose, back)
        content |= {
            "cam_trans": pick(changed, translation, content["cam_trans"]),
            "joints": pick(changed, joints, content["joints"]),
            "pj2d_org": pick(changed, pixels, content["pj2d_org"]),
        }
        if "cam" in content:
            content["cam"] = pick(changed, _cam(translation), content["cam"])
        if "params_pred" in content:
            content["params_pred"] = _params(content["params_pred"], back, source.pose, translation)
        content = put_surface(content, refined, translation)
    return content


def _cam(translation: Tensor) -> np.ndarray:
    """Return BEV's (s, c_y, c_x) from its translation (B, 3) m."""
    x, y, z = translation.numpy().T
    return np.stack(((1 / z - DEPTH_FLOOR) / TAN_HALF_FOV, y / z / TAN_HALF_FOV, x / z / TAN_HALF_FOV), 1)


def _params(stored: np.ndarray, back: RefinedSource, pose: Tensor, translation: Tensor) -> np.ndarray:
    """Return the network's raw vector (B, 146) with refined camera and rotations; unturned joints keep theirs."""
    turned = (back.pose != pose).flatten(2).any(2)[:, :ROTATIONS, None].numpy()
    six = back.pose[:, :ROTATIONS, :, :2].reshape(len(stored), ROTATIONS, 6).numpy()
    last = 3 + 6 * ROTATIONS
    rotations = np.where(turned, six, stored[:, 3:last].reshape(-1, ROTATIONS, 6)).reshape(len(stored), -1)
    cam = pick(back.changed, _cam(translation), stored[:, :3])
    return np.concatenate((cam, rotations, stored[:, last:]), 1).astype(stored.dtype)


def _camera(path: Path | None, content: Results) -> tuple[Camera, str]:
    """Recover centre and focal length from joints and pixels: one camera a body, all the same; and the rule."""
    known = known_rows(content, ("joints", "cam_trans", "pj2d_org"))
    advice = "The file was changed after BEV wrote it, or is another program's."
    found = recover(str(path), known["joints"] + known["cam_trans"][:, None], known["pj2d_org"], advice)
    focal, (x, y), error = found.focal, found.center, found.error
    if error > FITS_PX or min(focal, x, y) <= 0 or not math.isfinite(error):
        raise InputError(
            str(path), "pj2d_org that is the projection of joints + cam_trans", f"{error:.1f} px apart", advice
        )
    width, height = round(2 * x), round(2 * y)
    usual = max(width, height) / 2 / TAN_HALF_FOV
    by_rule = abs(focal - usual) < SAME_FOCAL * usual
    focal = usual if by_rule else focal
    rule = f"{focal:.0f} px, " + ("60° across the longer side (BEV)" if by_rule else "recovered from the stored joints")
    like = torch.ones(len(content["joints"]), 2)
    center = torch.tensor([width / 2, height / 2])
    return Camera(float(focal) * like, center * like, torch.tensor([float(height), float(width)]) * like), rule
