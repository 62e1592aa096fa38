"""Where a search stands: states and equations of rows, with the damping and the counters of their groups."""

from dataclasses import dataclass, replace
from typing import Generic

from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.solve.damped import E
from refine.solve.linearized import Linearized
from refine.state import State


@dataclass(frozen=True, eq=False)
class Search(Generic[E]):
    """Where the search of B rows in G groups stands.

    Attributes:
        state: The best states so far.
        equations: There.
        linear: The terms there.
        damping: (R,) of everything with its own.
        growth: (R,) factor by which the damping grows at the next rejection.
        code: (G,) stop reasons, or that the search goes on.
        steps: (G,) accepted steps.
    """

    state: State
    equations: E
    linear: Linearized
    damping: Float[Tensor, "R"]
    growth: Float[Tensor, "R"]
    code: Int[Tensor, "G"]
    steps: Int[Tensor, "G"]


def rows_of_search(search: Search[E], index: Int[Tensor, "N"]) -> Search[E]:
    """Return the search of some of the rows, each of which is a group of its own."""
    return Search(
        search.state[index], _without_linear(batch.rows(_without_linear(search.equations), index)),
        search.linear.rows(index), search.damping[index], search.growth[index], search.code[index], search.steps[index],
    )  # fmt: skip


def put(whole: Search[E], index: Int[Tensor, "N"], part: Search[E]) -> Search[E]:
    """Return the search with some of the rows replaced, the inverse of `rows_of_search`."""
    numbers = {}
    for name in ("damping", "growth", "code", "steps"):
        numbers[name] = getattr(whole, name).clone()
        numbers[name][index] = getattr(part, name)
    return Search(
        batch.put(whole.state, index, part.state),
        batch.put(_without_linear(whole.equations), index, _without_linear(part.equations)),
        batch.put(whole.linear, index, part.linear), **numbers,
    )  # fmt: skip


def _without_linear(equations: E) -> E:
    """Return equations without the terms they were made of, which the search keeps beside them."""
    return replace(equations, linear=None)  # type: ignore[type-var]
