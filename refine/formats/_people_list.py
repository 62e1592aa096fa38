"""A photo's people saved as the list of dictionaries that a model returned: read, and put into such a list again.

Source: derived here; SAM 3D Body and Multi-HMR return such lists.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.files.pickled import kind
from refine.formats._parameter_file import file_content

KINDS = ("torch", "pickle", "joblib", "npy")


def people_of(content: object, keys: Collection[str]) -> list[dict[str, Any]]:
    """Return the people of a list, of an array of objects or of one person alone; none where one lacks a key."""
    people = content.tolist() if isinstance(content, np.ndarray) and content.dtype == object else content
    people = [people] if isinstance(people, dict) else people
    if not isinstance(people, list | tuple):
        return []
    return list(people) if all(isinstance(one, dict) and set(one) >= set(keys) for one in people) else []


def holds_people(path: Path, keys: Collection[str]) -> bool:
    """Say whether a file holds such people."""
    if kind(path) not in KINDS:
        return False
    try:
        return bool(people_of(file_content(path), keys))
    except InputError:
        return False


def like(content: object, rows: list[Any]) -> object:
    """Return people in a container like the one they came in."""
    if isinstance(content, dict):
        return rows[0]
    if isinstance(content, np.ndarray):
        array = np.empty(len(rows), object)
        array[:] = rows
        return array
    return type(content)(rows)  # type: ignore[call-arg]
