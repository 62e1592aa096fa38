"""Turns the records of a pickle into arrays: numpy arrays and scalars, scipy sparse matrices, chumpy expressions.

    numpy    (version, shape, dtype, is_fortran, raw)   ->  the raw bytes, seen under that dtype and shape
    sparse   dense[row, column] += data                 (column or row pointers expanded)
    chumpy   the value of the expression                (`pickled_chumpy`)

Sizes are checked before memory is taken; all arrays of a file together have a budget.

Source: `ndarray.__reduce__` of numpy 1 and 2, `__dict__` of scipy.sparse matrices from 0.7 to 1.17.
"""

import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files.allow_lists import BODY_MODELS
from refine.files.pickled_chumpy import OPERATIONS, Reader
from refine.files.records import StandIn

MAX_ELEMENTS = 2**28
"""Of all arrays of a file together: 2 GiB of doubles. SMPL-X with 400 components has 3 * 10475 * (400 + 486), a
tenth."""

Array = NDArray[np.generic]


def _whole(array: Array) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected indices, got {array.dtype}")
    return array.astype(np.int64)


def _integers(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and all(type(item) is int and item >= 0 for item in value):
        return tuple(value)
    raise ValueError(f"expected whole numbers, got {str(value)[:60]}")


def _bytes(value: object) -> bytes:
    """The raw bytes of an array: bytes, Python 2's str, or Python 3's way to write bytes in protocol 2."""
    if isinstance(value, StandIn) and value.path == "_codecs.encode" and value.arguments[1:] == ("latin1",):
        value = value.arguments[0]
    if isinstance(value, StandIn) and value.path.endswith(".bytes") and not value.arguments:
        return b""
    if isinstance(value, str):
        return value.encode("latin1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise ValueError(f"expected raw bytes, got {type(value).__name__}")


def _dtype(value: object, codes: str) -> np.dtype[np.generic]:
    code = (
        value.arguments[0] if isinstance(value, StandIn) and value.path == "numpy.dtype" and value.arguments else None
    )
    if not isinstance(value, StandIn) or not isinstance(code, str) or not re.fullmatch(codes, code):
        raise ValueError(f"expected numbers of a plain type, got {str(code)[:20]}")
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "="
    if order not in ("<", ">", "=", "|"):
        raise ValueError(f"expected a byte order, got {str(order)[:20]}")
    return np.dtype(code if order in ("=", "|") else order + code)


def _seen_as(raw: bytes, dtype: np.dtype[np.generic], shape: tuple[int, ...], order: object) -> Array:
    if math.prod(shape) * dtype.itemsize != len(raw) or len(shape) > 8:
        raise ValueError(f"an array of shape {shape} of {dtype} in {len(raw)} bytes")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if order in (True, 1, "F") else "C")


class ArrayReader(Reader):
    """Reads the arrays of one file; shared parts are read once.

    Attributes:
        codes: The types of numbers an array may have, as a pattern of numpy's codes.
        advice: What to do about an array that is none.
    """

    codes = r"b1|[iu][1248]|f[248]"
    advice = BODY_MODELS.again

    def __init__(self, name: str) -> None:
        """Start with a full budget.

        Args:
            name: The file's name, for the messages.
        """
        self.name, self.left = name, MAX_ELEMENTS
        self._known: dict[
            int, tuple[StandIn, Array]
        ] = {}  # by identity; the record is kept so that none takes its place

    def read(self, key: str, value: object) -> Array:
        """Return one entry of the file as an array.

        Args:
            key: Its name in the file, for the message.
            value: What `unpickle` made of it.

        Returns:
            The array, read-only where it can be.

        Raises:
            InputError: It is no array of numbers, contradicts itself, or is too large.
        """
        try:
            return self.array(value)
        except Exception as error:  # sizes, indices and types that contradict each other fail in many ways
            got = f"{type(error).__name__}: {str(error)[:120]}"
            raise InputError(f"{self.name}: {key}", "an array of numbers", got, self.advice) from error

    def bytes_of(self, key: str, value: object) -> bytes:
        """Return raw bytes, however the protocol wrote them.

        Args:
            key: Their name in the file, for the message.
            value: What `unpickle` made of them.

        Raises:
            InputError: They are something else.
        """
        try:
            return _bytes(value)
        except ValueError as error:
            raise InputError(f"{self.name}: {key}", "bytes", str(error), self.advice) from error

    def dtype(self, value: object) -> np.dtype[np.generic]:
        """Return the type a record of one stands for, if an array may have it.

        Raises:
            ValueError: It may not.
        """
        return _dtype(value, self.codes)

    def afford(self, *shape: int) -> None:
        """Take an array's elements off the budget before it is made.

        Raises:
            MemoryError: The file's arrays have more elements than `MAX_ELEMENTS`.
        """
        self.left -= math.prod(shape)
        if self.left < 0:
            raise MemoryError(f"the arrays of this file have more than {MAX_ELEMENTS} elements")

    def array(self, value: object) -> Array:
        """Return the array a value stands for.

        Raises:
            ValueError: The value is no array.
        """
        if isinstance(value, bool | int | float):
            return np.asarray(value)
        if not isinstance(value, StandIn):
            raise ValueError(f"expected an array, got {type(value).__name__}")
        if id(value) not in self._known:
            self._known[id(value)] = (value, self._read(value))
        return self._known[id(value)][1]

    def _read(self, value: StandIn) -> Array:
        module, _, name = value.path.rpartition(".")
        if name == "_reconstruct":
            state = value.state
            if not isinstance(state, tuple) or len(state) < 4:
                raise ValueError("an array without content")
            shape, dtype, order, raw = state[-4:]
            return _seen_as(_bytes(raw), self.dtype(dtype), _integers(shape), order)
        if name == "scalar" and len(value.arguments) == 2:
            return _seen_as(_bytes(value.arguments[1]), self.dtype(value.arguments[0]), (), "C")
        if name == "_frombuffer" and len(value.arguments) == 4:
            raw, dtype, shape, order = value.arguments
            return _seen_as(_bytes(raw), self.dtype(dtype), _integers(shape), order)
        if module.startswith("scipy.sparse"):
            return self._dense(name[:3], self.state(value))
        if module.split(".")[0] == "chumpy":
            if value.path not in OPERATIONS:
                raise ValueError(f"{value.path} is not understood")
            result = np.atleast_1d(OPERATIONS[value.path](self, self.state(value)))
            return np.asarray(result, np.float64)  # chumpy computes in doubles
        raise ValueError(f"expected an array, got {value.path}")

    def state(self, value: StandIn) -> Mapping[str, object]:
        """Return the attributes an object was pickled with.

        Raises:
            ValueError: The object was pickled without any.
        """
        if not isinstance(value.state, dict):
            raise ValueError(f"{value.path} without content")
        return value.state

    def _dense(self, kind: str, state: Mapping[str, object]) -> Array:
        """Return a sparse matrix as a full one, duplicates summed."""
        shape = state.get("_shape", state.get("shape"))
        rows, columns = (int(self.array(size)) for size in shape) if isinstance(shape, tuple) else (-1, -1)
        if min(rows, columns) < 0:
            raise ValueError(f"a sparse matrix of shape {str(shape)[:60]}")
        data = self.array(state["data"])
        if kind == "coo":
            pair = state.get("coords") or (state.get("row"), state.get("col"))
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ValueError("a sparse matrix without coordinates")
            row, column = (_whole(self.array(part)) for part in pair)
        else:
            pointers, inner = _whole(self.array(state["indptr"])), _whole(self.array(state["indices"]))
            steps = np.diff(pointers)
            if len(pointers) < 1 or pointers[0] != 0 or (steps < 0).any() or pointers[-1] > len(inner):
                raise ValueError("a sparse matrix whose pointers do not fit its indices")
            outer = np.repeat(np.arange(len(steps)), steps)
            inner, data = inner[: len(outer)], data[: len(outer)]  # room to grow is pickled too
            row, column = (outer, inner) if kind == "csr" else (inner, outer)
        if len(row) and (row.min() < 0 or column.min() < 0):
            raise ValueError("negative indices in a sparse matrix")
        self.afford(rows, columns)
        dense = np.zeros((rows, columns))
        np.add.at(dense, (row, column), data.astype(np.float64))
        return dense
