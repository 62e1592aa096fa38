"""`refine harm`: whom refining helps and harms, on estimates of known strength or a regressor's own errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from refine.evaluate.harm.table import Row

SHOWN: tuple[str, ...] = (
    "weak.noisy.both", "medium.noisy.both", "medium.clean.both", "medium.hidden.both", "medium.clothing.both",
    "medium.noisy.keypoints",
    "medium.noisy.dense", "strong.noisy.keypoints", "strong.noisy.both", "near.noisy.both", "perfect.noisy.both",
    "focal.noisy.both",
    "crop.noisy.both", "medium.other.both", "strong.other.keypoints",
)  # fmt: skip
"""Cells that are run where nothing else is asked for."""
OWN_SHOWN: tuple[str, ...] = ("own.clean.both", "own.noisy.*", "own.hidden.both", "own.clothing.both", "own.other.both")
"""The same of estimates that are given."""
BODIES, FULL_BODIES, FULL_OTHER_BODIES, QUICK_RIVAL_BODIES = 50, 200, 500, 8
"""For us; with --full; with --full where the evidence is another person's; and for other methods without --full."""
ALL = "all"


def harm(
    cells: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help='"estimate.kind.source" with * for any, as "medium.noisy.*"; default: a selection.'),
    ] = None,
    estimates: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Your regressor's results, a file or a folder: cells are then own.kind.source."),
    ] = None,
    truths: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The same people as they are: a file, or a folder of files of the same names."),
    ] = None,
    bodies: Annotated[int | None, typer.Option(min=1, help=f"How many people; default {BODIES}, or all given.")] = None,
    against: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help=f'Another fitting method to run beside; may be repeated; "{ALL}" for all. See docs/trust.md.'
        ),
    ] = None,
    against_bodies: Annotated[
        int | None, typer.Option(min=1, help=f"People for those methods, the first ones; default {QUICK_RIVAL_BODIES}.")
    ] = None,
    people: Annotated[
        str, typer.Option("--set", help='"tune" is what thresholds were fixed on, "report" is what is quoted.')
    ] = "report",
    full: Annotated[bool, typer.Option("--full", help=f"All cells, {FULL_BODIES} people: hours.")] = False,
    json: Annotated[Optional[Path], typer.Option(help="Also write the figures to this file.")] = None,  # noqa: UP045
) -> None:
    """Refine people whose truth is known and print whom it helps and whom it harms, a row a cell and method.

    Without files, estimates are drawn: weak, medium, strong, near, perfect, focal, crop. With --estimates and --truths
    they are your regressor's. What a detector and the network would say of the true people is made: clean, noisy,
    hidden, clothing, other.
    """
    from refine.errors import InputError
    from refine.evaluate.harm import own, run
    from refine.evaluate.harm.people import SETS
    from refine.evaluate.harm.report import report
    from refine.evaluate.harm.rivals import RIVALS
    from refine.evaluate.machine import describe_machine

    if (estimates is None) != (truths is None):
        raise InputError("--truths", "estimates and truths together", "one of them", "Give --estimates and --truths.")
    if people not in SETS:
        raise InputError("--set", f"one of {', '.join(SETS)}", repr(people))
    others = tuple(RIVALS) if against == [ALL] else tuple(against or ())
    if strangers := [name for name in others if name not in RIVALS]:
        raise InputError("--against", f"some of {', '.join(RIVALS)}, or {ALL}", ", ".join(strangers))
    if estimates is None or truths is None:
        scenes, shown = run.drawn_scenes(SETS[people]), SHOWN
        known = (*run.CELLS, *run.POINT_CELLS, *run.IMAGE_CELLS) if cells else run.CELLS
        usual, of_others = (FULL_BODIES, FULL_OTHER_BODIES) if full else (BODIES, BODIES)
    else:
        pairs = own.read_pairs(estimates, truths)
        scenes, known, shown, people = own.own_scenes(pairs), run.OWN_CELLS, OWN_SHOWN, f"{estimates}, {truths}"
        usual = of_others = len(pairs)
    chosen = run.cells_like(cells or (("*",) if full else shown), known)
    machine = describe_machine()
    for name, words in {**machine, "set": people}.items():
        typer.echo(f"{name}: {words}", err=True)

    def fitted() -> Iterator["Row"]:
        for cell in chosen:
            ungated = (run.UNGATED,) if run.is_held_against_no_gate(cell) else ()
            count = bodies or (of_others if cell.kind == "other" else usual)
            few = against_bodies or (run.RIVAL_BODIES if full else QUICK_RIVAL_BODIES)
            yield from run.rows((cell,), (run.OURS, *ungated, *others), scenes, count, few)

    report(fitted(), {"machine": machine, "set": people}, typer.echo, json)
