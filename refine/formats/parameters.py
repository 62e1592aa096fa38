"""SMPL(-X) parameters by their public names: a mapping, an output of the `smplx` package, or a file of any container.

    pelvis = rest pelvis + transl,   pose = exp(axis-angle) or the matrix itself

Names: global_orient, body_pose, betas, transl, left_hand_pose, right_hand_pose, jaw_pose, leye_pose, reye_pose,
expression; also understood: joints and vertices (camera frame, m, `transl` included), full_pose, gender, and a camera
as focal, center, size (px; size is (height, width)). Rotations are axis-angle or matrices, flat or per joint, with or
without a batch axis, each name for itself: the number of values tells. Body poses of 23 joints are SMPL's; of 21,
SMPL-X's, or SMPL-H's where there are hands and no face. Where the principal point is (W/2, H/2) pixels already count
from the image's corner. The names other systems publish the same numbers under are understood too, and written again
(`_spelling`); places that are none in the camera's frame are refused.

Source: the package smplx, `body_models.py` (names and shapes of the `forward` arguments and outputs).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.smpl_joints import joint_slices
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array
from refine.estimate.nobody import is_empty
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import write_arrays
from refine.formats import Sizes
from refine.formats._beside import beside
from refine.formats._in_memory import advice_on, refuse_places_that_are_none
from refine.formats._own_source import own_source
from refine.formats._parameter_camera import camera_of
from refine.formats._parameter_file import holds_parameters, named, read_named, write_named
from refine.formats._parameter_rows import coefficients_of, count_of, per_body, points_of, rows_of
from refine.formats._renames import renames
from refine.formats._smpl_parts import rotations
from refine.formats._spelling import FILE, MATRICES, MOCAP
from refine.formats.nobody import nobody_of
from refine.geometry.camera import Camera
from refine.geometry.focal import list_rules
from refine.transfer import refined_source, source_parameters, to_body, with_camera
from refine.transfer.carry import joints_after

FACE_AND_HANDS = ("jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
KEYS = {"global_orient", "body_pose"}
NAMES = ("global_orient", "body_pose", "betas", "transl", *FACE_AND_HANDS, "expression")
DERIVED = ("vertices", "full_pose")
"""What the regressor's model made of its parameters: left out of a refined file, for they are not refined."""

FAR_M = 1.0
"""Stored joints whose pelvis is farther than this from `transl` were stored without it (SMPL's rest pelvis is within
0.4 m)."""

UPRIGHT = -0.3
"""y of the up axis of people in a recorded motion, in the mean: -1 in a camera's frame, 1 or 0 in a world with y or z
up."""

NOTE = (
    "Refined: rotations, transl and joints are new, betas and expression too where the model's own file was used and "
    "the source's else; vertices and full_pose are left out."
)


