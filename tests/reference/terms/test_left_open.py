"""What evidence leaves open: eliminated exactly, so that the posterior knows that it was unknown."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from refine.body import pose_body
from refine.errors import InputError
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Huber, Kernel, LeastSquares
from refine.terms.joints3d import Joints3D, joints3d
from refine.terms.left_open import without_open
from refine.terms.lifted import joints25d
from tests.drawn_points import points_of_others
from tests.drawn_terms import COUNT, PERSON, UNKNOWNS, normal
from tests.synthetic import random_state

EXACT = 1e-8
STATE = random_state(PERSON, COUNT, seed=4, angle=0.5)
FIVE = PERSON.keypoint_set("five")


def lifted(scale: bool, kernel: Kernel, wrong: bool = False) -> Joints3D:
    target = points_of_others()
    if wrong:
        target[:, 1] += 0.8
    sigma = torch.tensor([[0.02, 0.03, 0.05, 0.04, 0.03]], dtype=torch.float64).repeat(COUNT, 1)
    return replace(joints3d(FIVE, target, sigma, shift=True, scale=scale), kernel=kernel)


@pytest.mark.parametrize("scale", [False, True], ids=["shift", "shift and scale"])
def test_the_information_is_the_schur_complement_of_the_system_with_the_open_amounts(scale: bool) -> None:
    term = lifted(scale, LeastSquares())
    found = normal_equations(PERSON, STATE, [term], UNKNOWNS).information
    _, by_step = pose_body(PERSON, STATE.bodies).keypoints_with_jacobian(FIVE, UNKNOWNS)
    rows = (term.sqrt_information @ by_step).flatten(1, 2)
    columns = [term.sqrt_information]
    if scale:
        columns.append(term.sqrt_information @ term.target[..., None])
    beside = -torch.cat(columns, -1).flatten(1, 2)
    whole = torch.cat((rows, beside), 2)
    joint = whole.mT @ whole
    size = UNKNOWNS.size
    own, cross, other = joint[:, :size, :size], joint[:, :size, size:], joint[:, size:, size:]
    schur = own - cross @ torch.cholesky_solve(cross.mT, torch.linalg.cholesky(other))
    assert (found - schur).abs().max() < 1e-7 * schur.abs().max()
    alone = rows.mT @ rows
    assert (found.diagonal(dim1=1, dim2=2) <= alone.diagonal(dim1=1, dim2=2) * (1 + 1e-9)).all()
    assert found.diagonal(dim1=1, dim2=2)[:, UNKNOWNS.translation_columns].abs().max() < 1e-6, "the place is open"


@pytest.mark.parametrize("kernel", [Huber(3.0), GemanMcClure(3.0)], ids=["huber", "geman"])
def test_under_a_robust_kernel_the_gradient_is_that_of_the_cost(kernel: Kernel) -> None:
    """Rows that are weighted down are not the residual's derivative, but their sum is the cost's."""
    term = lifted(True, kernel, wrong=True)

    def cost(step: Tensor) -> Tensor:
        state = STATE.retract(UNKNOWNS, step)
        linear = term.linearize(state, pose_body(PERSON, state.bodies), UNKNOWNS)
        return 0.5 * kernel.rho(linear.residual.square().sum(-1)).sum(1)

    found = normal_equations(PERSON, STATE, [term], UNKNOWNS)
    step = 1e-5
    for column in (0, 5, UNKNOWNS.shape_columns.start, UNKNOWNS.translation_columns.start):
        walk = torch.zeros(COUNT, UNKNOWNS.size, dtype=torch.float64)
        walk[:, column] = step
        slope = (cost(walk) - cost(-walk)) / (2 * step)
        assert torch.allclose(
            slope, found.gradient[:, column], rtol=1e-3, atol=1e-3 * float(found.gradient.abs().max())
        )


def test_units_and_places_do_not_matter_where_they_are_open() -> None:
    here = lifted(True, GemanMcClure(5.0))
    there = replace(here, target=1234.0 * here.target + 77.0)
    one, other = (term.linearize(STATE, pose_body(PERSON, STATE.bodies), UNKNOWNS) for term in (here, there))
    assert torch.allclose(one.residual, other.residual, atol=1e-6)
    assert torch.allclose(one.jacobian, other.jacobian, atol=1e-5)


def test_a_body_cannot_fit_its_mirror_image_by_a_negative_scale() -> None:
    target = pose_body(PERSON, STATE.bodies).keypoints(FIVE)
    sigma = torch.full((COUNT, 5), 0.03, dtype=torch.float64)
    right, wrong = (joints3d(FIVE, sign * target, sigma, shift=True, scale=True) for sign in (1.0, -1.0))
    fits, does_not = (
        replace(term, kernel=LeastSquares()).linearize(STATE, pose_body(PERSON, STATE.bodies), UNKNOWNS)
        for term in (right, wrong)
    )
    assert fits.residual.abs().max() < 1e-5
    assert (does_not.residual.square().sum((1, 2)) > 1.0).all() and does_not.jacobian.isfinite().all()


def test_one_wrong_joint_moves_neither_shift_nor_scale() -> None:
    target = points_of_others()
    sigma = torch.full((COUNT, 5), 0.02, dtype=torch.float64)
    state = random_state(PERSON, COUNT, seed=4, angle=0.3)
    target[:, 2] += 3.0
    linear = joints3d(FIVE, target, sigma, shift=True, scale=False).linearize(
        state, pose_body(PERSON, state.bodies), UNKNOWNS
    )
    left = linear.residual.norm(dim=-1)
    assert (left[:, 2] > 50).all() and left[:, [0, 1, 3, 4]].max() < 1.0


def test_nothing_known_leaves_nothing_open_and_no_number_that_is_none() -> None:
    sigma = torch.full((COUNT, 5), torch.inf, dtype=torch.float64)
    wild = torch.full((COUNT, 5, 3), torch.nan, dtype=torch.float64)
    terms = (joints3d(FIVE, wild, sigma, shift=True, scale=True), joints25d(FIVE, wild, sigma, sigma, scale=True))
    for term in terms:
        linear = term.linearize(STATE, pose_body(PERSON, STATE.bodies), UNKNOWNS)
        assert (linear.residual == 0).all() and (linear.jacobian == 0).all()


def test_an_amount_that_nothing_determines_stays_zero() -> None:
    column = torch.zeros(2, 3, 1, 2, dtype=torch.float64)
    column[..., 0] = 1.0
    residual = normal(2, 3, 1)
    left, _, amount = without_open(residual, normal(2, 3, 1, 4), column, LeastSquares())
    assert (amount[:, 1] == 0).all() and torch.allclose(amount[:, 0], residual.mean((1, 2)))
    assert left.mean(1).abs().max() < EXACT


def test_along_lines_of_sight_depths_are_distances_from_the_camera() -> None:
    state: State = random_state(PERSON, COUNT, seed=4, angle=0.3)
    point = state.camera.transform(pose_body(PERSON, state.bodies).keypoints(FIVE))
    pixel, sigma = state.camera.project(pose_body(PERSON, state.bodies).keypoints(FIVE)), torch.ones(COUNT, 5).double()
    for depth, far in (("axis", point[..., 2]), ("sight", point.norm(dim=-1))):
        target = torch.cat((pixel, (far - far[:, :1])[..., None]), -1)
        term = joints25d(FIVE, target, sigma, 0.05 * sigma, depth=depth)  # type: ignore[arg-type]
        linear = term.linearize(state, pose_body(PERSON, state.bodies), Unknowns((0,)))
        assert linear.residual.abs().max() < 1e-5


@pytest.mark.usefixtures("unchecked")
def test_wrong_joints_are_refused() -> None:
    good, sigma = torch.zeros(2, 5, 3), torch.full((2, 5), 0.05)
    eye = torch.eye(3).expand(2, 5, 3, 3)
    for wrong, message in (
        ({"sigma_m": -sigma}, "above zero"), ({"sigma_m": sigma, "covariance": eye}, "both"), ({}, "neither"),
        ({"covariance": -eye}, "positive"), ({"covariance": eye * torch.nan}, "NaN"),
        ({"sigma_m": sigma[:, :4]}, "shape"), ({"sigma_m": sigma, "scale": True}, "open shift"),
    ):  # fmt: skip
        with pytest.raises((InputError, TypeError), match=message):
            joints3d(FIVE, good, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="finite"):
        joints3d(FIVE, good * torch.nan, sigma)
    with pytest.raises(InputError, match="axis"):
        joints25d(FIVE, good, sigma, sigma, depth="z")  # type: ignore[arg-type]
