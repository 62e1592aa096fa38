"""White acceleration: its derivatives in all three rows, and what it says of motion."""

from dataclasses import replace

import pytest
import torch

from priors import WhiteAcceleration
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import Groups, State, Tracks, Unknowns
from refine.terms import LeastSquares
from tests.synthetic import random_body, random_state

EXACT = 1e-10
BODY = random_body(joints=6, vertices=30, faces=30, shapes=3)
TIMES = torch.tensor([0.5, 0.0, 0.1, 7.0, 0.15, 7.2, 9.0], dtype=torch.float64)
PERSON = torch.tensor([3, 3, 3, 1, 3, 1, -1])
TRACKS = Tracks(PERSON, TIMES)
FREE = Unknowns((0, 2, 3, 5), 2, 0, 3, 1, groups=Groups(tracks=TRACKS))
PLAIN = WhiteAcceleration(kernel=LeastSquares())


def test_rows_are_taken_in_the_order_of_their_times() -> None:
    assert TRACKS.windows(3).tolist() == [[1, 2, 4], [2, 4, 0]]
    assert TRACKS.windows(2).tolist() == [[3, 5], [1, 2], [2, 4], [4, 0]]
    assert TRACKS.windows(9).shape == (0, 9)


@pytest.mark.parametrize("angle", [0.8, 1e-4], ids=["wide", "small"])
def test_the_jacobians_are_the_derivatives_in_all_three_rows(angle: float) -> None:
    """By automatic differentiation, in double precision."""
    state = random_state(BODY, 7, seed=2, angle=angle)
    found = PLAIN.couple(state, FREE).whole(FREE.size)
    assert found.residual.abs().max() > 1e-4
    zero = torch.zeros(7, FREE.size, dtype=torch.float64)

    def residual(step: torch.Tensor) -> torch.Tensor:
        return PLAIN.couple(state.retract(FREE, step), FREE).residual

    slow = torch.autograd.functional.jacobian(residual, zero)  # (M, N, 3, 7, P)
    fast = torch.zeros_like(slow)
    for i, each in enumerate(found.jacobians):
        for number, row in enumerate(found.rows[:, i].tolist()):
            fast[number, :, :, row] = each[number]
    assert (slow - fast).abs().max() < EXACT * slow.abs().max()


def test_steady_motion_has_no_residual_whatever_the_times() -> None:
    state = random_state(BODY, 7, seed=3)
    turn = torch.tensor([0.3, -1.0, 0.4], dtype=torch.float64)
    pose = state.bodies.pose[:1] @ rotation.exp(TIMES[:, None, None] * turn)
    place = state.bodies.translation[:1] + TIMES[:, None] * turn
    steady = State(replace(state.bodies, pose=pose.expand(7, -1, -1, -1), translation=place), state.camera)
    assert PLAIN.couple(steady, FREE).residual.abs().max() < EXACT


def test_a_residual_has_unit_variance_where_speeds_walk_at_random() -> None:
    draw = torch.Generator().manual_seed(0)
    gaps = 0.02 + 0.2 * torch.rand(2000, generator=draw, dtype=torch.float64)
    middle = (gaps[1:] + gaps[:-1]) / 2
    change = 3.0 * middle.sqrt()[:, None] * torch.randn(1999, 3, generator=draw, dtype=torch.float64)
    speed = torch.cat((torch.zeros(1, 3).double(), change.cumsum(0)))
    place = torch.cat((torch.zeros(1, 3).double(), (gaps[:, None] * speed).cumsum(0)))
    time = torch.cat((torch.zeros(1).double(), gaps.cumsum(0)))
    state = random_state(BODY, 1)[[0] * 2001]
    state = State(replace(state.bodies, translation=place), state.camera)
    tracks = Groups(tracks=Tracks(torch.zeros(2001, dtype=torch.long), time))
    found = PLAIN.couple(state, Unknowns((), groups=tracks)).residual
    assert float(found.square().mean()) == pytest.approx(1.0, abs=0.05)


def test_a_joint_that_one_of_three_rows_does_not_have_is_silent() -> None:
    free = torch.ones(7, FREE.size, dtype=torch.bool)
    free[4, 3:6] = False  # the second free joint of a row that both triples have
    found = PLAIN.couple(random_state(BODY, 7), replace(FREE, free=free))
    assert not found.residual[:, 1].any() and not found.jacobians[0][:, 1].any() and found.residual[:, 2].any()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"tracks\.time_s: expected different times"):
        Tracks(torch.tensor([0, 0]), torch.tensor([1.0, 1.0])).windows(2)
    with pytest.raises(InputError, match=r"unknowns\.groups\.tracks: expected tracks"):
        PLAIN.couple(random_state(BODY, 1), Unknowns((0,)))
    with pytest.raises(InputError, match=r"groups\.tracks: expected tracks"):
        Groups(couplings=(PLAIN,))
    with pytest.raises(InputError, match="sigma_m"):
        WhiteAcceleration(sigma_m=0.0)
