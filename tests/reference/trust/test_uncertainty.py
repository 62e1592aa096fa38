"""How sure a result is, against textbook posteriors and draws; what is kept of it in a file; and why bodies moved."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from priors import NearEstimate, NearShape, NearTranslation
from priors.default import default_priors
from refine.body import SkinnedBody, pose_body
from refine.solve import Decision, Verdict, inverse_information
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.normal_equations import normal_equations
from refine.solve.round import Quality, Round
from refine.state import State, Unknowns, one_shape
from refine.terms import LeastSquares, Linearization, Term
from refine.terms.keypoints import keypoints_from_sigma
from refine.trust.uncertainty import MM_PER_M, PARTS_SHARE, Posterior, joint_sigma_mm, posterior, vertex_sigma_mm
from tests.people import case
from tests.synthetic import random_body, random_state

BODY = random_body(joints=10, vertices=40, faces=60, shapes=3)
FREE = Unknowns((1, 2, 3, 5), 2)
TAKEN = Verdict(Decision.ACCEPTED)
EVERYTHING = Unknowns(tuple(range(10)), 3)
SIGMA_RAD = 0.4
EXACT = 1e-9
ROUNDED = 1e-4
DRAWS = 4000
DRAWN = 0.08
"""Relative error of a standard deviation from so many draws (1.1 %), and what bends over a step of two hundredths of a
radian."""


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Linear:
    """Evidence that is linear in the step: J (B, N, D, P) and what is left of it at the result, r (B, N, D)."""

    jacobian: Tensor
    residual: Tensor

    def linearize(self, state: State, posed: object, unknowns: Unknowns) -> Linearization:
        return Linearization(self.residual, self.jacobian, LeastSquares())


def around(state: State) -> tuple[Term, ...]:
    sigma = torch.full((len(BODY.joint_names),), SIGMA_RAD, dtype=torch.float64)
    bodies = state.bodies
    return NearEstimate(bodies.pose, sigma), NearShape(bodies.shape), NearTranslation(bodies.translation)


def unsolved(
    body: SkinnedBody, state: State, evidence: tuple[Term, ...], priors: tuple[Term, ...], free: Unknowns
) -> Round:
    """A round that ends at its start."""
    solution = LevenbergMarquardt(steps=0).solve(body, state, [*evidence, *priors], free)
    return Round(replace(solution, linear=None), evidence, priors)


def inverse(information: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(information))


def toy(count: int, noise: float = 1.0, rows: int = 80) -> tuple[Round, Tensor, Tensor]:
    """Linear-Gaussian bodies at the minimum of their cost, its distance (B, P) from the truth, and the textbook's
    information.

    Every row is moved by one joint, shape or translation beside, as a body's points are.
    """
    state = random_state(BODY, count)
    priors = around(state)
    prior = normal_equations(BODY, state, priors, FREE).information
    jacobian = 3 * normal(count, rows, 1, FREE.size, seed=1)
    owner = torch.arange(rows) % len(FREE.joints)
    other = torch.arange(3 * len(FREE.joints)) // 3 != owner[:, None]
    jacobian[..., FREE.pose_columns] *= ~other[:, None]
    flat = jacobian[:, :, 0]
    true = prior.diagonal(dim1=-2, dim2=-1).rsqrt() * normal(count, FREE.size, seed=2)  # these priors are diagonal
    at_start = noise * normal(count, rows, seed=3) - (flat @ true[..., None])[..., 0]
    information = prior + flat.mT @ flat / noise**2
    found = -(inverse(information) @ flat.mT @ at_start[..., None])[..., 0] / noise**2
    left = at_start + (flat @ found[..., None])[..., 0]
    return unsolved(BODY, state, (Linear(jacobian, left[..., None]),), priors, FREE), found - true, information


def test_without_evidence_the_posterior_is_the_prior() -> None:
    state = random_state(BODY, 2)
    found = posterior(BODY, unsolved(BODY, state, (), around(state), FREE))
    plain = inverse(normal_equations(BODY, state, around(state), FREE).information)
    assert torch.allclose(found.covariance, plain, rtol=EXACT) and (found.noise == 1).all()
    assert torch.allclose(found.covariance[:, 0, 0].sqrt(), torch.full((2,), SIGMA_RAD, dtype=torch.float64))


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_the_posterior_of_a_linear_gaussian_case_is_the_textbooks_on_average(noise: float) -> None:
    last, error, information = toy(300, noise)
    found = posterior(BODY, last)
    variance = found.covariance.diagonal(dim1=-2, dim2=-1)
    ratio = variance.mean(0) / inverse(information).diagonal(dim1=-2, dim2=-1).mean(0)
    # At the minimum the score of a part that is alone with a column is nearly zero: of the two halves the plain one is
    # left.
    assert (ratio > 0.9 * (1 - PARTS_SHARE)).all() and (ratio < 1.4).all()
    assert (ratio[FREE.pose_columns.stop :] > 0.7).all(), "what all parts speak of is known as well as they say"
    assert 0.8 * noise < found.noise.mean() < 1.25 * noise
    within = (error.abs() < variance.sqrt()).double().mean()
    assert 0.5 < within < 0.78


def test_the_covariance_is_one() -> None:
    last, _, _ = toy(3)
    covariance = posterior(BODY, last).covariance
    assert torch.allclose(covariance, covariance.mT, atol=EXACT)
    assert (torch.linalg.eigvalsh(covariance) > 0).all()


def test_a_posterior_does_not_feel_its_batch() -> None:
    last, _, _ = toy(3)
    evidence = last.evidence[0]
    assert isinstance(evidence, Linear)
    some = last.state[[2]]
    alone = unsolved(BODY, some, (Linear(evidence.jacobian[2:], evidence.residual[2:]),), around(some), FREE)
    assert torch.allclose(posterior(BODY, alone).covariance[0], posterior(BODY, last).covariance[2], rtol=1e-6)


def test_evidence_without_rows_or_that_is_not_finite_tells_nothing() -> None:
    last, _, _ = toy(2)
    evidence = last.evidence[0]
    assert isinstance(evidence, Linear)
    broken = evidence.residual.clone()
    broken[1] = torch.nan
    empty = Linear(evidence.jacobian[:, :0], evidence.residual[:, :0])
    found = posterior(BODY, replace(last, evidence=(Linear(evidence.jacobian, broken), empty)))
    none = posterior(BODY, replace(last, evidence=()))
    assert torch.allclose(found.covariance[0], posterior(BODY, last).covariance[0], rtol=EXACT)
    assert torch.allclose(found.covariance[1], none.covariance[1], rtol=EXACT)


def test_what_was_rolled_back_is_known_as_well_as_regressors_usually_know_it() -> None:
    """However narrow the priors around a good estimate were, and whatever the evidence says."""
    last, _, _ = toy(3)
    narrow = Quality(*torch.full((2, 3), 0.2, dtype=torch.float64))
    verdict = (TAKEN, Verdict(Decision.TOO_LARGE), TAKEN)
    found = posterior(BODY, replace(last, verdict=verdict, quality=narrow))
    usual = normal_equations(BODY, last.state, last.priors, FREE).information
    assert torch.allclose(found.covariance[1], inverse(usual)[1], rtol=1e-6)
    assert (found.covariance.diagonal(dim1=-2, dim2=-1)[0, :12] < 0.21**2 * SIGMA_RAD**2).all()


def test_a_branch_that_was_put_back_is_known_as_well_as_before_and_the_rest_as_by_the_evidence() -> None:
    names = tuple("left_knee" if joint == 2 else name for joint, name in enumerate(BODY.joint_names))
    body, (last, _, _) = replace(BODY, joint_names=names), toy(2)
    kept = (Verdict(Decision.PARTLY_ACCEPTED, kept=("left leg",)), TAKEN)
    some, whole = posterior(body, replace(last, verdict=kept)), posterior(body, last)
    leg = slice(3 * FREE.joints.index(2), 3 * FREE.joints.index(2) + 3)
    eye = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(some.covariance[0, leg, leg], SIGMA_RAD**2 * eye, rtol=1e-6)
    assert torch.allclose(some.covariance[1], whole.covariance[1], rtol=EXACT)
    assert (some.covariance[0, :3, :3].diagonal() < 0.5 * SIGMA_RAD**2).all()


# ---- from columns to millimetres -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> tuple[State, Posterior, State]:
    """Two bodies, what is known of them, and draws of the first."""
    state = random_state(BODY, 2, 4)
    size = torch.full((EVERYTHING.size,), 0.02, dtype=torch.float64)
    size[EVERYTHING.shape_columns] = 0.1
    mix = torch.eye(EVERYTHING.size, dtype=torch.float64) + 0.2 * normal(2, EVERYTHING.size, EVERYTHING.size, seed=5)
    half = size[:, None] * mix / mix.norm(dim=-1, keepdim=True)
    step = (half[0] @ normal(EVERYTHING.size, DRAWS, seed=6)).mT
    many = state[[0] * DRAWS].retract(EVERYTHING, step)
    return state, Posterior(EVERYTHING, half @ half.mT, torch.ones(2, dtype=torch.float64)), many


def test_a_joints_sigma_is_that_of_draws_from_the_posterior(drawn: tuple[State, Posterior, State]) -> None:
    state, found, many = drawn
    sigma = joint_sigma_mm(BODY, state, found)[0]
    joints = pose_body(BODY, many.bodies).joints
    plain = torch.cat((joints[:, :1], joints[:, 1:] - joints[:, :1]), 1).std(0) * MM_PER_M
    assert torch.allclose(sigma, plain, rtol=DRAWN, atol=0.05)


def test_a_vertexs_sigma_is_that_of_draws_from_the_posterior(drawn: tuple[State, Posterior, State]) -> None:
    state, found, many = drawn
    chosen = BODY.faces.unique()[[7, 2, 20]]
    sigma = vertex_sigma_mm(BODY, state, found, chosen)
    posed = pose_body(BODY, many.bodies)
    plain = (posed.vertices[:, chosen] - posed.joints[:, :1]).std(0) * MM_PER_M
    assert torch.allclose(sigma[0], plain, rtol=DRAWN, atol=0.05)
    assert torch.allclose(vertex_sigma_mm(BODY, state, found, chosen.flip(0)), sigma.flip(1))
    assert vertex_sigma_mm(BODY, state, found, chosen[:0]).shape == (2, 0, 3)


def test_what_nothing_observes_has_an_infinite_sigma_where_it_matters_and_only_there() -> None:
    state = random_state(BODY, 1)
    free = Unknowns((1, 2, 3, 4), 0)
    known = torch.full((1, free.size), 1e4, dtype=torch.float64)
    known[:, 3 * free.joints.index(2) : 3 * free.joints.index(2) + 3] = 0.0
    found = Posterior(free, inverse_information(torch.diag_embed(known)), torch.ones(1, dtype=torch.float64))
    sigma = joint_sigma_mm(BODY, state, found)[0]
    parents = BODY.parents.tolist()

    def hangs_on(joint: int) -> bool:
        parent = parents[joint]
        return parent >= 0 and (parent == 2 or hangs_on(parent))

    below = torch.tensor([hangs_on(joint) for joint in range(len(parents))])
    assert below.any() and not below.all()
    assert torch.equal(sigma.isinf().any(1), below) and sigma[~below].isfinite().all()


def test_more_evidence_never_makes_a_joint_less_sure(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, count=2)
    true, points = people.true, builtin_body.keypoint_set("body25")
    sharp = torch.full((2, 25), 3.0)
    some = sharp.clone()
    some[:, ::2] = torch.inf
    free = Unknowns(tuple(range(22)), 10)
    sigma = []
    for sigma_px in (torch.full_like(sharp, torch.inf), some, sharp, sharp / 2):
        term = keypoints_from_sigma(points, people.detections.pixel, sigma_px)
        last = unsolved(builtin_body, true.state, (term,), default_priors(true), free)
        sigma.append(joint_sigma_mm(builtin_body, true.state, posterior(builtin_body, last))[:, :22])
    for less, more in pairwise(sigma):
        assert (more <= 1.02 * less + 0.01).all() and more[:, 1:].mean() < 0.95 * less[:, 1:].mean()


def test_a_row_of_a_group_is_as_sure_as_its_group_makes_it() -> None:
    """Photos of one person: each knows the shape by all of them, and who is alone in a group knows what it did."""
    alone, _, _ = toy(3)
    state, terms = alone.state, (*alone.evidence, *alone.priors)
    bodies = replace(state.bodies, shape=state.bodies.shape.mean(0, keepdim=True).expand_as(state.bodies.shape))
    state = replace(state, bodies=bodies)
    sigma = []
    for labels in ([-1, -1, -1], [0, 0, -1]):
        free = replace(FREE, groups=one_shape(torch.tensor(labels)))
        solution = LevenbergMarquardt(steps=0).solve(BODY, state, terms, free)
        found = posterior(BODY, Round(replace(solution, linear=None), alone.evidence, alone.priors))
        sigma.append(found.covariance[:, FREE.shape_columns, FREE.shape_columns].diagonal(dim1=1, dim2=2).sqrt())
    apart, together = sigma
    assert (together[:2] < 0.95 * apart[:2]).all() and (together[:2] > 0.5 * apart[:2]).all()
    assert torch.allclose(together[2], apart[2], rtol=1e-6)
