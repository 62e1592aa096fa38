"""An estimate whose file has other units, axes or hands than its format says, put right: the source, then the bodies.

    units    lengths <- metres of a unit · lengths             (translations, stored joints and vertices)
    axes     X <- F X,  R_0 <- F R_0,  transl <- F (transl + J_0) - J_0,   F = diag(1, -1, -1): OpenGL to OpenCV
    focal    camera <- that of the rule, the bodies stay where they are
    hands    the source's `hand_mean` says what finger rotations stand on

What the file holds is put right along with it, by the names translations, points and root rotations have in the
formats, so that what is written back is one file in one convention.

Source: derived here (OpenGL's camera looks along -z with y up).
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.estimate.pelvis import rest_pelvis
from refine.estimate.usable import check_places, places_unjudged
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.focal import RULES, camera_from_rule
from refine.inputs.checks import checked
from refine.inputs.corrections import UNITS, Corrections
from refine.transfer import to_body

FLIP = (1.0, -1.0, -1.0)
"""Diagonal of F."""

TRANSLATIONS = frozenset(
    "transl trans global_t pred_cam_t pred_cam_t_full cam_trans root_trans_cam Th camera_translation smplx_translation "
    "pred_trans smpl_trans".split()
)
"""Names translations have in the formats."""
POINTS = frozenset(
    "joints joints3d pred_joints 3d_joints joints_3d pred_keypoints_3d verts vertices smplx_verts pred_vertices".split()
)
"""Names joints and vertices have."""
ROOTS = frozenset(
    "global_orient root_orient smplx_root_pose root_pose Rh smpl_orient_cam smplx_global_orientation".split()
)
"""Names root rotations have."""
POSES = frozenset("pose poses smpl_thetas thetas pred_rotmat rotmat parm_pose full_pose".split())
"""Names whole poses have, whose first joint is the root."""


def corrected(estimate: Estimate, corrections: Corrections) -> Estimate:
    """Return an estimate with its units, axes and hands put right.

    Args:
        estimate: As its file was read; B bodies.
        corrections: What is to be undone.

    Returns:
        The estimate, its source and a note; the same one where there is nothing to undo.
    """
    if not corrections.of_estimates or not len(estimate):
        return estimate
    source, said = estimate.source, []
    if corrections.units:
        source = _in_metres(source, UNITS[corrections.units])
        said.append(f"lengths taken for {corrections.units}")
    if corrections.axes:
        source = _y_down(source)
        said.append("y up and z backward turned to y down and z forward")
    if corrections.hands:
        source = replace(source, hand_mean=corrections.hands)
        said.append(f"finger rotations taken to stand on a {corrections.hands} hand")
    camera = estimate.camera
    if corrections.focal:
        camera = _placed_for(camera, corrections.focal)
        said.append(f"placed for the focal length {corrections.focal}")
    fresh = to_body(source, camera, estimate.body, estimate.image_index)
    return replace(fresh, notes=(*fresh.notes, f"Corrected as asked: {', '.join(said)}."))


def read_corrected(
    path: Path,
    corrections: Corrections,
    body: SkinnedBody | None = None,
    camera: Camera | None = None,
    *,
    format: str | None = None,
    sizes: Tensor | None = None,
    judged: bool = True,
) -> Estimate:
    """Read a result file and put right what is systematically wrong with it; its places are judged after that.

    Args:
        path: The file.
        corrections: What is to be undone.
        body: The model to put the estimate on; None: as its format chooses.
        camera: Replaces the file's.
        format: The file's format; None: recognised.
        sizes: (I, 2) px, the photos' (height, width).
        judged: Whether people whom no camera can see where they are said to be are refused.

    Raises:
        InputError: The file cannot be read, or nobody in it can be where it says.
    """
    from refine.formats import find

    with places_unjudged() if corrections.of_estimates or not judged else nullcontext():
        found = checked(find.read(path, body, camera=camera, format=format, sizes=sizes))
        found = corrected(found, corrections)
    return check_places(found) if judged and corrections.of_estimates else found


def _placed_for(camera: Camera, focal: str) -> Camera:
    """Return cameras with another focal length, by rule or in px."""
    if focal in RULES:
        return replace(camera, focal=camera_from_rule(focal, camera.size).focal.to(camera.focal))
    return replace(camera, focal=torch.full_like(camera.focal, float(focal)))


def _in_metres(source: Source, unit: float) -> Source:
    def scaled(value: Tensor | None) -> Tensor | None:
        return None if value is None else value * unit

    return replace(
        source,
        translation=scaled(source.translation),
        joints=scaled(source.joints),
        vertices=scaled(source.vertices),
        camera_from_world=None,  # of the numbers as they came
        arrays=_walk(source.arrays, lambda name, array: array * unit if name in TRANSLATIONS | POINTS else array),
    )


def _y_down(source: Source) -> Source:
    flip = source.pose.new_tensor(FLIP)
    rest = rest_pelvis(source)
    root = torch.diag(flip) @ source.pose[:, :1]
    mean = rest.double().mean(0).numpy()

    def turned(value: Tensor | None) -> Tensor | None:
        return None if value is None else value * flip

    def array(name: str, value: np.ndarray) -> np.ndarray:
        signs = np.asarray(FLIP)
        if name in TRANSLATIONS:
            return ((value.reshape(-1, 3) + mean) * signs - mean).reshape(value.shape).astype(value.dtype)
        if name in POINTS:
            return (value * signs).astype(value.dtype)
        return _root_turned(value, whole=name in ROOTS) if name in ROOTS | POSES else value

    translation = source.translation
    if translation is not None:
        translation = (translation + rest) * flip - rest
    return replace(
        source,
        pose=torch.cat((root, source.pose[:, 1:]), 1),
        translation=translation,
        joints=turned(source.joints),
        vertices=turned(source.vertices),
        camera_from_world=None,
        arrays=_walk(source.arrays, array),
    )


def _root_turned(value: np.ndarray, whole: bool) -> np.ndarray:
    """Return rotations whose first joint is the root (or which are the root alone) seen from the other camera."""
    flip = torch.diag(torch.tensor(FLIP, dtype=torch.float64))
    if value.ndim >= 2 and value.shape[-2:] == (3, 3):
        fresh = value.copy()
        if whole:
            return (flip.numpy() @ value).astype(value.dtype)
        fresh[..., 0, :, :] = flip.numpy() @ value[..., 0, :, :] if value.ndim > 3 else flip.numpy() @ value[0]
        return fresh
    if value.shape[-1] % 3:
        return value
    fresh = value.reshape(-1, 3) if whole else value.reshape(len(value), -1).copy()
    root = torch.as_tensor(np.array(fresh[:, :3], dtype=np.float64))
    turned = rotation.log(flip @ rotation.exp(root)).numpy().astype(value.dtype)
    fresh = np.concatenate((turned, fresh[:, 3:]), 1)
    return fresh.reshape(value.shape)


def _walk(content: Any, change: Callable[[str, np.ndarray], np.ndarray], name: str = "") -> Any:
    """Return nested content with its arrays changed by the name they stand under."""
    if isinstance(content, Mapping):
        return _like(content, {key: _walk(value, change, str(key)) for key, value in content.items()})
    if isinstance(content, list | tuple):
        parts = [_walk(one, change, name) for one in content]
        return parts if isinstance(content, list) else tuple(parts)
    if isinstance(content, np.ndarray) and content.dtype == object:
        fresh = np.empty_like(content)
        for place in np.ndindex(content.shape):
            fresh[place] = _walk(content[place], change, name)
        return fresh
    if isinstance(content, np.ndarray) and content.dtype.kind == "f":
        return change(name, content)
    if isinstance(content, Tensor) and content.is_floating_point():
        return torch.as_tensor(change(name, content.detach().cpu().double().numpy())).to(content)
    return content


def _like(old: Mapping[object, object], pairs: dict[object, object]) -> Mapping[object, object]:
    """Return pairs as a mapping of the old one's kind where that can be copied (a defaultdict keeps its default)."""
    from copy import copy

    if type(old) is dict:
        return pairs
    fresh = copy(old)
    fresh.update(pairs)  # type: ignore[attr-defined]
    return fresh
