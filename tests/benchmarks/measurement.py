"""One measured figure, how it is compared with an earlier one, and how a duration is taken."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

TIMES, RATES = ("s", "ms"), ("1/s", "/s")
"""Units that a slower machine makes larger, and smaller."""


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Attributes:
        key: Dotted name; its first part is the name of the file that measures it.
        value: The figure.
        unit: Its unit ("ms", "GiB", "mm", "x", "%").
        direction: Which way is better; "report": neither, the gate does not look at it.
        tolerance: How much worse than the baseline it may be, relative to the baseline.
        note: What it was taken of, in words.
        target: What it must reach, or None.
    """

    key: str
    value: float
    unit: str
    direction: Literal["lower", "higher", "report"]
    tolerance: float = 0.25
    note: str = ""
    target: float | None = None

    def elsewhere(self, slower: float) -> float:
        """Return what the figure would be on a machine that takes `slower` times as long for everything."""
        if self.unit in TIMES:
            return self.value * slower
        return self.value / slower if self.unit in RATES else self.value

    def is_worse_than(self, baseline: float) -> bool:
        """Say whether the figure lies on the wrong side of the baseline by more than the tolerance."""
        allowed = self.tolerance * abs(baseline)
        if self.direction == "lower":
            return not self.value <= baseline + allowed  # NaN is worse
        if self.direction == "higher":
            return not self.value >= baseline - allowed
        return False

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None or self.direction == "report":
            return None
        return self.value <= self.target if self.direction == "lower" else self.value >= self.target


def regressions(
    measured: list[Measurement], baseline: Mapping[str, float], expected: set[str], slower: float = 1.0
) -> list[str]:
    """Compare with a baseline.

    Args:
        measured: The figures of this run.
        baseline: Earlier values by key.
        expected: Keys of the baseline that this run should have measured.
        slower: How many times as long this machine takes as that of the baseline.

    Returns:
        One sentence for each figure that is worse than its tolerance allows, or that is gone. A new figure is no
        regression.
    """
    sentences = []
    for one in measured:
        if one.key not in baseline:
            continue
        was = replace(one, value=baseline[one.key]).elsewhere(slower)
        if one.is_worse_than(was):
            sentences.append(
                f"{one.key}: {one.value:.4g} {one.unit}, was {was:.4g}; {one.direction} is better, "
                f"{one.tolerance:.0%} worse is allowed"
            )
    gone = sorted(expected - {one.key for one in measured})
    return sentences + [f"{key}: in the baseline, but no longer measured" for key in gone]


def best_seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest duration of a call in seconds, after one call that warms up.

    The shortest one is the figure least disturbed by what else the machine does.
    """
    function()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return min(durations)
