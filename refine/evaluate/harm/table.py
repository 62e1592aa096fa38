"""The harm benchmark's table: a row a cell and method, means with 95 % intervals over bodies, markdown and JSON.

    interval = 2.5 % and 97.5 % of the mean over bodies drawn with replacement

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sec. 13.3 (percentile interval).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.evaluate.errors import FIGURES, WORSE_MM
from refine.evaluate.harm.figures import Figures

DRAWS, SEED = 2000, 0
"""Of the bootstrap."""


@dataclass(frozen=True, order=True)
class Cell:
    """Which estimates, which evidence."""

    estimate: str
    kind: str
    source: str

    @property
    def name(self) -> str:
        """The cell's name: "medium.noisy.both"."""
        return f"{self.estimate}.{self.kind}.{self.source}"


@dataclass(frozen=True)
class Mean:
    """A mean over bodies and its 95 % interval; NaN where there is nothing to measure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One method in one cell.

    Attributes:
        cell: The cell's name.
        method: "ours", "ours, no gate" or a rival's name.
        bodies: How many.
        before: Mean `pve`, `pa_mpjpe`, `mpjpe` (mm) and `pixel` (px of a 256 crop) of the estimates.
        after: The same of the results.
        change_pve: PVE after less before, mm.
        improved: Per cent of bodies whose PVE fell by more than 1 mm.
        worse: Per cent of bodies whose PVE grew by more than 1 mm.
        rolled_back: Per cent of bodies whose update was not believed.
        one_sigma: Per cent of coordinates within one stated standard deviation.
        two_sigma: Within two.
        mahalanobis: Mean over bodies, over its degrees of freedom.
        seconds: A body.
        note: What was chosen on the way.
    """

    cell: str
    method: str
    bodies: int
    before: dict[str, float]
    after: dict[str, float]
    change_pve: Mean
    improved: Mean
    worse: Mean
    rolled_back: Mean
    one_sigma: Mean
    two_sigma: Mean
    mahalanobis: Mean
    seconds: float
    note: str = ""


def bootstrap(values: Float[Tensor, "B"]) -> Mean:
    """Return the mean of what is not NaN, with its interval; the same for the same values.

    Args:
        values: (B,) one a body.
    """
    known = values[values.isfinite()].double().cpu()
    if not len(known):
        return Mean(math.nan, math.nan, math.nan)
    drawn = torch.randint(len(known), (DRAWS, len(known)), generator=torch.Generator().manual_seed(SEED))
    low, high = known[drawn].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Mean(float(known.mean()), low, high)


def row_of(cell: Cell, method: str, figures: Figures, note: str = "") -> Row:
    """Summarise a method's figures.

    Args:
        cell: Where.
        method: Whose.
        figures: Of B bodies.
        note: What was chosen on the way.
    """
    before, after = (
        {name: float(getattr(side, name).double().nanmean()) for name in FIGURES}
        for side in (figures.before, figures.after)
    )
    change = figures.after.pve - figures.before.pve

    def percent(of: Tensor) -> Mean:
        return bootstrap(100 * of.double())

    return Row(
        cell.name,
        method,
        len(figures),
        before,
        after,
        bootstrap(change),
        percent(change < -WORSE_MM),
        percent(change > WORSE_MM),
        percent(~figures.accepted),
        percent(figures.covered[:, 0]),
        percent(figures.covered[:, 1]),
        bootstrap(figures.mahalanobis),
        float(figures.seconds.double().mean()),
        note,
    )


HEAD = (
    "cell", "method", "n", "PVE", "change (95 %)", "PA-MPJPE", "MPJPE", "2D px", "better %", "worse % (95 %)",
    "rolled back %",
    "1σ %", "2σ %", "Mahalanobis", "s/body", "note",
)  # fmt: skip


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a table.

    Args:
        rows: In the order they are to be shown in.
    """
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [f"| {' | '.join(_words(row))} |" for row in rows]
    return "\n".join(lines)


def _words(row: Row) -> list[str]:
    pve, pa, mpjpe, pixel = (f"{row.before[n]:.1f} → {row.after[n]:.1f}" for n in ("pve", "pa_mpjpe", "mpjpe", "pixel"))
    change, worse = row.change_pve, row.worse
    return [
        row.cell, row.method, str(row.bodies), pve, f"{change.value:+.1f} ({change.low:+.1f} to {change.high:+.1f})",
        pa, mpjpe, pixel,
        _number(row.improved.value, 0), f"{worse.value:.0f} ({worse.low:.0f} to {worse.high:.0f})",
        _number(row.rolled_back.value, 0),
        _number(row.one_sigma.value, 0), _number(row.two_sigma.value, 0), _number(row.mahalanobis.value, 2),
        f"{row.seconds:.2f}", row.note,
    ]  # fmt: skip


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def plain(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return rows as what JSON can hold: NaN becomes None.

    Args:
        rows: Any.
    """

    def clean(value: object) -> object:
        if isinstance(value, dict):
            return {key: clean(each) for key, each in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [{key: clean(value) for key, value in asdict(row).items()} for row in rows]
