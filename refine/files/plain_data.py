"""From the records of a pickle to plain data: dictionaries, lists, text, numbers and numpy arrays, nothing else.

    numpy's arrays and scalars, also of text and of objects    ->  the same
    torch's tensors                                            ->  `TensorArray`, which is written as a tensor again
    pathlib's paths, torch's devices and types                 ->  text
    OrderedDict, defaultdict                                   ->  dict

A tensor is a strided window on a storage: entry i of it is storage[offset + sum(i * stride)]. Windows beyond their
storage are refused, shared parts are read once, and what they would come to if they were not shared has a limit.

Source: `torch._utils._rebuild_tensor_v2`, `ndarray.__reduce__`, `PurePath.__reduce__`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.files.allow_lists import RESULTS
from refine.files.pickled_arrays import ArrayReader
from refine.files.records import StandIn

MAX_DEPTH = 64
"""Containers inside containers; a real file has fewer than ten."""

MAX_ITEMS = 20_000_000
"""Values of a file together, shared ones counted each time: a downstream walk would meet them all."""

STORAGE_TYPES = {
    "Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": "<u2", "Long": "<i8", "Int": "<i4", "Short": "<i2",
    "Char": "i1",
    "Byte": "u1", "Bool": "?",
}  # fmt: skip
"""What torch calls its storages, and their numbers' types; bfloat16 is the upper half of a float32."""


class TensorArray(np.ndarray):
    """An array that was a torch tensor in its file and is written as one again."""


@dataclass
class Storage:
    """The numbers below a torch tensor.

    Attributes:
        kind: "Float", "Half", ... (`STORAGE_TYPES`).
        numel: How many.
        raw: Their bytes; legacy files store them behind the pickle that names them.
    """

    kind: str
    numel: int
    raw: bytes = b""

    def values(self) -> np.ndarray:
        """Return the numbers, one axis.

        Raises:
            ValueError: There are fewer or more bytes than numbers.
        """
        dtype = np.dtype(STORAGE_TYPES[self.kind])
        if len(self.raw) != self.numel * dtype.itemsize:
            raise ValueError(f"a storage of {self.numel} {dtype} in {len(self.raw)} bytes")
        values = np.frombuffer(self.raw, dtype)
        return (values.astype(np.uint32) << 16).view(np.float32) if self.kind == "BFloat16" else values


class ResultArrays(ArrayReader):
    """Reads the arrays of a result, text included."""

    codes = r"b1|[iu][1248]|f[248]|c8|c16|[US]\d{1,6}"
    advice = RESULTS.again


