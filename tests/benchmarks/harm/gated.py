"""The figures of the harm benchmark that are watched, with their targets.

Bodies are of the "report" set. Where a target speaks of every cell, the worst of the cells measured here counts; all of
them are in the table of `refine harm --full`.
"""

import time
from collections.abc import Sequence
from functools import cache

from refine.evaluate.harm.people import REPORT
from refine.evaluate.harm.rivals import RIVALS
from refine.evaluate.harm.run import OURS, UNGATED, drawn_scenes, rows
from refine.evaluate.harm.table import Cell, Row
from tests.benchmarks.measurement import Measurement

BODIES, FEW, RIVAL_BODIES = 50, 25, 5
"""People for us; in the cells with dense evidence that are only held against a bound; for rivals."""
TOLERANCE = 0.1
"""Accuracy hardly depends on the machine."""
STRONG_CELLS = (
    Cell("strong", "clean", "keypoints"), Cell("strong", "noisy", "keypoints"), Cell("strong", "hidden", "keypoints"),
    Cell("strong", "clothing", "keypoints"), Cell("strong", "noisy", "both"),
)  # fmt: skip
OTHER_CELLS = (
    Cell("medium", "other", "keypoints"),
    Cell("strong", "other", "keypoints"),
    Cell("strong", "other", "both"),
)
COVERED_CELLS = (
    Cell("medium", "clean", "keypoints"),
    Cell("medium", "noisy", "keypoints"),
    Cell("medium", "noisy", "both"),
)
IN_SPACE = {"lifted": 60.0, "depths": 60.0, "trackers": 60.0, "view": 50.0, "scan": 25.0}
"""Evidence in space, and what share of a medium estimate's PVE may be left, per cent."""
CENTER_ONE, CENTER_TWO = 68.0, 94.0
"""Middles of the ranges coverage is to lie in: 60 to 76 and 90 to 98 per cent."""


def measure() -> list[Measurement]:
    """Return harm.* figures."""
    start = time.perf_counter()
    _fit.cache_clear()
    found = [*_helped(), *_strong(), *_still(), *_others(), *_covered(), *_in_space(), *_against_rivals()]
    seconds = time.perf_counter() - start
    return [*found, Measurement("harm.seconds", seconds, "s", "report", note="of this measurement")]


@cache
def _fit(cell: Cell, method: str = OURS, bodies: int = BODIES) -> Row:
    (found,) = rows((cell,), (method,), drawn_scenes(REPORT), bodies, RIVAL_BODIES)
    return found


def _note(row: Row) -> str:
    before, after = row.before["pve"], row.after["pve"]
    return f"{row.cell}, {row.bodies} bodies, PVE {before:.1f} -> {after:.1f} mm"


def _helped() -> list[Measurement]:
    """Weak and medium estimates under dense and keypoint evidence with realistic noise."""
    found = []
    for strength in ("weak", "medium"):
        row = _fit(Cell(strength, "noisy", "both"), bodies=FEW)
        for figure, target in (("pve", 60.0), ("pa_mpjpe", 70.0)):
            value = 100 * row.after[figure] / row.before[figure]
            words = f"after / before, {_note(row)}"
            found.append(Measurement(f"harm.{strength}.{figure}", value, "%", "lower", TOLERANCE, words, target))
    return found


def _strong() -> list[Measurement]:
    """Strong estimates: the worst cell, with the gate and without."""
    gated, open_ = ([_fit(cell, method, FEW) for cell in STRONG_CELLS] for method in (OURS, UNGATED))
    worst = max(gated, key=lambda row: row.change_pve.value)
    change = worst.change_pve
    words = f"mean change of PVE in the worst cell, {change.low:+.1f} to {change.high:+.1f}, {_note(worst)}"
    harmed = max(gated, key=lambda row: row.worse.value)
    without = max(open_, key=lambda row: row.worse.value)
    return [
        Measurement("harm.strong.change", change.value, "mm", "lower", TOLERANCE, words, 0.5),
        Measurement(
            "harm.strong.worse", harmed.worse.value, "%", "lower", TOLERANCE,
            f"worse by over 1 mm in the worst cell, {_note(harmed)}", 5.0,
        ),
        Measurement(
            "harm.strong.worse.ungated", without.worse.value, "%", "report", note=f"without the gate, {_note(without)}"
        ),
    ]  # fmt: skip


