"""What a pickle may ask for by name: two lists, and what may be a key in it.

    RESULTS       numpy's arrays and scalars, torch's tensors, joblib's arrays, paths, sets     ->  records (`StandIn`)
    BODY_MODELS   numpy's arrays, scipy's sparse matrices, chumpy's expressions                 ->  records
    both          OrderedDict, defaultdict                                                      ->  dictionaries

Everything else is refused, and so are keys that are slow or deep to hash. Checkpoints are read by the first list; what
else they name becomes a record that forgets (`refine.files.checkpoint`).

Source: class paths as numpy 1 and 2, scipy 0.7 to 1.17, chumpy 0.70, torch 1 and 2, joblib 1 and Python 2 and 3 write
them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refine.errors import InputError
from refine.files.records import StandIn

MAX_KEY = 2**60
"""Whole-number keys from here on collide at will."""


@dataclass(frozen=True, eq=False)
class AllowList:
    """What one kind of file may ask for.

    Attributes:
        names: Module and name of everything that may be asked for.
        packages: Packages of which any class may be: they are told apart where they are read.
        expected: What such a file is, for the message.
        advice: What to do about one that asks for more.
        again: What to do about a damaged one.
        most_opcodes: How long its pickle may be.
    """

    names: frozenset[tuple[str, str]]
    packages: frozenset[str]
    expected: str
    advice: str
    again: str
    most_opcodes: int

    def holds(self, module: str, name: str) -> bool:
        """Say whether a name may be asked for."""
        return (module, name) in self.names or (module.split(".")[0] in self.packages and name.isidentifier())

    def refusal(self, file: str, module: str, name: str) -> InputError:
        """Return what is raised about a name that may not."""
        return InputError(file, self.expected, f"a pickle that asks for {f'{module}.{name}'[:80]!r}", self.advice)


ARRAYS = frozenset(
    {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy", "matrix"), ("numpy.matrixlib.defmatrix", "matrix"),
        ("_codecs", "encode"),
        *((module, name) for module in ("__builtin__", "builtins") for name in ("set", "frozenset", "object", "bytes")),
        *((f"{core}.multiarray", name) for core in ("numpy.core", "numpy._core") for name in ("_reconstruct",
            "scalar")),
        *((f"{core}.numeric", "_frombuffer") for core in ("numpy.core", "numpy._core")),
    }
)  # fmt: skip
"""numpy's arrays and scalars, and how Python writes bytes and sets."""

SPARSE = frozenset(
    (f"scipy.sparse.{private}{kind}", f"{kind}_{noun}")
    for kind in ("csc", "csr", "coo")
    for private in ("", "_")
    for noun in ("matrix", "array")
)
"""scipy's sparse matrices, which hold the joint regressors of model files."""

TENSORS = frozenset(
    {
        *(("torch", f"{kind}Storage") for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short",
            "Char", "Byte", "Bool")),
        *(("torch.cuda", f"{kind}Storage") for kind in ("Float", "Double", "Half", "Long", "Int", "Short", "Char",
            "Byte", "Bool")),
        *(("torch._utils", name) for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")),
        *(("torch.storage", name) for name in ("_load_from_bytes", "UntypedStorage")),
        *(("torch", name) for name in ("Size", "device", "float16", "float32", "float64", "int32", "int64", "bool")),
    }
)  # fmt: skip
"""torch's tensors and what they are described by."""

BESIDE_ARRAYS = frozenset(
    {
        *(
            (module, name)
            for module in ("pathlib", "pathlib._local")
            for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
        ),
        *((module, name) for module in ("__builtin__", "builtins") for name in ("dict", "list", "int", "float",
            "bytearray")),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    }
)  # fmt: skip
"""What results hold beyond: paths, joblib's arrays, and what a defaultdict starts from."""

RESULTS = AllowList(
    ARRAYS | TENSORS | BESIDE_ARRAYS,
    frozenset(),
    "a result made of dictionaries and arrays of numbers",
    "Nothing in it was run. Do not trust this file; run the regressor again.",
    "The file is damaged or not what its name says: copy it again, or run the regressor again.",
    20_000_000,  # an array is about 30 of them: tracks of some hundred thousand person-frames
)
"""What regressors, trackers and trainers write: tensors and arrays."""

BODY_MODELS = AllowList(
    ARRAYS | SPARSE,
    frozenset({"chumpy"}),
    "a model file made of arrays (numpy, scipy.sparse, chumpy)",
    "Nothing was run. Do not trust this file; download the model again from its own page.",
    "Download the model again from its own page.",
    500_000,  # the largest official files have a few thousand
)
"""What the body models' owners distribute."""


def checked_key(key: object, depth: int = 0) -> Any:
    """Return a key that is quick to hash, refuse every other.

    Raises:
        ValueError: The key is slow or deep to hash.
    """
    if isinstance(key, tuple) and depth < 2:
        return tuple(checked_key(part, depth + 1) for part in key)
    if isinstance(key, int) and abs(key) >= MAX_KEY:
        raise ValueError("a whole-number key of more than 60 bits")
    if key is None or isinstance(key, str | bytes | int | float | StandIn):
        return key
    if isinstance(key, type) and issubclass(key, StandIn):  # a trainer keeps its callbacks by their class
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
    """Return a dictionary from keys and values in turn."""
    return {checked_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
