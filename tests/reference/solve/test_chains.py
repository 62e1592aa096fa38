"""Chains over time against a Rauch-Tung-Striebel smoother, and one bad frame among many."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from priors import WhiteAcceleration
from refine.body import PosedBody
from refine.solve import Solution, StopReason
from refine.solve.coupling import CoupledLinearization
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.together import Together
from refine.state import Coupling, Groups, State, Tracks, Unknowns
from refine.terms import LeastSquares, Linearization
from tests.reference.solve.grouped import BODY
from tests.synthetic import random_state

EXACT = 1e-8
COUNT = 40
SPREAD, WALK, SPEED = 0.05, 0.2, 0.7
"""Of measurements (m), of a random walk (m / s^0.5), and of speed (m / s^1.5)."""
PRECISE = LevenbergMarquardt(steps=40, cost_tolerance=1e-14, least_damping=1e-12)


@dataclass(frozen=True)
class Measured:
    """Where a person was seen; rows without a sighting are silent."""

    place: Tensor
    seen: Tensor

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        scale = self.seen.double()[:, None] / SPREAD
        jacobian = torch.zeros(len(state), 1, 3, unknowns.size, dtype=torch.float64)
        jacobian[:, 0, :, unknowns.translation_columns] = scale[..., None] * torch.eye(3).double()
        away = (state.bodies.translation - self.place) * scale
        return Linearization(away[:, None], jacobian, LeastSquares())


@dataclass(frozen=True)
class RandomWalk:
    """A coupling of two rows, as a user writes one."""

    sigma_m: float = WALK

    def couple(self, state: State, unknowns: Unknowns) -> CoupledLinearization:
        assert unknowns.groups is not None and unknowns.groups.tracks is not None
        tracks = unknowns.groups.tracks
        rows = tracks.windows(2)
        scale = 1 / (self.sigma_m * (tracks.time_s[rows[:, 1]] - tracks.time_s[rows[:, 0]]).sqrt())
        place = state.bodies.translation
        residual = scale[:, None] * (place[rows[:, 1]] - place[rows[:, 0]])
        jacobian = torch.zeros(len(rows), 1, 3, unknowns.size, dtype=torch.float64)
        jacobian[:, 0, :, unknowns.translation_columns] = scale[:, None, None] * torch.eye(3).double()
        return CoupledLinearization(rows, residual[:, None], (-jacobian, jacobian), LeastSquares())


def sightings() -> tuple[Tensor, Measured]:
    """Times with a gap of two seconds, and what was seen of a person; four frames in the gap saw nothing."""
    generator = torch.Generator().manual_seed(0)
    gaps = 0.03 + 0.1 * torch.rand(COUNT, generator=generator, dtype=torch.float64)
    gaps[20] = 2.0
    seen = torch.ones(COUNT, dtype=torch.bool)
    seen[14:18] = False
    place = 0.3 * torch.randn(COUNT, 3, generator=generator, dtype=torch.float64).cumsum(0)
    return gaps.cumsum(0), Measured(place, seen)


def solve(time: Tensor, measured: Measured, coupling: Coupling) -> tuple[Tensor, Tensor]:
    """The places and their variances in the order of the times; rows are given in another order."""
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
    back = torch.argsort(order)
    tracks = Tracks(torch.zeros(COUNT, dtype=torch.long), time[order])
    unknowns = Unknowns((), groups=Groups(tracks=tracks, couplings=(coupling,)))
    start = random_state(BODY, COUNT, seed=1)
    terms = [Measured(measured.place[order], measured.seen[order])]
    found = PRECISE.solve(BODY, start, terms, unknowns)
    assert set(found.stop) == {StopReason.CONVERGED}
    return found.state.bodies.translation[back], found.covariance()[back].diagonal(dim1=1, dim2=2)


def test_a_random_walk_is_smoothed_as_by_rauch_tung_and_striebel() -> None:
    time, measured = sightings()
    mean, variance = [measured.place[0]], [SPREAD**2]
    ahead: list[tuple[Tensor, float]] = []
    for row in range(1, COUNT):
        guess, spread = mean[-1], variance[-1] + WALK**2 * float(time[row] - time[row - 1])
        ahead.append((guess, spread))
        gain = spread / (spread + SPREAD**2) if measured.seen[row] else 0.0
        mean.append(guess + gain * (measured.place[row] - guess))
        variance.append((1 - gain) * spread)
    for row in reversed(range(COUNT - 1)):
        guess, spread = ahead[row]
        gain = variance[row] / spread
        mean[row] = mean[row] + gain * (mean[row + 1] - guess)
        variance[row] += gain**2 * (variance[row + 1] - spread)
    place, spread_of = solve(time, measured, RandomWalk())
    assert (place - torch.stack(mean)).abs().max() < EXACT
    assert torch.allclose(spread_of, torch.tensor(variance).double()[:, None].expand(-1, 3), rtol=EXACT)


def inverse(matrix: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix))


def test_white_acceleration_is_smoothed_as_by_rauch_tung_and_striebel() -> None:
    """State: the place in a frame, and the speed in the interval before it."""
    time, measured = sightings()
    gap = time[1:] - time[:-1]
    first = float(gap[0])
    mean = [torch.stack((measured.place[1], (measured.place[1] - measured.place[0]) / first))]
    spread = [SPREAD**2 * torch.tensor([[1.0, 1 / first], [1 / first, 2 / first**2]]).double()]
    ahead: list[tuple[Tensor, Tensor, Tensor]] = []
    for row in range(2, COUNT):
        before, after = float(gap[row - 2]), float(gap[row - 1])
        move, push = torch.tensor([[1.0, after], [0.0, 1.0]]).double(), torch.tensor([[after], [1.0]]).double()
        guess = move @ mean[-1]
        width = move @ spread[-1] @ move.T + SPEED**2 * (before + after) / 2 * push @ push.T
        ahead.append((move, guess, width))
        gain = width[:, :1] / (width[0, 0] + SPREAD**2) * float(measured.seen[row])
        mean.append(guess + gain @ (measured.place[row] - guess[0])[None])
        spread.append(width - gain @ width[:1])
    for row in reversed(range(len(mean) - 1)):
        move, guess, width = ahead[row]
        gain = spread[row] @ move.T @ inverse(width)
        mean[row] = mean[row] + gain @ (mean[row + 1] - guess)
        spread[row] = spread[row] + gain @ (spread[row + 1] - width) @ gain.T
    back = torch.tensor([1.0, -first]).double()
    places = torch.stack((back @ mean[0], *(each[0] for each in mean)))
    variances = torch.stack((back @ spread[0] @ back, *(each[0, 0] for each in spread)))
    place, variance = solve(time, measured, WhiteAcceleration(sigma_m=SPEED, kernel=LeastSquares()))
    assert (place - places).abs().max() < EXACT
    assert torch.allclose(variance, variances[:, None].expand(-1, 3), rtol=1e-7)


BAD, FRAMES = 7, 30
"""A frame of a chain that is hard to solve."""


@dataclass(frozen=True)
class Cliff:
    """Of one frame, 1 - exp(-3 x) of its place: from x = 2 m full steps lead far behind the minimum, zero."""

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        only = (torch.arange(len(state)) == BAD).double() * 30
        fall = (-3 * state.bodies.translation[:, 0]).exp()
        jacobian = torch.zeros(len(state), 1, 1, unknowns.size, dtype=torch.float64)
        jacobian[:, 0, 0, unknowns.translation_columns.start] = 3 * fall * only
        return Linearization((only * (1 - fall))[:, None, None], jacobian, LeastSquares())


def follow(steps: int) -> tuple[Solution, float]:
    """The solution after some steps, and how far it is from the end in the frames but the bad one, m."""
    tracks = Tracks(torch.zeros(FRAMES, dtype=torch.long), torch.arange(FRAMES, dtype=torch.float64))
    unknowns = Unknowns((), groups=Groups(tracks=tracks, couplings=(RandomWalk(5.0),)))
    start = random_state(BODY, FRAMES, seed=1)
    place = start.bodies.translation.clone()
    place[BAD] = torch.tensor([2.0, 0.0, 3.5])
    start = State(replace(start.bodies, translation=place), start.camera)
    seen = torch.arange(FRAMES) != BAD
    goal = place + torch.linspace(-1, 1, FRAMES).double()[:, None]
    terms = [Measured(goal, seen), Cliff()]

    def run(count: int) -> Solution:
        return LevenbergMarquardt(steps=count, cost_tolerance=1e-13).solve(BODY, start, terms, unknowns)

    found, end = run(steps), run(300)
    assert end.state.bodies.translation[BAD, 0].abs() < 0.1
    return found, float((found.state.bodies.translation - end.state.bodies.translation)[seen].abs().max())


def test_one_bad_frame_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found, away = follow(8)
    assert int(found.steps[0]) < 8, "the bad frame is no trouble: the test tests nothing"
    assert away < 1e-3
    everything = monkeypatch.context()
    with everything as patched:
        patched.setattr(Together, "at_fault", lambda self, gain, step, damping: torch.ones_like(gain, dtype=torch.bool))
        _, held = follow(8)
    assert held > 10 * away, "damping every frame holds them"
