"""SMPL(-X) parameters by their public names: a mapping, an output of the `smplx` package, or an npz file with these arrays.

    pelvis = rest pelvis + transl,   pose = exp(axis-angle) or the matrix itself

Names: global_orient, body_pose, betas, transl, left_hand_pose, right_hand_pose, jaw_pose, leye_pose, reye_pose, expression; also
understood: joints and vertices (camera frame, m, `transl` included), full_pose, gender, and a camera as focal, center, size (px; size is
(height, width)). Rotations are axis-angle or matrices, flat or per joint, with or without a batch axis, each name for itself: the number
of values tells. Body poses of 23 joints are SMPL's; of 21, SMPL-X's, or SMPL-H's where there are hands and no face. Where the
principal point is (W/2, H/2) pixels already count from the image's corner.

Source: the package smplx, `body_models.py` (names and shapes of the `forward` arguments and outputs).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.camera import Camera
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_array, as_tensor
from refine.focal import list_rules
from refine.formats import smplerx
from refine.formats._beside import beside
from refine.formats._carry import joints_after
from refine.formats._npz import member_names, read_arrays, write_arrays
from refine.formats._own_source import own_source
from refine.formats._smpl_parts import rotations
from refine.source_pose import joint_slices
from refine.transfer import refined_source, source_parameters, to_body, with_camera

FACE_AND_HANDS = ("jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
KEYS = {"global_orient", "body_pose"}
NAMES = ("global_orient", "body_pose", "betas", "transl", *FACE_AND_HANDS, "expression")
DERIVED = ("vertices", "full_pose")
"""What the regressor's model made of its parameters: left out of a refined file, for they are not refined."""

FAR_M = 1.0
"""Stored joints whose pelvis is farther than this from `transl` were stored without it (SMPL's rest pelvis is within 0.4 m)."""

NOTE = (
    "Refined: rotations, transl and joints are new, betas and expression too where the model's own file was used and the source's "
    "else; vertices and full_pose are left out."
)


def recognises(path: Path) -> bool:
    """Say whether a file is an npz with `global_orient` and `body_pose`, but not SMPLer-X's of one person."""
    return set(KEYS) <= set(member_names(path)) and not smplerx.recognises(path)


def read(
    path: Path,
    body: SkinnedBody | None = None,
    camera: Camera | None = None,
    sizes: Float[Tensor, "I 2"] | None = None,
) -> Estimate:
    """Read an npz file of SMPL(-X) parameters.

    Args:
        path: The file.
        body: The model to put the estimate on; None: the built-in body.
        camera: The camera, where the file holds none; replaces the file's.
        sizes: Not looked at: the file's own numbers tell.

    Returns:
        The estimate.

    Raises:
        InputError: The file is broken, an array is missing or of another shape, or there is no camera.
    """
    return read_parameters(read_arrays(Path(path)), body, camera, path=Path(path))


def read_parameters(
    init: Mapping[str, object] | object,
    body: SkinnedBody | None = None,
    camera: Camera | None = None,
    *,
    path: Path | None = None,
) -> Estimate:
    """Read parameters from memory.

    Args:
        init: A mapping with SMPL(-X) names, or an output of the `smplx` package.
        body: The model to put the estimate on; None: the built-in body.
        camera: One camera, or one a body; replaces the mapping's.
        path: Where they came from, for messages.

    Returns:
        The estimate; `image_index` is the mapping's, else all zero.

    Raises:
        InputError: A name is missing or of another shape, or there is no camera.
    """
    source = source_of(init, path=path)
    own = camera_of(source)
    if own is None and camera is None:
        advice = f"Name the focal rule of the system that made the estimate:\n{list_rules()}\nor give a camera."
        raise InputError("camera", "a camera in the estimate or in the call", "neither", advice)
    given = source.arrays.get("image_index")
    index = None if given is None else torch.as_tensor(as_array(given)).reshape(-1).long()
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
    for name in ("global_orient", "body_pose"):
        if name not in arrays:
            keys = ", ".join(arrays) or "nothing"
            raise InputError(where, f"SMPL(-X) names ({', '.join(NAMES)})", keys, f"{name} is missing.")
    body_pose = as_array(arrays["body_pose"])
    count, joints = _count(where, body_pose)
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
            coefficients = name in FACE_AND_HANDS[3:] and _per_body(values, count) not in (45, 135)
            if values is not None and not coefficients:
                pose[:, part] = rotations(where, name, values, count, part.stop - part.start)
    translation = _rows(where, "transl", arrays.get("transl"), count, 3)
    points = {name: _points(where, name, arrays.get(name), count) for name in ("joints", "vertices")}
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
        betas=_coefficients(where, "betas", arrays.get("betas"), count),
        expression=_coefficients(where, "expression", arrays.get("expression"), count),
        translation=translation,
        joints=joints_3d,
        vertices=points["vertices"],
        arrays=arrays,
        path=path,
        gender=gender if gender in ("female", "male") else "neutral",
    )


