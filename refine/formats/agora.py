"""AGORA's submission, `<image>_personId_<k>.pkl`, as AiOS writes it: one person in SMPL-X or SMPL, 24 joints in px.

    px/3840 = u/W, py/2160 = v/H of `joints`        u = fx (X + T_x) / (Z + T_z) + W/2,   T = params["transl"] (m)
    AiOS: fx = 5000 W/w, fy = 5000 H/h px, where (w,
    h) is the photo scaled to a shorter side of 800 px and a longer one of at most 1333

`joints` (the model's first 24, though only their nearness counts) are pixels of a photo of 3840 x 2160 whatever the
photo's size is, which is not stored. The evaluation aligns people by their pelvis, so a submission says nothing of its
camera, and `transl` may be zero. AiOS's camera is taken where its translation lands on the stored joints; else the
given one where it does; else the person is placed under the given camera by the stored joints alone. Pixels count from
the image's corner. Parts are axis-angle, or matrices with `pose2rot: False`; axis-angle hands stand on the model's mean
hand (AiOS's layer has `use_pca=False` and smplx's default, no `flat_hand_mean`), matrices are taken as whole rotations.
Eleven betas are SMPL+A's (`kid_flag`). A submission of vertices (`verts`, `allSmplJoints3d`) has no rotations, and is
refused.

Source: pixelite1201/agora_evaluation@8c9dece5fc `docs/prediction_format.md`, `agora_evaluation/check_pred_format.py`,
`load_predictions.py`; ttxskk/AiOS@f84947b6a1 `datasets/INFERENCE.py` lines 70-217 and 235-262,
`models/aios/postprocesses.py` lines 1045-1185, `util/preprocessing.py` lines 59-93 and 173-198,
`models/aios/aios_smplx.py` lines 118-130 and `detrsmpl/core/conventions/keypoints_mapping/smplx.py` (at inference
keypoint_dst is "smplx": the 24 are SMPL-X's own, body, jaw, left eye), `config/aios_smplx_inference.py` lines 183-222,
`detrsmpl/utils/geometry.py` lines 393-428.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.smpl_joints import BODY_JOINTS, joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.files.pickled import write_pickle
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._given_sizes import needed_sizes
from refine.formats._kept_camera import as_rows, of_rows
from refine.formats._own_source import own_source
from refine.formats._pickled_dict import holds, read_dict
from refine.formats._smpl_parts import kept, numbers, pose_of, put_pose, put_rows, put_shape
from refine.geometry.camera import Camera
from refine.transfer import on_trial, refined_source, to_body, with_camera

AGORA_SIZE = (2160.0, 3840.0)
"""Height and width (px) of the photo `joints` are counted in."""

AIOS_FOCAL_PX, AIOS_SHORTER_PX, AIOS_LONGER_PX = 5000.0, 800, 1333
"""AiOS's focal length, and the sides of the photo it is scaled to (`test_sizes`, `test_max_size`)."""

MODELS = {69: "smpl", 207: "smpl", 63: "smplx", 189: "smplx"}
"""By the numbers of `body_pose`."""

VERTICES = ("verts", "allSmplJoints3d", "joints")
"""The other kind of submission, which cannot be read."""

NEAR_M = 0.2
"""How far the joints' middle may be from the stored one, at the body's depth: other bodies' joints are some centimetres
off."""

SCALES = (0.6, 1.6)
"""Size of the stored joints over that of the projected ones: a child's on an adult's mean body, and not another focal
length."""

ADVICE = "Check the file with AGORA's check_pred_format.py."


