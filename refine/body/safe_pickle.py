"""Unpickles model files without executing anything in them: every class a pickle asks for becomes a record of what it was given.

    GLOBAL module name  ->  a subclass of StandIn if (module, name) is on the allow-list, else InputError
    REDUCE, NEWOBJ      ->  StandIn(arguments);    BUILD  ->  StandIn.state

No function or class of numpy, scipy, chumpy or the standard library is reached. Before that, the opcodes are walked once without
building anything: extension codes, persistent identifiers, memo slots beyond the file's own length and tuples nested so deep
that hashing one would overflow the C stack are refused.

Source: the pickle machine as `pickletools` documents it; class paths as numpy 1 and 2, scipy and chumpy 0.70 write them.
"""

import io
import pickle
import pickletools
from collections.abc import Iterator
from typing import Any

from refine.errors import InputError

MAX_OPCODES = 500_000
"""Arrays are one opcode each; the largest official files have a few thousand."""

MAX_TUPLE_DEPTH = 200
"""Nested tuples are hashed recursively in C; official files nest them three deep."""

REFUSED_OPCODES = ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER")
"""They reach for things outside the file."""


class StandIn:
    """Stands where a pickle wants an object of a library: keeps the arguments and the state, does nothing.

    Attributes:
        path: Module and name the pickle asked for ("chumpy.ch.Ch").
        arguments: What the object was to be made from.
        state: What it was to be filled with, None if it was not.
    """

    __slots__ = ("arguments", "state")
    path = ""
    arguments: tuple[object, ...]
    state: object

    def __new__(cls, *arguments: object) -> "StandIn":
        """Record the arguments."""
        self = object.__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __setstate__(self, state: object) -> None:
        """Record the state."""
        self.state = state


class Reconstructor(StandIn):
    """Pickle protocols 0 and 1 name the class as an argument: gives the blank record of that class."""

    __slots__ = ()

    def __new__(cls, *arguments: object) -> Any:
        """Return the record of the class named first."""
        kind = arguments[0] if arguments else None
        if isinstance(kind, type) and issubclass(kind, StandIn):
            return kind()
        return super().__new__(cls, *arguments)


ALLOWED = frozenset(
    {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy", "matrix"), ("numpy.matrixlib.defmatrix", "matrix"),
        ("_codecs", "encode"),
        *((module, name) for module in ("__builtin__", "builtins") for name in ("set", "frozenset", "object", "bytes")),
        *((f"{core}.multiarray", name) for core in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")),
        *((f"{core}.numeric", "_frombuffer") for core in ("numpy.core", "numpy._core")),
        *(
            (f"scipy.sparse.{private}{kind}", f"{kind}_{noun}")
            for kind in ("csc", "csr", "coo") for private in ("", "_") for noun in ("matrix", "array")
        ),
    }
)  # fmt: skip
"""Module and name of everything that may be asked for; chumpy's classes come on top (`chumpy.<module>.<identifier>`)."""


class _Unpickler(pickle.Unpickler):
    """The standard machine with the one door to the outside world closed."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.name = name
        self.kinds: dict[str, type[StandIn]] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a record class for what is on the list, refuse everything else."""
        path = f"{module}.{name}"
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return Reconstructor
        ours = (module, name) in ALLOWED
        if not ours and not (module.split(".")[0] == "chumpy" and name.isidentifier()):
            raise InputError(
                self.name,
                "a model file made of arrays (numpy, scipy.sparse, chumpy)",
                f"a pickle that asks for {path[:80]!r}",
                "Nothing was run. Do not trust this file; download the model again from its own page.",
            )
        return self.kinds.setdefault(path, type(name, (StandIn,), {"__slots__": (), "path": path}))


def _opcodes(data: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    """Yield opcode and argument up to STOP, as `pickletools.genops` does, which refuses protocol 0's text that is not ASCII."""
    stream, table = io.BytesIO(data), {opcode.code: opcode for opcode in pickletools.opcodes}
    while (code := stream.read(1).decode("latin1")) != ".":
        if code not in table:
            raise ValueError(f"an unknown opcode {code!r}" if code else "an early end")
        opcode = table[code]
        if opcode.name == "STRING":
            yield opcode, stream.readline()
        else:
            yield opcode, opcode.arg.reader(stream) if opcode.arg else None


def _inspect(data: bytes) -> str:
    """Walk the opcodes without building anything; return what is wrong with them, or an empty string."""
    stack: list[int | None] = []  # how deep the tuple at this place is nested; None: a mark
    memo: dict[int, int] = {}
    for count, (opcode, argument) in enumerate(_opcodes(data)):
        name, before = opcode.name, opcode.stack_before
        if count >= MAX_OPCODES:
            return f"more than {MAX_OPCODES} opcodes"
        if name in REFUSED_OPCODES:
            return f"the opcode {name}, which reaches outside the file"
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            place = len(memo) if argument is None else int(str(argument))
            if place > count:
                return f"memo slot {place} after {count} opcodes"
            memo[place] = stack[-1] or 0
            continue
        popped: list[int | None] = []
        if pickletools.markobject in before:
            while (top := stack.pop()) is not None:
                popped.append(top)
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            popped.append(stack.pop())
        depth = 1 + max((below or 0 for below in popped), default=0) if name.startswith(("TUPLE", "FROZENSET")) else 0
        if depth > MAX_TUPLE_DEPTH:
            return f"tuples nested more than {MAX_TUPLE_DEPTH} deep"
        if name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo.get(int(str(argument)), 0))
        elif name == "DUP":
            stack += 2 * popped
        else:
            stack += [None if kind is pickletools.markobject else depth for kind in opcode.stack_after]
    return ""


def unpickle(data: bytes, name: str) -> object:
    """Read a pickle of protocol 0 to 5 (Python 2's included, whose strings are read as latin1) as plain data and records.

    Args:
        data: The whole pickle.
        name: The file's name, for the message.

    Returns:
        What was pickled: dictionaries, lists, tuples, text and numbers as they are, everything else a `StandIn`.

    Raises:
        InputError: The pickle is damaged, asks for something that is not on the allow-list, or is built to exhaust the machine.
    """
    expected, advice = "a complete pickle of a model file", "Download the model again from its own page."
    try:
        trouble = _inspect(data)
        if not trouble:
            return _Unpickler(data, name).load()
    except InputError:
        raise
    except Exception as error:  # a broken pickle can fail in any way (truncation, bad stack, unhashable keys)
        raise InputError(name, expected, f"{type(error).__name__}: {str(error)[:120]}", advice) from error
    raise InputError(name, expected, trouble, f"Nothing was run. {advice}")
