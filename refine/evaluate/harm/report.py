"""The harm benchmark's report: rows printed as they come, and kept in a JSON file after every row."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from refine.evaluate.harm.table import Row, markdown, plain
from refine.files.atomic import write_bytes


def report(rows: Iterable[Row], head: dict[str, object], show: Callable[[str], None], file: Path | None) -> None:
    """Show rows one by one.

    Args:
        rows: Fitted while they are asked for.
        head: What stands before them in the file: the machine, the set of people.
        show: Takes lines of the table.
        file: Is written anew after every row, in JSON; None: nothing is.

    Raises:
        InputError: The file cannot be written.
    """
    found: list[Row] = []
    for row in rows:
        found.append(row)
        lines = markdown([row]).splitlines()
        show("\n".join(lines if len(found) == 1 else lines[2:]))
        if file is not None:
            write_bytes(file, (json.dumps({**head, "rows": plain(found)}, indent=1) + "\n").encode())
