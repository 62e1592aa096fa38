"""Writes what `joblib.dump` writes, byte for byte in its layout, without joblib: arrays as raw bytes behind their
description.

Source: joblib/joblib, `joblib/numpy_pickle.py`.
"""

import io
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np

ALIGNMENT = 16


class NumpyArrayWrapper:
    """Named in the file as joblib's own class of this name."""

    def __init__(self, array: np.ndarray) -> None:
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        self.subclass, self.shape, self.order, self.dtype = (
            np.ndarray,
            array.shape,
            "F" if fortran else "C",
            array.dtype,
        )
        self.allow_mmap = not array.dtype.hasobject
        self.numpy_array_alignment_bytes = ALIGNMENT


class _Pickler(pickle._Pickler):  # the Python one: the C pickler cannot be interrupted between two objects
    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, 4)
        self.stream = stream

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if type(obj) is not np.ndarray:
            super().save(obj, save_persistent_id)
            return
        super().save(NumpyArrayWrapper(obj))
        self.framer.commit_frame(force=True)
        if obj.dtype.hasobject:
            pickle.dump(obj, self.stream, 5)
            return
        padding = ALIGNMENT - (self.stream.tell() + 1) % ALIGNMENT
        self.stream.write(bytes([padding]) + b"\xff" * padding + obj.tobytes("A"))

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is not NumpyArrayWrapper:
            super().save_global(obj, name)
            return
        super().save("joblib.numpy_pickle")
        super().save("NumpyArrayWrapper")
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)

    dispatch = pickle._Pickler.dispatch | {type: save_global}


def dump(content: Any, path: Path, compress: int = 0) -> None:
    """Write a file as `joblib.dump(content, path, compress)` does."""
    stream = io.BytesIO()
    _Pickler(stream).dump(content)
    data = stream.getvalue()
    path.write_bytes(zlib.compress(data, compress) if compress else data)
