"""Whether a file says that nobody was found: every place where its format keeps people is empty.

    empty(array) = no numbers       empty(list) = no items, or only empty ones       empty(dictionary) = all of its people's names are empty,
                                                                                     or, where it has none of these, everything in it is

Systems say it in their own ways: WHAM writes {}, EasyMocap [], Multi-HMR an array of shape (0,), CLIFF and PromptHMR
arrays without rows, PHALP empty lists a frame, ROMP and BEV no file or an empty dictionary a frame.

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
    """A file of a format whose own reader found it to be without people: ghosts alone, or no frame of anybody."""

    def __init__(self, name: str) -> None:
        """Build the sentence.

        Args:
            name: The file.
        """
        super().__init__(name, "at least one person", "nobody", "Nobody was found in these images.")

    def __reduce__(self) -> tuple[type["Nobody"], tuple[str]]:  # type: ignore[override]
        """Survive a process boundary."""
        return (type(self), (self.name,))


PEOPLE = frozenset(
    {
        "global_orient", "body_pose", "pose", "poses", "thetas", "pred_thetas", "smpl_thetas", "pred_pose", "pred_rotmat", "rotmat", "fullpose",
        "full_pose", "root_orient", "pose_body", "root_pose", "smpl_pose", "smplx_body_pose", "parm_pose", "rotvec", "smplx_params", "smpl",
        "smplx", "smplh", "people", "person_data", "data", "results", "params", "pred_smpl_params", "smpl_params_incam", "pred_vertices",
        "orig_cam_t", "pred_trans", "smpl_params_global",
    }
)  # fmt: skip
"""Names under which systems keep people's poses, or the people."""

MOST_BYTES = 2**22
"""A JSON or object file above this holds somebody."""

MOST_DEPTH = 8


def holds_nobody(path: Path) -> bool:
    """Say whether a file is a result in which nobody is. False where it cannot be read: whoever reads it says why.

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
    """Say whether it is a detector's file of a photo without people, which is no result."""
    return isinstance(content, dict) and {"version", "people"} <= set(content)


def _npz(path: Path) -> bool:
    """Say the same of an npz file by its members' headers; objects are opened only where the file is small."""
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
    """Say whether an array, tensor or list has no numbers."""
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
