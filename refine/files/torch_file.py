"""Files of `torch.save`, both layouts, read without torch's loader.

    zip      <name>/data.pkl with persistent identifiers ("storage", type, key, place, numel);  <name>/data/<key>: raw
             numbers
    legacy   magic, version, system, the object, the list of keys: five pickles in a row;  for each key: int64 numel,
             raw numbers

A tensor's `pickle` (in joblib and numpy files) holds a legacy file of its storage alone. Storages that lived on a GPU
are the same bytes.

Source: pytorch/pytorch, `torch/serialization.py` (`_save`, `_legacy_save`), `torch/storage.py` (`_load_from_bytes`).
"""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from refine.errors import InputError
from refine.files.allow_lists import RESULTS
from refine.files.pickle_machine import Machine
from refine.files.plain_data import STORAGE_TYPES, Storage
from refine.files.records import Forgotten, StandIn
from refine.files.unpacked import READ_ERRORS, TRUNCATED_ADVICE, refuse_bomb

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""What a legacy file's first pickle holds."""

LEGACY_HEAD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""That pickle, as torch writes it (protocol 2)."""

LEGACY_VERSION = 1001


def archive_name(path: Path) -> str | None:
    """Return the name of the folder inside a torch zip file, None where the file is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    except READ_ERRORS:
        return None
    return found[0][: -len("data.pkl")] if len(found) == 1 else None


def read_zip(path: Path, *, unknown: type[Forgotten] | None = None) -> object:
    """Read a zip file of `torch.save` as the machine's records, tensors standing on `Storage`.

    Args:
        path: The file.
        unknown: What stands for names that are not on the list; None: they are refused.

    Raises:
        InputError: It is truncated, too large, or names something that is no plain data.
        Exception: Its pickle is damaged; the caller says so.
    """
    folder = archive_name(path)
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, archive)
            wanted = (f"{folder}data.pkl", f"{folder}data/", f"{folder}byteorder")
            members = {name: archive.read(name) for name in archive.namelist() if name.startswith(wanted)}
    except READ_ERRORS as error:
        raise InputError(str(path), "a torch file", str(error) or "a broken file", TRUNCATED_ADVICE) from error
    if members.get(f"{folder}byteorder", b"little") != b"little":
        raise InputError(str(path), "a torch file of a little-endian machine", "another", "Save it again with numpy.")

    def found(identifier: object) -> object:
        try:
            kind, key, numel = _identified(identifier)
        except ValueError:
            if unknown is None:
                raise
            return unknown()  # of a type this library does not know: as everything else it does not
        return Storage(kind, numel, members[f"{folder}data/{key}"])

    return Machine(
        io.BytesIO(members[f"{folder}data.pkl"]), str(path), RESULTS, unknown=unknown, persistent=found
    ).load()


def read_legacy(data: bytes, name: str, depth: int = 0, *, unknown: type[Forgotten] | None = None) -> object:
    """Read a legacy file of `torch.save` as the machine's records, tensors standing on `Storage`.

    Args:
        data: The file.
        name: Its name, for messages.
        depth: How many pickles it lies in.
        unknown: What stands for names that are not on the list; None: they are refused.

    Raises:
        InputError: It names something that is no plain data.
        Exception: It is damaged; the caller says so.
    """
    stream, storages = io.BytesIO(data), dict[str, Storage]()

    def found(identifier: object) -> Storage:
        kind, key, numel = _identified(identifier)
        return storages.setdefault(key, Storage(kind, numel))

    machine = Machine(stream, name, RESULTS, unknown=unknown, persistent=found, depth=depth)
    if (machine.load(), machine.load()) != (LEGACY_MAGIC, LEGACY_VERSION):
        raise ValueError("a torch file of another version")
    machine.load()  # what kind of machine wrote it: little-endian, or the numbers would not fit
    content, keys = machine.load(), machine.load()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("another list of storages than the tensors stand on")
    for key in keys:
        storage = storages[str(key)]
        (numel,) = struct.unpack("<q", stream.read(8))
        if numel != storage.numel:
            raise ValueError(f"a storage of {numel} numbers where {storage.numel} were announced")
        length = numel * np.dtype(STORAGE_TYPES[storage.kind]).itemsize
        storage.raw = stream.read(length)
        if len(storage.raw) != length:
            raise ValueError(f"a storage of {length} bytes in the last {len(storage.raw)}")
    return content


def inner_reader(name: str, depth: int = 1) -> Callable[[bytes], object]:
    """Return what reads the legacy file inside a pickled tensor."""
    return lambda data: read_legacy(data, name, depth)


def _identified(identifier: object) -> tuple[str, str, int]:
    """Return a storage's type, key and length from its persistent identifier."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
        raise ValueError("a persistent identifier that is no storage")
    _, kind, key, _, numel, *view = identifier
    if not isinstance(kind, type) or not issubclass(kind, StandIn) or type(numel) is not int or numel < 0:
        raise ValueError("a storage without type or length")
    name = kind.path.rpartition(".")[2].removesuffix("Storage")
    if name not in STORAGE_TYPES or view not in ([], [None]):
        raise ValueError(f"a storage of type {name}")
    return name, str(key), numel
