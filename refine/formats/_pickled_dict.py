"""Files that are one pickled dictionary: whether a file is one with certain keys, and reading it.

Source: `refine.files.pickled` (what is read, and how safely).
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.files.pickled import kind, read_pickled


def peek(path: Path, kinds: Collection[str]) -> dict[Any, Any]:
    """Return the dictionary a file is, empty where it is of none of these kinds (`pickled.kind`) or cannot be read."""
    if kind(path) not in kinds:
        return {}
    try:
        content = read_pickled(path)
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def holds(path: Path, kinds: Collection[str], keys: Collection[str]) -> bool:
    """Say whether a file is of one of these kinds (`files.pickled.kind`) and a dictionary with all of these keys.

    Broken and hostile files are none: `read_pickled` says what is wrong when they are read.
    """
    return set(keys) <= set(peek(path, kinds))


def read_dict(path: Path, keys: Collection[str], advice: str) -> dict[str, Any]:
    """Return the dictionary of a file.

    Args:
        path: The file.
        keys: What it must have.
        advice: What to do where it has not.

    Raises:
        InputError: It is broken, hostile, no dictionary, or lacks a key, or has None for it.
    """
    content = read_pickled(path)
    if not isinstance(content, dict):
        raise InputError(str(path), "a dictionary", type(content).__name__, advice)
    missing = [name for name in keys if content.get(name) is None]
    if missing:
        raise InputError(str(path), f"a dictionary with {', '.join(missing)}", ", ".join(map(str, content)), advice)
    return content