def recognises(path: Path) -> bool:
    """Say whether a file is a submission to AGORA: a pickled dictionary with `joints` and `params` or vertices."""
    if holds(path, ("pickle",), VERTICES):
        return True
    if not holds(path, ("pickle",), ("params", "joints")):
        return False
    params = read_dict(path, (), ADVICE)["params"]
    return isinstance(params, dict) and set(params) >= {"global_orient", "body_pose", "betas", "transl"}


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read a submission's file of one person.

    `camera` is the photo's; it is needed where the file's translation does not fit AiOS's.

    Raises:
        InputError: The file is broken, holds vertices, or neither AiOS's camera nor a given one is known.
    """
    path, content = Path(path), read_dict(Path(path), ("joints",), ADVICE)
    where = str(path)
    if "params" not in content:
        advice = (
            "Vertices alone have no rotations to refine: let the system store its parameters (AGORA takes both), or "
            "fit a body to the vertices first."
        )
        raise InputError(f"{where}: params", "SMPL-X or SMPL parameters", "vertices and joints", advice)
    params = content["params"]
    if not isinstance(params, dict):
        raise InputError(f"{where}: params", "a dictionary", type(params).__name__, ADVICE)
    size = needed_sizes(where, torch.zeros(1, dtype=torch.long), sizes, camera)
    pixels = _pixels(where, content, size)
    model = _model(where, params)
    parts = {name: name for name in joint_slices(model)}
    pose, named = pose_of(where, params, parts, model, 1), re.fullmatch(r"(.+)_personId_(\d+)", path.stem)
    expression = (
        numbers(where, params, "expression", 1, None, advice=ADVICE) if "expression" in params else np.zeros((1, 0))
    )
    source = Source(
        format="agora",
        model=model,
        pose=pose,
        betas=torch.as_tensor(numbers(where, params, "betas", 1, None, advice=ADVICE), dtype=torch.float32),
        expression=torch.as_tensor(expression, dtype=torch.float32),
        translation=torch.as_tensor(numbers(where, params, "transl", 1, 3, advice=ADVICE), dtype=torch.float32),
        keypoints_2d=pixels,
        path=path,
        hand_mean="" if model == "smpl" else "flat" if _matrices(params) else "mean",
        gender=str(content.get("gender", "neutral")) if content.get("gender") in ("male", "female") else "neutral",
        images=(f"{named[1]}.png",) if named else (),
        persons=(named[2],) if named else (),
    )
    source, own = _placed(where, source, size, camera, body)
    numbers_of = as_rows(own)
    estimate = to_body(replace(source, arrays={"pickle": content, "camera": numbers_of}), own, body)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as a submission's file.

    Rotations, `transl` and the first 24 `joints` are refined, `betas` and `expression` on the model's own file too;
    unknown keys stay. Joints move in the photo as the refined body's do, those beyond its 22 with the nearest of them.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "agora", "AGORA's files")
    content: dict[str, Any] = dict(source.arrays["pickle"])  # type: ignore[call-overload]
    own = of_rows(source.arrays["camera"])
    refined = with_camera(refined, own)
    back = refined_source(refined)
    if bool(back.changed.any()):
        params = dict(content["params"])
        parts = {name: name for name in joint_slices(source.model)}
        params |= put_pose(params, parts, source.model, source.pose, back.pose)
        params |= {
            "betas": put_shape(refined, back.changed, kept(params["betas"])),
            "transl": put_rows(back.changed, back.translation, kept(params["transl"])),
        }
        if "expression" in params:
            params["expression"] = put_shape(refined, back.changed, kept(params["expression"]), expression=True)
        start = to_body(source, own, refined.body)
        was, now = (one.camera.project(one.joints[:, :BODY_JOINTS])[0].detach().cpu() for one in (start, refined))
        assert source.keypoints_2d is not None
        seen = source.keypoints_2d[0]
        near = torch.cat((torch.arange(BODY_JOINTS), torch.cdist(seen, was).argmin(1)[BODY_JOINTS:]))
        content |= beside(refined, back)
        content |= {
            "params": params,
            "joints": _put_joints(kept(content["joints"]), seen + (now - was)[near], own.size),
        }
    write_pickle(Path(path), content)


def _model(where: str, params: dict[str, Any]) -> str:
    """Return the body model by the length of `body_pose`."""
    count = np.size(kept(params.get("body_pose", ())))
    if count not in MODELS:
        raise InputError(f"{where}: body_pose", "21 (SMPL-X) or 23 (SMPL) joints", f"{count} numbers", ADVICE)
    return MODELS[count]


def _matrices(params: dict[str, Any]) -> bool:
    """Say whether the rotations are matrices."""
    return np.size(kept(params.get("global_orient", ()))) == 9


def _pixels(where: str, content: dict[str, Any], size: Tensor) -> Float[Tensor, "1 24 2"]:
    """Return the first 24 stored joints in px of the photo."""
    joints = kept(content["joints"]).squeeze()
    if joints.ndim != 2 or joints.shape[0] < 24 or joints.shape[1] < 2:
        raise InputError(f"{where}: joints", "shape (24, 2)", f"shape {joints.shape}", ADVICE)
    first = numbers(where, {"joints": joints[:24, :2]}, "joints", 24, 2, advice=ADVICE, rows=False)
    agora = torch.tensor(AGORA_SIZE).flip(0)
    return (torch.as_tensor(first, dtype=torch.float32) / agora * size.flip(-1))[None]


def _put_joints(stored: np.ndarray, pixels: Tensor, size: Tensor) -> np.ndarray:
    """Return the stored joints with the first 24 renewed, in AGORA's pixels, shape and dtype kept."""
    rows = np.array(stored).squeeze()
    agora = torch.tensor(AGORA_SIZE).flip(0)
    rows[:24, :2] = (pixels / size.flip(-1) * agora).numpy()
    return rows.reshape(stored.shape)


