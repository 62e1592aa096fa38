"""Shares, sums and parts of normal equations; discounted terms; priors around the estimate."""

from dataclasses import fields, replace

import pytest
import torch

from priors import JointLimits, NearEstimate, NearShape
from refine.body import pose_body
from refine.errors import InputError
from refine.solve.linearized import Linearized, linearized
from refine.solve.normal_equations import normal_equations, row_sizes, summed
from refine.state import Unknowns
from refine.terms import GemanMcClure, Kernel, LeastSquares, RelativePrior
from refine.terms.reprojection import Reprojection
from refine.trust.discounted import Discounted
from refine.trust.quality import scaled, split, usual_width
from tests.reference.trust.toy import BODY, EXACT, FREE, Linear, normal, shared_matches, told, toy
from tests.synthetic import random_state


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
        assert torch.allclose(later.whitened * 1.7, sooner.residual)
        assert later.share is sooner.share
        sums = [
            summed(Linearized(state, FREE, (each,)))
            for each in (later, replace(sooner, residual=sooner.residual / 1.7, jacobian=sooner.jacobian / 1.7,
                                        kernel=later.kernel))
        ]  # fmt: skip
        for name in ("information", "gradient", "cost", "energy", "count"):
            assert torch.allclose(*(getattr(each, name) for each in sums), rtol=EXACT), name


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
    part = summed(linearized(BODY, state, [whole, shared], FREE).narrowed(few))
    plain = normal_equations(BODY, state, [whole, shared], few)
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
