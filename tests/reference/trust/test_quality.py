"""How wrong an estimate and its evidence are: the spectrum against the dense Gaussian, shares of observations, scaled priors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import Tensor

from priors import JointLimits, NearEstimate, NearShape, NearTranslation
from refine.body import PosedBody, pose_body
from refine.errors import InputError
from refine.solve.normal_equations import NormalEquations, normal_equations, row_sizes
from refine.solve.observability import observe
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, LeastSquares, Linearization, RelativePrior, Term
from refine.terms.correspondences import Correspondences
from refine.terms.reprojection import Reprojection
from refine.terms.whiten import isotropic
from refine.trust.discounted import Discounted
from refine.trust.quality import log_evidence, quality, scaled, spectrum, split, usual_width
from tests.synthetic import random_body, random_state

BODY = random_body(joints=8, vertices=40, faces=60, shapes=4)
FREE = Unknowns((1, 2, 3), 2)
EXACT = 1e-8
WIDE = 1e4
"""Standard deviation of a prior that stands for none."""
WIDE_TOLERANCE = 1e-5
"""What a prior of that width still says, and the ridge."""
SCALES = torch.logspace(-1, 0.5, 7, dtype=torch.float64)
NOISES = torch.logspace(-0.3, 0.6, 5, dtype=torch.float64)
HONEST = torch.ones(1, dtype=torch.float64)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_rows(jacobian: Tensor, residual: Tensor) -> NormalEquations:
    """The equations of rows (B, N, P) and residuals (B, N), without robustness."""
    energy = residual.square().sum(1)
    count = torch.full_like(energy, residual.shape[1])
    gradient = (jacobian.mT @ residual[..., None])[..., 0]
    return NormalEquations(jacobian.mT @ jacobian, gradient, 0.5 * energy[:, None], energy, count)


def of_prior(information: Tensor, away: Tensor) -> NormalEquations:
    """The equations of a Gaussian prior with information (B, P, P), a step (B, P) away from its middle."""
    pull = (information @ away[..., None])[..., 0]
    energy = (pull * away).sum(1)
    return NormalEquations(information, pull, 0.5 * energy[:, None], energy, torch.full_like(energy, 1.0))


def inverse(information: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(information))


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


@dataclass(frozen=True)
class Linear:
    """Evidence that is linear in the step from where it is asked: J and r (B, N) as they are."""

    jacobian: Tensor
    residual: Tensor

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        return Linearization(self.residual[..., None], self.jacobian[:, :, None], LeastSquares())


def toy(count: int, wrong: float, noise: float, seed: int = 0) -> tuple[State, Linear, tuple[Term, ...]]:
    """Estimates that are `wrong` times as wrong as their priors say, seen by evidence `noise` times as noisy as it says."""
    state = random_state(BODY, count, seed)
    priors: tuple[Term, ...] = (
        NearEstimate(state.bodies.pose), NearShape(state.bodies.shape), NearTranslation(state.bodies.translation),
    )  # fmt: skip
    width = normal_equations(BODY, state, priors, FREE).information.diagonal(dim1=-2, dim2=-1).rsqrt()
    jacobian = 30 * normal(count, 60, FREE.size, seed=seed + 1)
    step = wrong * width * normal(count, FREE.size, seed=seed + 2)
    residual = -(jacobian @ step[..., None])[..., 0] + noise * normal(count, 60, seed=seed + 3)
    return state, Linear(jacobian, residual), priors


def told(state: State, evidence: Sequence[Term], priors: Sequence[Term]) -> tuple[Tensor, Tensor]:
    found = quality(BODY, state, observe(BODY, state, evidence, FREE), priors)
    return found.scale, found.noise


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
    assert (quality(BODY, state, alone, priors).noise == 1).all()
    both = observe(BODY, state, [whole, shared], FREE)
    assert torch.allclose(both.whole.gradient, normal_equations(BODY, state, [whole], FREE).gradient)


# ---- shares, sums and parts of normal equations --------------------------------------------------------------------


def shared_matches(times: int, kernel: Kernel | None = None) -> tuple[State, Reprojection, Reprojection]:
    """The same matches whole, and each split into `times` shares."""
    kernel, state = kernel or GemanMcClure(3.0), random_state(BODY, 1, 2)
    draw = torch.Generator().manual_seed(3)
    triangle = torch.randint(0, len(BODY.faces), (1, 9), generator=draw)
    barycentric = torch.full((1, 9, 3), 1 / 3, dtype=torch.float64)
    target = state.camera.project(
        pose_body(BODY, state.bodies).surface(triangle, barycentric, Unknowns((), 0, 0, 0))[0]
    )
    target = target + 8 * torch.randn(1, 9, 2, generator=draw, dtype=torch.float64)
    root = isotropic(torch.full((1, 9), 3.0, dtype=torch.float64))
    whole = Correspondences(triangle, barycentric, target, root)
    share = torch.full((1, 9 * times), times**-0.5, dtype=torch.float64)
    parts = Correspondences(
        triangle.repeat(1, times), barycentric.repeat(1, times, 1), target.repeat(1, times, 1),
        root.repeat(1, times, 1, 1) * times**-0.5, share,
    )  # fmt: skip
    return state, Reprojection(whole, kernel), Reprojection(parts, kernel)


@pytest.mark.parametrize("kernel", [LeastSquares(), GemanMcClure(2.0)], ids=["squares", "geman"])
def test_a_match_split_into_shares_is_one_whole_match(kernel: Kernel) -> None:
    state, whole, shared = shared_matches(4, kernel)
    assert shared.correlated and not whole.correlated
    one, many = (normal_equations(BODY, state, [term], FREE) for term in (whole, shared))
    for name in ("information", "gradient", "cost", "energy", "count"):
        assert torch.allclose(getattr(one, name), getattr(many, name), rtol=EXACT), name
    linear = shared.linearize(state, pose_body(BODY, state.bodies), FREE)
    squared, share = row_sizes(linear)
    assert torch.allclose(squared * share, linear.residual.square().sum(-1))


def test_the_count_is_that_of_informed_numbers_and_the_energy_that_of_the_quadratic_model() -> None:
    state, whole, _ = shared_matches(1, LeastSquares())
    root = whole.matches.sqrt_information.clone()
    root[:, :4] = 0.0
    some = normal_equations(BODY, state, [Reprojection(replace(whole.matches, sqrt_information=root))], FREE)
    silent = normal_equations(BODY, state, [Reprojection(replace(whole.matches, sqrt_information=0 * root))], FREE)
    plain = normal_equations(BODY, state, [whole], FREE)
    assert float(plain.count) == 2 * 9 and 0 < float(some.count) <= 2 * 5 and float(silent.count) == 0
    assert torch.allclose(plain.energy, 2 * plain.cost)


def test_a_share_must_be_above_zero() -> None:
    _, _, shared = shared_matches(2)
    assert shared.matches.share is not None
    with pytest.raises(InputError, match=r"matches\.share"):
        replace(shared.matches, share=0 * shared.matches.share)


def test_a_discounted_term_has_as_much_smaller_residuals_and_keeps_its_shares() -> None:
    state, whole, shared = shared_matches(3)
    noise = torch.full((1,), 1.7, dtype=torch.float64)
    for term in (whole, shared):
        sooner = term.linearize(state, pose_body(BODY, state.bodies), FREE)
        later = Discounted(term, noise).linearize(state, pose_body(BODY, state.bodies), FREE)
        assert torch.allclose(later.residual * 1.7, sooner.residual)
        assert torch.allclose(later.jacobian * 1.7, sooner.jacobian)
        assert later.share is sooner.share


def test_discounted_equations_are_those_of_wider_sigmas_with_the_same_weights() -> None:
    state, whole, _ = shared_matches(1, LeastSquares())
    wider = replace(whole.matches, sqrt_information=whole.matches.sqrt_information / 1.7)
    sooner = normal_equations(BODY, state, [Reprojection(wider, LeastSquares())], FREE)
    later = normal_equations(BODY, state, [whole], FREE).discounted(torch.full((1,), 1.7, dtype=torch.float64))
    for name in ("information", "gradient", "cost", "energy", "count"):
        assert torch.allclose(getattr(later, name), getattr(sooner, name)), name


def test_equations_add_up_and_some_columns_are_those_of_fewer_unknowns() -> None:
    state, whole, shared = shared_matches(3)
    one, other, both = (normal_equations(BODY, state, terms, FREE) for terms in ([whole], [shared], [whole, shared]))
    total = one.plus(other)
    few = Unknowns((2,), 1)
    part, plain = both.columns(FREE.places_of(few)), normal_equations(BODY, state, [whole, shared], few)
    for name in ("information", "gradient", "cost", "energy", "count"):
        assert torch.allclose(getattr(total, name), getattr(both, name)), name
        assert torch.allclose(getattr(part, name), getattr(plain, name)), name


def test_columns_that_are_not_among_the_unknowns_are_refused() -> None:
    for stranger in (Unknowns((5,)), Unknowns((1,), 3), Unknowns((1,), focal=1)):
        with pytest.raises(InputError, match="columns among"):
            FREE.places_of(stranger)


# ---- priors around the estimate ------------------------------------------------------------------------------------


def test_priors_around_the_estimate_are_told_apart_from_the_others() -> None:
    state = random_state(BODY, 2)
    priors = (*toy(2, 1.0, 1.0)[2], JointLimits())
    near, others = split(priors)
    assert near == list(priors[:2]) and others == list(priors[2:])
    assert all(isinstance(prior, RelativePrior) for prior in near) and len(state) == 2


def test_a_scaled_prior_is_as_much_wider_and_the_usual_width_undoes_it() -> None:
    state, _, priors = toy(2, 1.0, 1.0)
    moved = state.retract(FREE, 0.1 * normal(2, FREE.size, seed=20))
    scale = torch.tensor([0.5, 3.0], dtype=torch.float64)
    wider = scaled(priors, scale)
    assert wider[2] is priors[2]
    twice = scaled(wider, scale)
    # A wrong pose is no sign of a wrong shape: that prior gets narrower, but no wider.
    for number, factor in ((0, scale), (1, scale.clamp(max=1))):
        usual, once, again = (
            terms[number].linearize(moved, pose_body(BODY, moved.bodies), FREE) for terms in (priors, wider, twice)
        )  # type: ignore[union-attr]
        for share, linear in ((factor, once), (factor**2, again)):
            assert torch.allclose(linear.residual * share[:, None, None], usual.residual)
            assert torch.allclose(linear.jacobian * share[:, None, None, None], usual.jacobian)
    for back, prior in zip(usual_width(twice), priors, strict=True):
        assert type(back) is type(prior)
        assert all(getattr(back, each.name) is getattr(prior, each.name) for each in fields(prior))  # type: ignore[arg-type]


def test_a_body_nothing_is_known_of_has_a_usual_estimate() -> None:
    """No evidence, and no prior on the columns that are integrated out."""
    state, evidence, priors = toy(2, 0.5, 1.0)
    seen = torch.tensor([1.0, 0.0], dtype=torch.float64)
    half = Linear(evidence.jacobian * seen[:, None, None], evidence.residual * seen[:, None])
    scale, noise = told(state, [half], priors[:2])
    nobody, _ = told(state, [Linear(0 * evidence.jacobian, 0 * evidence.residual)], priors[:2])
    assert bool(torch.cat((scale, noise)).isfinite().all()) and torch.allclose(scale[1], nobody[1])


def test_near_shape_pulls_back_to_the_estimates_coefficients() -> None:
    state = random_state(BODY, 2)
    prior = NearShape(state.bodies.shape, sigma=0.25)
    step = torch.zeros(2, FREE.size, dtype=torch.float64)
    step[:, FREE.shape_columns] = torch.tensor([0.5, -0.25], dtype=torch.float64)
    moved = state.retract(FREE, step)
    linear = prior.linearize(moved, pose_body(BODY, moved.bodies), FREE)
    assert torch.allclose(linear.residual[..., 0], torch.tensor([2.0, -1.0], dtype=torch.float64).expand(2, 2))
    assert torch.allclose((linear.jacobian[:, :, 0] @ step[..., None])[..., 0], linear.residual[..., 0])


@pytest.mark.parametrize("scale", [[0.0, 1.0], [1.0, float("nan")]])
def test_a_scale_that_is_not_above_zero_is_refused(scale: list[float]) -> None:
    state = random_state(BODY, 2)
    for prior in (NearEstimate(state.bodies.pose), NearShape(state.bodies.shape)):
        with pytest.raises(InputError, match="scale"):
            prior.scaled(torch.tensor(scale, dtype=torch.float64))
    with pytest.raises(InputError, match="noise"):
        Discounted(prior, torch.tensor(scale, dtype=torch.float64))
