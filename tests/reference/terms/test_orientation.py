"""Orientations, trackers and clicks: conventions, silence, and what is refused."""

import math

import pytest
import torch

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import Unknowns
from refine.terms.clicks import Click, clicks
from refine.terms.orientation import Facing, head_turn, orientation
from refine.terms.trackers import trackers
from tests.people import Case, case

EXACT = 1e-5
CORE = Unknowns((0, 3, 6, 9, 12, 15))


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=3, name="coco17", angle=0.2)


def test_zero_faces_away_and_half_a_turn_into_the_camera(people: Case) -> None:
    """MEBOW's angles: 0 away from the camera, a quarter to the image's left, a half into the camera."""
    body = people.true.body
    for degrees, way in ((0, (0.0, 0, 1)), (90, (-1.0, 0, 0)), (180, (0.0, 0, -1)), (270, (1.0, 0, 0))):
        bodies = body.rest_bodies(3)
        upright = rotation.exp(torch.tensor([math.pi, 0.0, 0.0]))  # y up to y down: the face looks into the camera
        turn = rotation.exp(torch.tensor([0.0, math.radians(180 - degrees), 0.0])) @ upright
        pose = bodies.pose.clone()
        pose[:, 0] = turn
        state = people.true.state
        from dataclasses import replace

        state = replace(state, bodies=replace(bodies, pose=pose, translation=state.bodies.translation))
        posed = pose_body(body, state.bodies)
        assert torch.allclose(posed.rotations[0, 9] @ torch.tensor([0.0, 0, 1]), torch.tensor(way), atol=1e-5)
        term = Facing(torch.full((3,), math.radians(degrees)), torch.full((3,), 0.1))
        assert term.linearize(state, posed, CORE).residual.abs().max() < 1e-4
        other = Facing(torch.full((3,), math.radians(degrees + 90)), torch.full((3,), 0.1))
        assert (other.linearize(state, posed, CORE).residual.norm(dim=-1) > 10).all()


def test_a_head_that_looks_into_the_camera_has_angles_of_zero() -> None:
    zero, some = torch.zeros(1), torch.full((1,), 0.3)
    face = torch.tensor([0.0, 0.0, 1.0])
    crown = torch.tensor([0.0, 1.0, 0.0])
    assert torch.allclose(head_turn(zero, zero, zero)[0] @ face, -face, atol=EXACT)
    assert torch.allclose(head_turn(zero, zero, zero)[0] @ crown, -crown, atol=EXACT)
    assert (head_turn(some, zero, zero)[0] @ face)[0] > 0.2, "yaw: to the image's right"
    assert (head_turn(zero, some, zero)[0] @ face)[1] < -0.2, "pitch: up"
    assert (head_turn(zero, zero, some)[0] @ crown)[0] > 0.2, "roll: clockwise in the image"


def test_a_joint_as_it_is_leaves_nothing_and_a_turn_leaves_its_angle(people: Case) -> None:
    posed = pose_body(people.true.body, people.true.bodies)
    head = posed.rotations[:, people.true.body.joint_names.index("head")]
    state, sigma = people.true.state, torch.tensor([0.1, 0.1, torch.inf])
    assert orientation("head", head, sigma).linearize(state, posed, CORE).residual.abs().max() < 1e-3
    turned = rotation.exp(torch.tensor([0.0, -0.5, 0.0])) @ head
    left = orientation("head", turned, sigma).linearize(state, posed, CORE)
    assert torch.allclose(left.residual[:2, 0], torch.tensor([0.0, 5.0, 0.0]).expand(2, -1), atol=1e-2)
    assert (left.residual[2] == 0).all() and (left.jacobian[2] == 0).all(), "not known"


def test_sensors_say_what_they_measure_and_the_rest_is_silent(people: Case) -> None:
    posed, names = pose_body(people.true.body, people.true.bodies), people.true.body.joint_names
    joints = ("head", "left_wrist")
    numbers = [names.index(name) for name in joints]
    arm = torch.tensor([[0.0, 0.1, 0.05], [0.02, 0.0, 0.0]])
    place = posed.joints[:, numbers] + (posed.rotations[:, numbers] @ arm[..., None])[..., 0]
    up = (posed.rotations[:, numbers].mT @ torch.tensor([0.0, -1.0, 0.0])[:, None])[..., 0]
    place[0, 1] = torch.nan
    term = trackers(
        joints, position=place, rotation=posed.rotations[:, numbers], up_on_joint=9.81 * up, place_on_joint=arm
    )
    linear = term.linearize(people.true.state, posed, CORE)
    assert linear.residual.shape == (3, 6, 3) and linear.residual.abs().max() < 1e-2
    assert (linear.jacobian[0, 1] == 0).all() and (linear.jacobian[0, 3] != 0).any()
    only = trackers(joints, up_on_joint=up).linearize(people.true.state, posed, CORE)
    assert (only.jacobian[:, :4] == 0).all() and (only.jacobian[:, 4:] != 0).any()


def test_a_click_pulls_its_person_only(people: Case) -> None:
    posed, state = pose_body(people.true.body, people.true.bodies), people.true.state
    pixel = people.true.keypoints_2d("coco17")[1, 9]
    term = clicks(people.true.body, state, [Click("left_wrist", tuple((pixel + 6).tolist()), 1, sigma=2.0)])
    linear = term.linearize(state, posed, CORE)
    assert term.informed.tolist() == [False, True, False]
    assert (linear.residual[[0, 2]] == 0).all() and linear.residual[1, 0].abs().max() > 1
    corner = people.true.body.faces[100, 1]
    place = posed.vertices[2, corner]
    there = clicks(people.true.body, state, [Click(int(corner), tuple(place.tolist()), 2)])
    assert there.linearize(state, posed, CORE).residual.abs().max() < 1e-2


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_is_refused(people: Case) -> None:
    body, state = people.true.body, people.true.state
    eye, sigma = torch.eye(3).expand(3, 3, 3), torch.full((3,), 0.1)
    for wrong, message in (
        (lambda: orientation("head", 2 * eye, sigma), "scale or mirror"),
        (lambda: orientation("head", -eye, sigma), "scale or mirror"),
        (lambda: orientation("head", eye * torch.nan, sigma), "finite"),
        (lambda: orientation("head", eye, -sigma), "above zero"),
        (lambda: Facing(sigma * torch.nan, sigma), "finite"),
        (lambda: Facing(sigma, 0 * sigma), "above zero"),
        (lambda: trackers(("head",)), "none of them"),
        (lambda: trackers(("head",), position=torch.zeros(3, 2, 3)), "shape"),
        (lambda: trackers(("head",), position=torch.zeros(3, 1, 3), sigma_m=0.0), "above zero"),
        (lambda: clicks(body, state, []), "at least one"),
        (lambda: clicks(body, state, [Click("nose", (1.0, 1.0), 7)]), "click.person"),
        (lambda: clicks(body, state, [Click("third_arm", (1.0, 1.0))]), "click.point"),
        (lambda: clicks(body, state, [Click(10**6, (1.0, 1.0))]), "a vertex"),
        (lambda: clicks(body, state, [Click("nose", (-5.0, 1.0))]), "a pixel of"),
        (lambda: Click("nose", (1.0,)), "click.at"),
        (lambda: Click("nose", (1.0, math.nan)), "click.at"),
        (lambda: Click("nose", (1.0, 1.0), sigma=0.0), "click.sigma"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()
    term = orientation("tail", eye, sigma)
    with pytest.raises(InputError, match="joints of"):
        term.linearize(state, pose_body(body, state.bodies), CORE)
