"""Metrics of tracks against motions worked out by hand: polynomials, circles, steps; every convention in its unit."""

import math

import pytest
import torch
from torch import Tensor

from refine.errors import InputError
from refine.evaluate import track_metrics
from refine.evaluate.metrics import mpjpe, mpjpe_from_hips
from refine.geometry.differences import derivative

FPS = 30.0
EQUAL = torch.arange(40, dtype=torch.float64) / FPS
UNEQUAL = torch.cumsum(torch.tensor([0.0, *(0.01 + 0.05 * ((7 * k) % 5) for k in range(39))], dtype=torch.float64), 0)
"""Steps between 10 and 210 ms in no regular order."""


def moving(time_s: Tensor, *coefficients: tuple[float, float, float], joints: int = 24) -> Tensor:
    """Points (F, J, 3) m at sum_n coefficient_n t^n, all joints alike but for where they begin."""
    start = torch.arange(3.0 * joints, dtype=torch.float64).reshape(1, joints, 3)
    powers = [time_s[:, None, None] ** (n + 1) * torch.tensor(each).double() for n, each in enumerate(coefficients)]
    return start + sum(powers, torch.zeros(len(time_s), joints, 3, dtype=torch.float64))


def only(points: Tensor, joints: tuple[int, ...]) -> Tensor:
    """The points of some joints moving, the others at rest where they begin."""
    still = points[:1].expand_as(points).clone()
    still[:, list(joints)] = points[:, list(joints)]
    return still


@pytest.mark.parametrize("time_s", [EQUAL, UNEQUAL], ids=["equal times", "unequal times"])
def test_derivatives_of_a_cubic_are_those_of_the_book(time_s: Tensor) -> None:
    cubic = moving(time_s, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (2.0, 0.0, 0.0))[:, 0, 0]
    assert torch.allclose(derivative(cubic, time_s, 3), torch.full((37,), 12.0, dtype=torch.float64), rtol=1e-6)
    parabola = 3 * time_s**2 - time_s
    assert torch.allclose(derivative(parabola, time_s, 2), torch.full((38,), 6.0, dtype=torch.float64), rtol=1e-6)
    middle = (time_s[1:] + time_s[:-1]) / 2
    assert torch.allclose(derivative(parabola, time_s, 1), 6 * middle - 1)
    assert all(len(derivative(parabola[:n], time_s[:n], 3)) == max(n - 3, 0) for n in range(6))


def test_times_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(InputError, match="ascend"):
        derivative(torch.zeros(3), torch.tensor([0.0, 0.1, 0.1]), 1)
    with pytest.raises(InputError, match="one time a frame, 3"):
        derivative(torch.zeros(3), torch.tensor([0.0, 0.1]), 1)


@pytest.mark.parametrize("time_s", [EQUAL, UNEQUAL], ids=["equal times", "unequal times"])
def test_constant_acceleration_is_an_error_of_that_size_and_no_jitter(time_s: Tensor) -> None:
    true = moving(time_s, (1.0, 2.0, 3.0))
    falling = moving(time_s, (1.0, 2.0, 3.0), (0.0, 4.905, 0.0))  # 9.81 m/s²
    error = track_metrics.acceleration_error(falling, true, time_s)
    assert error.shape == (38,) and torch.allclose(error, torch.full_like(error, 9.81), rtol=1e-6)
    assert float(track_metrics.jitter(falling, time_s).max()) < 1e-6
    assert float(track_metrics.acceleration_error(true + 0.3, true, time_s).max()) < 1e-9  # a constant bias


@pytest.mark.parametrize("time_s", [EQUAL, UNEQUAL], ids=["equal times", "unequal times"])
def test_a_constant_jerk_is_its_own_jitter(time_s: Tensor) -> None:
    jerky = moving(time_s, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 2.0, 2.0))  # 6 * |(1, 2, 2)| = 18 m/s³
    found = track_metrics.jitter(jerky, time_s)
    assert torch.allclose(found, torch.full_like(found, 18.0), rtol=1e-5)


