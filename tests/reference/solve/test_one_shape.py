"""Several photos of one person with one shape: the joint optimum, the common prior counted once."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from priors import FixedShape, GaussianShape, NearEstimate, NearFocal, NearTranslation
from refine.body import pose_body
from refine.errors import InputError
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import Groups, State, Unknowns, one_shape
from refine.terms import LeastSquares, Term
from refine.terms.points3d import Points3D
from tests.synthetic import random_body, random_state

OF_SIGMA = 1e-5
"""Of the posterior's standard deviation: how far from the joint optimum a shape may be."""
SMALL = replace(random_body(joints=4, vertices=20, faces=20, shapes=3, seed=2), joint_names=("a", "b", "c", "d"))
PHOTOS = 3
"""Of the one person; the fourth body is somebody else."""
UNKNOWNS = Unknowns((0, 1), 3, groups=one_shape(torch.tensor([5, 5, 5, -1])))
COMMON = GaussianShape(sigma=1.0)
PRECISE = LevenbergMarquardt(steps=60, cost_tolerance=1e-15)


def photos(noise: float) -> tuple[State, list[Term]]:
    """Estimates of four bodies, and terms: points in space, the estimate's pose and place, the common shape prior."""
    draw = torch.Generator().manual_seed(0)
    true = random_state(SMALL, 4, seed=1)
    true.bodies.shape[:PHOTOS] = torch.tensor([1.0, -0.5, 0.8], dtype=torch.float64)
    points = SMALL.keypoint_set("five")
    points = replace(
        points,
        joint_weights=torch.nn.functional.pad(torch.eye(4), (0, 0, 0, 1)).double(),
        triangle=torch.arange(5),
        barycentric=torch.cat((torch.zeros(4, 3), torch.ones(1, 3) / 3)).double(),
    )
    target = pose_body(SMALL, true.bodies).keypoints(points)
    target = target + noise * torch.randn(target.shape, generator=draw, dtype=torch.float64)
    start = State(replace(true.bodies, shape=torch.zeros_like(true.bodies.shape)), true.camera)
    evidence = Points3D(points, target, torch.full((4, 5), max(noise, 1e-3)).double(), LeastSquares())
    near = NearEstimate(start.bodies.pose, torch.full((4,), 0.3).double())
    return start, [evidence, near, NearTranslation(start.bodies.translation), COMMON]


def joint_optimum(start: State, terms: list[Term]) -> torch.Tensor:
    """The shape (3,) at the least cost of the person's photos together, the common prior counted once, by scipy."""
    group, own = start[:PHOTOS], UNKNOWNS.size - UNKNOWNS.shape

    def residual(step: np.ndarray) -> np.ndarray:
        apart = torch.from_numpy(step[3:]).reshape(PHOTOS, own)
        shared = torch.from_numpy(step[:3]).expand(PHOTOS, 3)
        pose = 3 * len(UNKNOWNS.joints)
        whole = torch.cat((apart[:, :pose], shared, apart[:, pose:]), 1)
        whole = torch.cat((whole, torch.zeros(1, UNKNOWNS.size, dtype=torch.float64)))
        moved = start.retract(UNKNOWNS, whole)
        posed = pose_body(SMALL, moved.bodies)
        parts = [term.linearize(moved, posed, UNKNOWNS).residual[:PHOTOS].flatten() for term in terms[:-1]]
        return torch.cat((*parts, shared[0])).numpy()  # the common prior once: sigma 1 around zero

    assert float(group.bodies.shape.abs().max()) == 0
    found = scipy.optimize.least_squares(residual, np.zeros(3 + PHOTOS * own), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return torch.from_numpy(found.x[:3])


@pytest.mark.usefixtures("unchecked")  # scipy asks for a thousand residuals
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_photos_of_one_person_come_to_the_joint_optimum(noise: float) -> None:
    start, terms = photos(noise)
    best = joint_optimum(start, terms)
    alone = PRECISE.solve(SMALL, start, terms, replace(UNKNOWNS, groups=None))
    found = PRECISE.solve(SMALL, start, terms, UNKNOWNS)
    columns = UNKNOWNS.shape_columns
    sigma = found.covariance()[:PHOTOS, columns, columns].diagonal(dim1=1, dim2=2).sqrt()
    assert float(((alone.state.bodies.shape[:PHOTOS] - best) / sigma).abs().max()) > 1.0, "alone, the photos disagree"
    assert float(((found.state.bodies.shape[:PHOTOS] - best) / sigma).abs().max()) < OF_SIGMA
    assert torch.allclose(found.state.bodies.shape[3], alone.state.bodies.shape[3], atol=1e-9), "a stranger feels it"
    before = alone.covariance()[:PHOTOS, columns, columns].diagonal(dim1=1, dim2=2).sqrt()
    assert (sigma < before).all() and torch.allclose(sigma, sigma[:1].expand(PHOTOS, -1), rtol=1e-9)


@pytest.mark.parametrize("prior", [GaussianShape(sigma=0.5), FixedShape(torch.ones(3).double(), sigma=0.5)])
def test_a_common_prior_is_counted_once(prior: Term) -> None:
    """Rows that know nothing but what is common know no more together than one of them."""
    unknowns = Unknowns((), shape=3, translation=0)
    state = random_state(SMALL, 3)
    together = replace(unknowns, groups=one_shape(["a", "a", "a"]))
    one = PRECISE.solve(SMALL, state, [prior], unknowns)
    three = PRECISE.solve(SMALL, state, [prior], together)
    assert torch.allclose(three.covariance(), one.covariance(), rtol=1e-9)
    assert torch.allclose(three.state.bodies.shape, one.state.bodies.shape, atol=1e-9)


def test_a_rule_for_the_focal_length_is_counted_once() -> None:
    unknowns = Unknowns((), translation=0, focal=1)
    state = random_state(SMALL, 2)
    prior = NearFocal(state.camera.focal * 1.1, sigma=0.2)
    together = replace(unknowns, groups=Groups(focal=torch.zeros(2, dtype=torch.long)))
    found = PRECISE.solve(SMALL, state, [prior], together)
    assert torch.allclose(found.covariance(), torch.full((2, 1, 1), 0.04, dtype=torch.float64), rtol=1e-9)
    assert torch.allclose(found.state.camera.focal, state.camera.focal * 1.1)


def test_nobody_is_in_no_group_however_it_is_said() -> None:
    for person in ([None, "a", "a"], [-1, 7, 7], np.array([-1, 7, 7]), torch.tensor([-1, 7, 7])):
        label = one_shape(person).shape
        assert label is not None and int(label[0]) < 0 <= int(label[1]) and label[1] == label[2]


@pytest.mark.usefixtures("unchecked")
def test_what_names_nobody_is_refused() -> None:
    for person in ([], 5, [[0], [0]]):
        with pytest.raises(InputError, match="person"):
            one_shape(person)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"unknowns\.groups"):
        Unknowns((0,), groups="anna")  # type: ignore[arg-type]
