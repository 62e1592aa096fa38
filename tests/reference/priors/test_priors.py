"""Priors against their formulas, and values at the edges."""

import math
from dataclasses import replace

import pytest
import torch

from priors import GaussianShape, JointLimits, NearEstimate, NearTranslation
from priors.default import stated_sigma_rad
from priors.joint_ranges import HUMAN_RANGES
from priors.swing_twist import swing_twist
from refine.body import SkinnedBody, pose_body
from refine.body.anatomy import OTHER_SIGMA_RAD, SIGMA_RAD, person
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Linearization, Term
from tests.people import case
from tests.synthetic import random_body, random_state

NAMES = (
    "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
    "neck "
    "left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_index1 right_pinky3"
).split()
BODY = replace(random_body(joints=24), joint_names=tuple(NAMES))
UNKNOWNS = Unknowns(joints=(0, 2, 4, 5, 7, 12, 16, 17, 18, 19, 21, 23), shape=4, translation=3, focal=1)


def linearize(term: Term, state: State, unknowns: Unknowns = UNKNOWNS) -> Linearization:
    return term.linearize(state, pose_body(BODY, state.bodies), unknowns)


def terms(count: int) -> list[Term]:
    near = random_state(BODY, count, seed=5).bodies
    return [
        NearEstimate(near.pose),
        NearEstimate(near.pose, torch.rand(count, 24, dtype=torch.float64) + 0.1),
        NearTranslation(near.translation),
        GaussianShape(),
        GaussianShape(sigma=0.5, mean=near.shape),
        JointLimits(),
    ]


@pytest.mark.parametrize("swing", [0.0, 1e-6, 1e-3, 9.9e-3, 1.01e-2, 0.5, 2.0, 3.0])
def test_swing_and_twist_come_back_and_differentiate_at_any_swing(swing: float) -> None:
    draw = torch.Generator().manual_seed(3)
    for axis in torch.eye(3, dtype=torch.float64):
        across = torch.randn(20, 3, generator=draw, dtype=torch.float64)
        across = across - (across * axis).sum(1, keepdim=True) * axis
        across = swing * across / across.norm(dim=1, keepdim=True)
        twist = 2 * torch.rand(20, 1, generator=draw, dtype=torch.float64) - 1
        local = rotation.exp(across) @ rotation.exp(twist * axis)
        angles, by_step = swing_twist(local, axis)
        assert (angles - across - twist * axis).abs().max() < 1e-9

        def walked(step: torch.Tensor, local: torch.Tensor = local, axis: torch.Tensor = axis) -> torch.Tensor:
            return swing_twist(local @ rotation.exp(step), axis)[0]

        h = 1e-5
        for column, direction in enumerate(torch.eye(3, dtype=torch.float64)):
            slope = (walked(h * direction) - walked(-h * direction)) / (2 * h)
            assert (slope - by_step[..., column]).abs().max() < 1e-5 * max(1.0, by_step.abs().max().item())


def test_a_step_stays_finite_where_the_swing_is_a_half_turn() -> None:
    angles, by_step = swing_twist(torch.diag(torch.tensor([-1.0, -1.0, 1.0])), torch.tensor([1.0, 0, 0]))
    assert angles.isfinite().all() and by_step.isfinite().all()


def test_nothing_pulls_at_the_estimate_itself() -> None:
    state = random_state(BODY, 3)
    bodies = state.bodies
    for term in (NearEstimate(bodies.pose), NearTranslation(bodies.translation), GaussianShape(mean=bodies.shape)):
        assert linearize(term, state).residual.abs().max() < 1e-12


def test_one_sigma_away_costs_one_half() -> None:
    rest = State(BODY.rest_bodies(1), random_state(BODY, 1).camera)
    turned = rest.bodies.pose.clone()
    turned[0, 18] = rotation.exp(torch.tensor([0.0, SIGMA_RAD["elbow"], 0.0], dtype=torch.float64))
    moved = State(replace(rest.bodies, pose=turned), rest.camera)
    residual = linearize(NearEstimate(rest.bodies.pose), moved).residual
    assert float(0.5 * (residual**2).sum()) == pytest.approx(0.5, abs=1e-12)


def test_the_rest_pose_is_inside_all_limits() -> None:
    rest = State(BODY.rest_bodies(2), random_state(BODY, 2).camera)
    found = linearize(JointLimits(), rest)
    assert found.residual.abs().max() == 0 and found.jacobian.abs().max() == 0


def bent(name: str, degrees: tuple[float, float, float]) -> torch.Tensor:
    pose = BODY.rest_bodies(1).pose.clone()
    pose[0, NAMES.index(name)] = rotation.exp(torch.tensor(degrees, dtype=torch.float64).deg2rad())
    return pose


def beyond(name: str, degrees: tuple[float, float, float]) -> float:
    """By how many degrees a joint turned from rest about one axis is beyond its range."""
    found = JointLimits().violations(bent(name, degrees), tuple(NAMES)).rad2deg()
    assert found.sum() == found[0, NAMES.index(name)]
    return float(found.sum())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pelvis"])
