"""The pickle machine on records: reads a stream of opcodes, builds plain data, and calls nothing a file names.

    GLOBAL module name  ->  a record class if (module, name) is on the file's list (`allow_lists`), else InputError
    REDUCE, NEWOBJ      ->  StandIn(arguments);    BUILD  ->  StandIn.state, or what a reader of that class returns

The standard machine cannot read joblib's files, in which raw array bytes lie between the opcodes, nor stop in the
middle of a stream, as torch's legacy files need. Here `pickletools` only decodes each opcode's argument. Extension
codes and out-of-band buffers are refused; keys that would be slow or deep to hash too.

Source: the pickle machine as `pickletools` documents it (protocols 0 to 5).
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from refine.errors import InputError
from refine.files.allow_lists import CONTAINERS, AllowList, checked_key, dictionary
from refine.files.opcodes import python2_text, refused
from refine.files.records import Forgotten, Reconstructor, StandIn

MAX_STREAMS = 16
"""How deep pickles may lie inside pickles (joblib's object arrays, torch's storages); real files nest two."""


class _Mark:
    """Where a run of arguments begins on the stack."""


class Machine:
    """Reads one pickle after the other from a stream.

    Attributes:
        stream: The stream; between two pickles, or inside `built`, it stands where the next bytes lie.
        name, allowed, depth: As given.
    """

    def __init__(
        self,
        stream: io.BytesIO,
        name: str,
        allowed: AllowList,
        *,
        unknown: type[Forgotten] | None = None,
        built: Mapping[str, Callable[["Machine", StandIn], object]] | None = None,
        persistent: Callable[[object], object] | None = None,
        depth: int = 0,
    ) -> None:
        """Start at the stream's place.

        Args:
            stream: The bytes.
            name: The file's name, for messages.
            allowed: What it may ask for.
            unknown: What stands for everything else; None: it is refused.
            built: What to put in the place of a record once it has its state, by the record's path.
            persistent: What a persistent identifier stands for; None: there are none.
            depth: How many pickles this one lies in.
        """
        if depth > MAX_STREAMS:
            raise ValueError(f"pickles nested more than {MAX_STREAMS} deep")
        self.stream, self.name, self.depth, self.allowed, self._unknown = stream, name, depth, allowed, unknown
        self._built, self._persistent = dict(built or {}), persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._kinds: dict[tuple[str, str], Any] = {}

    def load(self) -> object:
        """Read one pickle, to its STOP.

        Returns:
            Dictionaries, lists, tuples, sets, text and numbers as they are, everything else a `StandIn` or what a
            reader made of it.

        Raises:
            InputError: It asks for something that is not on the list.
            Exception: It is damaged, which shows in many ways; the caller says it in one.
        """
        self._stack, self._memo = [], {}
        read, table = self.stream.read, _TABLE
        for _ in range(self.allowed.most_opcodes):
            code = read(1)
            if code == b".":
                return self._stack.pop()
            if code not in table:
                raise ValueError(refused(code))
            decode, act = table[code]
            act(self, decode(self.stream) if decode else None)
        raise ValueError(f"more than {self.allowed.most_opcodes} opcodes")

    def find(self, module: str, name: str) -> Any:
        """Return what stands for a class: a record class, or a maker of plain data.

        Raises:
            InputError: The class is not on the list, and nothing stands for unknown ones.
        """
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return Reconstructor
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        if (module, name) in self._kinds:
            return self._kinds[module, name]
        kind = StandIn if self.allowed.holds(module, name) else self._unknown
        if kind is None:
            raise self.allowed.refusal(self.name, module, name)
        made = type(name, (kind,), {"__slots__": (), "path": f"{module}.{name}"})
        self._kinds[module, name] = made
        return made

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        taken: list[Any] = []
        while not isinstance(top := self._stack.pop(), _Mark):
            taken.append(top)
        return taken[::-1]

    def _make(self, kind: Any, arguments: object) -> None:
        ours = kind in CONTAINERS.values() or (isinstance(kind, type) and issubclass(kind, StandIn))
        if not ours or not isinstance(arguments, tuple):
            raise ValueError("a call of something that is no class")
        self._push(kind(*arguments))

    def _build(self, state: object) -> None:
        item = self._stack[-1]
        if type(item) is dict and type(state) is dict:  # attributes of an OrderedDict: the versions in a state_dict
            return
        if not isinstance(item, StandIn):
            raise ValueError(f"a state for {type(item).__name__}")
        item.state = state
        if item.path in self._built:
            self._stack[-1] = self._built[item.path](self, item)

    def _into(self, kind: type, what: str) -> Any:
        """Return the container on top, None where it is one that forgets."""
        into = self._stack[-1]
        if type(into) is not kind and not isinstance(into, Forgotten):
            raise ValueError(f"{what} for {type(into).__name__}")
        return into if type(into) is kind else None

    def _set(self, pairs: list[Any]) -> None:
        into = self._into(dict, "items")
        for key, value in [] if into is None else zip(pairs[::2], pairs[1::2], strict=True):
            into[checked_key(key)] = value

    def _extend(self, items: list[Any]) -> None:
        if (into := self._into(list, "items")) is not None:
            into.extend(items)

    def _add(self, items: list[Any]) -> None:
        if (into := self._into(set, "members")) is not None:
            into.update(map(checked_key, items))

    def _identified(self, identifier: object) -> None:
        if self._persistent is None:
            raise ValueError("a persistent identifier, which reaches outside the file")
        self._push(self._persistent(identifier))

    def _named(self, module: object, name: object) -> None:
        self._push(self.find(str(module), str(name)))


def _drop(machine: Machine, take: Callable[[], Any] | None) -> None:
    """Forget the last value, or what `take` takes."""
    (take or machine._stack.pop)()


def _pop2(machine: Machine) -> tuple[Any, Any]:
    last = machine._stack.pop()
    return machine._stack.pop(), last


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def act(machine: Machine, _: object) -> None:
        stack = machine._stack
        if len(stack) < count:
            raise ValueError("a tuple of nothing")
        stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]

    return act


def _mark_class(machine: Machine, _: object) -> None:
    kind, *arguments = machine._since_mark()
    machine._make(kind, tuple(arguments))


def _named_and_made(machine: Machine, argument: Any) -> None:
    module, _, name = str(argument).partition(" ")
    arguments = tuple(machine._since_mark())
    machine._make(machine.find(module, name), arguments)


def _without_keywords(machine: Machine, _: object) -> None:
    arguments, keywords = _pop2(machine)
    if keywords and not (isinstance(machine._stack[-1], type) and issubclass(machine._stack[-1], Forgotten)):
        raise ValueError("keyword arguments")
    machine._make(machine._stack.pop(), arguments)


def _memoize(machine: Machine, argument: Any) -> None:
    machine._memo[len(machine._memo) if argument is None else int(argument)] = machine._stack[-1]


_ACTS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": lambda m, a: m._push(_Mark()),
    "POP": _drop,
    "POP_MARK": lambda m, a: _drop(m, m._since_mark),
    "DUP": lambda m, a: m._push(m._stack[-1]),
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "NONE": lambda m, a: m._push(None),
    "NEWTRUE": lambda m, a: m._push(True),
    "NEWFALSE": lambda m, a: m._push(False),
    "EMPTY_DICT": lambda m, a: m._push({}),
    "EMPTY_LIST": lambda m, a: m._push([]),
    "EMPTY_TUPLE": lambda m, a: m._push(()),
    "EMPTY_SET": lambda m, a: m._push(set()),
    "DICT": lambda m, a: m._push(dictionary(m._since_mark())),
    "LIST": lambda m, a: m._push(m._since_mark()),
    "TUPLE": lambda m, a: m._push(tuple(m._since_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "FROZENSET": lambda m, a: m._push(frozenset(map(checked_key, m._since_mark()))),
    "APPEND": lambda m, a: m._extend([m._stack.pop()]),
    "APPENDS": lambda m, a: m._extend(m._since_mark()),
    "SETITEM": lambda m, a: m._set([*_pop2(m)]),
    "SETITEMS": lambda m, a: m._set(m._since_mark()),
    "ADDITEMS": lambda m, a: m._add(m._since_mark()),
    "GLOBAL": lambda m, a: m._named(*str(a).split(" ", 1)),
    "STACK_GLOBAL": lambda m, a: m._named(*_pop2(m)),
    "REDUCE": lambda m, a: m._make(*_pop2(m)),
    "NEWOBJ": lambda m, a: m._make(*_pop2(m)),
    "NEWOBJ_EX": _without_keywords,
    "INST": _named_and_made,
    "OBJ": _mark_class,
    "BUILD": lambda m, a: m._build(m._stack.pop()),
    "PERSID": lambda m, a: m._identified(a),
    "BINPERSID": lambda m, a: m._identified(m._stack.pop()),
    **{name: _memoize for name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")},
    **{name: lambda m, a: m._push(m._memo[int(a)]) for name in ("GET", "BINGET", "LONG_BINGET")},
    **{
        name: lambda m, a: m._push(a)
        for name in (
            "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
            "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
            "BINBYTES8", "BYTEARRAY8",
        )
    },
}  # fmt: skip

_TABLE: dict[bytes, tuple[Callable[[io.BytesIO], Any] | None, Callable[[Machine, Any], None]]] = {
    opcode.code.encode("latin1"): (
        python2_text if opcode.name == "STRING" else opcode.arg.reader if opcode.arg else None,
        _ACTS[opcode.name],
    )
    for opcode in pickletools.opcodes
    if opcode.name in _ACTS
}


def unpickle(data: bytes, name: str, allowed: AllowList) -> object:
    """Read a pickle of protocol 0 to 5 as plain data and records; Python 2's strings are read as latin1.

    Args:
        data: The whole pickle.
        name: The file's name, for the message.
        allowed: What it may ask for.

    Returns:
        What was pickled: dictionaries, lists, tuples, text and numbers as they are, everything else a `StandIn`.

    Raises:
        InputError: The pickle is damaged, asks for something that is not on the list, or is built to exhaust the
            machine.
    """
    try:
        return Machine(io.BytesIO(data), name, allowed).load()
    except InputError:
        raise
    except Exception as error:  # a broken pickle can fail in any way (truncation, bad stack, unhashable keys)
        got = f"{type(error).__name__}: {str(error)[:120]}"
        raise InputError(name, f"a complete pickle of {allowed.expected}", got, allowed.again) from error
