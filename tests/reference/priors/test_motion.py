"""Motion as evidence: derivatives in all three rows, what is no motion, and what the shipped table says."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from priors.motion import Motion, breaks, motion_of, shipped_table
from priors.motion_file import MotionTable, read_motion_table, write_motion_table
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import Groups, State, Tracks, Unknowns
from refine.terms.student_t import StudentT
from tests.synthetic import random_body, random_state

EXACT = 1e-10
BODY = random_body(joints=6, vertices=30, faces=30, shapes=3)
TIMES = torch.tensor([0.5, 0.0, 0.1, 7.0, 0.15, 7.2, 9.0], dtype=torch.float64)
TRACKS = Tracks(torch.tensor([3, 3, 3, 1, 3, 1, -1]), TIMES)
FREE = Unknowns((0, 2, 3, 5), 2, 0, 3, 1, groups=Groups(tracks=TRACKS))


def table(names: tuple[str, ...] = tuple("abcdef")) -> MotionTable:
    """Sigmas that fall with the interval, another of each joint."""
    draw = torch.Generator().manual_seed(0)
    sigma = 5 + 10 * torch.rand(1, len(names) + 1, generator=draw, dtype=torch.float64)
    sigma = torch.cat((sigma, sigma / 3))
    return MotionTable(
        torch.tensor([0.05, 0.6], dtype=torch.float64), sigma, torch.full_like(sigma, 2.0),
        torch.full((2,), 0.3, dtype=torch.float64), names,
    )  # fmt: skip


MOTION = Motion(table())


def test_the_jacobians_are_the_derivatives_in_all_three_rows() -> None:
    state, zero = random_state(BODY, 7, seed=2, angle=0.8), torch.zeros(7, FREE.size, dtype=torch.float64)
    found = MOTION.couple(state, FREE).whole(FREE.size)
    assert found.residual.abs().max() > 1e-4

    def residual(step: Tensor) -> Tensor:
        return MOTION.couple(state.retract(FREE, step), FREE).residual

    slow = torch.autograd.functional.jacobian(residual, zero)  # (M, N, 3, 7, P)
    fast = torch.zeros_like(slow)
    for i, each in enumerate(found.jacobians):
        for number, row in enumerate(found.rows[:, i].tolist()):
            fast[number, :, :, row] = each[number]
    assert (slow - fast).abs().max() < EXACT * slow.abs().max()


def test_no_speed_costs_anything() -> None:
    state, turn = random_state(BODY, 7, seed=3), torch.tensor([0.3, -1.0, 0.4], dtype=torch.float64)
    pose = state.bodies.pose[:1] @ rotation.exp(TIMES[:, None, None] * turn)
    place = state.bodies.translation[:1] + TIMES[:, None] * turn
    steady = State(replace(state.bodies, pose=pose.expand(7, -1, -1, -1), translation=place), state.camera)
    assert MOTION.couple(steady, FREE).residual.abs().max() < EXACT


def test_the_kernel_is_the_negative_logarithm_of_students_t() -> None:
    degrees, sigma = 3.0, 2.5
    point = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 6
    slow = (degrees + 3) / 2 * torch.log1p(point.square().sum(1) / (degrees * sigma**2))
    whitened = point / (sigma * (degrees / (degrees + 3)) ** 0.5)
    squared = whitened.square().sum(1)[:, None].requires_grad_()
    kernel = StudentT(torch.tensor([degrees], dtype=torch.float64))
    assert torch.allclose(0.5 * kernel.rho(squared)[:, 0], slow)
    (slope,) = torch.autograd.grad(kernel.rho(squared).sum(), squared)
    assert torch.allclose(kernel.weight(squared), slope)
    with pytest.raises(InputError, match=r"kernel\.degrees: expected"):
        StudentT(0.0)


def test_a_swing_ten_times_faster_is_bent_less_than_by_a_gaussian() -> None:
    squared = torch.tensor([100.0])
    assert StudentT(2.0).weight(squared) < 0.05
    assert StudentT(1e6).weight(squared) > 0.99


def test_a_joint_that_turns_by_nearly_pi_is_not_coupled_there() -> None:
    state = random_state(BODY, 7, seed=4, angle=0.2)
    pose = state.bodies.pose.clone()
    half = rotation.exp(torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64))
    pose[4, 2] = pose[2, 2] @ half  # row 4 comes after row 2
    swapped = State(replace(state.bodies, pose=pose), state.camera)
    broken = breaks(swapped, TRACKS)
    assert broken.nonzero().tolist() == [[0, 2], [4, 2]]
    free = MOTION.couple(swapped, FREE).residual[:, 1]
    held = replace(MOTION, broken=broken).couple(swapped, FREE)
    assert free.any() and not held.residual[:, 1].any() and not held.jacobians[1][:, 1].any()
    assert held.residual[:, 0].any() and held.residual[:, 3].any() and held.residual[:, -1].any()


def test_rows_further_apart_than_was_measured_are_not_coupled() -> None:
    far = Tracks(torch.zeros(7, dtype=torch.long), TIMES * 20)
    columns = replace(FREE, groups=Groups(tracks=far))
    assert not MOTION.couple(random_state(BODY, 7), columns).residual.any()


def test_a_wider_scale_is_smaller_residuals_of_its_track_alone() -> None:
    tracks = Tracks(torch.tensor([0, 0, 0, 1, 1, 1, -1]), TIMES[[1, 2, 4, 1, 2, 4, 0]])
    columns, state = replace(FREE, groups=Groups(tracks=tracks)), random_state(BODY, 7, seed=1)
    scale = torch.tensor([2.0, 2, 2, 1, 1, 1, 1], dtype=torch.float64)
    one, other = MOTION.couple(state, columns).residual, MOTION.scaled(scale).couple(state, columns).residual
    assert torch.allclose(other[0] * 2, one[0]) and torch.allclose(other[1], one[1])
    assert torch.allclose(MOTION.scaled(scale).scaled(scale).couple(state, columns).residual[0] * 4, one[0])


def test_between_measured_intervals_sigma_is_between(tmp_path: object) -> None:
    found = table()
    sigma, _ = found.at(torch.tensor([0.01, 0.05, 0.2, 0.6, 3.0], dtype=torch.float64))
    assert torch.equal(sigma[0], sigma[1]) and torch.equal(sigma[3], sigma[4])
    assert (sigma[2] < sigma[1]).all() and (sigma[2] > sigma[3]).all()
    assert torch.allclose(sigma[1], found.sigma[0]) and torch.allclose(sigma[3], found.sigma[1])


def test_a_table_read_back_is_the_one_that_was_written(tmp_path: object) -> None:
    path = f"{tmp_path}/motion.safetensors"
    write_motion_table(path, table(), {"licence": "of the test"})
    found = read_motion_table(path)
    assert found.joint_names == table().joint_names and torch.allclose(found.sigma, table().sigma, rtol=1e-6)


def test_joints_nobody_measured_move_like_the_median() -> None:
    found = table().of(("c", "tail", "a"))
    own = table().sigma
    assert torch.equal(found.sigma[:, 0], own[:, 2]) and torch.equal(found.sigma[:, 2], own[:, 0])
    assert torch.equal(found.sigma[:, 1], own[:, :-1].median(1).values)
    assert torch.equal(found.sigma[:, -1], own[:, -1])


def test_the_shipped_table_is_of_people() -> None:
    """Faster rates see larger accelerations, ends of limbs are faster than the trunk, tails are heavy."""
    found = shipped_table()
    assert (found.sigma[:-1] > found.sigma[1:]).all() and float(found.degrees.median()) < 4
    at = dict(zip((*found.joint_names, "root"), found.sigma[1].tolist(), strict=True))  # at 30 frames a second
    assert at["left_wrist"] > at["spine3"] and 0.5 < at["root"] < 10 and 2 < at["pelvis"] < 40
    names = tuple(f"joint{n}" for n in range(6))
    assert motion_of(names).couple(random_state(BODY, 7), FREE).residual.isfinite().all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"motion\.table: expected"):
        Motion(table(("a", "b"))).couple(random_state(BODY, 7), FREE)
    with pytest.raises(InputError, match=r"unknowns\.groups\.tracks"):
        MOTION.couple(random_state(BODY, 7), replace(FREE, groups=None))
    with pytest.raises(InputError, match="ascending intervals"):
        replace(table(), interval_s=torch.tensor([0.6, 0.05], dtype=torch.float64))
    with pytest.raises(InputError, match="scale"):
        Motion(table(), torch.zeros(7))