def recognises(path: Path) -> bool:
    """Say whether a file holds `global_orient` and `body_pose`, in any spelling, and is no other format's."""
    from refine.formats.find import formats

    if not holds_parameters(path):
        return False
    return not any(module.recognises(path) for name, module in formats().items() if name != "parameters")


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read a file of SMPL(-X) parameters.

    Raises:
        InputError: The file is broken, an array is missing or of another shape, or there is no camera.
    """
    return read_parameters(read_named(Path(path)), body, camera, path=Path(path), sizes=sizes)


def read_parameters(
    init: Mapping[str, object] | object,
    body: SkinnedBody | None = None,
    camera: Camera | None = None,
    *,
    path: Path | None = None,
    sizes: Float[Tensor, "I 2"] | None = None,
) -> Estimate:
    """Read parameters from memory.

    Args:
        init: A mapping with SMPL(-X) names, or an output of the `smplx` package.
        body: The model to put the estimate on; None: the built-in body.
        camera: One camera, or one a body; replaces the mapping's.
        path: Where they came from, for messages.
        sizes: (1, 2) px, the photo's, where the mapping holds a focal length alone.

    Returns:
        The estimate; `image_index` is the mapping's, else all zero, or the frame's number of a recorded motion.

    Raises:
        InputError: A name is missing or of another shape, or there is no camera.
    """
    if nobody_in(init):
        return nobody_of("parameters", _arrays(init), body)
    source = source_of(init, path=path)
    _check_upright(source)
    own = camera_of(source, camera.size[:1].cpu().float() if sizes is None and camera is not None else sizes)
    if own is None and camera is None:
        advice = f"Name the focal rule of the system that made the estimate:\n{list_rules()}\nor give a camera."
        raise InputError("camera", "a camera in the estimate or in the call", "neither", advice)
    index = image_index_of(source)
    if own is None or camera is None:
        chosen = camera if own is None else own
        assert chosen is not None
        return to_body(source, chosen, body, index)
    return with_camera(to_body(source, own, body, index), camera)


def source_of(init: Mapping[str, object] | object, *, path: Path | None = None) -> Source:
    """Return parameters as a source, without needing a camera.

    Args:
        init: A mapping with SMPL(-X) names, or an output of the `smplx` package.
        path: Where they came from, for messages.

    Returns:
        The source; `len` of it is the number of bodies.

    Raises:
        InputError: A name is missing, or its number of values does not fit.
    """
    arrays = _arrays(init)
    where = str(path) if path else "init"
    if isinstance(init, Mapping) and FILE not in arrays:
        if path is None:
            refuse_places_that_are_none(where, init)
        spelled = named(init, where)
        arrays = {str(name): spelled[name] for name in (*init, *spelled) if name in spelled}  # in the order given
    for name in ("global_orient", "body_pose"):
        if name not in arrays:
            keys = ", ".join(arrays) or "nothing"
            advice = advice_on(init) if path is None and FILE not in arrays else ""
            raise InputError(where, f"SMPL(-X) names ({', '.join(NAMES)})", keys, advice or f"{name} is missing.")
    body_pose = as_array(arrays["body_pose"])
    count, joints = count_of(where, body_pose)
    has_face = any(name in arrays for name in ("jaw_pose", "leye_pose", "reye_pose", "expression"))
    has_hands = any(name in arrays for name in ("left_hand_pose", "right_hand_pose"))
    model = "smpl" if joints == 23 else "smplx" if has_face or not has_hands else "smplh"
    slices = joint_slices(model)
    pose = torch.eye(3).repeat(count, max(part.stop for part in slices.values()), 1, 1)
    if "full_pose" in arrays:
        pose = rotations(where, "full_pose", arrays["full_pose"], count, pose.shape[1])
    else:
        for name, part in slices.items():
            values = arrays.get(name)
            coefficients = name in FACE_AND_HANDS[3:] and per_body(values, count) not in (45, 135)
            if values is not None and not coefficients:
                pose[:, part] = rotations(where, name, values, count, part.stop - part.start)
    translation = rows_of(where, "transl", arrays.get("transl"), count, 3)
    if translation is None and "joints" not in arrays:
        stored: Any = arrays.get(FILE, {"content": init})
        content = stored["content"]
        names = frozenset(map(str, [*arrays, *(content if isinstance(content, Mapping) else ())]))
        advice = renames([names]) or "Store `transl`, or `joints` in the camera frame."
        raise InputError(where, "a translation or joints", "neither", advice)
    points = {name: points_of(where, name, arrays.get(name), count) for name in ("joints", "vertices")}
    joints_3d = points["joints"]
    if joints_3d is not None and translation is not None:
        apart = float((joints_3d[:, 0] - translation).norm(dim=1).max())
        if apart > FAR_M:
            advice = "Store joints in the camera frame, with transl added, or leave them out."
            raise InputError(f"{where}: joints", f"a pelvis within {FAR_M:g} m of transl", f"{apart:.2f} m", advice)
    gender = str(np.asarray(arrays["gender"])) if "gender" in arrays else "neutral"
    return Source(
        format="parameters",
        model=model,
        pose=pose,
        betas=coefficients_of(where, "betas", arrays.get("betas"), count),
        expression=coefficients_of(where, "expression", arrays.get("expression"), count),
        translation=translation,
        joints=joints_3d,
        vertices=points["vertices"],
        arrays=arrays,
        path=path,
        gender=gender if gender in ("female", "male") else "neutral",
    )


def image_index_of(source: Source) -> Int[Tensor, "B"] | None:
    """Return which image each body is seen in, as the parameters say it; None: all in one."""
    given = source.arrays.get("image_index")
    if given is not None:
        return torch.as_tensor(as_array(given)).reshape(-1).long()
    return torch.arange(len(source)) if set(MOCAP) & set(source.arrays) else None


def nobody_in(init: object) -> bool:
    """Say whether a mapping has rows for nobody."""
    return isinstance(init, Mapping) and KEYS <= set(init) and all(is_empty(init[name]) for name in KEYS)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate as an npz file of the same names, shapes and dtypes.

    Rotations and `transl` are refined (betas too on the model's own file), and unknown keys stay. Stored joints are
    carried along (`refine.transfer.carry`); `vertices` and `full_pose` are left out of a refined file, and
    `refine_note` says so. Where nothing was refined all is as it was read.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "parameters", "parameters")
    stored: Any = source.arrays.get(FILE)
    if not len(source):
        return write_arrays(Path(path), {name: as_array(value) for name, value in source.arrays.items()})
    camera = camera_of(source, refined.camera.size[:1].detach().cpu().float())
    refined = refined if camera is None else with_camera(refined, camera)
    content: dict[str, Any] = {name: as_array(value) for name, value in source.arrays.items() if name != FILE}
    back = refined_source(refined)
    extra: dict[str, object] = {}
    if bool(back.changed.any()):
        fresh = source_parameters(refined)
        content = {name: value for name, value in content.items() if name not in DERIVED}
        content |= {name: value for name, value in fresh.items() if name in content or (name in NAMES and value.size)}
        if "joints" in content:
            own = content["joints"]
            joints = joints_after(own.reshape(len(source), -1, 3), refined, back)
            joints = joints + (back.pelvis - source_pelvis(source)).double()[:, None]
            content["joints"] = (
                np.where(back.changed.numpy()[:, None, None], joints.numpy(), own.reshape(joints.shape))
                .astype(own.dtype)
                .reshape(own.shape)
            )
        extra = beside(refined, back, NOTE)
        content |= extra
    if stored is None:
        return write_arrays(Path(path), content)
    write_named(Path(path), stored, content if bool(back.changed.any()) else None, set(DERIVED), extra)


def _arrays(init: Mapping[str, object] | object) -> dict[str, object]:
    """Return what a mapping or an smplx output holds, by name; what is None is left out."""
    if isinstance(init, Mapping):
        return {str(name): value for name, value in init.items() if value is not None}
    if not hasattr(init, "body_pose"):
        advice = "Give an Estimate, a mapping with SMPL(-X) names, an output of the smplx package, or a path."
        raise InputError("init", "SMPL(-X) parameters", type(init).__name__, advice)
    found = {name: getattr(init, name, None) for name in (*NAMES, "joints", *DERIVED)}
    return {name: value for name, value in found.items() if value is not None}


def _check_upright(source: Source) -> None:
    """Refuse a recorded motion whose people stand upright in a world and not in the camera's frame (y down).

    Raises:
        InputError: They do.
    """
    if not set(MOCAP) & set(source.arrays) or set(MATRICES) & set(source.arrays):
        return
    up = float(source.pose[:, 0, 1, 1].mean())  # y of the body's own up axis
    if up > UPRIGHT:
        key = "smpl_params_global" if "smpl_params_global" in source.arrays else "poses"
        got = f"people {'upside down' if up > 0.5 else 'lying down'} in it, as in a world with another axis up"
        advice = (
            "Turn root and trans into the camera's frame (x right, y down, z forward), and store them as "
            "global_orient and transl."
        )
        raise InputError(f"{source.path or 'init'}: {key}", "a motion in the camera's frame", got, advice)
