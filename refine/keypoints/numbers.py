"""Numbers out of JSON and arrays: of a known length, NaN where one is missing, or an error that names the place."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from refine.errors import InputError

MISSING_ADVICE = "Write NaN, or confidence 0, for a point that was not found."
"""What to do about a number that is infinite."""


def is_array(value: object) -> bool:
    """Say whether it is an array or a tensor."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def shape_of(value: object) -> tuple[int, ...]:
    """Return the shape of an array, or of nested lists as their first elements have it; () of anything else."""
    if is_array(value):
        return tuple(value.shape)  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return (len(value), *(shape_of(value[0]) if value else ()))
    return ()


def is_numeric(value: object) -> bool:
    """Say whether the first of the innermost elements is a number or null."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return is_array(value) or value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def numbers(name: str, values: object, columns: int, counts: Collection[int] = ()) -> np.ndarray:
    """Return a flat or nested list as points.

    Args:
        name: The place in the file, for messages.
        values: The list, array or tensor; None (JSON's null) is an empty one.
        columns: Numbers a point.
        counts: Allowed numbers of points; empty: any.

    Returns:
        (n, columns) float64; a point with NaN or null in it is NaN throughout: it is missing.

    Raises:
        InputError: It is no list of numbers, of another length, or infinite.
    """
    values = [] if values is None else values
    try:
        array = floats(values) if isinstance(values, list | tuple) or is_array(values) else None
    except (TypeError, ValueError):
        raise InputError(name, "finite numbers", "something else", "") from None
    if array is None or array.size % columns or (counts and array.size // columns not in counts):
        wanted = " or ".join(str(count * columns) for count in counts) or f"a multiple of {columns}"
        got = type(values).__name__ if array is None else str(array.size)
        raise InputError(name, f"{wanted} numbers", got, "")
    if np.isinf(array).any():
        shaped = array if array.ndim > 1 and array.shape[-1] == columns else array.reshape(-1, columns)
        *row, point = np.argwhere(np.isinf(shaped).any(-1))[0].tolist()
        place = "".join(f"row {number}, " for number in row) + f"point {point} (counted from 0)"
        raise InputError(name, "finite numbers", f"infinity in {place}", MISSING_ADVICE)
    points = array.reshape(-1, columns)
    return np.where(np.isnan(points).any(1, keepdims=True), np.nan, points)


def floats(values: object) -> np.ndarray:
    """Return numbers as a float64 array, null as NaN.

    Raises:
        ValueError: They are ragged or text.
        TypeError: They are objects.
    """
    if isinstance(values, Sequence) and any(isinstance(part, Tensor) for part in values):
        values = [floats(part) if isinstance(part, Tensor) else part for part in values]
    if isinstance(values, Tensor):  # numpy has no bfloat16
        return values.detach().to("cpu", torch.float64).numpy()
    return np.array(values, dtype=np.float64)
