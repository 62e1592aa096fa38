"""Reads everything pickled without executing it: pickles, joblib's and torch's files, numpy's object files.

read_pickled(path) = plain data (`refine.files.plain_data`) of the records (`refine.files.pickle_machine`) of the file's
bytes

What a file is shows in its content, never in its name. Content that was read is shared by the formats that ask for it
one after the other: nobody changes it in place.

Source: the modules named above.
"""

import functools
import io
import json
import math
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.files.allow_lists import RESULTS
from refine.files.atomic import write_bytes
from refine.files.joblib_file import WRAPPER, compression, decompressed, read_wrapped
from refine.files.json_file import json_text, read_json
from refine.files.npz import ASKED, member_names, stamp
from refine.files.pickle_machine import Machine
from refine.files.plain_data import PlainReader, ResultArrays, with_tensors
from refine.files.torch_file import LEGACY_HEAD, archive_name, inner_reader, read_legacy, read_zip
from refine.files.unpacked import MAX_BYTES

__all__ = ["kind", "read_json", "read_pickled"]

HEAD = 2**20
"""How far into a file its kind is looked for; joblib's first array names itself within the first record."""


def kind(path: Path) -> str:
    """Return "pickle", "joblib", "torch", "npy", "npz" or "json" by a file's content, "" for anything else."""
    path = Path(path)
    known = stamp(path)
    return _kind(path) if known is None else _remembered_kind(path, *known)


@functools.lru_cache(maxsize=ASKED)
def _remembered_kind(path: Path, *_: int) -> str:
    return _kind(path)


def _kind(path: Path) -> str:
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
            file.seek(-1, 2)
            last = file.read(1)
    except OSError:
        return ""
    if head.startswith(b"PK\x03\x04"):
        return "torch" if archive_name(Path(path)) is not None else "npz" if member_names(Path(path)) else ""
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(LEGACY_HEAD):
        return "torch"
    if compression(head):
        return "joblib"
    protocol = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if last == b"." and (protocol or head[:1] in (b"(", b"]", b"}", b"c")):
        return "joblib" if b"NumpyArrayWrapper" in head else "pickle"
    return "json" if json_text(head, "ignore").lstrip()[:1] in ("{", "[") else ""


def read_pickled(path: Path) -> Any:
    """Read a pickle, a joblib, torch or numpy file as plain data, without executing anything in it.

    Args:
        path: The file.

    Returns:
        Dictionaries, lists, tuples, text, numbers and numpy arrays; torch's tensors as `TensorArray`. A numpy file of
        one object is that object. Not to be changed in place.

    Raises:
        InputError: The file is something else, damaged, too large, or asks for anything but plain data.
    """
    path = Path(path)
    try:
        path.stat()
    except OSError as error:
        raise InputError(str(path), "a file", error.strerror or str(error), "Check the path.") from error
    known = stamp(path)
    if known is not None:
        found = _remembered(path, *known)
        if isinstance(found, InputError):
            raise InputError(found.name, found.expected, found.got, found.advice) from found
        return found
    return _read(path)


@functools.lru_cache(maxsize=1)
def _remembered(path: Path, *_: int) -> object:
    """Return what was read, or why it was refused: a bomb is unpacked to its limit once, not once a format."""
    try:
        return _read(path)
    except InputError as error:
        return error


def _read(path: Path) -> object:
    name, what = str(path), kind(path)
    wanted = "a pickle, or a file of joblib, torch.save or numpy"
    if path.stat().st_size > MAX_BYTES:
        got = f"{path.stat().st_size / 2**20:.0f} MiB"
        raise InputError(name, f"at most {MAX_BYTES / 2**20:.0f} MiB", got, "Split it.")
    readers: dict[str, Callable[[], object]] = {
        "torch": lambda: _read_torch(path),
        "npy": lambda: _read_npy(path),
        "joblib": lambda: _read_stream(decompressed(path.read_bytes(), name), name),
        "pickle": lambda: _read_stream(path.read_bytes(), name),
    }
    if what not in readers:
        got = f"a {what} file" if what else "something else"
        raise InputError(name, wanted, got, "Check that it is the file the regressor wrote, and whole.")
    try:
        return PlainReader(name, inner_reader(name)).read(readers[what]())
    except InputError:
        raise
    except (
        Exception
    ) as error:  # a broken file can fail in any way (truncation, bad stack, sizes that contradict each other)
        got = f"{type(error).__name__}: {str(error)[:120]}"
        raise InputError(name, f"a whole {what} file", got, ResultArrays.advice) from error


def _read_stream(data: bytes, name: str) -> object:
    stream = io.BytesIO(data)
    return Machine(stream, name, RESULTS, built={WRAPPER: read_wrapped}).load()


def _read_torch(path: Path) -> object:
    return read_zip(path) if archive_name(path) is not None else read_legacy(path.read_bytes(), str(path))


def _read_npy(path: Path) -> object:
    """Return a plain array, or the object of an object array of no axes."""
    data = path.read_bytes()
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    if dtype.hasobject:
        array = PlainReader(str(path), inner_reader(str(path))).read(_read_stream(stream.read(), str(path)))
        return array[()] if isinstance(array, np.ndarray) and array.shape == () else array
    if math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError(f"an array of shape {shape} in {len(data)} bytes")
    return np.load(io.BytesIO(data), allow_pickle=False)


def write_pickle(path: Path, content: object, protocol: int = 4) -> None:
    """Write plain data as a pickle, whole or not at all; what was a tensor becomes one again."""
    _write(path, pickle.dumps(with_tensors(content), protocol))


def write_joblib(path: Path, content: object, compress: int = 3) -> None:
    """Write plain data as `joblib.load` reads it: a pickle, compressed with zlib unless `compress` is 0."""
    data = pickle.dumps(with_tensors(content), 4)
    _write(path, zlib.compress(data, compress) if compress else data)


def write_torch(path: Path, content: object) -> None:
    """Write plain data with `torch.save`; what was a tensor becomes one again."""
    import torch

    stream = io.BytesIO()
    torch.save(with_tensors(content), stream)
    _write(path, stream.getvalue())


def write_object_npy(path: Path, content: object) -> None:
    """Write plain data as `numpy.save` writes a dictionary: an object array of no axes."""
    holder = np.empty((), object)
    holder[()] = with_tensors(content)
    stream = io.BytesIO()
    np.save(stream, holder, allow_pickle=True)
    _write(path, stream.getvalue())


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write plain data as JSON, whole or not at all."""
    _write(path, json.dumps(content, indent=indent, ensure_ascii=False).encode(errors="backslashreplace"))


def _write(path: Path, data: bytes) -> None:
    write_bytes(Path(path), data)