def _still() -> list[Measurement]:
    """Near and perfect estimates: how much worse they get on average."""
    found = []
    for strength in ("near", "perfect"):
        every = [_fit(Cell(strength, "noisy", source), bodies=FEW) for source in ("keypoints", "both")]
        row = max(every, key=lambda one: abs(one.change_pve.value))
        words = f"mean change of PVE, {_note(row)}"
        value = abs(row.change_pve.value)
        found.append(Measurement(f"harm.{strength}.change", value, "mm", "lower", TOLERANCE, words, 2.0))
    return found


def _others() -> list[Measurement]:
    """Another person's evidence."""
    every = [_fit(cell) for cell in OTHER_CELLS]
    row = min(every, key=lambda one: one.rolled_back.value)
    words = f"rolled back in the worst cell, {_note(row)}"
    return [Measurement("harm.other.rolled_back", row.rolled_back.value, "%", "higher", TOLERANCE, words, 99.0)]


def _covered() -> list[Measurement]:
    """How far coverage and Mahalanobis lie from what they should be, in the worst cell."""
    every = [_fit(cell, bodies=FEW) for cell in COVERED_CELLS]
    one, two = (
        max(every, key=lambda row, k=k, at=at: abs(getattr(row, k).value - at))  # type: ignore[misc]
        for k, at in (("one_sigma", CENTER_ONE), ("two_sigma", CENTER_TWO))
    )
    size = max(every, key=lambda row: abs(row.mahalanobis.value - 1))
    return [
        Measurement(
            "harm.coverage.one", abs(one.one_sigma.value - CENTER_ONE), "%", "lower", 0.5,
            f"off {CENTER_ONE:g}: {one.one_sigma.value:.1f} % within one sigma, {one.cell}", 8.0,
        ),
        Measurement(
            "harm.coverage.two", abs(two.two_sigma.value - CENTER_TWO), "%", "lower", 0.5,
            f"off {CENTER_TWO:g}: {two.two_sigma.value:.1f} % within two sigma, {two.cell}", 4.0,
        ),
        Measurement(
            "harm.mahalanobis", abs(size.mahalanobis.value - 1), "x", "lower", 0.5,
            f"off 1: {size.mahalanobis.value:.2f} per degree of freedom, {size.cell}", 0.2,
        ),
    ]  # fmt: skip


def _in_space() -> list[Measurement]:
    """Evidence in space alone: what it leaves, and another person's."""
    found, refused = [], []
    for source, target in IN_SPACE.items():
        row = _fit(Cell("medium", "clean", source), bodies=FEW)
        value = 100 * row.after["pve"] / row.before["pve"]
        covered = f"{row.one_sigma.value:.0f} and {row.two_sigma.value:.0f} % within one and two sigma"
        words = f"after / before, {_note(row)}, {covered}"
        found.append(Measurement(f"harm.space.{source}", value, "%", "lower", TOLERANCE, words, target))
        refused.append(_fit(Cell("medium", "other", source), bodies=FEW))
    worst = min(refused, key=lambda one: one.rolled_back.value)
    words = f"rolled back in the worst cell, {_note(worst)}"
    return [*found, Measurement("harm.space.other", worst.rolled_back.value, "%", "higher", TOLERANCE, words, 92.0)]


def _against_rivals() -> list[Measurement]:
    """PVE of ours over that of the best rival, on the same few bodies."""
    found = []
    for cell, target in ((Cell("medium", "noisy", "both"), 100.0), (Cell("strong", "noisy", "keypoints"), 100.0)):
        mine = _fit(cell, bodies=RIVAL_BODIES)
        theirs = [_fit(cell, name, RIVAL_BODIES) for name in RIVALS]
        best = _best(theirs)
        value = 100 * mine.after["pve"] / best.after["pve"]
        every = ", ".join(f"{row.method} {row.after['pve']:.0f}" for row in theirs)
        words = f"PVE, ours over {best.method}; {_note(mine)}; {every}"
        key = f"harm.rivals.{cell.estimate}.{cell.source}"
        found.append(Measurement(key, value, "%", "lower", TOLERANCE, words, target))
    return found


def _best(theirs: Sequence[Row]) -> Row:
    return min(theirs, key=lambda row: row.after["pve"])