def camera_of(source: Source) -> Camera | None:
    """Return the camera that stands beside the parameters (focal, size and perhaps center), None if there is none.

    Raises:
        InputError: They do not fit the number of bodies, or are not above zero.
    """
    where, count = str(source.path or "init"), len(source)
    if "focal" not in source.arrays or "size" not in source.arrays:
        return None

    def pair(name: str) -> Tensor:
        values = as_tensor(source.arrays[name])
        one_each = (
            values.dim() < 2 and values.numel() in (1, count) and values.numel() != 2
        )  # two numbers are a pair, also of two bodies
        values = values.reshape(-1, 1).expand(-1, 2) if one_each else values
        rows = _rows(where, name, values.reshape(-1, 2).expand(count, 2) if values.numel() == 2 else values, count, 2)
        assert rows is not None
        return rows

    size = pair("size")
    center = pair("center") if "center" in source.arrays else size.flip(-1) / 2
    return Camera(pair("focal"), center, size).checked()


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate as an npz file of the same names, shapes and dtypes.

    Rotations and `transl` are refined (betas too on the model's own file), and unknown keys stay. Stored joints are carried along
    (`_carry`); `vertices` and `full_pose` are left out of a refined file, and `refine_note` says so. Where nothing was refined all is as it was read.

    Args:
        refined: An estimate read by this module.
        path: Where to.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "parameters", "parameters")
    camera = camera_of(source)
    refined = refined if camera is None else with_camera(refined, camera)
    content = {name: as_array(value) for name, value in source.arrays.items()}
    back = refined_source(refined)
    if bool(back.changed.any()):
        fresh = source_parameters(refined)
        content = {name: value for name, value in content.items() if name not in DERIVED}
        content |= {name: value for name, value in fresh.items() if name in content or (name in NAMES and value.size)}
        if source.joints is not None:
            joints = joints_after(source.joints, refined, back)
            joints = joints - joints[:, :1] + back.pelvis[:, None]
            own = content["joints"]
            content["joints"] = (
                np.where(back.changed.numpy()[:, None, None], joints.numpy(), own.reshape(joints.shape))
                .astype(own.dtype)
                .reshape(own.shape)
            )
        content |= beside(refined, back, NOTE)
    write_arrays(Path(path), content)


def _arrays(init: Mapping[str, object] | object) -> dict[str, object]:
    """Return what a mapping or an smplx output holds, by name; what is None is left out."""
    if isinstance(init, Mapping):
        return {str(name): value for name, value in init.items() if value is not None}
    if not hasattr(init, "body_pose"):
        advice = "Give an Estimate, a mapping with SMPL(-X) names, an output of the smplx package, or a path."
        raise InputError("init", "SMPL(-X) parameters", type(init).__name__, advice)
    found = {name: getattr(init, name, None) for name in (*NAMES, "joints", *DERIVED)}
    return {name: value for name, value in found.items() if value is not None}


def _count(where: str, body_pose: np.ndarray) -> tuple[int, int]:
    """Return the number of bodies and of body joints (21 or 23) from the shape of `body_pose`."""
    shape = body_pose.shape
    for joints in (21, 23):
        for one in ((3 * joints,), (joints, 3), (joints, 3, 3), (9 * joints,)):
            if shape == one:
                return 1, joints
            if shape[1:] == one and shape[0] > 0:
                return shape[0], joints
    advice = "Give axis-angle (B, 69) or (B, 63), or matrices (B, 23, 3, 3) or (B, 21, 3, 3)."
    raise InputError(f"{where}: body_pose", "23 (SMPL) or 21 (SMPL-X) joints", f"shape {shape}", advice)


def _per_body(values: object, count: int) -> float:
    """Return how many numbers a name has for one body."""
    return 0.0 if values is None else as_array(values).size / count


def _rows(where: str, name: str, values: object, count: int, width: int) -> Tensor | None:
    """Return (B, width) numbers, None where there are none."""
    if values is None:
        return None
    if _per_body(values, count) != width:
        raise InputError(f"{where}: {name}", f"shape ({count}, {width})", f"shape {as_array(values).shape}", "")
    return as_tensor(values).reshape(count, width)


def _coefficients(where: str, name: str, values: object, count: int) -> Tensor:
    """Return coefficients (B, S); one row is shared by all bodies; S = 0 where there are none."""
    if values is None:
        return torch.zeros(count, 0)
    rows = as_tensor(values)
    rows = rows[None] if rows.dim() == 1 else rows
    if rows.dim() != 2 or rows.shape[0] not in (1, count):
        raise InputError(f"{where}: {name}", f"shape ({count}, S), (1, S) or (S,)", f"shape {tuple(rows.shape)}", "")
    return rows.expand(count, -1)


def _points(where: str, name: str, values: object, count: int) -> Tensor | None:
    """Return stored points (B, n, 3) m, None where there are none."""
    if values is None:
        return None
    array = as_array(values)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[0] != count or array.shape[2] != 3:
        raise InputError(f"{where}: {name}", f"shape ({count}, n, 3)", f"shape {as_array(values).shape}", "")
    return as_tensor(array)
