"""What a run writes down: one csv file per kind of row, and the same for TensorBoard where that is installed.

A resumed run cuts off what was written after its checkpoint, so that no step stands there twice.
"""

import csv
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class RunLog:
    """Rows of numbers by step, appended to `<kind>.csv` in a folder."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self.folder, self.first_step = folder, first_step
        self._begun: set[str] = set()
        self._board: Any = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)

    def write(self, kind: str, step: int, row: Mapping[str, float | int]) -> None:
        """Append a row.

        Args:
            kind: Name of the file, without ending.
            step: Steps taken.
            row: Numbers by name, the same names for every row of a kind.
        """
        path = self.folder / f"{kind}.csv"
        if kind not in self._begun:
            self._begin(path, ["step", *row])
            self._begun.add(kind)
        with path.open("a", newline="") as file:
            csv.writer(file).writerow([step, *(f"{value:.6g}" for value in row.values())])
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write out what is pending."""
        if self._board:
            self._board.close()

    def _begin(self, path: Path, names: list[str]) -> None:
        """Start a file, or keep the rows of the one that is there up to the step this run goes on from."""
        kept: list[list[str]] = []
        if self.first_step and path.is_file():
            with path.open(newline="") as file:
                kept = [row for row in list(csv.reader(file))[1:] if row and int(row[0]) <= self.first_step]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([names, *kept])


class Losses:
    """The parts of the loss since the log's last row, kept on the device: to read each would make it wait."""

    def __init__(self, parts: int) -> None:
        self.last, self.count = math.nan, parts
        self._parts: list[Tensor] = []

    def add(self, parts: Tensor) -> None:
        """Take the parts (P,) of a step's loss."""
        self._parts.append(parts.detach().float())

    def check(self, step: int) -> Tensor:
        """Return the parts (N, parts) so far.

        Raises:
            FloatingPointError: One is not finite.
        """
        told = torch.stack(self._parts).cpu() if self._parts else torch.zeros(0, self.count)
        if not bool(told.isfinite().all()):
            raise FloatingPointError(f"the loss of one of the {len(told)} steps before {step} is not finite")
        return told

    def mean(self, step: int) -> list[float]:
        """Return the mean of each part, and begin anew."""
        told = self.check(step)
        self._parts.clear()
        self.last = float(told[-1, 0])
        means: list[float] = told.mean(0).tolist()
        return means