def test_one_frame_off_by_a_centimetre_gives_the_weights_of_the_differences() -> None:
    true = moving(EQUAL, (1.0, 0.0, 0.0))
    off = true.clone()
    off[20] += torch.tensor([0.0, 0.0, 0.01])
    error = track_metrics.acceleration_error(off, true, EQUAL)
    assert torch.allclose(error[18:21], torch.tensor([9.0, 18.0, 9.0]).double())  # 0.01 (1, 2, 1) 30²
    assert float(error.sum()) == pytest.approx(36.0)
    shaken = track_metrics.jitter(off, EQUAL)
    assert torch.allclose(shaken[17:21], torch.tensor([270.0, 810.0, 810.0, 270.0]).double())  # 0.01 (1, 3, 3, 1) 30³


def test_windows_that_touch_a_frame_not_kept_are_left_out() -> None:
    true = moving(EQUAL, (1.0, 0.0, 0.0))
    off = true.clone()
    off[20] = 1e6
    kept = torch.ones(40, dtype=torch.bool)
    kept[20] = False
    assert track_metrics.acceleration_error(off, true, EQUAL, kept).shape == (38 - 3,)
    assert float(track_metrics.acceleration_error(off, true, EQUAL, kept).max()) < 1e-6
    assert track_metrics.jitter(off, EQUAL, kept).shape == (37 - 4,)
    assert float(track_metrics.jitter(off, EQUAL, kept).max()) < 1e-6
    assert track_metrics.acceleration_error_vibe(off, true, kept).shape == (38 - 3,)
    assert track_metrics.acceleration_error(off, true, EQUAL, torch.zeros_like(kept)).shape == (0,)


def test_published_measures_remove_masked_frames_first_and_difference_across_the_gap() -> None:
    speed = moving(EQUAL, (0.6, 0.0, 0.0))  # 2 cm a frame
    kept = torch.ones(40, dtype=torch.bool)
    kept[20] = False
    shaken = track_metrics.jitter_gvhmr(speed, FPS, kept)
    # positions …, 19, 21, 22: third differences of (0, 1, 2, 4), (0, 1, 3, 4), (0, 2, 3, 4) steps are 1, -2, 1
    assert shaken.shape == (36,) and torch.allclose(shaken[17:20], torch.tensor([1.0, 2.0, 1.0]).double() * 0.02 * 2700)
    faster = only(speed, (5,))
    error = track_metrics.acceleration_error_gvhmr(faster, speed[:1].expand_as(speed), FPS, kept)
    assert error.shape == (37,) and torch.allclose(error[18:20], torch.full((2,), 0.02 * 900 / 24).double())
    assert float(error.sum()) == pytest.approx(2 * 0.02 * 900 / 24)


def test_three_published_jitters_of_one_motion_are_three_numbers() -> None:
    jerky = moving(EQUAL, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 2.0, 2.0))  # 18 m/s³ in every joint
    assert torch.allclose(track_metrics.jitter_gvhmr(jerky, FPS), torch.full((37,), 1.8).double())
    assert torch.allclose(track_metrics.jitter_emdb(jerky, FPS), torch.full((37,), 1.8 * 15 / 24).double())
    assert torch.allclose(track_metrics.jitter_pip(jerky, FPS), torch.full((37,), 0.018).double())
    still = only(jerky, track_metrics.STILL_FOR_EMDB)
    assert float(track_metrics.jitter_emdb(still, FPS).max()) == 0 and jerky[5, 0, 0] != 0
    with pytest.raises(InputError, match="SMPL's 24"):
        track_metrics.jitter_emdb(jerky[:, :22], FPS)


def test_three_published_acceleration_errors_of_one_motion() -> None:
    true = moving(EQUAL, (1.0, 0.0, 0.0))
    falling = only(moving(EQUAL, (1.0, 0.0, 0.0), (0.0, 4.905, 0.0)), (7,)) + true - true[:1]
    whole = track_metrics.acceleration_error_gvhmr(falling, true, FPS)
    assert whole.shape == (38,) and torch.allclose(whole, torch.full_like(whole, 9.81 / 24))
    assert track_metrics.acceleration_error_wham(falling, true, FPS).shape == (36,)
    per_frame = track_metrics.acceleration_error_vibe(falling, true)
    assert torch.allclose(per_frame, torch.full_like(per_frame, 1000 * 9.81 / 900 / 24))  # 10.9 mm per frame², over 24
    everybody = true + (moving(EQUAL, (0.0, 0.0, 0.0), (0.0, 4.905, 0.0)) - true[:1])
    assert float(track_metrics.acceleration_error_gvhmr(everybody, true, FPS).max()) < 1e-9  # the hips take it away


