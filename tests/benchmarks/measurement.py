"""One measured figure, how it is compared with an earlier one, and how a duration is taken."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


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


def regressions(measured: list[Measurement], baseline: Mapping[str, float], expected: set[str]) -> list[str]:
    """Compare with a baseline.

    Args:
        measured: The figures of this run.
        baseline: Earlier values by key.
        expected: Keys of the baseline that this run should have measured.

    Returns:
        One sentence for each figure that is worse than its tolerance allows, or that is gone. A new figure is no
        regression.
    """
    sentences = []
    for one in measured:
        if one.key in baseline and one.is_worse_than(baseline[one.key]):
            was = baseline[one.key]
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
