"""What a run writes down: one csv file per kind of row, and the same for TensorBoard where that is installed.

A resumed run cuts off what was written after its checkpoint, so that no step stands there twice.
"""

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


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
