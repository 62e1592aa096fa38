"""The solver against scipy, and its outcomes body by body."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from priors import GaussianShape, NearEstimate
from refine.body import pose_body
from refine.errors import InputError
from refine.solve import StopReason
from refine.solve.damped import damped_step
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Huber, Kernel, LeastSquares, Term
from refine.terms.correspondences import Correspondences
from refine.terms.reprojection import Reprojection
from refine.terms.whiten import isotropic
from tests.synthetic import random_body, random_state

BODY = random_body(joints=12, correctives=True, shapes=4)
FREE = Unknowns((0, 1, 2, 3, 5, 8), 4)
SAME = 1e-6


def scene(count: int, kernel: Kernel, noise_px: float = 2.0, seed: int = 0) -> tuple[State, Reprojection]:
    """A disturbed state and matches of the true one with noise and a tenth of outliers."""
    draw = torch.Generator().manual_seed(seed)
    true = random_state(BODY, count, seed)
    triangle = torch.randint(0, len(BODY.faces), (count, 60), generator=draw)
    barycentric = torch.rand(count, 60, 3, generator=draw, dtype=torch.float64)
    barycentric /= barycentric.sum(-1, keepdim=True)
    target = true.camera.project(pose_body(BODY, true.bodies).surface(triangle, barycentric, Unknowns((), 0, 0, 0))[0])
    target = target + noise_px * torch.randn(target.shape, generator=draw, dtype=torch.float64)
    target[:, ::10] += 150.0
    root = isotropic(torch.full((count, 60), noise_px, dtype=torch.float64))
    root[..., 1, 0] = 0.1
    disturbed = true.retract(FREE, 0.15 * torch.randn(count, FREE.size, generator=draw, dtype=torch.float64))
    return disturbed, Reprojection(Correspondences(triangle, barycentric, target, root), kernel)


def priors(state: State) -> list[Term]:
    sigma = torch.full((len(BODY.joint_names),), 0.5, dtype=torch.float64)
    return [NearEstimate(state.bodies.pose, sigma), GaussianShape()]


@pytest.mark.parametrize("kernel", [LeastSquares(), Huber(1.5), GemanMcClure(8.0)], ids=["squares", "huber", "geman"])
def test_the_minimum_is_that_of_scipy(kernel: Kernel) -> None:
    state, evidence = scene(1, kernel)
    terms = [evidence, *priors(state)]
    solution = LevenbergMarquardt(steps=60, cost_tolerance=1e-12).solve(BODY, state, terms, FREE)

    def residuals(step: np.ndarray) -> np.ndarray:
        """Residuals whose squares sum to twice the robust cost: each vector scaled to √ρ."""
        moved = state.retract(FREE, torch.from_numpy(step)[None])
        rows = []
        for term in terms:
            linear = term.linearize(moved, pose_body(BODY, moved.bodies), FREE)
            squared = (linear.residual**2).sum(-1)
            rows.append(linear.kernel.rho(squared).sqrt().flatten())
        return torch.cat(rows).numpy()

    scipy = least_squares(residuals, np.zeros(FREE.size), xtol=1e-9, ftol=1e-9, gtol=1e-9, max_nfev=60)
    assert float(solution.cost) <= scipy.cost * (1 + SAME)
    away = normal_equations(BODY, solution.state, terms, FREE).gradient.abs().max()
    assert away < 1e-3 * normal_equations(BODY, state, terms, FREE).gradient.abs().max()


def test_the_gradient_is_that_of_the_robust_cost() -> None:
    state, evidence = scene(2, GemanMcClure(8.0))
    terms = [evidence, *priors(random_state(BODY, 2, seed=5))]

    def cost(step: torch.Tensor) -> torch.Tensor:
        moved = state.retract(FREE, step)
        posed = pose_body(BODY, moved.bodies)
        total = torch.zeros((), dtype=torch.float64)
        for term in terms:
            if isinstance(term, Reprojection):  # the plain way round the analytic Jacobian, for autograd
                matches = term.matches
                corner = posed.vertices[torch.arange(2)[:, None, None], BODY.faces[matches.triangle]]
                pixel = moved.camera.project((matches.barycentric[..., None] * corner).sum(2))
                residual = (matches.sqrt_information @ (pixel - matches.target)[..., None])[..., 0]
                total = total + 0.5 * term.kernel.rho((residual**2).sum(-1)).sum()
            else:
                linear = term.linearize(moved, posed, FREE)
                total = total + 0.5 * linear.kernel.rho((linear.residual**2).sum(-1)).sum()
        return total

    zero = torch.zeros(2, FREE.size, dtype=torch.float64)
    slow = torch.autograd.functional.jacobian(cost, zero)
    fast = normal_equations(BODY, state, terms, FREE).gradient
    assert (slow - fast).abs().max() < 1e-8 * fast.abs().max()


def test_a_body_does_not_feel_its_batch() -> None:
    state, evidence = scene(5, GemanMcClure(8.0))
    solver = LevenbergMarquardt(steps=12)
    together = solver.solve(BODY, state, [evidence, *priors(state)], FREE)
    for row in range(5):
        matches = evidence.matches
        own = Correspondences(
            *(
                part[row : row + 1]
                for part in (matches.triangle, matches.barycentric, matches.target, matches.sqrt_information)
            )
        )
        alone = solver.solve(BODY, state[[row]], [Reprojection(own, evidence.kernel), *priors(state[[row]])], FREE)
        assert (alone.state.bodies.pose - together.state.bodies.pose[row]).abs().max() < SAME
        assert (alone.state.bodies.translation - together.state.bodies.translation[row]).abs().max() < SAME
        assert alone.stop[0] == together.stop[row]


def test_a_permuted_batch_has_permuted_results() -> None:
    state, evidence = scene(4, Huber(2.0))
    order = [2, 0, 3, 1]
    matches = evidence.matches
    permuted = Correspondences(
        *(part[order] for part in (matches.triangle, matches.barycentric, matches.target, matches.sqrt_information))
    )
    first = LevenbergMarquardt(steps=8).solve(BODY, state, [evidence], FREE).state.bodies.pose[order]
    second = (
        LevenbergMarquardt(steps=8)
        .solve(BODY, state[order], [Reprojection(permuted, evidence.kernel)], FREE)
        .state.bodies.pose
    )
    assert (first - second).abs().max() < SAME


def test_a_body_that_is_not_finite_stays_alone_with_its_trouble() -> None:
    state, evidence = scene(3, GemanMcClure(8.0))
    pose = state.bodies.pose.clone()
    pose[1, 2] = torch.nan
    broken = State(
        type(state.bodies)(pose, state.bodies.shape, state.bodies.expression, state.bodies.translation), state.camera
    )
    good = LevenbergMarquardt(steps=10).solve(BODY, state, [evidence], FREE)
    solution = LevenbergMarquardt(steps=10).solve(BODY, broken, [evidence], FREE)
    assert solution.stop[1] == StopReason.NOT_FINITE and solution.steps[1] == 0
    assert (solution.state.bodies.pose[[0, 2]] - good.state.bodies.pose[[0, 2]]).abs().max() < SAME


def test_the_cost_never_rises() -> None:
    state, evidence = scene(4, GemanMcClure(3.0), noise_px=6.0)
    costs = [
        LevenbergMarquardt(steps=n, cost_tolerance=0.0).solve(BODY, state, [evidence], FREE).cost for n in range(8)
    ]
    assert all(bool((later <= earlier).all()) for earlier, later in pairwise(costs))


def test_without_noise_the_true_bodies_are_found() -> None:
    state, evidence = scene(3, LeastSquares(), noise_px=1e-6)
    target = evidence.matches.target.clone()
    target[:, ::10] -= 150.0  # the outliers put back
    matches = evidence.matches
    clean = Reprojection(
        Correspondences(
            matches.triangle, matches.barycentric, target, isotropic(torch.ones(3, 60, dtype=torch.float64))
        ),
        LeastSquares(),
    )
    solution = LevenbergMarquardt(steps=100, cost_tolerance=0.0).solve(BODY, state, [clean], FREE)
    assert solution.cost.max() < 1e-8


def test_unobservable_directions_have_infinite_variance_and_the_others_the_inverse() -> None:
    state, evidence = scene(2, LeastSquares())
    sigma = torch.full((len(BODY.joint_names),), 0.5, dtype=torch.float64)
    near = NearEstimate(state.bodies.pose, sigma)
    alone = LevenbergMarquardt(steps=0).solve(BODY, state, [near], FREE).covariance()
    diagonal = alone.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(diagonal[:, FREE.pose_columns], torch.full((2, 18), 0.25, dtype=torch.float64), rtol=0.3)
    assert diagonal[:, FREE.shape_columns].isinf().all() and diagonal[:, FREE.translation_columns].isinf().all()
    full = LevenbergMarquardt(steps=0).solve(BODY, state, [evidence, near, GaussianShape()], FREE)
    plain = torch.cholesky_inverse(torch.linalg.cholesky(full.information))
    assert torch.allclose(full.covariance(), plain, rtol=1e-5, atol=1e-12)


def test_nothing_to_solve_is_no_error() -> None:
    state, evidence = scene(2, LeastSquares())
    nothing = LevenbergMarquardt().solve(BODY, state, [evidence], Unknowns((), 0, 0, 0))
    assert (nothing.state.bodies.pose == state.bodies.pose).all() and nothing.steps.sum() == 0


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="damping"):
        LevenbergMarquardt(damping=-1.0)


def test_an_empty_batch_gives_an_empty_solution() -> None:
    state, evidence = scene(2, LeastSquares())
    matches = evidence.matches
    none = Correspondences(
        *(part[:0] for part in (matches.triangle, matches.barycentric, matches.target, matches.sqrt_information))
    )
    solution = LevenbergMarquardt(steps=3).solve(BODY, state[:0], [Reprojection(none)], FREE)
    assert len(solution.state) == 0 and solution.stop == ()


def test_equations_that_cannot_be_solved_are_no_convergence() -> None:
    state, evidence = scene(1, LeastSquares())
    equations = normal_equations(BODY, state, [evidence], FREE)
    broken = replace(equations, information=-equations.information)
    found = damped_step(broken, torch.full((1,), 1e-3, dtype=torch.float64))
    assert not found.solved.any() and (found.step == 0).all() and (found.predicted == 0).all()


def test_float32_rounding_does_not_make_an_unobserved_direction_certain() -> None:
    """Two joints on one axis, seen only through points that both turn alike, in float32."""
    ray = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    information = (ray + 1e-8 * torch.randn(2, 2, generator=torch.Generator().manual_seed(0)))[None]
    solution = replace(LevenbergMarquardt(steps=0).solve(BODY, *_nothing()), information=information)
    assert solution.covariance().diagonal(dim1=-2, dim2=-1).isinf().all()


def _nothing() -> tuple[State, list[Term], Unknowns]:
    return random_state(BODY, 1), [], Unknowns((0,), 0, 0, 0)


@pytest.mark.parametrize(
    "unknowns", [{"joints": (99,)}, {"joints": (0,), "shape": 99}, {"joints": (0,), "expression": 1}]
)
def test_columns_the_model_does_not_have_are_refused(unknowns: dict[str, int]) -> None:
    with pytest.raises(InputError, match="unknowns"):
        LevenbergMarquardt().solve(BODY, random_state(BODY, 1), [], Unknowns(**unknowns))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "unknowns", [{"joints": (1, 0)}, {"joints": (1, 1)}, {"joints": (-1,)}, {"joints": (), "translation": 2}]
)
def test_columns_that_are_none_are_refused(unknowns: dict[str, int]) -> None:
    with pytest.raises(InputError, match="unknowns"):
        Unknowns(**unknowns)  # type: ignore[arg-type]
