"""Expression is held where it is free: around the estimate's, as wide as people differ."""

from dataclasses import replace

import pytest
import torch

from priors import NearExpression
from priors.default import default_priors
from refine.body import pose_body
from refine.estimate import Estimate, Source
from refine.refiner import Refiner
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms.keypoints import keypoints_from_sigma
from tests.synthetic import random_body, random_state

NAMES = tuple("jaw" if joint == 22 else f"joint{joint}" for joint in range(24))
BODY = replace(random_body(joints=24, expressions=6), joint_names=NAMES)
FREE = Unknowns((0, 3), 2, 4)


def estimate(count: int = 3) -> Estimate:
    state, none = random_state(BODY, count, seed=2, angle=0.1), torch.zeros(count, 0)
    source = Source("memory", "random", state.bodies.pose, state.bodies.shape, none)
    return Estimate(BODY, state, torch.arange(count), source)


def test_the_residual_is_the_difference_in_sigmas() -> None:
    start = estimate()
    term = NearExpression(start.bodies.expression, sigma=0.5)
    moved = start.state.retract(FREE, 0.3 * torch.ones(3, FREE.size, dtype=torch.float64))
    linear = term.linearize(moved, pose_body(BODY, moved.bodies), FREE)
    assert torch.allclose(linear.residual, torch.full((3, 4, 1), 0.6, dtype=torch.float64))


def test_a_body_whose_expression_is_not_free_has_no_residual() -> None:
    start = estimate()
    free = torch.ones(3, FREE.size, dtype=torch.bool)
    free[1, FREE.expression_columns] = False
    moved = start.state.retract(FREE, torch.ones(3, FREE.size, dtype=torch.float64))
    some = replace(FREE, free=free)
    residual = NearExpression(start.bodies.expression).linearize(moved, pose_body(BODY, moved.bodies), some).residual
    assert not residual[1].any() and bool(residual[[0, 2]].all())


@pytest.mark.parametrize("gate", [True, False])
def test_expression_that_the_evidence_frees_stays_near_the_estimates(gate: bool) -> None:
    """Points of the surface are seen with noise that an unheld expression would be bent far away to explain."""
    start = estimate()
    points = BODY.keypoint_set("five")
    pixel = start.camera.project(start.posed.keypoints(points))
    pixel = pixel + 3.0 * torch.randn(pixel.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    term = keypoints_from_sigma(points, pixel, torch.full_like(pixel[..., 0], 0.5))
    own = default_priors(start)
    assert sum(isinstance(prior, NearExpression) for prior in own) == 1
    refiner = Refiner() if gate else Refiner(gate=None)
    held = refiner.refine((), start, [term], own)[-1]
    bare = [prior for prior in own if not isinstance(prior, NearExpression)]
    loose = refiner.refine((), start, [term], bare)[-1]
    assert held.unknowns.expression == 6, "the jaw is seen"
    assert held.covariance().diagonal(dim1=1, dim2=2)[:, held.unknowns.expression_columns].max() <= 1.0 + 1e-9
    worst = loose.covariance().diagonal(dim1=1, dim2=2)[:, loose.unknowns.expression_columns].amax()
    assert worst > 1.5, "without the prior nothing holds them"


def test_a_body_without_expressions_has_no_such_prior() -> None:
    body = random_body(joints=24)
    state = random_state(body, 2)
    source = Source("memory", "random", state.bodies.pose, state.bodies.shape, torch.zeros(2, 0))
    priors = default_priors(Estimate(body, state, torch.arange(2), source))
    assert not any(isinstance(prior, NearExpression) for prior in priors)


def test_the_solver_finds_the_minimum_between_evidence_and_expression() -> None:
    """One free column, one number of evidence: the mean of both by their information."""
    start = estimate(1)
    only = Unknowns((), 0, 1, translation=0)
    away = NearExpression(start.bodies.expression + 2.0, sigma=1.0)
    near = NearExpression(start.bodies.expression, sigma=0.5)
    solution = LevenbergMarquardt(cost_tolerance=1e-12).solve(BODY, start.state, [away, near], only)
    moved: State = solution.state
    step = moved.bodies.expression[:, :1] - start.bodies.expression[:, :1]
    assert torch.allclose(step, torch.tensor([[2.0 / 5.0]], dtype=torch.float64), atol=1e-6)
