"""Verdicts of neighbouring frames, and the constant part of their errors."""

import torch

from priors.motion import motion_of
from refine.solve import Decision, Verdict
from refine.state import Groups, Tracks
from refine.terms.correlation import Correlation
from refine.trust.over_time import agreeing

TAKEN, REFUSED = Verdict(Decision.ACCEPTED, size=0.8), Verdict(Decision.TOO_LARGE, size=3.0)
WAVERS = Verdict(Decision.TOO_LARGE, size=1.3)


def over_time(verdicts: list[Verdict], silent: tuple[int, ...] = (), rate: float = 30.0) -> list[Decision]:
    count = len(verdicts)
    tracks = Tracks(torch.zeros(count, dtype=torch.long), torch.arange(count).double() / rate)
    groups = Groups(tracks=tracks, couplings=(motion_of(("pelvis",)),))
    informed = torch.ones(count, dtype=torch.bool)
    informed[list(silent)] = False
    return [each.decision for each in agreeing(verdicts, informed, groups, torch.full((count,), 1.2))]


def test_a_row_without_evidence_goes_with_those_beside_it() -> None:
    found = over_time([TAKEN, TAKEN, TAKEN, REFUSED, REFUSED, REFUSED], silent=(1, 4))
    assert found[1] is Decision.CARRIED and found[4] is Decision.NOT_CARRIED
    assert found[1].accepted and not found[4].accepted


def test_one_size_a_little_too_large_among_usual_ones_is_taken_and_many_are_not() -> None:
    assert over_time([TAKEN] * 4 + [WAVERS] + [TAKEN] * 4)[4].accepted
    assert not any(each.accepted for each in over_time([WAVERS] * 9))
    assert not over_time([TAKEN] * 4 + [REFUSED] + [TAKEN] * 4)[4].accepted


def test_a_moment_between_refused_rows_is_refused_and_a_second_is_not() -> None:
    between = [REFUSED] * 6 + [TAKEN] * 4 + [REFUSED] * 6
    assert over_time(between)[6:10] == [Decision.BETWEEN_REFUSED] * 4
    assert all(each.accepted for each in over_time(between, rate=4.0)[6:10])
    assert all(each.accepted for each in over_time([TAKEN] * 2 + [REFUSED] * 3)[:2])  # a clip's end is no seam


def test_rows_that_nothing_couples_keep_their_verdicts() -> None:
    verdicts = [TAKEN, WAVERS, TAKEN]
    informed, bound = torch.tensor([True, True, False]), torch.full((3,), 1.2)
    assert agreeing(verdicts, informed, None, bound) == tuple(verdicts)


def test_the_constant_part_of_errors_is_their_mean_drawn_to_zero_by_how_few_there_are() -> None:
    noise = Correlation(constant=0.5)
    error = torch.tensor([[1.0], [1.0], [1.0], [4.0], [9.0]])
    tracks = Tracks(torch.tensor([0, 0, 0, 1, -1]), torch.arange(5).double())
    found = noise.constant_of(error, tracks)[:, 0]
    assert torch.allclose(found, torch.tensor([0.75, 0.75, 0.75, 2.0, 0.0]))  # 1 · ½ / (½ + ½ / 3), 4 · ½
