"""One person in several photos: against the joint optimum, and what must not be told."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from priors import GaussianShape, NearEstimate, NearTranslation, SharedShape, share_shape
from priors.shared_shape import NOBODY
from refine.body import pose_body
from refine.errors import InputError
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Term
from refine.terms.points3d import Points3D
from tests.synthetic import random_body, random_state

SAME = 1e-12
ONE_EXCHANGE = 0.1
"""Of the posterior's standard deviation: how far from the optimum one exchange may leave a shape (alone: over 1)."""
SETTLED = 1e-3
"""After three exchanges; each leaves a hundredth of what was."""

SMALL = replace(random_body(joints=4, vertices=20, faces=20, shapes=3, seed=2), joint_names=("a", "b", "c", "d"))
SMALL_UNKNOWNS = Unknowns(joints=(0, 1), shape=3)
PERSON = torch.tensor([5, 5, 5, NOBODY])
PHOTOS = 3
"""Of the one person; the fourth body is somebody else."""
COMMON = GaussianShape(sigma=1.0)
PRECISE = LevenbergMarquardt(steps=40, cost_tolerance=1e-15)


def photos(noise: float) -> tuple[State, list[Term]]:
    """Estimates of four bodies, and terms: points in space, the estimate's pose and place, the common shape prior."""
    draw = torch.Generator().manual_seed(0)
    true = random_state(SMALL, 4, seed=1)
    true.bodies.shape[:PHOTOS] = torch.tensor([1.0, -0.5, 0.8], dtype=torch.float64)
    points = SMALL.keypoint_set("five")
    points = replace(points, joint_weights=torch.nn.functional.pad(torch.eye(4), (0, 0, 0, 1)).double())
    points = replace(
        points, triangle=torch.arange(5), barycentric=torch.cat((torch.zeros(4, 3), torch.ones(1, 3) / 3)).double()
    )
    target = pose_body(SMALL, true.bodies).keypoints(points)
    target = target + noise * torch.randn(target.shape, generator=draw, dtype=torch.float64)
    start = State(replace(true.bodies, shape=torch.zeros_like(true.bodies.shape)), true.camera)
    evidence = Points3D(points, target, torch.full((4, 5), max(noise, 1e-3)).double(), LeastSquares())
    return start, [
        evidence,
        NearEstimate(start.bodies.pose, torch.full((4,), 0.3).double()),
        NearTranslation(start.bodies.translation),
        COMMON,
    ]


