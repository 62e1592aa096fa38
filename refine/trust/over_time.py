"""Verdicts over time: those of neighbouring frames made to agree.

    size barely too large, while the rows around it are not        taken: one frame's statistic wavers
    no evidence of its own                                          as the nearest rows with evidence
    taken for less than `LEAST_RUN_S` between refused rows          refused: a body that jumps to and fro helps nobody

Where refused and taken rows meet: `refine.trust.seams`.
"""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Bool, Float
from torch import Tensor

from refine.solve import Decision, Verdict
from refine.state import Groups

LEAST_RUN_S = 0.2
"""Shortest time for which an update is taken between refused ones."""
AROUND = 7
"""Rows whose sizes say whether one row's is an exception."""
WAVERING = 1.5
"""Factor of the bound up to which a size is."""


def is_over_time(groups: Groups | None) -> bool:
    """Say whether rows are coupled over time."""
    return groups is not None and groups.tracks is not None and bool(groups.couplings)


def agreeing(
    verdicts: Sequence[Verdict], informed: Bool[Tensor, "B"], groups: Groups | None, most_size: Float[Tensor, "B"]
) -> tuple[Verdict, ...]:
    """Return verdicts of B rows that agree over time; those of rows that nothing couples as they are.

    Args:
        verdicts: Of each row by itself.
        informed: (B,) whether it has evidence of its own.
        groups: What couples rows.
        most_size: (B,) bound of the size of an update.
    """
    if groups is None or groups.tracks is None or not is_over_time(groups):
        return tuple(verdicts)
    found, known, bound = list(verdicts), informed.tolist(), most_size.tolist()
    time = groups.tracks.time_s.tolist()
    for rows in groups.tracks.in_order():
        own = [row for row in rows if known[row] and found[row].judged]
        sizes = [found[row].size or 0.0 for row in own]
        for place, row in enumerate(own):
            near = sorted(sizes[max(0, place - AROUND // 2) : place + AROUND // 2 + 1])
            usual = near[len(near) // 2] <= bound[row]
            if found[row].decision is Decision.TOO_LARGE and sizes[place] <= WAVERING * bound[row] and usual:
                found[row] = replace(found[row], decision=Decision.ACCEPTED)
        for run in _runs(own, [found[row].accepted for row in own]):
            inside = run[0] != own[0] and run[-1] != own[-1]
            if found[run[0]].accepted and inside and time[run[-1]] - time[run[0]] < LEAST_RUN_S:
                for row in run:
                    found[row] = replace(found[row], decision=Decision.BETWEEN_REFUSED, kept=())
        taken = {row: found[row].accepted for row in own}
        for place, row in enumerate(rows):
            if row in taken or not found[row].judged:
                continue
            before = next((taken[other] for other in reversed(rows[:place]) if other in taken), None)
            after = next((taken[other] for other in rows[place:] if other in taken), None)
            follows = before or after
            found[row] = Verdict(Decision.CARRIED if follows else Decision.NOT_CARRIED)
    return tuple(found)


def _runs(rows: Sequence[int], taken: Sequence[bool]) -> list[list[int]]:
    """Return rows that follow each other and are all taken, or all refused."""
    found: list[list[int]] = []
    for place, row in enumerate(rows):
        if place and taken[place] == taken[place - 1]:
            found[-1].append(row)
        else:
            found.append([row])
    return found
