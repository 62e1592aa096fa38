"""SMPL's parameters under other published names: which array holds which, and putting refined ones back.

    AMASS, SMPL-X's Blender add-on     poses (N, 72 | 156 | 165) = root, body, (jaw, eyes,) hands;   trans
    human_body_prior, SLAHMR           root_orient, pose_body, pose_hand, pose_jaw, pose_eye;   trans
    HMR2, TokenHMR and their kin       pred_smpl_params = {global_orient, body_pose, betas};   pred_cam_t_full
    GVHMR, flattened                   smpl_params_incam_global_orient, ..., K_fullimg

A name that is not in the tables is left alone, and one that is there in SMPL's own spelling comes first. People may be
a list of dictionaries, the parameters one dictionary deeper, the container any that numpy, pickle, joblib, torch or
JSON write.

Source: nghorbani/amass@e5f0889 `notebooks/01-AMASS_Visualization.ipynb` (parts of `poses`); human_body_prior
`body_model/body_model.py` (names); shubham-goel/4D-Humans@6ec79656a2 `demo.py`; zju3dv/GVHMR@44fbc1999d
`tools/demo/demo.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refine.estimate import as_array
from refine.files.same_kind import same_kind

INNER = (
    "pred_smpl_params",
    "smpl_params_incam",
    "smpl_params",
    "smpl_param",
    "smplx_params",
    "smplx_param",
    "smpl",
    "smplx",
)
"""Dictionaries in which the parameters may stand, beside a place and a camera."""

WORLD = "smpl_params_global"
INCAM = "smpl_params_incam_"

SAME = {
    "global_orient": ("root_orient",),
    "body_pose": ("pose_body",),
    "betas": ("pred_betas", "beta", "shape", "shapes", "smpl_betas", "pred_shape"),
    "transl": ("pred_cam_t_full", "cam_t_full", "trans"),
    "expression": ("expr", "exp"),
    "left_hand_pose": ("lhand_pose",),
    "right_hand_pose": ("rhand_pose",),
    "jaw_pose": ("pose_jaw",),
    "focal": ("focal_length", "scaled_focal_length"),
    "center": ("principal_point", "princpt"),
}
"""Another name for the same numbers, the surest first."""

PARTED = {
    "pose_hand": (90, (("left_hand_pose", 0, 45), ("right_hand_pose", 45, 90))),
    "pose_eye": (6, (("leye_pose", 0, 3), ("reye_pose", 3, 6))),
}
"""Two parts in one array: its width, and where each stands."""

WHOLE = ("poses", "pose", "thetas", "smpl_thetas", "theta", "fullpose")
"""All joints in one array."""

_SMPLX = (
    ("jaw_pose", 22, 23),
    ("leye_pose", 23, 24),
    ("reye_pose", 24, 25),
    ("left_hand_pose", 25, 40),
    ("right_hand_pose", 40, 55),
)
JOINTS = {
    24: (("global_orient", 0, 1), ("body_pose", 1, 24)),
    22: (("global_orient", 0, 1), ("body_pose", 1, 22)),
    52: (("global_orient", 0, 1), ("body_pose", 1, 22), ("left_hand_pose", 22, 37), ("right_hand_pose", 37, 52)),
    55: (("global_orient", 0, 1), ("body_pose", 1, 22), *_SMPLX),
}
"""What a whole pose is made of, by its number of joints: SMPL, a body alone, SMPL-H, SMPL-X."""

MATRICES = ("K_fullimg", "cam_int", "intrinsics", "cam_K", "K")
"""Intrinsics (3, 3) or (N, 3, 3) of the photo."""

OTHERS = {
    "Rh",
    "Th",
    "cam_R",
    "orig_cam",
    "smpl_params_global_global_orient_world",
    "pred_uvd",
    "poses_root_cam",
    "pose_world",
}
"""Names that say that a pose or `trans` beside them means something else: EasyMocap, SLAHMR, VIBE, HybrIK, WHAM."""

FILE = "refine_file"
"""Where a source keeps the file as it was, and which array of it each parameter is."""

MOCAP = ("mocap_framerate", "mocap_frame_rate")
"""Names that say that rows are frames of one recorded person."""


@dataclass(frozen=True)
class Piece:
    """Where a parameter stands in a file.

    Attributes:
        public: Its public name.
        path: The keys that lead to the array.
        start: First of its columns, of `width` a row; the whole array where `width` is 0.
        stop: Behind its last column.
        width: Columns a row.
    """

    public: str
    path: tuple[str, ...]
    start: int = 0
    stop: int = 0
    width: int = 0


def spelled(content: object) -> tuple[dict[str, Any], tuple[Piece, ...]] | None:
    """Return a content's arrays by public names and where each stands in it; None: it has no pose.

    Other keys keep their names.

    Args:
        content: A dictionary, or a list of one a person.
    """
    if isinstance(content, list | tuple):
        content = _columns(content)
    if not isinstance(content, Mapping):
        return None
    flat: dict[str, tuple[tuple[str, ...], Any]] = {}
    inner = [name for name in INNER if isinstance(content.get(name), Mapping)]
    for name, value in content.items():
        if not isinstance(value, Mapping):
            flat[str(name)] = ((name,), value)
    if inner:
        flat |= {str(name): ((inner[0], name), value) for name, value in content[inner[0]].items()}
    flat |= {name[len(INCAM) :]: part for name, part in flat.items() if name.startswith(INCAM)}
    if OTHERS & set(flat) or {"cam", "smpl_thetas"} <= set(flat):  # the latter is ROMP's or BEV's, and incomplete
        return None
    pieces = _pieces(flat)
    public = {piece.public for piece in pieces}
    if not {"global_orient", "body_pose"} <= public:
        return None
    used = {piece.path for piece in pieces}
    arrays = {name: value for name, (path, value) in flat.items() if path not in used and value is not None}
    known = {path: value for path, value in flat.values()}
    for piece in pieces:
        array = _kept(known[piece.path])
        rows = array.reshape(-1, piece.width)[:, piece.start : piece.stop] if piece.width else array
        arrays[piece.public] = rows
    return arrays, pieces


def put_back(
    content: object, pieces: tuple[Piece, ...], fresh: Mapping[str, Any], left_out: set[str], extra: Mapping[str, Any]
) -> object:
    """Return a file's content with refined parameters in their places.

    Args:
        content: The file as it was.
        pieces: Where they stand.
        fresh: By public name.
        left_out: Names of what a refined file does not hold.
        extra: What stands beside (`_beside.beside`): a list a body goes to the bodies of a list.
    """
    if isinstance(content, list | tuple):
        rows = [
            _put(person, pieces, {name: _row(value, n, len(content)) for name, value in fresh.items()}, left_out)
            for n, person in enumerate(content)
        ]
        return type(content)(
            row | {key: value[n] if isinstance(value, list) else value for key, value in extra.items()}
            for n, row in enumerate(rows)
        )
    assert isinstance(content, Mapping)
    return _put(dict(content), pieces, fresh, left_out) | dict(extra)


def _pieces(flat: Mapping[str, tuple[tuple[str, ...], Any]]) -> tuple[Piece, ...]:
    """Find each parameter's place, the public names first."""
    found: dict[str, Piece] = {}
    for public in (*SAME, "leye_pose", "reye_pose"):
        for name in (public, *SAME.get(public, ())):
            if name in flat and flat[name][1] is not None:
                found.setdefault(public, Piece(public, flat[name][0]))
    for name, (width, parts) in PARTED.items():
        if name in flat and np.size(_kept(flat[name][1])) % width == 0:
            for public, start, stop in parts:
                found.setdefault(public, Piece(public, flat[name][0], start, stop, width))
    if {"global_orient", "body_pose"} & set(found):
        return tuple(found.values())
    for name in WHOLE:
        joints = _joints_of(flat[name][1]) if name in flat else None
        if joints:
            count, each = joints
            for public, start, stop in JOINTS[count]:
                found[public] = Piece(public, flat[name][0], start * each, stop * each, count * each)
            break
    return tuple(found.values())


