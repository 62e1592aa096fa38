"""Bending, a known shape and the ground: against sense."""

import math
from collections.abc import Callable

import pytest
import torch

from priors.bending_limits import HINGES, BendingLimits
from priors.fixed_shape import FixedShape
from priors.gaussian_shape import GaussianShape
from priors.ground_plane import GroundPlane
from priors.ground_points import ground_points
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPLX55
from refine.errors import InputError
from refine.geometry import rotation
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import Linearization, Term
from tests.drawn_terms import PERSON, POINTS, SHAPES, UNKNOWNS
from tests.synthetic import random_body, random_state


def linearize(term: Term, state: State, unknowns: Unknowns = UNKNOWNS, body: SkinnedBody = PERSON) -> Linearization:
    return term.linearize(state, pose_body(body, state.bodies), unknowns)


# Bending


def bent(name: str, axis: int, degrees: float) -> torch.Tensor:
    """The residual of one hinge of a T-pose, turned about one axis."""
    bodies = PERSON.rest_bodies(1)
    turn = torch.zeros(3, dtype=torch.float64)
    turn[axis] = math.radians(degrees)
    bodies.pose[0, SMPLX55.index(name)] = rotation.exp(turn)
    only = Unknowns(joints=(SMPLX55.index(name),))
    return linearize(BendingLimits(sigma=1.0), State(bodies, random_state(PERSON, 1).camera), only).residual


@pytest.mark.parametrize(
    ("name", "axis", "natural"),
    [("left_elbow", 1, -1), ("right_elbow", 1, 1), ("left_knee", 0, 1), ("right_knee", 0, 1)],
)
def test_a_hinge_is_cheap_one_way_and_dear_the_other(name: str, axis: int, natural: int) -> None:
    for degrees in (10.0, 45.0, 100.0):
        assert float(bent(name, axis, natural * degrees)) == pytest.approx(math.exp(-math.radians(degrees)))
        assert float(bent(name, axis, -natural * degrees)) == pytest.approx(math.exp(math.radians(degrees)))


@pytest.mark.parametrize(
    ("name", "where", "axis"), [("left_elbow", "left_wrist", 2), ("right_elbow", "right_wrist", 2)]
)
def test_an_elbow_bends_to_the_front(builtin_body: SkinnedBody, name: str, where: str, axis: int) -> None:
    assert _moved_by_bending(builtin_body, name, where)[axis] > 0.1


@pytest.mark.parametrize(("name", "where"), [("left_knee", "left_ankle"), ("right_knee", "right_ankle")])
def test_a_knee_bends_to_the_back(builtin_body: SkinnedBody, name: str, where: str) -> None:
    assert _moved_by_bending(builtin_body, name, where)[2] < -0.1


def _moved_by_bending(body: SkinnedBody, name: str, where: str) -> list[float]:
    """How the next joint moves, m, when a hinge bends by 60 degrees in the term's cheap direction."""
    _, axis, wrong = HINGES[name]
    bodies = body.rest_bodies(1)
    turn = torch.zeros(3)
    turn[axis] = -wrong * math.radians(60)
    bodies.pose[0, body.joint_names.index(name)] = rotation.exp(turn)
    at = body.joint_names.index(where)
    return (pose_body(body, bodies).joints - pose_body(body, body.rest_bodies(1)).joints)[0, at].tolist()


def test_only_free_hinges_speak() -> None:
    state = random_state(PERSON, 2)
    assert linearize(BendingLimits(), state, Unknowns(joints=(1, 4, 18))).residual.shape == (2, 2, 1)
    assert linearize(BendingLimits(), state, Unknowns(joints=(1, 2))).residual.shape == (2, 0, 1)


# Shape known


def test_a_fixed_shape_holds_against_evidence() -> None:
    state, known = random_state(PERSON, 2), torch.full((SHAPES,), 0.7, dtype=torch.float64)
    evidence = GaussianShape(sigma=0.1)
    unknowns = Unknowns(joints=(), shape=SHAPES)
    solution = LevenbergMarquardt().solve(PERSON, state, [FixedShape(known), evidence], unknowns)
    assert (solution.state.bodies.shape - known).abs().max() < 1e-3


