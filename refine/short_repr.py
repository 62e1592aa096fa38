"""Representations of dataclasses of tensors in a line: shapes and types instead of numbers.

Bodies(pose=float32 (2, 55, 3, 3), shape=float32 (2, 16), ...)
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

MOST_CHARACTERS = 60
"""Of one field that is neither an array nor a dataclass."""


def in_one_line(value: Any) -> str:
    """Return a dataclass as its name and fields, each in a few characters; used as `__repr__ = in_one_line`."""
    fields = (field for field in dataclasses.fields(value) if field.repr)
    told = ((field.name, getattr(value, field.name)) for field in fields)
    return f"{type(value).__name__}({', '.join(f'{name}={brief(part)}' for name, part in told if part is not None)})"


def brief(value: object) -> str:
    """Return a value in a few characters: the type and shape of an array, the number of entries of what is long."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        place = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"{kind} {tuple(value.shape)}{place}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = hasattr(type(value).__repr__, "__wrapped__")  # by `dataclass`, with all numbers
        return in_one_line(value) if made else repr(value).splitlines()[0]
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, list(value)[:4]))}{', ...' if len(value) > 4 else ''}}}"
    if isinstance(value, tuple | list) and (len(value) > 3 or any(not isinstance(one, int | float) for one in value)):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    text = repr(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
