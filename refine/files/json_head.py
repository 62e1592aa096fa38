"""Which names the beginning of a JSON file holds: enough to tell whose it is, without reading a whole data set."""

from collections.abc import Iterable
from pathlib import Path

from refine.files.json_file import json_text

HEAD_BYTES = 131072
"""More than the first person of any format: 24 matrices and 49 points; two bytes a character in UTF-16."""


def begins_with(path: Path, bracket: str, names: Iterable[str]) -> bool:
    """Say whether a file begins with a bracket and names all of some keys near it; False where it cannot be read.

    Args:
        path: The file.
        bracket: "{" of an object, "[" of a list.
        names: Keys, without their quotes.
    """
    try:
        with Path(path).open("rb") as file:
            head = json_text(file.read(HEAD_BYTES), "ignore")
    except OSError:
        return False
    return head.lstrip()[:1] == bracket and all(f'"{name}"' in head for name in names)