class PlainReader:
    """Turns what one file's pickle was read as into plain data."""

    def __init__(self, name: str, inner: Callable[[bytes], object]) -> None:
        """Start on a file.

        Args:
            name: The file's name, for messages.
            inner: Reads a torch file that lies inside the pickle (its storages).
        """
        self.name, self._inner = name, inner
        self._arrays = ResultArrays(name)
        self._known: dict[
            int, tuple[object, object, int]
        ] = {}  # by identity: the record (kept alive), its meaning, its size

    def read(self, value: object) -> object:
        """Return plain data.

        Raises:
            InputError: Something in it is no plain data, or contradicts itself.
        """
        return self._read(value, "content", 0)[0]

    def _read(self, value: object, key: str, depth: int) -> tuple[Any, int]:
        """Return the meaning of a value and how many values it is made of."""
        if value is None or isinstance(value, str | bytes | bool | int | float | np.generic):
            return value, 1
        if isinstance(value, bytearray):
            return bytes(value), 1
        if isinstance(value, np.ndarray) and value.dtype != object:
            return value, 1
        if depth > MAX_DEPTH:
            raise self._refused(key, f"containers nested more than {MAX_DEPTH} deep, or in themselves")
        if id(value) not in self._known:
            meaning, size = self._fresh(value, key, depth + 1)
            if size > MAX_ITEMS:
                raise self._refused(key, f"more than {MAX_ITEMS} values")
            self._known[id(value)] = (value, meaning, size)
        return self._known[id(value)][1:]

    def _fresh(self, value: object, key: str, depth: int) -> tuple[Any, int]:
        if isinstance(value, dict):
            names = [self._read(name, key, depth)[0] for name in value]
            read = [self._read(item, str(name), depth) for name, item in zip(names, value.values(), strict=True)]
            return dict(zip(names, (item for item, _ in read), strict=True)), 1 + sum(size for _, size in read)
        if isinstance(value, list | tuple | set | frozenset):
            read = [self._read(item, key, depth) for item in value]
            return type(value)(item for item, _ in read), 1 + sum(size for _, size in read)
        if isinstance(value, np.ndarray):  # of objects, out of a joblib file
            return self._objects(value.shape, value.reshape(-1).tolist(), key, depth)
        if isinstance(value, StandIn):
            return self._record(value, key, depth)
        if isinstance(value, type) and issubclass(value, StandIn) and value.path.startswith("torch."):
            return value.path, 1  # torch.float32
        raise self._refused(key, type(value).__name__)

    def _record(self, value: StandIn, key: str, depth: int) -> tuple[Any, int]:
        path, arguments = value.path, value.arguments
        module, _, name = path.rpartition(".")
        if module == "torch._utils":
            return self._tensor(value, key), 1
        if module.startswith("pathlib"):
            return str(PurePosixPath(*(str(part) for part in arguments))), 1
        if path == "torch.Size":
            return self._read(arguments[0] if arguments else (), key, depth)
        if path == "torch.device":
            return ":".join(map(str, arguments)), 1
        if name in ("set", "frozenset") and len(arguments) <= 1:
            members, size = self._read(list(arguments[0]) if arguments else [], key, depth)  # type: ignore[call-overload]
            return (set if name == "set" else frozenset)(members), size
        if name in ("bytes", "encode", "bytearray"):
            return self._arrays.bytes_of(key, value), 1
        state = value.state
        if name == "_reconstruct" and isinstance(state, tuple) and isinstance(state[-1], list):
            return self._objects(state[-4], state[-1], key, depth)
        array = self._arrays.read(key, value)
        return array[()] if name == "scalar" else array, 1

    def _objects(self, shape: object, items: list[object], key: str, depth: int) -> tuple[np.ndarray, int]:
        """Return an array of objects; numpy pickles it as the list of them."""
        read = [self._read(item, key, depth) for item in items]
        if not isinstance(shape, tuple) or math.prod(shape) != len(items) or len(shape) > 8:
            raise self._refused(key, f"an array of shape {str(shape)[:60]} of {len(items)} objects")
        array = np.empty(len(items), object)
        for place, (item, _) in enumerate(read):
            array[place] = item
        return array.reshape(shape), 1 + sum(size for _, size in read)

    def _tensor(self, value: StandIn, key: str) -> np.ndarray:
        try:
            if value.path.endswith("_rebuild_parameter"):
                tensor: Any = self._read(value.arguments[0], key, 1)[0]
                return np.asarray(tensor).view(TensorArray)
            storage, offset, size, stride = value.arguments[:4]
            if isinstance(storage, StandIn) and storage.path == "torch.storage._load_from_bytes":
                storage = self._inner(self._arrays.bytes_of(key, storage.arguments[0]))
            if isinstance(size, StandIn):
                size = size.arguments[0]
            if not isinstance(storage, Storage):
                raise ValueError(f"a tensor on {type(storage).__name__}")
            return self._window(storage.values(), offset, size, stride)
        except InputError:
            raise
        except Exception as error:  # offsets, sizes and storages that contradict each other fail in many ways
            raise self._refused(key, f"{type(error).__name__}: {str(error)[:120]}") from error

    def _window(self, values: np.ndarray, offset: object, size: object, stride: object) -> np.ndarray:
        """Return a copy of a tensor's window on its storage."""
        (start,), sizes, strides = _whole((offset,)), _whole(size), _whole(stride)
        self._arrays.afford(*sizes)
        if 0 in sizes:
            return np.empty(sizes, values.dtype).view(TensorArray)
        reach = start + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        if reach >= len(values):
            raise ValueError("a tensor that reaches beyond its storage")
        steps = [step * values.itemsize for step in strides]
        window = np.lib.stride_tricks.as_strided(values[start:], sizes, steps, writeable=False)
        return np.array(window).view(TensorArray)

    def _refused(self, key: str, got: str) -> InputError:
        expected = "dictionaries, lists, text, numbers and arrays"
        return InputError(f"{self.name}: {key}", expected, got, ResultArrays.advice)


def _whole(numbers: object) -> tuple[int, ...]:
    """Return whole numbers from zero on, few of them."""
    if (
        isinstance(numbers, tuple)
        and len(numbers) <= 8
        and all(type(number) is int and number >= 0 for number in numbers)
    ):
        return numbers
    raise ValueError(f"a tensor of size or stride {str(numbers)[:60]}")


def with_tensors(value: Any) -> Any:
    """Return the same data with torch's tensors where `TensorArray` stands."""
    if isinstance(value, TensorArray):
        import torch

        return torch.from_numpy(np.array(value))
    if isinstance(value, dict):
        return {name: with_tensors(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_tensors(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        array = np.empty(value.shape, object)
        for place in np.ndindex(*value.shape):
            array[place] = with_tensors(value[place])
        return array
    return value
