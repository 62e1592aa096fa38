"""Verdicts of neighbouring frames, and the scale of a clip's motion."""

from dataclasses import replace

import pytest
import torch

from priors.motion import motion_of
from refine.body import SkinnedBody
from refine.geometry import rotation
from refine.solve import Decision, Verdict
from refine.state import Groups, State, Tracks, Unknowns
from refine.terms.correlation import Correlation
from refine.trust import tempo
from refine.trust.over_time import agreeing
from tests.moving import moving

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


@pytest.mark.parametrize("speed", [0.7, 1.6])
def test_motion_that_accelerates_so_many_times_as_much_has_this_scale(builtin_body: SkinnedBody, speed: float) -> None:
    """Accelerations drawn from the table itself at the interval that is looked at, times a factor."""
    count, coupling = 300, motion_of(builtin_body.joint_names)
    joints = (0, 1, 2, 16, 17)
    draw = torch.Generator().manual_seed(0)
    tracks = Tracks(torch.zeros(count, dtype=torch.long), torch.arange(count).double() * tempo.INTERVAL_S)
    sigma, degrees = coupling.table.at(torch.tensor([tempo.INTERVAL_S]).double())
    state = State(*(getattr(moving(builtin_body, 1).true[[0] * count], name) for name in ("bodies", "camera")))
    pose = state.bodies.pose.double().clone()
    for joint in joints:  # small turns about a mean add up like vectors
        nu = float(degrees[0, joint])
        chi = torch.distributions.Chi2(nu).sample((count, 1)) / nu
        wild = torch.randn(count, 3, generator=draw).double() / chi.double().sqrt()
        turn = 1e-3 * wild
        pose[:, joint] = rotation.exp(turn)
        change = (turn[2:] - 2 * turn[1:-1] + turn[:-2]) / tempo.INTERVAL_S**2
        size = change.square().sum(1).median().sqrt() / (3**0.5 * float(sigma[0, joint]))
        pose[:, joint] = rotation.exp(turn * float(speed / size.clamp(min=1e-9)))
    bodies = replace(state.bodies, pose=pose.to(state.bodies.pose), translation=state.bodies.translation)
    columns = Unknowns(joints, groups=Groups(tracks=tracks, couplings=(coupling,)))
    linear = coupling.couple(replace(state, bodies=bodies), columns)
    known = torch.ones(count, len(joints))
    wide = tempo._thinned(tracks)
    assert torch.equal(wide.person, tracks.person)  # one row an interval
    found = tempo._scale(linear, known, tracks.person, wide)
    assert torch.equal(found, found[:1].expand(count)) and 0.75 * speed < float(found[0]) < 1.25 * speed
    nobody = tempo._scale(linear, torch.zeros(count, len(joints)), tracks.person, wide)
    assert 0.3 < float(nobody[0]) < 2.0  # by the translation alone, which does not move


def test_the_constant_part_of_errors_is_their_mean_drawn_to_zero_by_how_few_there_are() -> None:
    noise = Correlation(constant=0.5)
    error = torch.tensor([[1.0], [1.0], [1.0], [4.0], [9.0]])
    tracks = Tracks(torch.tensor([0, 0, 0, 1, -1]), torch.arange(5).double())
    found = noise.constant_of(error, tracks)[:, 0]
    assert torch.allclose(found, torch.tensor([0.75, 0.75, 0.75, 2.0, 0.0]))  # 1 · ½ / (½ + ½ / 3), 4 · ½