def _joints_of(value: object) -> tuple[int, int] | None:
    """Return a whole pose's number of joints and of numbers a joint (3 axis-angle, 9 matrix), None where it is none."""
    shape = np.shape(_kept(value))
    for joints in JOINTS:
        for form in ((3 * joints,), (joints, 3), (joints, 3, 3), (9 * joints,)):
            if shape[-len(form) :] == form and len(shape) - len(form) <= 2:
                return joints, int(np.prod(form)) // joints
    return None


def _columns(people: list[Any] | tuple[Any, ...]) -> dict[str, Any] | None:
    """Return a list of one dictionary a person as one of arrays with a row each; None where it is something else."""
    if not people or not all(isinstance(person, Mapping) for person in people):
        return None
    names = [name for name in people[0] if all(name in person for person in people)]
    result: dict[str, Any] = {}
    for name in names:
        values = [person[name] for person in people]
        if all(isinstance(value, Mapping) for value in values):
            inner = _columns(values)
            result |= {} if inner is None else {name: inner}
            continue
        arrays = [_kept(value) for value in values]
        if len({array.shape for array in arrays}) == 1 and all(array.dtype.kind in "iufb" for array in arrays):
            rows = [array[0] if array.ndim > 1 and len(array) == 1 else array for array in arrays]
            result[name] = np.stack(rows)
    return result


