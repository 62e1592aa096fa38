"""The value of a pickled chumpy expression, from the attributes chumpy 0.70 stores, without chumpy.

    Ch {x}  ->  x;     Select {a, idxs, preferred_shape}  ->  ravel(a)[idxs] in that shape;
            add {a, b}  ->  a + b;  ...

SMPL's and SMPL-H's first files hold their shape basis, some their pose basis and template too, as such expressions.
Attributes that only serve chumpy's caches (`_dirty_vars`, `_itr`, `_depends_on_deps`, `dr_lookup`, ...) are not looked
at.

Source: `terms` and `dterms` of the classes in chumpy 0.70's ch.py, ch_ops.py and reordering.py (mattloper/chumpy, MIT).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

State = Mapping[str, Any]
Array = Any  # of any number type; numpy's own typing of mixed arithmetic does not say


@runtime_checkable
class Reader(Protocol):
    """What an operation needs: the arrays its attributes stand for, and leave to make a larger one."""

    def array(self, value: object) -> Array:
        """Return the array a value stands for."""
        ...

    def afford(self, *shape: int) -> None:
        """Take an array's elements off the file's budget, or raise MemoryError."""
        ...


def _of_one(attribute: str, operation: Callable[[Array], Array]) -> Callable[[Reader, State], Array]:
    """An operation that keeps the size of its one argument."""
    return lambda reader, state: operation(reader.array(state[attribute]))


def _of_two(first: str, second: str, operation: Callable[[Array, Array], Array]) -> Callable[[Reader, State], Array]:
    """An operation on two broadcast arguments."""

    def run(reader: Reader, state: State) -> Array:
        one, other = reader.array(state[first]), reader.array(state[second])
        reader.afford(*np.broadcast_shapes(one.shape, other.shape))
        return operation(one, other)

    return run


def _moved(operation: Callable[..., Array], *settings: str) -> Callable[[Reader, State], Array]:
    """A rearrangement of `a` that keeps its size, with whole-number settings by attribute."""
    return lambda reader, state: operation(reader.array(state["a"]), *(state.get(name) for name in settings))


def _reduced(operation: Callable[..., Array]) -> Callable[[Reader, State], Array]:
    return lambda reader, state: operation(reader.array(state["x"]), axis=state.get("axis"))


def _select(reader: Reader, state: State) -> Array:
    chosen = reader.array(state["a"]).ravel()[reader.array(state["idxs"])]
    return chosen.reshape(state["preferred_shape"]) if "preferred_shape" in state else chosen


def _concatenate(reader: Reader, state: State) -> Array:
    parts = [reader.array(state[name]) for name in state["dterms"]]
    reader.afford(sum(part.size for part in parts))
    return np.concatenate(parts, axis=state.get("axis", 0))


def _tile(reader: Reader, state: State) -> Array:
    array, counts = reader.array(state["a"]), np.atleast_1d(state["reps"]).tolist()
    reader.afford(array.size, math.prod(int(count) for count in counts))
    return np.tile(array, counts)


def _repeat(reader: Reader, state: State) -> Array:
    array, count = reader.array(state["a"]), int(state["repeats"])
    reader.afford(array.size, count)
    return np.repeat(array, count, state.get("axis"))


def _dot(reader: Reader, state: State) -> Array:
    one, other = reader.array(state["a"]), reader.array(state["b"])
    reader.afford(*one.shape[:-1], other.size // max(1, other.shape[0 if other.ndim == 1 else -2]))
    return one.dot(other)


def _matrix_times_vector(reader: Reader, state: State) -> Array:
    matrix, vector = reader.array(state["mtx"]), reader.array(state["vec"])
    result = matrix.dot(vector.ravel())
    return result.reshape(-1, vector.shape[1]) if vector.ndim > 1 and vector.shape[1] > 1 else result


def _at_least(reader: Reader, state: State) -> Array:
    return {1: np.atleast_1d, 2: np.atleast_2d, 3: np.atleast_3d}[state["ndims"]](reader.array(state["x"]))


OPERATIONS: dict[str, Callable[[Reader, State], Array]] = {
    "chumpy.ch.Ch": _of_one("x", lambda x: x),
    "chumpy.ch.ChHandle": _of_one("x", lambda x: x),
    "chumpy.ch.MatVecMult": _matrix_times_vector,
    "chumpy.reordering.Select": _select,
    "chumpy.reordering.Reshape": _moved(lambda a, shape: a.reshape(shape), "newshape"),
    "chumpy.reordering.transpose": _moved(np.transpose, "axes"),
    "chumpy.reordering.swapaxes": _moved(np.swapaxes, "axis1", "axis2"),
    "chumpy.reordering.rollaxis": _moved(lambda a, axis, start: np.rollaxis(a, axis, start or 0), "axis", "start"),
    "chumpy.reordering.Roll": _moved(np.roll, "shift", "axis"),
    "chumpy.reordering.Concatenate": _concatenate,
    "chumpy.reordering.Tile": _tile,
    "chumpy.reordering.Repeat": _repeat,
    "chumpy.reordering.AtleastNd": _at_least,
    "chumpy.ch_ops.add": _of_two("a", "b", np.add),
    "chumpy.ch_ops.subtract": _of_two("a", "b", np.subtract),
    "chumpy.ch_ops.multiply": _of_two("a", "b", np.multiply),
    "chumpy.ch_ops.divide": _of_two("x1", "x2", np.true_divide),
    "chumpy.ch_ops.power": _of_two("x", "pow", np.power),
    "chumpy.ch_ops.dot": _dot,
    "chumpy.ch_ops.negative": _of_one("x", np.negative),
    "chumpy.ch_ops.absolute": _of_one("x", np.abs),
    "chumpy.ch_ops.sqrt": _of_one("x", np.sqrt),
    "chumpy.ch_ops.square": _of_one("x", np.square),
    "chumpy.ch_ops.exp": _of_one("x", np.exp),
    "chumpy.ch_ops.sum": _reduced(np.sum),
    "chumpy.ch_ops.mean": _reduced(np.mean),
}
"""By the path a pickle names; an expression with another operation is refused."""
