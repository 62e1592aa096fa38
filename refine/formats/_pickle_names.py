"""What a result's pickle may ask for by name, and what may be a key in it.

    numpy's arrays and scalars, torch's tensors, joblib's arrays, paths, sets      ->  records (`refine.body.safe_pickle.StandIn`)
    OrderedDict, defaultdict                                                       ->  dictionaries

Everything else is refused, and so are keys that are slow or deep to hash.

Source: class paths as numpy 1 and 2, torch 1 and 2, joblib 1 and Python 2 and 3 write them.
"""

from collections.abc import Callable
from typing import Any

from refine.body.safe_pickle import ALLOWED, StandIn

MAX_KEY = 2**60
"""Whole-number keys from here on collide at will."""

RESULT_TYPES = frozenset(
    {
        *(("torch", f"{kind}Storage") for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")),
        *(("torch.cuda", f"{kind}Storage") for kind in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool")),
        *(("torch._utils", name) for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")),
        *(("torch.storage", name) for name in ("_load_from_bytes", "UntypedStorage")),
        *(("torch", name) for name in ("Size", "device", "float16", "float32", "float64", "int32", "int64", "bool")),
        *(
            (module, name)
            for module in ("pathlib", "pathlib._local")
            for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
        ),
        *((module, name) for module in ("__builtin__", "builtins") for name in ("dict", "list", "int", "float", "bytearray")),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    }
)  # fmt: skip
"""What results hold beyond the arrays of model files: torch's tensors, paths, joblib's arrays, and what a defaultdict starts from."""

KNOWN = frozenset(named for named in ALLOWED if not named[0].startswith("scipy")) | RESULT_TYPES
"""Module and name of everything that may be asked for."""


def checked_key(key: object, depth: int = 0) -> Any:
    """Return a key that is quick to hash, refuse every other."""
    if isinstance(key, tuple) and depth < 2:
        return tuple(checked_key(part, depth + 1) for part in key)
    if isinstance(key, int) and abs(key) >= MAX_KEY:
        raise ValueError("a whole-number key of more than 60 bits")
    if key is None or isinstance(key, str | bytes | int | float | StandIn):
        return key
    raise ValueError(f"a key that is a {type(key).__name__}")


def _ordered(content: object = ()) -> dict[Any, Any]:
    """Return a dictionary from the pairs Python 2's OrderedDict was pickled with; Python 3 fills it afterwards."""
    if not isinstance(content, list | tuple) or not all(isinstance(pair, list | tuple) for pair in content):
        raise ValueError("a dictionary that is not made of pairs")
    return {checked_key(key): value for key, value in content}


def _default(factory: object = None, content: object = ()) -> dict[Any, Any]:
    """Return a dictionary; what it would have made of a missing key is forgotten."""
    return _ordered(content)


CONTAINERS: dict[tuple[str, str], Callable[..., dict[Any, Any]]] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _default,
}
"""Dictionaries by another name; they become dictionaries."""


def dictionary(items: list[Any]) -> dict[Any, Any]:
    return {checked_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