def _aios_camera(size: Tensor) -> Camera:
    """Return AiOS's camera in px of the photo: 5000 px on the scaled one, whose sides are whole."""
    height, width = (float(side) for side in size[0])
    shorter, longer = min(height, width), max(height, width)
    side = AIOS_SHORTER_PX
    if longer / shorter * side > AIOS_LONGER_PX:
        side = round(AIOS_LONGER_PX * shorter / longer)
    other = int(side * longer / shorter)
    w, h = (side, other) if width < height else (other, side)
    focal = torch.tensor([[AIOS_FOCAL_PX * width / w, AIOS_FOCAL_PX * height / h]])
    return Camera(focal, size.flip(-1) / 2, size)


def _placed(
    where: str, source: Source, size: Tensor, camera: Camera | None, body: SkinnedBody | None
) -> tuple[Source, Camera]:
    """Return the source with a translation that lands on the stored joints, and the camera it belongs to."""
    aios = _aios_camera(size)
    if _lands(on_trial(source, aios, body)):
        return replace(
            source, focal_rule=f"{float(aios.focal[0, 0]):.0f} px, 5000 px on the photo scaled by AiOS"
        ), aios
    if camera is None:
        advice = (
            "A submission does not say which camera its transl belongs to, and AiOS's does not show the person where "
            "`joints` are: give the photo's camera."
        )
        raise InputError(f"{where}: camera", "a camera", "none", advice)
    said = f"{float(camera.focal[0, 0]):.0f} px, the given camera's"
    estimate = on_trial(source, camera[:1], body)
    if _lands(estimate):
        return replace(source, focal_rule=said), camera[:1]
    place = _place(estimate)
    said += "; transl does not fit it, so the person is placed by the stored joints"
    return replace(source, translation=place, focal_rule=said), camera[:1]


def _lands(estimate: Estimate) -> bool:
    """Say whether a body is seen where its stored joints are, and about as large."""
    assert estimate.source.keypoints_2d is not None
    joints = estimate.joints[0, :BODY_JOINTS]
    depth = float(joints[:, 2].mean())
    if depth <= 0 or float(joints[:, 2].min()) <= 0:
        return False
    seen = estimate.camera.project(joints[None])[0].detach().cpu()
    stored = estimate.source.keypoints_2d[0, :BODY_JOINTS]
    apart = float((seen.mean(0) - stored.mean(0)).norm()) * depth / float(estimate.camera.focal.mean())
    ratio = float((stored - stored.mean(0)).norm() / (seen - seen.mean(0)).norm())
    return apart < NEAR_M and SCALES[0] < ratio < SCALES[1]


def _place(estimate: Estimate) -> Float[Tensor, "1 3"]:
    """Return the `transl` (m) that puts a body's joints X nearest to stored pixels: f (X + T_x) = (u - c) (Z + T_z)."""
    assert estimate.source.keypoints_2d is not None and estimate.source.translation is not None
    joints = (estimate.joints[0, :BODY_JOINTS] - estimate.joints[0, :1]).detach().cpu().double()
    focal, center = (part[0].detach().cpu().double() for part in (estimate.camera.focal, estimate.camera.center))
    ray = (estimate.source.keypoints_2d[0, :BODY_JOINTS].double() - center) / focal  # (22, 2)
    rows = torch.zeros(2, BODY_JOINTS, 3, dtype=torch.float64)
    rows[0, :, 0] = rows[1, :, 1] = 1
    rows[:, :, 2] = -ray.T
    wanted = (ray * joints[:, 2:] - joints[:, :2]).T.reshape(-1, 1)
    pelvis = torch.linalg.lstsq(rows.reshape(-1, 3), wanted).solution[:, 0]
    moved = pelvis.float() - estimate.joints[0, 0].detach().cpu()
    return estimate.source.translation + moved
