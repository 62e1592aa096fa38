"""The constant part of points' errors: its derivatives, and what it changes for one row, and for many."""

from dataclasses import replace

import pytest
import torch

from priors import GaussianShape, NearEstimate, NearTranslation
from refine.body import pose_body
from refine.errors import InputError
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import Groups, State, Unknowns
from refine.terms import LeastSquares
from refine.terms.constants import ConstantPart, UnitConstants
from refine.terms.keypoints import Keypoints, keypoints_from_sigma
from tests.reference.solve.grouped import BODY, FIVE
from tests.synthetic import random_state

COUNT, SHARE = 3, 0.4
FREE = Unknowns((0, 2), 2, 0, 3, 1, 14)
"""14 constants: the points' ten are not the first."""
PART = ConstantPart(4, 5, SHARE)
EXACT = 1e-10


def scene(seed: int = 0) -> tuple[State, Keypoints]:
    draw = torch.Generator().manual_seed(seed)
    state = random_state(BODY, COUNT, seed=1)
    state = replace(state, constants=torch.randn(COUNT, 14, generator=draw, dtype=torch.float64))
    pixel = state.camera.project(pose_body(BODY, state.bodies).keypoints(FIVE))
    sigma = 1 + torch.rand(COUNT, 5, generator=draw, dtype=torch.float64)
    sigma[1, 2] = torch.inf
    pixel = pixel + torch.randn(pixel.shape, generator=draw, dtype=torch.float64)
    return state, replace(keypoints_from_sigma(FIVE, pixel, sigma), kernel=LeastSquares(), constant=PART)


def test_the_jacobian_is_the_derivative() -> None:
    state, term = scene()
    linear = term.linearize(state, pose_body(BODY, state.bodies), FREE)

    def residual(step: torch.Tensor) -> torch.Tensor:
        moved = state.retract(FREE, step)
        pixel = moved.camera.project(pose_body(BODY, moved.bodies).keypoints(FIVE))
        whole = (term.sqrt_information @ (pixel - term.target)[..., None])[..., 0]
        assert moved.constants is not None
        known = (term.sqrt_information != 0).flatten(2).any(2)[..., None]
        constant = (SHARE / (1 - SHARE)) ** 0.5 * moved.constants[:, 4:].reshape(COUNT, 5, 2)
        return whole / (1 - SHARE) ** 0.5 - known * constant

    slow = torch.autograd.functional.jacobian(residual, torch.zeros(COUNT, FREE.size, dtype=torch.float64))
    for row in range(COUNT):
        assert (slow[row, :, :, row] - linear.jacobian[row]).abs().max() < EXACT * slow.abs().max()
    zero = torch.zeros(COUNT, FREE.size, dtype=torch.float64)
    assert (linear.residual - residual(zero)).abs().max() < EXACT * linear.residual.abs().max()
    assert not linear.residual[1, 2].any() and not linear.jacobian[1, 2].any(), "a point that is not seen"
    assert linear.jacobian[..., FREE.constant_columns].abs().sum((0, 1, 2)).bool().tolist() == [False] * 4 + [True] * 10


def test_to_one_row_the_constant_part_is_as_if_it_were_in_the_sigmas() -> None:
    """Gaussian: integrated out, it is one half of the same error."""
    state, term = scene()
    plain, columns = replace(term, constant=None), replace(FREE, constants=0)
    solver = LevenbergMarquardt(steps=60, cost_tolerance=1e-14)
    near = [
        NearEstimate(state.bodies.pose, torch.full((6,), 0.2, dtype=torch.float64)),
        NearTranslation(state.bodies.translation), GaussianShape(),
    ]  # fmt: skip
    zero = replace(state, constants=torch.zeros(COUNT, 14, dtype=torch.float64))
    apart = solver.solve(BODY, zero, [term, UnitConstants(), *near], FREE)
    whole = solver.solve(BODY, replace(state, constants=None), [plain, *near], columns)
    assert torch.allclose(apart.cost, whole.cost, rtol=1e-8)
    assert (apart.state.bodies.pose - whole.state.bodies.pose).abs().max() < 1e-6
    own = apart.covariance()[:, : columns.size, : columns.size]
    scale = whole.covariance().diagonal(dim1=1, dim2=2).sqrt()
    assert ((own - whole.covariance()) / (scale[:, :, None] * scale[:, None])).abs().max() < 1e-5


def test_a_mean_of_many_rows_is_no_surer_than_the_constant_part() -> None:
    """A place seen N times: variance (1 - c) / N + c, of which more rows take the first alone."""
    count, sigma = 400, 2.0
    state = random_state(BODY, 1, seed=1)[[0] * count]
    state = replace(state, constants=torch.zeros(count, 10, dtype=torch.float64))
    pixel = state.camera.project(pose_body(BODY, state.bodies).keypoints(FIVE))
    labels = torch.zeros(count, dtype=torch.long)
    unknowns = Unknowns((), 0, 0, 0, 1, 10, groups=Groups(focal=labels, constants=labels))
    term = replace(
        keypoints_from_sigma(FIVE, pixel, torch.full((count, 5), sigma, dtype=torch.float64)),
        constant=ConstantPart(0, 5, SHARE), kernel=LeastSquares(),
    )  # fmt: skip
    found = LevenbergMarquardt().solve(BODY, state, [term, UnitConstants()], unknowns)
    alone = replace(unknowns, groups=None, constants=0)
    single = LevenbergMarquardt().solve(BODY, replace(state, constants=None), [replace(term, constant=None)], alone)
    ratio = found.covariance()[0, 0, 0] / single.covariance()[0, 0, 0]
    assert float(ratio) == pytest.approx(SHARE + (1 - SHARE) / count, rel=1e-6)


@pytest.mark.parametrize("wrong", [(0, 5, 0.0), (0, 5, 1.0), (-1, 5, 0.5), (0, 0, 0.5)])
def test_a_constant_part_that_is_none_is_refused(wrong: tuple[int, int, float]) -> None:
    with pytest.raises(InputError, match="constant part: expected"):
        ConstantPart(*wrong)


def test_columns_without_their_numbers_are_refused() -> None:
    state, _ = scene()
    with pytest.raises(InputError, match="constants"):
        replace(state, constants=None).retract(FREE, torch.zeros(COUNT, FREE.size, dtype=torch.float64))
