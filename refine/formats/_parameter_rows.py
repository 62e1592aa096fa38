"""Numbers of SMPL's parameters as one row a body, whatever axes they were stored with.

Source: the package smplx, `body_models.py` (shapes of the `forward` arguments and outputs).
"""

import numpy as np
import torch
from torch import Tensor

from refine.errors import InputError
from refine.estimate import as_array, as_tensor
from refine.formats._smpl_parts import OTHER_WORDS, other_words


def count_of(where: str, body_pose: np.ndarray) -> tuple[int, int]:
    """Return the number of bodies and of body joints (21 or 23) from the shape of `body_pose`.

    Raises:
        InputError: The shape is of neither.
    """
    shape = body_pose.shape
    for joints in (21, 23):
        for one in ((3 * joints,), (joints, 3), (joints, 3, 3), (9 * joints,)):
            if shape == one:
                return 1, joints
            if shape[1:] == one:
                return shape[0], joints
    asked = [
        other_words(float(each))
        for joints in (21, 23)
        for each in OTHER_WORDS
        if shape[-1:] == (each * joints,) or shape[-2:] == (joints, each)
    ]
    advice = " ".join(
        (
            *[said for said in asked if said][:1],
            "Give axis-angle (B, 69) or (B, 63), or matrices (B, 23, 3, 3) or (B, 21, 3, 3).",
        )
    )
    raise InputError(f"{where}: body_pose", "23 (SMPL) or 21 (SMPL-X) joints", f"shape {shape}", advice)


def per_body(values: object, count: int) -> float:
    """Return how many numbers a name has for one body."""
    return 0.0 if values is None else as_array(values).size / count


def rows_of(where: str, name: str, values: object, count: int, width: int) -> Tensor | None:
    """Return (B, width) numbers, None where there are none.

    Raises:
        InputError: There are others than `width` for each of `count` bodies.
    """
    if values is None:
        return None
    if per_body(values, count) != width:
        raise InputError(f"{where}: {name}", f"shape ({count}, {width})", f"shape {as_array(values).shape}", "")
    return as_tensor(values).reshape(count, width)


def coefficients_of(where: str, name: str, values: object, count: int) -> Tensor:
    """Return coefficients (B, S); one row is shared by all bodies; S = 0 where there are none.

    Raises:
        InputError: There are rows for neither one body nor `count`.
    """
    if values is None:
        return torch.zeros(count, 0)
    rows = as_tensor(values)
    rows = rows[None] if rows.dim() == 1 else rows
    if rows.dim() != 2 or rows.shape[0] not in (1, count):
        raise InputError(f"{where}: {name}", f"shape ({count}, S), (1, S) or (S,)", f"shape {tuple(rows.shape)}", "")
    return rows.expand(count, -1)


def points_of(where: str, name: str, values: object, count: int) -> Tensor | None:
    """Return stored points (B, n, 3) m, None where there are none.

    Raises:
        InputError: They are of another shape.
    """
    if values is None:
        return None
    array = as_array(values)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[0] != count or array.shape[2] != 3:
        raise InputError(f"{where}: {name}", f"shape ({count}, n, 3)", f"shape {as_array(values).shape}", "")
    return as_tensor(array)
