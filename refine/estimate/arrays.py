"""States and body models in a result's npz, whose schema is in `refine/result/file.py`."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate.source import as_array
from refine.geometry.camera import Camera
from refine.state import Bodies, State

VERSION = 2
CAMERA_KEYS = ("camera_from_world", "distortion")
"""Parts of a camera that a file may lack."""
STATE_KEYS = ("pose", "shape", "expression", "translation", "focal", "center", "size")
READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    IndexError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of numpy, zipfile and a missing key for a file that is broken or of another kind."""


def state_arrays(prefix: str, state: State) -> dict[str, np.ndarray]:
    """Return bodies and cameras as arrays by key.

    Args:
        prefix: Of every key ("estimate/", or nothing).
        state: The bodies and cameras.
    """
    parts = {key: getattr(state.bodies if hasattr(state.bodies, key) else state.camera, key) for key in STATE_KEYS}
    parts |= {key: getattr(state.camera, key) for key in CAMERA_KEYS if getattr(state.camera, key) is not None}
    return {prefix + key: as_array(value) for key, value in parts.items()}


def read_state(arrays: Mapping[str, np.ndarray], prefix: str) -> State:
    """Return bodies and cameras from their arrays.

    Args:
        arrays: The file's content.
        prefix: Of every key.

    Raises:
        KeyError: An array is missing.
    """
    part = {key: torch.from_numpy(arrays[prefix + key]) for key in STATE_KEYS}
    more = {key: torch.from_numpy(arrays[prefix + key]) for key in CAMERA_KEYS if prefix + key in arrays}
    bodies = Bodies(part["pose"], part["shape"], part["expression"], part["translation"])
    return State(bodies, Camera(part["focal"], part["center"], part["size"], **more))


def read_body(arrays: Mapping[str, np.ndarray], body_model: SkinnedBody | str | Path | None) -> SkinnedBody:
    """Return the model a result belongs to.

    Args:
        arrays: The file's content.
        body_model: The caller's model; None: the built-in body, or the file named in the result.

    Raises:
        InputError: It is not found, or is another model.
    """
    from refine.body.load import load_body

    if isinstance(body_model, SkinnedBody):
        body = body_model
    elif body_model is None and not str(arrays.get("body_file", "")):
        body = load_body("anny")
        if body.name != str(arrays["body"]):
            advice = "Give the model the result was made with: body_model=..."
            raise InputError("body_model", f"{arrays['body']}, which came from no file", "none", advice)
    else:
        body = _from_file(arrays, body_model or str(arrays["body_file"]))
    joints, shapes = arrays["pose"].shape[1], arrays["shape"].shape[1]
    dtype = torch.from_numpy(arrays["pose"]).dtype
    if (len(body.joint_names), body.shape_basis.shape[2]) != (joints, shapes):
        got = f"{body.name} with {len(body.joint_names)} joints and {body.shape_basis.shape[2]} coefficients"
        raise InputError("body_model", f"{arrays['body']} with {joints} joints and {shapes} shape coefficients", got)
    return body.to(dtype=dtype)


def _from_file(arrays: Mapping[str, np.ndarray], name_or_path: str | Path) -> SkinnedBody:
    """Load the model from its file with the options stored in the result."""
    from refine.body.find_model import GENDERS
    from refine.body.load import families, load_body

    path, kid = Path(name_or_path).expanduser(), str(arrays.get("body_kid_template", ""))
    family = families().get(str(name_or_path))
    if family is not None and not hasattr(family, "LAYOUT"):
        return load_body(name_or_path)
    for file in (path, Path(kid)):
        if family is None and not file.exists():
            advice = "Give the model's file or folder, or the model itself: body_model=..."
            raise InputError("body_model", f"the file of {arrays['body']}", f"{file}, which is not here", advice)
    shapes, expressions = arrays["shape"].shape[1], arrays["expression"].shape[1]
    gender = str(arrays["body"]).rpartition(" ")[2]
    return load_body(
        name_or_path,
        gender="neutral" if path.is_file() or gender not in GENDERS else gender,
        betas=shapes - bool(kid),
        expressions=expressions,
        flat_hand_mean=bool(arrays.get("body_flat_hand_mean", True)),
        kid_template=kid or None,
    )