def _put(
    person: dict[str, Any], pieces: tuple[Piece, ...], fresh: Mapping[str, Any], left_out: set[str]
) -> dict[str, Any]:
    """Return one dictionary with the parameters that `fresh` has in their places."""
    result = {name: value for name, value in person.items() if name not in left_out}
    for piece in pieces:
        if piece.public not in fresh:
            continue
        stored = _at(result, piece.path)
        array = _kept(stored)
        values = np.asarray(fresh[piece.public])
        if piece.width:
            rows = np.array(array).reshape(-1, piece.width)
            rows[:, piece.start : piece.stop] = values.reshape(len(rows), -1)
            values = rows
        if values.size != array.size:  # one shape for everybody, which stays theirs
            continue
        if not np.array_equal(values.reshape(array.shape), array, equal_nan=array.dtype.kind == "f"):
            result = _with(result, piece.path, _alike(values, stored, array))
    for name in set(fresh) - {piece.public for piece in pieces} - set(result):
        if name == "transl":  # a file that placed its people by joints gets the place by its public name
            result[name] = np.asarray(fresh[name])
    return result


def _alike(values: np.ndarray, stored: object, array: np.ndarray) -> object:
    """Return values in the shape and kind of what was stored: a list stays one."""
    if isinstance(stored, list | tuple | float | int):
        whole: object = np.asarray(values, np.float64).reshape(array.shape).tolist()
        return whole
    return same_kind(values, stored if isinstance(stored, np.ndarray) else array)


def _kept(value: object) -> np.ndarray:
    """Return a value as an array; a ragged one as an empty array, which fits nowhere."""
    try:
        array = as_array(value)
        return array if array.flags.writeable else array.copy()
    except (TypeError, ValueError):
        return np.zeros(0)


def _row(values: Any, row: int, count: int) -> Any:
    array = np.asarray(values)
    return array[row] if array.ndim and len(array) == count else array


def _at(content: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for name in path:
        content = content[name]
    return content


def _with(content: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return a dictionary with one value replaced below."""
    name, *rest = path
    return content | {name: _with(dict(content[name]), tuple(rest), value) if rest else value}