def test_a_limit_begins_where_its_range_ends(name: str) -> None:
    found = HUMAN_RANGES[name.removeprefix("left_").removeprefix("right_")]
    found = found.mirrored() if name.startswith("right_") else found
    for axis, (low, high) in enumerate((found.x, found.y, found.z)):
        for angle, expected in ((low + 1, 0), (high - 1, 0), (low - 2, 2), (high + 2, 2)):
            degrees = [0.0, 0.0, 0.0]
            degrees[axis] = float(angle)
            assert beyond(name, (degrees[0], degrees[1], degrees[2])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("left_knee", (90, 0, 0), (-30, 0, 0)),  # the shin goes back, not forward
        ("right_knee", (90, 0, 0), (-30, 0, 0)),
        ("left_elbow", (0, -90, 0), (0, 40, 0)),  # the forearm goes forward, not back
        ("right_elbow", (0, 90, 0), (0, -40, 0)),
        ("left_elbow", (0, -90, 0), (0, 0, -60)),  # nor down
        ("right_elbow", (0, 90, 0), (0, 0, 60)),
        ("left_knee", (90, 0, 0), (0, 60, 0)),  # a straight knee does not twist
        ("left_hip", (-90, 0, 0), (90, 0, 0)),  # the thigh goes forward further than back
        ("left_hip", (0, 0, 45), (0, 0, -60)),  # and out further than across
        ("right_hip", (0, 0, -45), (0, 0, 60)),
        ("left_shoulder", (0, 0, 85), (0, 90, 0)),  # the arm goes up, and not straight back
        ("right_shoulder", (0, 0, -85), (0, -90, 0)),
        ("left_index1", (0, 0, -80), (0, 0, 80)),  # fingers close toward the palm
    ],
)
def test_joints_bend_the_way_people_do(
    name: str, right: tuple[float, float, float], wrong: tuple[float, float, float]
) -> None:
    assert beyond(name, right) == 0
    assert beyond(name, wrong) > 20


def test_a_violation_is_counted_in_sigmas_and_grows_linearly() -> None:
    limits = JointLimits(sigma_rad=math.radians(5))
    camera = random_state(BODY, 1).camera
    for excess in (5.0, 10.0, 20.0):
        bodies = replace(BODY.rest_bodies(1), pose=bent("left_knee", (-5 - excess, 0, 0)))
        assert float(linearize(limits, State(bodies, camera)).residual.norm()) == pytest.approx(excess / 5, abs=1e-9)


def test_fixed_joints_have_no_rows_and_no_unknowns_no_columns() -> None:
    state = random_state(BODY, 2, angle=1.0)
    nothing = Unknowns(joints=(), shape=0, translation=0)
    for term in terms(2):
        found = linearize(term, state, nothing)
        assert found.jacobian.shape[-1] == 0
        assert found.residual.shape[1] == 0 or isinstance(term, NearTranslation)


def test_sigmas_are_looked_up_by_name_for_both_sides() -> None:
    sigma = person(("pelvis", "left_elbow", "right_elbow", "left_thumb2")).usual_sigma_rad
    assert list(sigma) == [SIGMA_RAD["pelvis"], SIGMA_RAD["elbow"], SIGMA_RAD["elbow"], OTHER_SIGMA_RAD]


def test_errors_are_expected_to_grow_down_each_limb() -> None:
    assert SIGMA_RAD["hip"] < SIGMA_RAD["knee"] < SIGMA_RAD["ankle"]
    assert SIGMA_RAD["collar"] < SIGMA_RAD["shoulder"] < SIGMA_RAD["elbow"] <= SIGMA_RAD["wrist"]


def test_a_sigma_must_be_above_zero() -> None:
    pose = BODY.rest_bodies(1).pose
    with pytest.raises(InputError, match="sigma_rad: expected values above zero"):
        NearEstimate(pose, torch.zeros(24, dtype=torch.float64))
    with pytest.raises(InputError, match="sigma_m: expected values above zero"):
        NearTranslation(pose[:, 0, 0], sigma_m=(0.1, 0.0, 0.1))
    with pytest.raises(InputError, match="sigma: expected values above zero"):
        GaussianShape(sigma=-1.0)
    with pytest.raises(InputError, match="sigma_rad: expected values above zero"):
        JointLimits(sigma_rad=float("nan"))


def test_the_priors_are_terms() -> None:
    assert all(isinstance(term, Term) for term in terms(1))


def test_a_body_without_these_joints_is_not_limited() -> None:
    stranger: SkinnedBody = random_body(joints=24)
    state = random_state(stranger, 2, angle=2.0)
    assert JointLimits().linearize(state, pose_body(stranger, state.bodies), UNKNOWNS).residual.shape == (2, 0, 3)


def test_a_regressors_own_uncertainty_decides_between_joints_not_how_wrong_it_is(builtin_body: SkinnedBody) -> None:
    estimate = case(builtin_body, 2).estimate
    assert stated_sigma_rad(estimate) is None
    usual = builtin_body.usual_sigma_rad.float()
    said = usual.repeat(2, 1)
    said[0, 5] *= 3.0
    said[1] *= 40.0  # another unit
    said[1, 7] = torch.nan
    told = stated_sigma_rad(replace(estimate, source=replace(estimate.source, sigma_rad=said)))
    assert told is not None
    middle = 3.0 ** (1 / 22)
    torch.testing.assert_close(told[0, 5], 3.0 / middle * usual[5])
    torch.testing.assert_close(told[0, 4], usual[4] / middle)
    torch.testing.assert_close(told[1], usual)
