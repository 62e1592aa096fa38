"""Which names the beginning of a JSON file holds: enough to tell whose it is, without reading a whole data set."""

from collections.abc import Iterable
from pathlib import Path

HEAD_BYTES = 65536
"""More than the first person of any format: 24 matrices and 49 points."""


def begins_with(path: Path, bracket: bytes, names: Iterable[str]) -> bool:
    """Say whether a file begins with a bracket and names all of some keys near it; False where it cannot be read.

    Args:
        path: The file.
        bracket: `b"{"` of an object, `b"["` of a list.
        names: Keys, without their quotes.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return head.lstrip()[:1] == bracket and all(f'"{name}"'.encode() in head for name in names)
