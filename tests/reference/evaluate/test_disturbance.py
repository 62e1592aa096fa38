"""Disturbed estimates are as wrong as their strength says, in the way it says, and the same in every batch."""

import pytest
import torch

from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate import disturbance, metrics
from refine.evaluate.disturbance import PA_MPJPE_MM, disturb, joint_sigma_rad, strength_of
from refine.evaluate.people import NEAREST_M, people, poses
from refine.geometry.rotation import log

PEOPLE, DRAWS = 32, 4
TOLERANCE = 0.10


@pytest.mark.parametrize("strength", PA_MPJPE_MM)
def test_the_mean_error_is_the_strengths_number(builtin_body: SkinnedBody, strength: str) -> None:
    true = people(builtin_body, PEOPLE, seed=1)
    many = true[torch.arange(PEOPLE).repeat(DRAWS)]
    seeds = [5000 + draw for draw in range(len(many))]  # other people and draws than it was calibrated with
    found = float(strength_of(builtin_body, disturb(builtin_body, many, strength, seeds), many).mean())
    assert found == pytest.approx(PA_MPJPE_MM[strength], rel=TOLERANCE, abs=1e-3)


def test_an_estimate_does_not_feel_its_batch(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 4)
    together = disturb(builtin_body, true, "medium", [3, 1, 4, 1])
    for body, seed in enumerate([3, 1, 4, 1]):
        alone = disturb(builtin_body, true[body : body + 1], "medium", [seed])
        assert (alone.bodies.pose[0] - together.bodies.pose[body]).abs().max() < 1e-6
        assert (alone.bodies.translation[0] - together.bodies.translation[body]).abs().max() < 1e-5
    others = disturb(builtin_body, true, "medium", [2, 1, 4, 1])
    assert (others.bodies.pose[0] - together.bodies.pose[0]).abs().max() > 0.01
    assert (others.bodies.pose[1:] - together.bodies.pose[1:]).abs().max() < 1e-6


def test_errors_add_up_down_each_chain(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, PEOPLE)
    estimate = disturb(builtin_body, true, "medium", list(range(PEOPLE)))
    joints, true_joints = (pose_body(builtin_body, state.bodies).joints for state in (estimate, true))
    off = ((joints - joints[:, :1]) - (true_joints - true_joints[:, :1])).norm(dim=-1).mean(0)
    names = builtin_body.joint_names
    for side in ("left", "right"):
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            errors = [float(off[names.index(f"{side}_{joint}")]) for joint in chain]
            assert errors == sorted(errors)


def test_the_truth_itself_is_the_perfect_estimate(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 2)
    perfect = disturb(builtin_body, true, "perfect", [0, 1])
    assert (
        pose_body(builtin_body, perfect.bodies).vertices - pose_body(builtin_body, true.bodies).vertices
    ).abs().max() < 1e-5


def test_hands_are_weak_and_faces_are_left_alone(builtin_body: SkinnedBody) -> None:
    sigma = dict(zip(builtin_body.joint_names, joint_sigma_rad(builtin_body.joint_names).tolist(), strict=True))
    assert sigma["left_wrist"] == sigma["right_wrist"] == max(sigma.values())
    assert sigma["left_index2"] == sigma["right_thumb3"] == disturbance.FINGER_SIGMA_RAD
    assert sigma["jaw"] == sigma["left_eye_smplhf"] == 0


def test_a_disturbed_rotation_has_the_stated_spread(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 1)
    many = true[torch.zeros(400, dtype=torch.long)]
    estimate = disturb(builtin_body, many, "medium", list(range(400)))
    knee = builtin_body.joint_names.index("left_knee")
    turned = log(many.bodies.pose[:, knee].mT @ estimate.bodies.pose[:, knee])
    expected = disturbance.SCALE["medium"] * disturbance.SIGMA_RAD["knee"]
    assert float(turned.std()) == pytest.approx(expected, rel=0.1)


def test_the_camera_and_the_argument_stay_as_they_were(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 2)
    before = true.bodies.pose.clone()
    assert disturb(builtin_body, true, "weak", [0, 1]).camera is true.camera
    assert torch.equal(true.bodies.pose, before)


def test_an_unknown_strength_or_a_missing_seed_is_told(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 2)
    with pytest.raises(InputError, match="strength: expected one of weak, medium"):
        disturb(builtin_body, true, "terrible", [0, 1])
    with pytest.raises(InputError, match="seeds: expected one a body, 2, got 1"):
        disturb(builtin_body, true, "weak", [0])


def test_people_stand_upright_in_the_middle_of_their_photos(builtin_body: SkinnedBody) -> None:
    state = people(builtin_body, 12)
    posed = pose_body(builtin_body, state.bodies)
    pixel = state.camera.project(posed.vertices)
    low, high = pixel.amin(1), pixel.amax(1)
    height, width = state.camera.size[0].tolist()
    assert (((low + high) / 2 - state.camera.center).abs() < 2).all()
    assert (low > 0).all() and (high[:, 0] < width).all() and (high[:, 1] < height).all()
    filled = torch.stack(((high - low)[:, 1] / height / 0.80, (high - low)[:, 0] / width / 0.84), 1).amax(1)
    near = state.bodies.translation[:, 2] < NEAREST_M + 1e-3
    assert (filled < 1.01).all() and (filled[~near] > 0.99).all() and near.sum() <= 4
    head, pelvis = (posed.joints[:, builtin_body.joint_names.index(name), 1] for name in ("head", "pelvis"))
    assert (head < pelvis).all(), "y points down: the head is above the pelvis"


def test_people_are_the_same_for_every_count(builtin_body: SkinnedBody) -> None:
    few, many = people(builtin_body, 2), people(builtin_body, 5)
    assert (few.bodies.pose - many.bodies.pose[:2]).abs().max() < 1e-6
    assert (few.bodies.shape - many.bodies.shape[:2]).abs().max() < 1e-6
    with pytest.raises(InputError, match="count: expected 1 to 64 people, got 65"):
        people(builtin_body, 65)


def test_the_stored_poses_are_inside_the_joint_limits(builtin_body: SkinnedBody) -> None:
    from priors import JointLimits
    from refine.geometry.rotation import exp

    beyond = JointLimits().violations(exp(poses().double()), builtin_body.joint_names[:22])
    assert beyond.max() < 1e-6


def test_a_metric_of_a_disturbed_body_is_in_millimetres(builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 1)
    vertices = pose_body(builtin_body, true.bodies).vertices
    pelvis = pose_body(builtin_body, true.bodies).joints[:, 0]
    shifted = vertices + torch.tensor([0.0, 0.005, 0.0])
    assert float(metrics.pve(shifted, vertices, pelvis, pelvis)) == pytest.approx(5.0, rel=1e-3)
