"""Runs cells of the harm benchmark: which there are, who fits them, in which batches.

    cells = estimates x kinds of evidence x sources                7 x 5 x 3

Source: the project's plan for this benchmark.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache

import torch

from refine.body import SkinnedBody, anny
from refine.errors import InputError
from tests.benchmarks.harm.estimates import ESTIMATES
from tests.benchmarks.harm.evidence import KINDS, SOURCES, Evidence
from tests.benchmarks.harm.figures import Figures, errors_of, figures_of, joined
from tests.benchmarks.harm.ours import ours
from tests.benchmarks.harm.people import People, true_people
from tests.benchmarks.harm.rivals import RIVALS, rival
from tests.benchmarks.harm.scene import Scene
from tests.benchmarks.harm.table import Cell, Row, row_of

CELLS = tuple(Cell(estimate, kind, source) for estimate in ESTIMATES for kind in KINDS for source in SOURCES)
OURS, UNGATED = "ours", "ours, no gate"
METHODS = (OURS, UNGATED, *RIVALS)
TOGETHER = 50
"""Bodies of a batch of ours."""
RIVAL_BODIES = 32
"""Rivals see the first 32 of the same people."""
HARMED = ("strong", "near", "perfect")
"""Estimates that refining may harm: what the gate is held against; and wherever the evidence is another person's."""

Tell = Callable[[str], None]


def cells_like(patterns: Sequence[str]) -> tuple[Cell, ...]:
    """Return the cells whose names fit.

    Args:
        patterns: Names with "*" for any: "medium.*.both".

    Raises:
        InputError: A pattern fits none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in CELLS):
            wanted = f"estimate.kind.source with {', '.join(ESTIMATES)}; {', '.join(KINDS)}; {', '.join(SOURCES)}, or *"
            raise InputError("--cells", wanted, repr(pattern))
    return tuple(cell for cell in CELLS if any(fnmatchcase(cell.name, pattern) for pattern in patterns))


def is_held_against_no_gate(cell: Cell) -> bool:
    """Say whether the table shows a cell without the gate too."""
    return cell.estimate in HARMED or cell.kind == "other"


def rows(
    cells: Sequence[Cell], methods: Sequence[str], people: People, bodies: int, rival_bodies: int
) -> Iterator[Row]:
    """Fit cells.

    Args:
        cells: Which.
        methods: Some of `METHODS`.
        people: The set.
        bodies: For us.
        rival_bodies: For rivals, the first ones.

    Yields:
        One row a cell and method, in the order given.
    """
    for cell in cells:
        for method in methods:
            if method in RIVALS:
                scene = scenes_of(people, min(rival_bodies, bodies), rival_bodies)[0]
                outcome, note = rival(method, scene.case(cell.estimate), Evidence(scene, cell.kind, cell.source))
                before = errors_of(scene.body, scene.case(cell.estimate).estimate.state, scene.true)
                yield row_of(cell, method, figures_of(scene.body, scene.true, before, outcome), note)
            else:
                yield row_of(cell, method, figures_of_ours(cell, people, bodies, method == OURS))


def figures_of_ours(cell: Cell, people: People, bodies: int, gate: bool) -> Figures:
    """Fit one cell with this library, batch by batch.

    Args:
        cell: Which.
        people: The set.
        bodies: How many.
        gate: With or without.
    """
    parts = []
    for scene in scenes_of(people, bodies, TOGETHER):
        case = scene.case(cell.estimate)
        outcome = ours(case, Evidence(scene, cell.kind, cell.source), gate)
        before = errors_of(scene.body, case.estimate.state, scene.true)
        parts.append(figures_of(scene.body, scene.true, before, outcome))
    return joined(parts)


@cache
def model() -> SkinnedBody:
    """Return the built-in body, read once."""
    return anny.load()


@cache
def scenes_of(people: People, bodies: int, together: int) -> tuple[Scene, ...]:
    """Return people in batches, drawn once.

    Args:
        people: The set.
        bodies: How many in all.
        together: In a batch.
    """
    true = true_people(model(), people, bodies)
    starts = range(0, bodies, together)
    return tuple(
        Scene(model(), people, true[torch.arange(start, min(start + together, bodies))], start) for start in starts
    )
