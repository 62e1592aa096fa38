"""Numbers out of JSON: lists of a known length, finite, or an error that names the place."""

from collections.abc import Collection

import numpy as np

from refine.errors import InputError


def numbers(name: str, values: object, columns: int, counts: Collection[int] = ()) -> np.ndarray:
    """Return a flat or nested list as points.

    Args:
        name: The place in the file, for messages.
        values: The list.
        columns: Numbers a point.
        counts: Allowed numbers of points; empty: any.

    Returns:
        (n, columns) float64.

    Raises:
        InputError: It is no list of numbers, of another length, or not finite.
    """
    try:
        array = np.array(values, dtype=np.float64) if isinstance(values, list | tuple | np.ndarray) else None
    except (TypeError, ValueError):
        raise InputError(name, "finite numbers", "something else", "") from None
    if array is None or array.size % columns or (counts and array.size // columns not in counts):
        wanted = " or ".join(str(count * columns) for count in counts) or f"a multiple of {columns}"
        got = type(values).__name__ if array is None else str(array.size)
        raise InputError(name, f"{wanted} numbers", got, "")
    if not np.isfinite(array).all():
        raise InputError(name, "finite numbers", "something else", "")
    return array.reshape(-1, columns)
