"""Reads an official model file (.npz or .pkl, by content) into plain arrays by name.

    .npz    a zip archive of .npy members; object members, like .pkl files, are read by `refine.files.pickle_machine`

Source: numpy's .npy format, NEP 1; the .pkl files of smpl.is.tue.mpg.de, mano.is.tue.mpg.de and smpl-x.is.tue.mpg.de.
"""

import io
import math
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files.allow_lists import BODY_MODELS
from refine.files.pickle_machine import unpickle
from refine.files.pickled_arrays import ArrayReader

MAX_BYTES = 2**31
"""Most bytes of a file and of an archive's unpacked members; the largest official file unpacks to 250 MB."""

AGAIN = "Download the model again from its own page."
Arrays = dict[str, NDArray[np.generic]]
Double = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OfficialArrays:
    """The arrays of one file, whose shapes are checked on access."""

    name: str
    arrays: Mapping[str, NDArray[np.generic]]

    def take(self, key: str, *shape: int | None) -> Double:
        """Return one array in double precision.

        Args:
            key: Its name in the file.
            shape: Its expected size per axis; None: any.

        Returns:
            The array; not to be written to.

        Raises:
            InputError: It is missing, of another shape, or not finite.
        """
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
        advice = "Is this the right model, and the download complete?"
        if key not in self.arrays:
            held = ", ".join(sorted(self.arrays)) or "none of a body model's entries"
            raise InputError(
                f"{self.name}: {key}", f"an array of shape {wanted}", f"no such entry; there are {held}", advice
            )
        array = self.arrays[key]
        if len(array.shape) != len(shape) or any(
            size not in (None, have) for size, have in zip(shape, array.shape, strict=True)
        ):
            raise InputError(f"{self.name}: {key}", f"an array of shape {wanted}", f"shape {array.shape}", advice)
        if not np.isfinite(array).all():
            raise InputError(f"{self.name}: {key}", "finite values", "NaN or infinite ones", advice)
        return array.astype(np.float64, copy=False)

    def indices(self, key: str, count: int, *shape: int | None) -> NDArray[np.int64]:
        """Return one array of indices below `count`.

        Args:
            key: Its name in the file.
            count: The bound.
            shape: Its expected size per axis; None: any.

        Raises:
            InputError: As `take`, or an index is out of range.
        """
        array = self.take(key, *shape)
        if array.size and not (array.min() >= 0 and array.max() < count):
            raise InputError(
                f"{self.name}: {key}", f"indices from 0 to {count - 1}", f"{array.min():g} to {array.max():g}"
            )
        return array.astype(np.int64)


def _member(data: bytes, name: str, key: str, reader: ArrayReader) -> NDArray[np.generic]:
    """Decode one .npy."""
    stream = io.BytesIO(data)
    version = npy.read_magic(stream)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = header(stream)
    if dtype.hasobject:
        return reader.read(key, unpickle(data[stream.tell() :], name, BODY_MODELS))
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"{key}: shape {shape} of {dtype} in {len(data) - stream.tell()} bytes")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order="F" if is_fortran else "C")


def _read_npz(path: Path, keys: Collection[str]) -> Arrays:
    reader, arrays = ArrayReader(path.name), {}
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        wanted = {key: entry for key, entry in members.items() if key in keys}
        if sum(entry.file_size for entry in wanted.values()) > MAX_BYTES:
            raise ValueError(f"members that unpack to more than {MAX_BYTES} bytes")
        for key, entry in wanted.items():
            arrays[key] = _member(archive.read(entry), path.name, key, reader)
    return arrays


def _read_pickle(path: Path, keys: Collection[str]) -> Arrays:
    content = unpickle(path.read_bytes(), path.name, BODY_MODELS)
    if not isinstance(content, dict):
        got = f"a pickled {getattr(content, 'path', '') or type(content).__name__}"
        raise InputError(path.name, "a pickled dictionary of arrays", got, AGAIN)
    reader = ArrayReader(path.name)
    return {key: reader.read(key, content[key]) for key in keys if key in content}


def read_official_file(path: Path, keys: Collection[str]) -> OfficialArrays:
    """Read some entries of a model file; nothing in it is executed.

    Args:
        path: A .npz or .pkl file.
        keys: The entries wanted; those the file lacks are left out.

    Returns:
        The arrays, as the file stores them (sparse matrices and chumpy expressions as full arrays).

    Raises:
        InputError: The file cannot be read, is truncated, is no model file, or is a hostile pickle.
    """
    expected = "a complete model file (.npz or .pkl)"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(path.name, expected, f"a file of more than {MAX_BYTES} bytes", AGAIN)
        with path.open("rb") as stream:
            is_archive = stream.read(2) == b"PK"
        return OfficialArrays(path.name, _read_npz(path, keys) if is_archive else _read_pickle(path, keys))
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types for a damaged archive
        raise InputError(path.name, expected, f"{type(error).__name__}: {str(error)[:120]}", AGAIN) from error