def test_smoothing_a_swing_keeps_the_share_that_the_filter_lets_through() -> None:
    time_s, radius, turns = torch.arange(120, dtype=torch.float64) / FPS, 0.6, 1.5
    angle = 2 * math.pi * turns * time_s
    circle = torch.stack((angle.cos(), angle.sin(), 0 * angle), 1)[:, None]
    half = track_metrics.peak_speed_kept(0.5 * radius * circle, radius * circle, time_s)
    assert torch.allclose(half, torch.tensor([0.5]).double())
    late = torch.roll(circle, 5, 0)[5:]  # a quarter of a turn later
    assert float(track_metrics.peak_speed_kept(late, circle[5:], time_s[5:])) == pytest.approx(1)
    assert abs(float(track_metrics.peak_velocity_kept(late, circle[5:], time_s[5:]))) < 1e-6


def test_noise_raises_the_peak_speed_but_not_the_velocity_kept() -> None:
    generator = torch.Generator().manual_seed(1)
    time_s = torch.arange(60, dtype=torch.float64) / FPS
    true = torch.zeros(60, 200, 3, dtype=torch.float64)
    true[30:, :, 0] = 0.1  # one step of a decimetre in a frame: 3 m/s
    shaken = true + 0.02 * torch.randn(true.shape, generator=generator, dtype=torch.float64)
    assert float(track_metrics.peak_speed_kept(shaken, true, time_s).mean()) > 1.1
    kept = float(track_metrics.peak_velocity_kept(shaken, true, time_s).mean())
    assert abs(kept - 1) < 4 * 0.02 * math.sqrt(2) / 0.1 / math.sqrt(200)  # four standard errors


def test_feet_slide_only_while_the_true_ones_stand() -> None:
    true = torch.zeros(40, 4, 3, dtype=torch.float64)
    true[20:, 0, 0] = 0.1 * torch.arange(20)  # 3 m/s: in the air
    feet = torch.zeros_like(true)
    feet[:, :, 2] = 0.002 * torch.arange(40)[:, None]  # 2 mm a frame, 60 mm/s
    slide = track_metrics.foot_slide(feet, true, EQUAL)
    assert slide.shape == (39 * 4 - 19,) and torch.allclose(slide, torch.full_like(slide, 60.0))
    published = track_metrics.foot_slide_gvhmr(feet, true)
    assert published.shape == slide.shape and torch.allclose(published, torch.full_like(published, 2.0))
    # At 60 frames per second a foot of 0.4 m/s moves 0.7 cm a frame: standing by the published rule, not by speed.
    walking = torch.zeros(20, 1, 3, dtype=torch.float64)
    walking[:, 0, 0] = 0.4 * torch.arange(20) / 60
    assert len(track_metrics.foot_slide(walking, walking, torch.arange(20, dtype=torch.float64) / 60)) == 0
    assert len(track_metrics.foot_slide_gvhmr(walking, walking)) == 19


def test_frames_made_worse_are_counted_beyond_the_margin() -> None:
    before = torch.tensor([10.0, 10.0, 10.0, 10.0, torch.nan])
    after = torch.tensor([9.0, 10.9, 11.5, torch.nan, 5.0])
    assert track_metrics.share_made_worse(before, after, 1.0) == pytest.approx(2 / 5)
    assert track_metrics.share_made_worse(before, after) == pytest.approx(3 / 5)
    assert track_metrics.share_made_worse(before[:0], after[:0]) == 0


def test_the_mean_of_the_hips_and_joint_zero_are_two_pelvises() -> None:
    true = torch.zeros(2, 24, 3)
    moved = true.clone()
    moved[:, 1] = torch.tensor([0.024, 0.0, 0.0])  # one hip, 24 mm: the middle of the hips moves by 12
    assert torch.allclose(mpjpe(moved, true), torch.full((2,), 1.0))  # 24 / 24
    assert torch.allclose(mpjpe_from_hips(moved, true), torch.full((2,), 12.0))  # each of 24 is 12 off
