"""Numpy archives read without executing anything, and written whole or not at all.

    .npz = zip of .npy members;   .npy = magic, header (dtype, order, shape), data

Plain members are read with `allow_pickle=False`. An object member (ROMP and BEV store one dictionary that way) goes
through the one pickle machine, by the list of results.

Source: numpy.lib.format (NEP 1).
"""

import io
import time
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from refine.errors import InputError
from refine.files.allow_lists import RESULTS
from refine.files.atomic import write_bytes
from refine.files.pickle_machine import unpickle
from refine.files.plain_data import PlainReader
from refine.files.torch_file import inner_reader
from refine.files.unpacked import READ_ERRORS, TRUNCATED_ADVICE, refuse_bomb

SETTLED_S = 1.0
"""A file younger than this may be written again without its time changing, and is read anew each time."""

ASKED = 64
"""Files whose kind and names are remembered: each of three dozen formats asks for them."""


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return (time of change ns, bytes, inode) of a file; None: it is missing, or too young to be known by them."""
    try:
        state = path.stat()
    except OSError:
        return None
    settled = time.time() - state.st_mtime > SETTLED_S
    return (state.st_mtime_ns, state.st_size, state.st_ino) if settled else None


def member_names(path: Path) -> tuple[str, ...]:
    """Return the arrays' names in an npz file, empty where it is no npz file."""
    path = Path(path)
    known = stamp(path)
    return _member_names(path) if known is None else _remembered_names(path, *known)


@lru_cache(maxsize=ASKED)
def _remembered_names(path: Path, *_: int) -> tuple[str, ...]:
    return _member_names(path)


def _member_names(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(name[:-4] for name in archive.namelist() if name.endswith(".npy"))
    except READ_ERRORS:
        return ()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every plain array of an npz file.

    Raises:
        InputError: The file cannot be read, is truncated, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as members:
            refuse_bomb(path, members)
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            str(path), "an npz file of plain arrays", str(error) or "a broken file", TRUNCATED_ADVICE
        ) from error
    other = next((name for name, array in arrays.items() if not isinstance(array, np.ndarray)), None)
    if other is not None:  # numpy hands out what is no array as bytes
        raise InputError(str(path), "an npz file of plain arrays", f"a zip file with {other[:80]!r}", TRUNCATED_ADVICE)
    return arrays


def read_object(path: Path, name: str) -> object:
    """Read one member of an npz file that numpy stored as a pickled object, without executing anything in it.

    Args:
        path: The npz file.
        name: The member's name.

    Returns:
        What was stored; an object array of one element is opened, so a saved dictionary comes back as a dictionary.

    Raises:
        InputError: The file is truncated, has no such member, or its pickle names something that is not plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, archive)
            data = archive.read(f"{name}.npy")
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            _, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            _, _, dtype = np.lib.format.read_array_header_2_0(stream)
        if not dtype.hasobject:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            str(path), f"an npz file with a member {name!r}", str(error) or "a broken file", TRUNCATED_ADVICE
        ) from error
    content = unpickle(stream.read(), str(path), RESULTS)
    return _opened(PlainReader(f"{path}: {name}", inner_reader(str(path))).read(content))


def _opened(value: object) -> object:
    """Return arrays as copies of their own; of an object array its element, or a list of its elements."""
    if isinstance(value, dict):
        return {name: _opened(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_opened(item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return _opened(value.reshape(-1)[0] if value.size == 1 else value.tolist())
    return np.array(value, subok=True) if isinstance(value, np.ndarray | np.generic) else value


def write_arrays(path: Path, arrays: Mapping[str, object]) -> None:
    """Write an npz file whole: under another name first, then renamed.

    Args:
        path: The file.
        arrays: By name; a dictionary becomes an object member, as `np.savez(results=dictionary)` makes it.

    Raises:
        InputError: The file cannot be written.
    """
    stream = io.BytesIO()
    content = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez(stream, allow_pickle=True, **content)
    try:
        write_bytes(path, stream.getvalue())
    except OSError as error:
        raise InputError(str(path), "a place that can be written to", str(error), "Name another folder.") from error
