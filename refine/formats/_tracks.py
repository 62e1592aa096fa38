"""Files that store people one dictionary each, with a row a frame: all rows as one batch of bodies, and back.

    body b  =  row picks[k][n] of person keys[k],   people in the file's order, rows in theirs

Source: derived here; WHAM, GLAMR and PromptHMR store tracks this way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import as_array
from refine.files.same_kind import same_kind
from refine.formats._smpl_parts import numbers, put_rotations

People = Mapping[Any, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Tracks:
    """Which rows of which people are bodies.

    Attributes:
        keys: The people, as the file names them.
        picks: For each, the rows (n,) of their arrays.
    """

    keys: tuple[Any, ...]
    picks: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(map(len, self.picks))

    @property
    def persons(self) -> tuple[str, ...]:
        """Who each body is."""
        return tuple(str(key) for key, pick in zip(self.keys, self.picks, strict=True) for _ in pick)

    def joined(self, where: str, people: People, name: str, *shape: int | None, advice: str) -> np.ndarray:
        """Return one array of all people, a row a body.

        Args:
            where: The file, for messages.
            people: The file's dictionaries.
            name: The array's name.
            *shape: What it must be behind the first axis; None stands for any size.
            advice: What to do where it is not.

        Raises:
            InputError: Somebody lacks it, or has it in another shape or with other numbers of rows, or it is not
                finite.
        """
        parts = []
        for key, pick in zip(self.keys, self.picks, strict=True):
            person = people[key]
            chosen = {name: np.asarray(person[name])[pick]} if _reaches(person.get(name), pick) else person
            parts.append(numbers(f"{where}: {key}", chosen, name, len(pick), *shape, advice=advice))
        if len({part.shape[1:] for part in parts}) > 1:
            shapes = ", ".join(str(part.shape[1:]) for part in parts)
            raise InputError(f"{where}: {name}", "the same shape for all people", shapes, advice)
        return np.concatenate(parts)

    def put(self, people: People, name: str, changed: Bool[Tensor, "B"], fresh: object) -> dict[Any, dict[str, Any]]:
        """Return the dictionaries with new rows where a body changed; who does not have the array does not get it."""
        values, flags = as_array(fresh), as_array(changed)
        result, start = {key: dict(person) for key, person in people.items()}, 0
        for key, pick in zip(self.keys, self.picks, strict=True):
            rows = slice(start, start + len(pick))
            start = rows.stop
            stored = people[key].get(name)
            if stored is None:
                continue
            whole = np.array(stored)
            old = whole[pick].reshape(len(pick), -1)
            new = np.where(flags[rows, None], values[rows].reshape(old.shape), old)
            whole[pick] = new.reshape(len(pick), *whole.shape[1:])
            result[key][name] = same_kind(whole, stored)
        return result

    def put_rotations(
        self, people: People, name: str, before: Float[Tensor, "B n 3 3"], after: Float[Tensor, "B n 3 3"]
    ) -> dict[Any, dict[str, Any]]:
        """Return the dictionaries with a part's turned joints renewed, axis-angle or matrices as it is stored."""
        if any(people[key].get(name) is None for key in self.keys):
            return {key: dict(person) for key, person in people.items()}
        stored = np.concatenate(
            [np.asarray(people[key][name])[pick] for key, pick in zip(self.keys, self.picks, strict=True)]
        )
        everybody = torch.ones(len(self), dtype=torch.bool)
        return self.put(people, name, everybody, put_rotations(stored, before, after))

    def without(self, people: People, names: set[str], note: str) -> dict[Any, dict[str, Any]]:
        """Return the dictionaries without what cannot be computed again, and the note that says so beside it."""
        kept = {
            key: {name: item for name, item in person.items() if name not in names} for key, person in people.items()
        }
        return {key: person | {"refine_note": note} if key in self.keys else person for key, person in kept.items()}

    def put_beside(self, people: People, name: str, lines: object) -> dict[Any, dict[str, Any]]:
        """Return the dictionaries with B texts of their bodies, a list each; as they are where there are none."""
        result, start = {key: dict(person) for key, person in people.items()}, 0
        for key, pick in zip(self.keys, self.picks, strict=True):
            if isinstance(lines, list):
                result[key][name] = lines[start : start + len(pick)]
            start += len(pick)
        return result


def _reaches(values: object, pick: np.ndarray) -> bool:
    """Say whether an array has the rows that are picked."""
    return isinstance(values, np.ndarray) and values.ndim > 0 and len(pick) > 0 and len(values) > int(pick.max())