def test_a_fixed_shape_must_be_the_models() -> None:
    state = random_state(PERSON, 2)
    with pytest.raises(InputError, match=r"FixedShape\.shape: expected a tensor of shape \(S=5\)"):
        linearize(FixedShape(torch.zeros(10, dtype=torch.float64)), state)
    with pytest.raises(InputError, match=r"FixedShape\.shape: expected a tensor of shape \(B=2, S=5\)"):
        linearize(FixedShape(torch.zeros(3, SHAPES, dtype=torch.float64)), state)
    with pytest.raises(InputError, match=r"FixedShape\.shape: expected finite values"):
        FixedShape(torch.tensor([0.0, math.nan]))


# Ground


def standing(body: SkinnedBody, height_m: float) -> State:
    """A T-posed body before a level camera, its lowest ground point at a height above a ground 1.5 m below."""
    bodies = body.rest_bodies(1)
    bodies.pose[0, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    points = ground_points(body)
    lowest = body.template[body.faces[points.triangle]].mean(1)[:, 1].min()
    bodies.translation[0] = torch.tensor([0.0, 1.5 + float(lowest) - height_m, 4.0])
    return State(bodies, random_state(body, 1).camera)


LEVEL = {"normal": torch.tensor([[0.0, -1.0, 0.0]]), "offset_m": torch.tensor([1.5])}


def test_a_body_above_the_ground_feels_nothing_and_one_below_is_lifted(builtin_body: SkinnedBody) -> None:
    plane = GroundPlane(ground_points(builtin_body), **LEVEL)
    unknowns = Unknowns(joints=())
    above = linearize(plane, standing(builtin_body, 0.01), unknowns, builtin_body)
    assert above.residual.abs().max() == 0 and above.jacobian.abs().max() == 0
    below = linearize(plane, standing(builtin_body, -0.1), unknowns, builtin_body)
    assert float(below.residual.min()) == pytest.approx(-0.1 / 0.02, rel=1e-3)
    solved = LevenbergMarquardt().solve(builtin_body, standing(builtin_body, -0.1), [plane], unknowns).state
    assert linearize(plane, solved, unknowns, builtin_body).residual.abs().max() < 0.1


def test_a_foot_in_contact_comes_down_to_the_ground(builtin_body: SkinnedBody) -> None:
    points = ground_points(builtin_body)
    plane = GroundPlane(points, **LEVEL, contact=points.on("left_sole")[None])
    unknowns = Unknowns(joints=())
    solved = LevenbergMarquardt().solve(builtin_body, standing(builtin_body, 0.2), [plane], unknowns).state
    soles = 1.5 - pose_body(builtin_body, solved.bodies).vertices[0, builtin_body.faces[points.triangle]].mean(1)[:, 1]
    assert soles[points.on("left_sole")].mean().abs() < 0.01


def test_soles_are_under_the_feet(builtin_body: SkinnedBody) -> None:
    points = ground_points(builtin_body)
    place = builtin_body.template[builtin_body.faces[points.triangle]].mean(1)
    for side, sign in (("left", 1), ("right", -1)):
        sole = place[points.on(f"{side}_sole")]
        assert (sign * sole[:, 0]).min() > 0 and sole[:, 1].max() < builtin_body.template[:, 1].min() + 0.05
        assert sole[:, 2].max() - sole[:, 2].min() > 0.15, "from heel to toe"


def test_a_plane_must_be_one() -> None:
    with pytest.raises(InputError, match=r"GroundPlane\.normal: expected unit vectors, got a length of 2"):
        GroundPlane(POINTS, torch.tensor([[0.0, -2.0, 0.0]]), torch.tensor([1.5]))
    with pytest.raises(InputError, match=r"GroundPlane\.offset_m: expected finite values"):
        GroundPlane(POINTS, torch.tensor([[0.0, -1.0, 0.0]]), torch.tensor([math.nan]))
    with pytest.raises(InputError, match=r"GroundPlane\.contact: expected a tensor of shape"):
        GroundPlane(POINTS, **LEVEL, contact=torch.zeros(1, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="contact_sigma_m: expected values above zero"):
        GroundPlane(POINTS, **LEVEL, contact_sigma_m=0.0)
    with pytest.raises(InputError, match="part: expected one of body, got 'left_sole'"):
        POINTS.on("left_sole")
    with pytest.raises(InputError, match="body: expected joints named left_ankle and left_foot"):
        ground_points(random_body())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: BendingLimits(sigma=0.0), "sigma: expected values above zero"),
        (lambda: FixedShape(torch.zeros(2), sigma=-1.0), "sigma: expected values above zero"),
        (lambda: GroundPlane(POINTS, **LEVEL, sigma_m=0.0), "sigma_m: expected values above zero"),
    ],
)
def test_a_sigma_must_be_above_zero(make: Callable[[], Term], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
