"""Detects files of photos without people: every key under which their format stores people is empty.

    empty(array)        no numbers
    empty(list)         no items, or only empty ones
    empty(dictionary)   all of its keys of `PEOPLE` are empty, or, where it has none of them, all of its keys

WHAM writes {}, EasyMocap [], Multi-HMR an array of shape (0,), CLIFF and PromptHMR arrays without rows, PHALP empty
lists a frame, ROMP and BEV no file or an empty dictionary a frame.

Source: the modules of the formats, and what their systems' demos write where nothing is detected.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.estimate.source import as_array
from refine.files.npz import read_object
from refine.files.pickled import kind, read_json, read_pickled
from refine.files.unpacked import READ_ERRORS


class Nobody(InputError):
    """A file in which its format's reader found no people, or only predicted ones without a detection."""

    def __init__(self, name: str) -> None:
        """Build the message.

        Args:
            name: The file.
        """
        super().__init__(name, "at least one person", "nobody", "Nobody was found in these images.")

    def __reduce__(self) -> tuple[type["Nobody"], tuple[str]]:  # type: ignore[override]
        """Return how to unpickle the error."""
        return (type(self), (self.name,))


PEOPLE = frozenset(
    {
        "global_orient", "body_pose", "pose", "poses", "thetas", "pred_thetas", "smpl_thetas", "pred_pose",
        "pred_rotmat", "rotmat", "fullpose", "full_pose", "root_orient", "pose_body", "root_pose", "smpl_pose",
        "smplx_body_pose", "parm_pose", "rotvec", "smplx_params", "smpl", "smplx", "smplh", "people", "person_data",
        "data", "results", "params", "pred_smpl_params", "smpl_params_incam", "pred_vertices", "orig_cam_t",
        "pred_trans", "smpl_params_global",
    }
)  # fmt: skip
"""Keys under which systems store people or their poses."""

MOST_BYTES = 2**22
"""A larger JSON or object file is taken to hold people."""

MOST_DEPTH = 8


def holds_nobody(path: Path) -> bool:
    """Return whether a file is a regressor's output without people; false where it cannot be read.

    Args:
        path: The file.
    """
    what = kind(path)
    try:
        if what == "npz":
            return _npz(path)
        if what == "json":
            content = read_json(path) if path.stat().st_size <= MOST_BYTES else [1]
            return not _openpose(content) and _empty(content, 0)
        return bool(what) and _empty(read_pickled(path), 0)
    except (InputError, *READ_ERRORS):
        return False


def _openpose(content: object) -> bool:
    """Return whether it is an OpenPose file, which is a detector's and no regressor's."""
    return isinstance(content, dict) and {"version", "people"} <= set(content)


def _npz(path: Path) -> bool:
    """Return whether an npz file is empty, by its members' headers; objects are read only from small files."""
    stand_ins: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                return False
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = header(file)
            key = name[:-4]
            if dtype.hasobject:
                if path.stat().st_size > MOST_BYTES:
                    return False
                stand_ins[key] = read_object(path, key)
            else:
                stand_ins[key] = np.broadcast_to(np.zeros((), np.uint8), shape)
    return bool(stand_ins) and _empty(stand_ins, 0)


def is_empty(value: object) -> bool:
    """Return whether an array, tensor, list or mapping is empty."""
    return bool(np.size(as_array(value)) == 0) if not isinstance(value, Mapping) else not value


def _empty(value: object, depth: int) -> bool:
    if depth > MOST_DEPTH:
        return False
    if value is None:
        return depth > 0
    if isinstance(value, Mapping):
        people = [item for name, item in value.items() if name in PEOPLE]
        return all(_empty(item, depth + 1) for item in people or value.values())
    if isinstance(value, list | tuple):
        return all(_empty(item, depth + 1) for item in value)
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.size == 0
