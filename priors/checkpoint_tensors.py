"""The tensors of a checkpoint and nothing else of it, whatever else its trainer put beside them.

`torch.load(weights_only=True)` reads most; it refuses checkpoints that name classes, as those of Lightning before 1.5 do (VPoser v2's).
Then the archive's pickle is read with every name in it standing for an inert record, and the tensors are put together from the
archive's raw bytes. Either way nothing a file names is imported, called or run.

Source: the zip layout of `torch.save` since torch 1.6 (data.pkl, data/<key>); `torch._utils._rebuild_tensor_v2`'s arguments.
"""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refine.errors import InputError

MAX_BYTES = 2**30
"""Of an archive, unpacked; VPoser's have 3 MB, with the optimiser's memory 10."""
AGAIN = "Is the download complete? Download it again from its own page."
STORAGES = {"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16}
"""Types a weight may have; counters and others are left out."""


class _Record:
    """Stands where a pickle wants anything of a library: keeps what it was made from and what was put into it, does nothing."""

    path = ""
    arguments: tuple[Any, ...]
    items: dict[object, object]

    def __new__(cls, *arguments: object, **_: object) -> "_Record":
        """Record the arguments; a pickle may leave out `__init__`."""
        self = super().__new__(cls)
        self.arguments, self.items = arguments, {}
        return self

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments."""

    def __setstate__(self, state: object) -> None:
        """Forget the state."""

    def __setitem__(self, key: object, value: object) -> None:
        self.items[key] = value

    def append(self, item: object) -> None:
        """Forget the item."""

    def extend(self, items: object) -> None:
        """Forget the items."""


class _Reader(pickle.Unpickler):
    """The standard machine with no door to the outside world."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a record class of the name, made on the spot."""
        return type("Record", (_Record,), {"path": f"{module}.{name}"})

    def persistent_load(self, pid: Any, /) -> Any:
        """Return a storage's description as it is."""
        return pid


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's weights.

    Args:
        path: A file of `torch.save`: a dictionary of tensors, or one that has it under "state_dict".

    Returns:
        Floating-point tensors by name, on the CPU.

    Raises:
        InputError: The file cannot be read, or holds no such dictionary.
    """
    if not path.is_file():
        raise InputError("path", "a checkpoint", f"no file at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as refused:  # a damaged file and one that names classes look alike in torch's many messages
        return _read_archive(path, refused)
    return _weights(path.name, content)


def _weights(name: str, content: object) -> dict[str, Tensor]:
    """Take the dictionary of weights out of a checkpoint."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise InputError(name, "a dictionary of weights", type(content).__name__, AGAIN)
    found = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    found = {key: value.detach() for key, value in found.items() if value.is_floating_point()}
    if not found:
        raise InputError(name, "a dictionary of weights", "a file without any", AGAIN)
    return found


def _read_archive(path: Path, refused: Exception) -> dict[str, Tensor]:
    """Read the tensors of a zip archive around everything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise ValueError(f"an archive of more than {MAX_BYTES} bytes")
            pickled = [name for name in archive.namelist() if name.endswith("data.pkl")]
            if len(pickled) != 1:
                raise ValueError("no data.pkl in it")
            content = _plain(_Reader(io.BytesIO(archive.read(pickled[0])), encoding="latin1").load())
            if isinstance(content, Mapping):
                content = _plain(content.get("state_dict", content))
            if not isinstance(content, Mapping):
                raise ValueError("no dictionary of weights in it")
            folder = pickled[0].removesuffix("data.pkl")
            found = {str(key): _tensor(value, archive, folder) for key, value in content.items()}
    except Exception as error:  # a damaged archive or pickle can fail in any way
        said = str(refused if isinstance(error, zipfile.BadZipFile) else error).strip()
        first = (said.splitlines() or [type(error).__name__])[0][:120]
        raise InputError(path.name, "a checkpoint of torch", f"a file that cannot be read ({first})", AGAIN) from error
    return _weights(path.name, found)


def _plain(value: object) -> object:
    """Return a dictionary by another name as a dictionary."""
    return value.items if isinstance(value, _Record) and value.path == "collections.OrderedDict" else value


def _tensor(value: object, archive: zipfile.ZipFile, folder: str) -> Tensor | None:
    """Put a tensor together from its record; None where it is none, or of another type than weights have."""
    if isinstance(value, _Record) and value.path == "torch._utils._rebuild_parameter":
        value = value.arguments[0]
    if not isinstance(value, _Record) or value.path != "torch._utils._rebuild_tensor_v2":
        return None
    storage, offset, size, stride, *_ = value.arguments
    _, kind, key, *_ = storage
    dtype = STORAGES.get(kind.path.rpartition(".")[2])
    if dtype is None:
        return None
    flat = torch.frombuffer(bytearray(archive.read(f"{folder}data/{key}")), dtype=dtype)
    # torch holds the view against the storage's length itself.
    return flat.as_strided(tuple(map(int, size)), tuple(map(int, stride)), int(offset)).clone()