def joint_optimum(start: State, terms: list[Term]) -> torch.Tensor:
    """The shape (3,) at the least cost of the person's photos together, the common prior counted once, by scipy."""
    group, own = start[:PHOTOS], SMALL_UNKNOWNS.size - SMALL_UNKNOWNS.shape

    def residual(step: np.ndarray) -> np.ndarray:
        apart = torch.from_numpy(step[3:]).reshape(PHOTOS, own)
        shared = torch.from_numpy(step[:3]).expand(PHOTOS, 3)
        pose = 3 * len(SMALL_UNKNOWNS.joints)
        whole = torch.cat((apart[:, :pose], shared, apart[:, pose:]), 1)
        whole = torch.cat((whole, torch.zeros(1, SMALL_UNKNOWNS.size, dtype=torch.float64)))
        moved = start.retract(SMALL_UNKNOWNS, whole)
        posed = pose_body(SMALL, moved.bodies)
        parts = [term.linearize(moved, posed, SMALL_UNKNOWNS).residual[:PHOTOS].flatten() for term in terms[:-1]]
        return torch.cat(
            (*parts, shared[0])
        ).numpy()  # the common prior once: sigma 1 around zero, from a start of zero

    assert float(group.bodies.shape.abs().max()) == 0
    found = scipy.optimize.least_squares(residual, np.zeros(3 + PHOTOS * own), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return torch.from_numpy(found.x[:3])


@pytest.mark.usefixtures("unchecked")  # scipy asks for a thousand residuals
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_bodies_of_one_person_come_to_the_joint_optimum(noise: float) -> None:
    start, terms = photos(noise)
    best = joint_optimum(start, terms)
    heard: SharedShape | None = None
    errors = []
    for _ in range(4):
        solution = PRECISE.solve(SMALL, start, terms if heard is None else [*terms, heard], SMALL_UNKNOWNS)
        columns = SMALL_UNKNOWNS.shape_columns
        sigma = solution.covariance()[:PHOTOS, columns, columns].diagonal(dim1=1, dim2=2).sqrt()
        errors.append(float(((solution.state.bodies.shape[:PHOTOS] - best) / sigma).abs().max()))
        heard = share_shape(
            PERSON,
            solution.state.bodies,
            information=solution.information,
            unknowns=SMALL_UNKNOWNS,
            common=COMMON,
            heard=heard,
        )
    assert errors[0] > 1.0, "alone, the photos disagree"
    assert errors[1] < ONE_EXCHANGE and errors[3] < SETTLED


def test_who_is_in_no_group_does_not_feel_it() -> None:
    start, terms = photos(0.01)
    alone = PRECISE.solve(SMALL, start, terms, SMALL_UNKNOWNS)
    heard = share_shape(
        PERSON, alone.state.bodies, information=alone.information, unknowns=SMALL_UNKNOWNS, common=COMMON
    )
    found = heard.linearize(alone.state, pose_body(SMALL, alone.state.bodies), SMALL_UNKNOWNS)
    assert found.residual[3].abs().max() == 0 and found.jacobian[3].abs().max() == 0
    assert found.residual[:PHOTOS].abs().amax((1, 2)).min() > 0


def test_two_who_agree_do_not_count_their_common_prior_twice() -> None:
    """Two bodies that know nothing but the common prior have nothing to tell each other."""
    state = random_state(SMALL, 2)
    unknowns = Unknowns(joints=(), shape=3, translation=0)
    solution = PRECISE.solve(SMALL, state, [GaussianShape(sigma=0.5)], unknowns)
    heard = share_shape(
        torch.zeros(2, dtype=torch.long),
        solution.state.bodies,
        information=solution.information,
        unknowns=unknowns,
        common=GaussianShape(sigma=0.5),
    )
    assert heard.information.abs().max() < SAME and heard.vector.abs().max() < SAME


def test_a_body_that_is_not_finite_neither_speaks_nor_hears() -> None:
    start, terms = photos(0.01)
    alone = PRECISE.solve(SMALL, start, terms, SMALL_UNKNOWNS)
    broken = alone.information.clone()
    broken[0] = math.nan
    heard = share_shape(PERSON, alone.state.bodies, information=broken, unknowns=SMALL_UNKNOWNS, common=COMMON)
    two = share_shape(
        torch.tensor([NOBODY, 5, 5, NOBODY]),
        alone.state.bodies,
        information=alone.information,
        unknowns=SMALL_UNKNOWNS,
        common=COMMON,
    )
    assert torch.allclose(heard.information, two.information) and torch.allclose(heard.vector, two.vector)


def test_sharing_refuses_what_cannot_be_shared() -> None:
    bodies = random_state(SMALL, 2).bodies
    person = torch.zeros(2, dtype=torch.long)
    with pytest.raises(InputError, match=r"unknowns\.shape: expected free coefficients"):
        share_shape(person, bodies, information=torch.zeros(2, 3, 3).double(), unknowns=Unknowns(joints=()))
    unknowns = Unknowns(joints=(), shape=3, translation=0)
    apart = GaussianShape(mean=torch.tensor([[0.0, 0, 0], [1, 0, 0]]).double())
    with pytest.raises(InputError, match=r"common\.mean: expected one mean for all bodies of a person"):
        share_shape(person, bodies, information=torch.eye(3).expand(2, 3, 3).double(), unknowns=unknowns, common=apart)
