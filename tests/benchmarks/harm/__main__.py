"""`python -m tests.benchmarks.harm [--cells NAME ...] [--bodies N] [--rivals NAME ...] [--full] [--json FILE]`: the table of harm and help."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from refine.errors import InputError
from tests.benchmarks.__main__ import describe_machine
from tests.benchmarks.harm.people import SETS
from tests.benchmarks.harm.real_network import cast, network_rows
from tests.benchmarks.harm.rivals import RIVALS
from tests.benchmarks.harm.run import CELLS, OURS, RIVAL_BODIES, UNGATED, cells_like, is_held_against_no_gate, rows
from tests.benchmarks.harm.table import Row, markdown, plain

SHOWN = (
    "weak.noisy.both", "medium.noisy.both", "medium.clean.both", "medium.hidden.both", "medium.clothing.both", "medium.noisy.keypoints",
    "medium.noisy.dense", "strong.noisy.keypoints", "strong.noisy.both", "near.noisy.both", "perfect.noisy.both", "focal.noisy.both",
    "crop.noisy.both", "medium.other.both", "strong.other.keypoints",
)  # fmt: skip
"""What is run where nothing else is asked for."""
BODIES, FULL_BODIES, FULL_OTHER_BODIES, QUICK_RIVAL_BODIES = 50, 200, 500, 8
"""For us; with --full; with --full where the evidence is another person's; and for rivals without --full."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cells, print the table.

    Args:
        arguments: The command line; that of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.harm", description=__doc__)
    parser.add_argument(
        "--cells", nargs="+", metavar="NAME", help='"estimate.kind.source" with * for any; default: a selection'
    )
    parser.add_argument("--bodies", type=_count, help=f"people for us; default {BODIES}")
    parser.add_argument(
        "--rivals", nargs="*", metavar="NAME", help=f"some of {', '.join(RIVALS)}; default: all; none: ours alone"
    )
    parser.add_argument("--rival-bodies", type=_count, help=f"people for rivals; default {QUICK_RIVAL_BODIES}")
    parser.add_argument(
        "--set", choices=sorted(SETS), default="report", help='"tune" fixes thresholds, "report" is what is quoted'
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"all {len(CELLS)} cells, {FULL_BODIES} people, {RIVAL_BODIES} for rivals: hours",
    )
    parser.add_argument("--no-network", action="store_true", help="leave out the row of the real network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE, after every row")
    options = parser.parse_args(arguments)
    rivals = tuple(RIVALS) if options.rivals is None else tuple(options.rivals)
    if strangers := set(rivals) - set(RIVALS):
        parser.error(f"--rivals: expected some of {', '.join(RIVALS)}, got {', '.join(strangers)}")
    try:
        cells = cells_like(options.cells or (["*"] if options.full else SHOWN))
    except InputError as error:
        parser.error(str(error))
    people = SETS[options.set]
    machine = describe_machine()
    print("\n".join(f"{name}: {words}" for name, words in machine.items()) + f"\nset: {people.name}\n")
    found: list[Row] = []

    def note(row: Row) -> None:
        found.append(row)
        lines = markdown([row]).splitlines()
        print("\n".join(lines if len(found) == 1 else lines[2:]), flush=True)
        if options.json:
            report = {"machine": machine, "set": people.name, "rows": plain(found)}
            options.json.write_text(json.dumps(report, indent=1) + "\n")

    for cell in cells:
        full = FULL_OTHER_BODIES if cell.kind == "other" else FULL_BODIES
        bodies = options.bodies or (full if options.full else BODIES)
        rival_bodies = options.rival_bodies or (RIVAL_BODIES if options.full else QUICK_RIVAL_BODIES)
        for row in rows(
            (cell,),
            (OURS, *((UNGATED,) if is_held_against_no_gate(cell) else ()), *rivals),
            people,
            bodies,
            rival_bodies,
        ):
            note(row)
    if not options.no_network:
        people_in_photos, why = cast()
        if people_in_photos is None:
            print(why)
        else:
            for row in network_rows(people_in_photos):
                note(row)
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected one or more, got {value}")
    return value


if __name__ == "__main__":
    sys.exit(main())
