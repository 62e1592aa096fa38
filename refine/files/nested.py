"""Nested plain data kept whole in an npz: a text that says how it is nested, and one array of numbers for each dtype.

    content         JSON: null, true, text, numbers below 2^63 and lists stand for themselves, everything else is an
                    object of one name:
        {"dict": [[key, value], ...]}   {"tuple": [...]}   {"set": [...]}   {"frozenset": [...]}   {"bytes": hex}
                                        {"int": hex}   {"float": "nan"}
        {"array": [n, at, shape]}       numbers/<n>[at:] in that shape;  [n, at, shape, "F"] where the first axis runs
                                        fastest
        {"tensor": ...}                 the same, once a torch tensor in the regressor's file;  {"torch": ...}  one in
                                        memory
        {"scalar": ...}                 the same, one number of numpy
        {"objects": [shape, [...]]}     numpy's array of objects
        {"lost": class}                 what is none of these: not kept, read as None; a dictionary's entry is left out
    numbers/<n>     all arrays of one dtype, one behind the other

Source: derived here; nothing is pickled, and nothing in the text is called.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.files.plain_data import TensorArray

LARGEST = 2**63
"""Whole numbers from here on are kept as hexadecimal text; JSON readers and Python limit the decimal kind."""


def packed(content: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """Return a dictionary of nested plain data as arrays that need no pickle.

    Args:
        content: A dictionary of dictionaries, lists, tuples, sets, text, numbers, arrays and tensors, nested as they
            like.

    Returns:
        `content` and `numbers/<n>`.
    """
    packer = _Packer()
    text = json.dumps(packer.described(content), allow_nan=False, separators=(",", ":"))
    return {"content": np.array(text.encode("ascii")), **packer.numbers()}


def unpacked(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[Any, Any]:
    """Return the dictionary that was packed.

    Args:
        arrays: A file's content.
        prefix: Stands before `content` and `numbers/<n>`.

    Raises:
        KeyError, ValueError, TypeError, IndexError, RecursionError: The file is damaged.
    """
    text = arrays[f"{prefix}content"].tobytes()
    content = _Unpacker(arrays, f"{prefix}numbers/").read(json.loads(text))
    if not isinstance(content, dict):
        raise ValueError(f"{prefix}content, which is a {type(content).__name__} and no dictionary,")
    return content


class _Packer:
    """Describes values and gathers their numbers by dtype."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[int, np.dtype[Any], list[np.ndarray]]] = {}
        self._lengths: list[int] = []

    def described(self, value: Any) -> Any:
        """Return what JSON can say of a value; its numbers are kept for `numbers`."""
        if isinstance(value, np.generic):  # before float and str, which some of numpy's numbers are too
            return {"scalar": self._place(np.asarray(value))}
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int):
            return int(value) if abs(value) < LARGEST else {"int": hex(value)}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        if isinstance(value, list):
            return [self.described(item) for item in value]
        if isinstance(value, Mapping):
            pairs = ((self.described(name), self.described(item)) for name, item in value.items())
            return {"dict": [[name, item] for name, item in pairs if not _is_lost(item)]}
        if isinstance(value, tuple | set | frozenset):
            kind = next(kind for kind in (tuple, set, frozenset) if isinstance(value, kind))
            return {kind.__name__: [self.described(item) for item in value]}
        if isinstance(value, bytes | bytearray):
            return {"bytes": bytes(value).hex()}
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray) and value.dtype == object:
            return {"objects": [list(value.shape), [self.described(item) for item in value.reshape(-1).tolist()]]}
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return {"tensor" if isinstance(value, TensorArray) else "array": self._place(value)}
        return {"lost": f"{type(value).__module__}.{type(value).__qualname__}"}

    def numbers(self) -> dict[str, np.ndarray]:
        """Return the gathered numbers, an array for each dtype."""
        found = {}
        for place, dtype, parts in self._parts.values():
            whole = np.zeros(self._lengths[place], dtype)  # concatenate would pack a record's fields closer
            at = 0
            for part in parts:
                whole[at : at + part.size] = part
                at += part.size
            found[f"numbers/{place}"] = whole
        return found

    def _tensor(self, value: Tensor) -> dict[str, Any]:
        plain = value.detach().cpu()
        try:
            return {"torch": self._place(plain.numpy())}
        except (TypeError, RuntimeError):  # bfloat16 and sparse ones have no twin in numpy
            return {"lost": f"torch.Tensor of {value.dtype}"}

    def _place(self, array: np.ndarray) -> list[Any]:
        columns = array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous
        place, _, parts = self._parts.setdefault(_name(array.dtype), (len(self._lengths), array.dtype, []))
        if place == len(self._lengths):
            self._lengths.append(0)
        at = self._lengths[place]
        parts.append(np.asarray(array).reshape(-1, order="F" if columns else "C"))
        self._lengths[place] += array.size
        return [place, at, list(array.shape), *(["F"] if columns else [])]


class _Unpacker:
    """Makes values of their descriptions."""

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str) -> None:
        self._arrays, self._prefix = arrays, prefix
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "dict": lambda pairs: {self.read(name): self.read(item) for name, item in pairs},
            "tuple": lambda items: tuple(self._each(items)),
            "set": lambda items: set(self._each(items)),
            "frozenset": lambda items: frozenset(self._each(items)),
            "bytes": bytes.fromhex,
            "int": lambda text: int(text, 16),
            "float": float,
            "array": self._window,
            "tensor": lambda place: self._window(place).view(TensorArray),
            "torch": lambda place: torch.from_numpy(self._window(place).copy()),
            "scalar": lambda place: self._window(place)[()],
            "objects": self._objects,
            "lost": lambda _: None,
        }

    def read(self, value: Any) -> Any:
        """Return what a description stands for."""
        if isinstance(value, list):
            return list(self._each(value))
        if isinstance(value, dict):
            ((kind, what),) = value.items()
            return self._kinds[kind](what)
        return value

    def _each(self, items: Iterable[Any]) -> Iterable[Any]:
        return (self.read(item) for item in items)

    def _window(self, place: list[Any]) -> np.ndarray:
        number, at, shape, *order = place
        numbers, count = self._arrays[f"{self._prefix}{int(number)}"], math.prod(shape)
        if not 0 <= at <= at + count <= len(numbers):
            raise ValueError(f"an array of {count} numbers from {at} on, among {len(numbers)}")
        return numbers[at : at + count].reshape(shape, order="F" if order else "C")

    def _objects(self, described: list[Any]) -> np.ndarray:
        shape, items = described
        array = np.empty(len(items), object)
        for place, item in enumerate(items):
            array[place] = self.read(item)
        return array.reshape(shape)


def _is_lost(described: Any) -> bool:
    return isinstance(described, dict) and "lost" in described


def _name(dtype: np.dtype[Any]) -> str:
    """Return what two arrays that may be stored as one have in common: byte order, and the fields of a record."""
    return repr(dtype)
