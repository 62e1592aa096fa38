"""Pairs of rows within the sets that couplings tie, by how far apart they are in their chains."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

CHUNK = 128
"""Sets of coupled rows whose products are formed at a time: 128 blocks of 85 columns are 7 MB."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two rows of coupled sets that are equally far apart in their chains.

    Attributes:
        early: Which of a set's rows comes first.
        late: Which comes later.
        distance: Places between them.
        sets: (N,) the sets, numbered within their chunk.
    """

    early: int
    late: int
    distance: int
    sets: Int[Tensor, "N"]


def chunks(rows: np.ndarray) -> list[np.ndarray]:
    """Return sets of rows, `CHUNK` at a time."""
    return [rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)]


def pairs_of(rows: np.ndarray, position: np.ndarray, device: torch.device) -> tuple[Pair, ...]:
    """Return the pairs of rows within sets (N, k), by how far they are apart."""
    found = []
    for i, j in combinations(range(rows.shape[1]), 2):
        apart = position[rows[:, j]] - position[rows[:, i]]
        for distance in np.unique(apart).tolist():
            early, late = (i, j) if distance > 0 else (j, i)
            there = torch.from_numpy(np.flatnonzero(apart == distance)).to(device)
            found.append(Pair(early, late, abs(distance), there))
    return tuple(found)
