"""How wrong an estimate and its evidence are: the spectrum against the dense Gaussian, shares of observations, scaled
priors."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from priors import NearEstimate, NearShape, NearTranslation
from refine.solve.linearized import linearized
from refine.solve.normal_equations import normal_equations
from refine.solve.observability import observe
from refine.state import State
from refine.terms import Term
from refine.trust.quality import log_evidence, quality, spectrum
from tests.reference.trust.toy import (
    BODY,
    EXACT,
    FREE,
    HONEST,
    NOISES,
    SCALES,
    WIDE,
    WIDE_TOLERANCE,
    Linear,
    inverse,
    normal,
    of_prior,
    of_rows,
    shared_matches,
    told,
    toy,
)


def dense(
    residual: Tensor, jacobian: Tensor, prior: Tensor, other: Tensor | None = None, noises: Tensor = NOISES
) -> Tensor:
    """log N(residual; 0, t² I + s² J N⁻¹ Jᵀ + other), (B, G, T), up to a constant: the formula written out."""
    spread = jacobian @ inverse(prior) @ jacobian.mT  # (B, N, N)
    eye = torch.eye(residual.shape[1], dtype=torch.float64)
    told = []
    for scale in SCALES:
        for noise in noises:
            covariance = noise**2 * eye + scale**2 * spread + (0.0 if other is None else other)
            factor = torch.linalg.cholesky(covariance)
            away = torch.linalg.solve_triangular(factor, residual[..., None], upper=False).square().sum((1, 2))
            told.append(-factor.diagonal(dim1=-2, dim2=-1).log().sum(1) - 0.5 * away)
    return torch.stack(told, 1).unflatten(1, (len(SCALES), len(noises)))


def positive(count: int, size: int, seed: int) -> Tensor:
    half = normal(count, size, size, seed=seed)
    return half @ half.mT + torch.eye(size, dtype=torch.float64)


def relative(table: Tensor) -> Tensor:
    return table - table[:, :1, :1]


def test_the_log_evidence_is_that_of_the_dense_gaussian() -> None:
    jacobian, residual, prior = normal(3, 12, 5, seed=1), normal(3, 12, seed=2), positive(3, 5, seed=3)
    rest = of_prior(torch.zeros_like(prior), torch.zeros(3, 5, dtype=torch.float64))
    found = spectrum(of_prior(prior, torch.zeros(3, 5, dtype=torch.float64)), of_rows(jacobian, residual), rest)
    assert found is not None
    assert torch.allclose(log_evidence(found, SCALES, NOISES), dense(residual, jacobian, prior), atol=EXACT)


def test_columns_without_a_prior_around_the_estimate_are_integrated_out() -> None:
    jacobian, residual, prior = normal(3, 12, 7, seed=4), normal(3, 12, seed=5), positive(3, 4, seed=6)
    around = torch.zeros(3, 7, 7, dtype=torch.float64)
    around[:, :4, :4] = prior
    zero = torch.zeros(3, 7, dtype=torch.float64)
    found = spectrum(of_prior(around, zero), of_rows(jacobian, residual), of_prior(torch.zeros_like(around), zero))
    assert found is not None and (found.count == 12 - 3).all()
    free = WIDE**2 * jacobian[..., 4:] @ jacobian[..., 4:].mT
    plain = dense(residual, jacobian[..., :4], prior, free)
    told = log_evidence(found, SCALES, NOISES)
    assert torch.allclose(relative(told), relative(plain), atol=WIDE_TOLERANCE)


def test_priors_of_another_kind_hold_the_columns_that_are_integrated_out() -> None:
    jacobian, residual, prior = normal(2, 10, 5, seed=7), normal(2, 10, seed=8), positive(2, 3, seed=9)
    around, other = torch.zeros(2, 5, 5, dtype=torch.float64), torch.zeros(2, 5, 5, dtype=torch.float64)
    around[:, :3, :3], other[:, 3:, 3:] = prior, positive(2, 2, seed=10)
    zero = torch.zeros(2, 5, dtype=torch.float64)
    found = spectrum(of_prior(around, zero), of_rows(jacobian, residual), of_prior(other, zero))
    assert found is not None
    held = jacobian[..., 3:] @ inverse(other[:, 3:, 3:]) @ jacobian[..., 3:].mT
    told = log_evidence(found, SCALES, HONEST)
    plain = dense(residual, jacobian[..., :3], prior, held, HONEST)
    assert torch.allclose(relative(told), relative(plain), atol=1e-6)


def test_evidence_looked_at_away_from_the_estimate_says_the_same() -> None:
    jacobian, residual, prior = normal(2, 12, 6, seed=11), normal(2, 12, seed=12), positive(2, 4, seed=13)
    around = torch.zeros(2, 6, 6, dtype=torch.float64)
    around[:, :4, :4] = prior
    away = torch.cat((normal(2, 4, seed=14), torch.zeros(2, 2, dtype=torch.float64)), 1)
    none = of_prior(torch.zeros_like(around), torch.zeros_like(away))
    at_home = spectrum(of_prior(around, torch.zeros_like(away)), of_rows(jacobian, residual), none)
    there = residual + (jacobian @ away[..., None])[..., 0]
    outside = spectrum(of_prior(around, away), of_rows(jacobian, there), none)
    assert at_home is not None and outside is not None
    assert torch.allclose(log_evidence(at_home, SCALES, NOISES), log_evidence(outside, SCALES, NOISES), atol=1e-6)


@pytest.mark.parametrize(("wrong", "noise"), [(0.2, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_the_evidence_is_largest_on_average_where_the_data_came_from(wrong: float, noise: float) -> None:
    count, rows, columns = 200, 40, 10
    jacobian, prior = 4 * normal(count, rows, columns, seed=15), positive(count, columns, seed=16)
    step = torch.linalg.solve_triangular(
        torch.linalg.cholesky(prior).mT, normal(count, columns, 1, seed=17), upper=True
    )
    residual = (wrong * jacobian @ step)[..., 0] + noise * normal(count, rows, seed=18)
    zero = torch.zeros(count, columns, dtype=torch.float64)
    found = spectrum(of_prior(prior, zero), of_rows(jacobian, residual), of_prior(torch.zeros_like(prior), zero))
    assert found is not None
    scales, noises = wrong * 1.1 ** torch.arange(-5.0, 6), noise * 1.1 ** torch.arange(-5.0, 6)
    total = log_evidence(found, scales.double(), noises.double()).sum(0)
    best = divmod(int(total.argmax()), len(noises))
    assert abs(best[0] - 5) <= 1 and abs(best[1] - 5) <= 1


# ---- quality(): the same with terms on bodies ----------------------------------------------------------------------


def test_more_wrong_estimates_and_noisier_evidence_are_found_to_be_so() -> None:
    good, _ = told(*unpacked(toy(100, 0.15, 1.0)))
    usual, plain = told(*unpacked(toy(100, 0.5, 1.0)))
    bad, _ = told(*unpacked(toy(100, 1.2, 1.0)))
    _, noisy = told(*unpacked(toy(100, 0.5, 3.0)))
    assert good.log().mean().exp() < 0.6 * usual.log().mean().exp() < 0.6**2 * 1.3 * bad.log().mean().exp()
    assert noisy.mean() > 1.8 * plain.mean() and 0.6 < plain.mean() < 1.5


def unpacked(case: tuple[State, Linear, tuple[Term, ...]]) -> tuple[State, list[Term], tuple[Term, ...]]:
    return case[0], [case[1]], case[2]


def test_a_body_does_not_feel_its_batch() -> None:
    state, evidence, priors = toy(3, 0.5, 1.0)
    scale, noise = told(state, [evidence], priors)
    own, _ = told(state[[1]], [Linear(evidence.jacobian[1:2], evidence.residual[1:2])], of_row(state, 1))
    assert abs(float(own[0] - scale[1])) < EXACT and noise.shape == (3,)


def of_row(state: State, row: int) -> tuple[Term, ...]:
    bodies = state.bodies[[row]]
    return NearEstimate(bodies.pose), NearShape(bodies.shape), NearTranslation(bodies.translation)


@pytest.mark.parametrize("where", ["evidence", "estimate"])
def test_a_body_that_is_not_finite_gets_one_and_leaves_the_others_alone(where: str) -> None:
    state, evidence, priors = toy(3, 0.5, 1.0)
    scale, noise = told(state, [evidence], priors)
    if where == "evidence":
        residual = evidence.residual.clone()
        residual[1] = torch.nan
        evidence = replace(evidence, residual=residual)
    else:
        pose = state.bodies.pose.clone()
        pose[1, 2] = torch.nan
        state = replace(state, bodies=replace(state.bodies, pose=pose))
        priors = (NearEstimate(pose), *priors[1:])
    broken, its_noise = told(state, [evidence], priors)
    assert torch.allclose(broken[[0, 2]], scale[[0, 2]], atol=EXACT)
    assert torch.allclose(its_noise[[0, 2]], noise[[0, 2]], atol=EXACT)
    assert float(broken[1]) == 1.0 and float(its_noise[1]) == 1.0


def test_without_priors_around_the_estimate_both_are_one() -> None:
    state, evidence, priors = toy(2, 0.5, 2.0)
    scale, noise = told(state, [evidence], priors[2:])
    assert (scale == 1).all() and (noise == 1).all()


def test_evidence_whose_rows_hang_together_has_no_say_about_the_noise() -> None:
    state, whole, shared = shared_matches(3)
    priors = of_row(state, 0)
    alone = observe(BODY, state, [shared], FREE)
    assert (alone.whole.count == 0).all() and (alone.shared.count > 0).all() and alone.seen.all()
    assert (quality(alone, priors, linearized(BODY, state, priors, FREE)).noise == 1).all()
    both = observe(BODY, state, [whole, shared], FREE)
    assert torch.allclose(both.whole.gradient, normal_equations(BODY, state, [whole], FREE).gradient)
