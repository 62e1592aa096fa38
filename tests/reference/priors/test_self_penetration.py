"""Self-penetration: what costs nothing, what touches, and a solve."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from priors.capsule_pairs import ALWAYS_M, NATURAL, _natural_poses, pairs_of
from priors.capsules import fit_capsules
from priors.near_estimate import NearEstimate
from priors.self_penetration import SelfPenetration
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm
from tests.squeezed import posed_state, squeezed
from tests.synthetic import random_body, random_state

EXACT = 1e-9
TERM = SelfPenetration()
JOINTS = tuple(range(22))
FREE = Unknowns(joints=(0, 1, 9, 16, 17, 18), shape=3, translation=3, focal=1)


@pytest.fixture(scope="module")
def body(builtin_body: SkinnedBody) -> SkinnedBody:
    return builtin_body.to(dtype=torch.float64)


def residual(state: State, body: SkinnedBody) -> Tensor:
    return TERM.linearize(state, pose_body(body, state.bodies), Unknowns((), translation=0)).residual[..., 0]


def test_natural_poses_cost_nothing(body: SkinnedBody) -> None:
    pose = _natural_poses(body.joint_names)
    state = posed_state(body, {}, len(NATURAL))
    state = replace(state, bodies=replace(state.bodies, pose=pose))
    assert ALWAYS_M <= TERM.slack_m
    found = TERM.linearize(state, pose_body(body, state.bodies), FREE)
    assert found.residual.abs().max() == 0 and found.jacobian.abs().max() == 0


def test_hardly_any_part_of_the_demo_people_lies_in_another(builtin_body: SkinnedBody) -> None:
    """Their bodies are not those of the people recorded: a few hands and forearms do lie in hips, by up to 4 cm."""
    found = residual(people(builtin_body, 64), builtin_body)
    assert (found > 1).double().mean() < 0.005
    assert (found > 1).any(1).double().mean() < 0.15
    assert found.max() < 4


def test_the_residual_is_smooth_where_contact_begins(body: SkinnedBody) -> None:
    names = pairs_of(body).names
    pair = names.index(("left_hip", "left_elbow"))
    turns = torch.linspace(-78, -96, 400).tolist()
    pose = torch.cat([posed_state(body, {"left_shoulder": (0, 0, turn)}).bodies.pose for turn in turns])
    state = posed_state(body, {}, len(turns))
    value = residual(replace(state, bodies=replace(state.bodies, pose=pose)), body)[:, pair]
    slope = value.diff()
    assert value[0] == 0 and value[-1] > 0.5
    assert slope.diff().abs().max() < 0.1 * slope.abs().max(), "the slope does not jump"


def test_one_sigma_beyond_slack_and_hinge_is_one(body: SkinnedBody) -> None:
    state = squeezed(body)
    deep, _ = TERM.penetration(pose_body(body, state.bodies))
    straight = deep > 0.005
    assert straight.any()
    torch.testing.assert_close(residual(state, body)[straight], (deep[straight] - 0.0025) / 0.01, atol=EXACT, rtol=0)


def vertices_inside(body: SkinnedBody, state: State, part: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Vertices of a part behind the surface of another at its nearest vertex."""
    vertices, faces = pose_body(body, state.bodies).vertices[0], body.faces
    corner = vertices[faces]
    normal = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = torch.zeros_like(vertices).index_add(0, faces.flatten(), normal.repeat_interleave(3, 0))
    owner = body.dense_weights.argmax(1)
    mine, theirs = (
        torch.isin(owner, torch.tensor([body.joint_names.index(name) for name in names])) for names in (part, other)
    )
    nearest = torch.cdist(vertices[mine], vertices[theirs]).argmin(1)
    return int((((vertices[mine] - vertices[theirs][nearest]) * normals[theirs][nearest]).sum(1) < 0).sum())


@pytest.mark.parametrize("elbow", [(0, 0, 0), (0, -30, 0), (0, -60, 0)])
def test_an_arm_in_the_trunk_is_pushed_out(builtin_body: SkinnedBody, elbow: tuple[float, float, float]) -> None:
    state = posed_state(builtin_body, {"left_shoulder": (0, 0, -98), "left_elbow": elbow, "right_shoulder": (0, 0, 80)})
    unknowns = Unknowns(JOINTS)
    solution = LevenbergMarquardt().solve(builtin_body, state, [NearEstimate(state.bodies.pose), TERM], unknowns)
    before, _ = TERM.penetration(pose_body(builtin_body, state.bodies))
    after, _ = TERM.penetration(pose_body(builtin_body, solution.state.bodies))
    assert before.max() > 0.02, "the arm begins in the trunk"
    assert after.max() < 0.005
    arm = ("left_elbow", "left_wrist")
    trunk = ("pelvis", "spine1", "spine2", "spine3", "left_hip", "right_hip")
    inside = vertices_inside(builtin_body, state, arm, trunk)
    assert vertices_inside(builtin_body, solution.state, arm, trunk) < inside / 2
    moved = rotation.log(state.bodies.pose.mT @ solution.state.bodies.pose).norm(dim=-1).rad2deg()[0]
    assert (
        moved.max() < 15 and moved[list(map(builtin_body.joint_names.index, ("right_elbow", "left_knee")))].max() < 0.1
    )


def test_a_part_without_enough_vertices_has_no_capsule(body: SkinnedBody) -> None:
    wrist, elbow = body.joint_names.index("left_wrist"), body.joint_names.index("left_elbow")
    hand = {j for j, below in enumerate(body.descendants[wrist].tolist()) if below}
    kept = torch.tensor([[elbow if j in hand else j for j in row] for row in body.weight_joints.tolist()])
    names = fit_capsules(replace(body, weight_joints=kept)).names
    assert "left_wrist" not in names and "right_wrist" in names
    few = random_body(vertices=60)
    state = random_state(few, 2)
    assert TERM.linearize(state, pose_body(few, state.bodies), Unknowns((0, 3))).jacobian.shape == (2, 0, 1, 9)


def test_no_unknowns_no_columns_and_the_term_is_a_term(body: SkinnedBody) -> None:
    state = squeezed(body, 2)
    found = TERM.linearize(state, pose_body(body, state.bodies), Unknowns((), translation=0))
    assert found.jacobian.shape == (2, len(pairs_of(body).first), 1, 0)
    assert isinstance(TERM, AnalyticTerm)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="sigma_m: expected values above zero"):
        SelfPenetration(sigma_m=0.0)
    with pytest.raises(InputError, match="sigma_m: expected values above zero"):
        SelfPenetration(sigma_m=float("nan"))
    for slack in (-0.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match="slack_m: expected a finite length"):
            SelfPenetration(slack_m=slack)


def test_recorded_people_are_seldom_flagged(builtin_body: SkinnedBody) -> None:
    """Of the recorded poses on a body not theirs; where they are, the meshes mostly do lie in each other."""
    folder = Path(os.environ.get("REFINE_ASSETS", Path(__file__).parents[4] / "shared" / "assets"))
    path = folder / "motion" / "cmu_poses.npz"
    if not path.is_file():
        pytest.skip(f"recorded poses are not here: {path} (set REFINE_ASSETS to the folder that holds motion/)")
    with np.load(path) as stored:
        turn = torch.tensor(stored["pose"][::5])
    state = posed_state(builtin_body, {}, len(turn))
    pose = state.bodies.pose.clone()
    pose[:, :22] = rotation.exp(turn)
    found = residual(replace(state, bodies=replace(state.bodies, pose=pose)), builtin_body)
    assert (found > 1).any(1).double().mean() < 0.06
    assert (found > 3).any(1).double().mean() < 0.01
