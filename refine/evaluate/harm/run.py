"""Runs cells of the harm benchmark: which there are, who fits them, in which batches.

    cells = estimates x kinds of evidence x sources                7 x 5 x 3, or 1 x 5 x 3 where the estimates are given

Source: the kinds are `refine.evaluate.harm.estimates`' and `.evidence`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache

import torch

from refine import batch
from refine.body import SkinnedBody, anny
from refine.errors import InputError
from refine.evaluate.errors import errors_of
from refine.evaluate.harm.estimates import ESTIMATES, OWN
from refine.evaluate.harm.evidence import BESIDE, KINDS, SOURCES, Evidence
from refine.evaluate.harm.figures import Figures, figures_of
from refine.evaluate.harm.image_sources import IMAGE_SOURCES
from refine.evaluate.harm.ours import ours
from refine.evaluate.harm.people import People, true_people
from refine.evaluate.harm.point_sources import POINT_SOURCES
from refine.evaluate.harm.rivals import RIVALS, rival
from refine.evaluate.harm.scene import Scene
from refine.evaluate.harm.table import Cell, Row, row_of

CELLS = tuple(Cell(estimate, kind, source) for estimate in ESTIMATES for kind in KINDS for source in SOURCES)
OWN_CELLS = tuple(Cell(OWN, kind, source) for kind in KINDS for source in SOURCES)
"""Of estimates that are given."""
POINT_CELLS = tuple(
    Cell("medium", kind, source + ending)
    for kind in ("clean", "clothing", "other") for source in POINT_SOURCES for ending in ("", BESIDE)
)  # fmt: skip
"""Of evidence in space; "clothing" is about clouds."""
IMAGE_CELLS = tuple(
    Cell("medium", kind, source + ending)
    for kind in ("clean", "other") for source in IMAGE_SOURCES for ending in ("", BESIDE)
)  # fmt: skip
"""Of evidence over pixels."""
OURS, UNGATED = "ours", "ours, no gate"
METHODS = (OURS, UNGATED, *RIVALS)
TOGETHER = 50
"""Bodies of a batch of ours."""
RIVAL_BODIES = 32
"""Rivals see the first 32 of the same people."""
HARMED = ("strong", "near", "perfect", OWN)
"""Estimates that refining may harm: what the gate is held against; and wherever the evidence is another person's."""

Scenes = Callable[[int, int], tuple[Scene, ...]]
"""Returns the first people of a set, so many in all, in batches of so many."""


def cells_like(patterns: Sequence[str], cells: Sequence[Cell] = CELLS) -> tuple[Cell, ...]:
    """Return the cells whose names fit.

    Args:
        patterns: Names with "*" for any: "medium.*.both".
        cells: Those to choose from.

    Raises:
        InputError: A pattern fits none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            estimates = ", ".join(dict.fromkeys(cell.estimate for cell in cells))
            sources = ", ".join(dict.fromkeys(cell.source for cell in cells))
            wanted = f"estimate.kind.source with {estimates}; {', '.join(KINDS)}; {sources}, or *"
            raise InputError("CELLS", wanted, repr(pattern))
    return tuple(cell for cell in cells if any(fnmatchcase(cell.name, pattern) for pattern in patterns))


def is_held_against_no_gate(cell: Cell) -> bool:
    """Say whether the table shows a cell without the gate too."""
    return cell.estimate in HARMED or cell.kind == "other"


def rows(
    cells: Sequence[Cell], methods: Sequence[str], scenes: Scenes, bodies: int, rival_bodies: int
) -> Iterator[Row]:
    """Fit cells.

    Args:
        cells: Which.
        methods: Some of `METHODS`.
        scenes: The people: `drawn_scenes(REPORT)`, or `refine.evaluate.harm.own.own_scenes`.
        bodies: For us.
        rival_bodies: For rivals, the first ones.

    Yields:
        One row a cell and method, in the order given.
    """
    for cell in cells:
        for method in methods:
            if method in RIVALS and cell.source not in SOURCES:
                continue  # they know nothing of it
            if method in RIVALS:
                scene = scenes(min(rival_bodies, bodies), rival_bodies)[0]
                case = scene.case(cell.estimate)
                outcome, note = rival(method, case, Evidence(scene, cell.kind, cell.source))
                before = errors_of(scene.body, case.estimate.state, scene.true)
                yield row_of(cell, method, figures_of(scene.body, scene.true, before, outcome), note)
            else:
                yield row_of(cell, method, figures_of_ours(cell, scenes(bodies, TOGETHER), method == OURS))


def figures_of_ours(cell: Cell, scenes: Sequence[Scene], gate: bool) -> Figures:
    """Fit one cell with this library, batch by batch.

    Args:
        cell: Which.
        scenes: The people.
        gate: With or without.
    """
    parts = []
    for scene in scenes:
        case = scene.case(cell.estimate)
        seen = Evidence(scene, cell.kind, cell.source)
        in_space = {**POINT_SOURCES, **IMAGE_SOURCES}.get(cell.source.removesuffix(BESIDE))
        terms = () if in_space is None else in_space(seen, case.estimate)
        outcome = ours(case, seen, gate, terms)
        before = errors_of(scene.body, case.estimate.state, scene.true)
        parts.append(figures_of(scene.body, scene.true, before, outcome))
    return batch.cat(parts)


@cache
def model() -> SkinnedBody:
    """Return the built-in body, read once."""
    return anny.load()


@cache
def drawn_scenes(people: People) -> Scenes:
    """Return what gives people of a drawn set in batches, each drawn once.

    Args:
        people: The set.
    """

    @cache
    def scenes(bodies: int, together: int) -> tuple[Scene, ...]:
        true = true_people(model(), people, bodies)
        starts = range(0, bodies, together)
        return tuple(
            Scene(model(), people, true[torch.arange(start, min(start + together, bodies))], start) for start in starts
        )

    return scenes
