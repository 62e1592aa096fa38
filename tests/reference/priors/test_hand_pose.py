"""Hands: the distribution against its formula, the anatomy against sense, and the files users have."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from priors import HandPose, HandSpace
from priors.hand_space import JOINTS, SIGMA_REST_RAD, anatomy, read_hand_spaces
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPLX55
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Linearization, Term
from tests.reference.body.official_files import random_model, write_npz
from tests.synthetic import random_body, random_state

BODY = replace(random_body(joints=55), joint_names=SMPLX55)


def linearize(term: Term, state: State, unknowns: Unknowns, body: SkinnedBody = BODY) -> Linearization:
    return term.linearize(state, pose_body(body, state.bodies), unknowns)


HAND = {side: tuple(SMPLX55.index(f"{side}_{name}") for name in JOINTS) for side in ("left", "right")}


def with_hand(side: str, pose: torch.Tensor) -> State:
    bodies = BODY.rest_bodies(1)
    bodies.pose[0, list(HAND[side])] = rotation.exp(pose.reshape(15, 3))
    return State(bodies, random_state(BODY, 1).camera)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_costs_its_coefficients_and_what_lies_outside(side: str) -> None:
    space = anatomy() if side == "left" else anatomy().mirrored()
    draw = torch.Generator().manual_seed(1)
    coefficients = 0.3 * torch.randn(len(space.std), generator=draw, dtype=torch.float64)
    rest = 0.05 * torch.randn(45, generator=draw, dtype=torch.float64)
    rest = rest - space.components.mT @ (space.components @ rest)
    state = with_hand(side, space.mean + space.components.mT @ coefficients + rest)
    residual = linearize(HandPose(), state, Unknowns(joints=HAND[side])).residual
    expected = (coefficients / space.std).square().sum() + rest.square().sum() / SIGMA_REST_RAD**2
    assert float(residual.square().sum()) == pytest.approx(float(expected), rel=1e-9)


def test_the_mean_hand_costs_nothing_on_either_side() -> None:
    for side, space in (("left", anatomy()), ("right", anatomy().mirrored())):
        assert (
            linearize(HandPose(), with_hand(side, space.mean), Unknowns(joints=HAND[side])).residual.abs().max() < 1e-9
        )


def test_a_fist_is_cheaper_than_fingers_bent_backwards_or_sideways() -> None:
    def cost(side: str, axis: int, degrees: float) -> float:
        """Of four fingers bent alike, their last joints by two thirds."""
        pose = torch.zeros(15, 3, dtype=torch.float64)
        pose[:12, axis] = math.radians(degrees) * torch.tensor([1.0, 1.0, 2 / 3], dtype=torch.float64).repeat(4)
        state = with_hand(side, pose.flatten())
        return float(linearize(HandPose(), state, Unknowns(joints=HAND[side])).residual.square().sum())

    assert cost("left", 2, -80) < cost("left", 2, 50)
    assert cost("right", 2, 80) == pytest.approx(cost("left", 2, -80))
    assert cost("left", 1, 40) > 10 * cost("left", 2, 50)


def test_fingertips_of_the_mean_hand_point_down_to_the_palm(builtin_body: SkinnedBody) -> None:
    bodies = builtin_body.rest_bodies(1)
    for side, space in (("left", anatomy()), ("right", anatomy().mirrored())):
        bodies.pose[0, list(HAND[side])] = rotation.exp(space.mean.float().reshape(15, 3))
    moved = (pose_body(builtin_body, bodies).joints - pose_body(builtin_body, builtin_body.rest_bodies(1)).joints)[0]
    for side in ("left", "right"):
        for finger in ("index", "middle", "ring", "pinky", "thumb"):
            assert moved[SMPLX55.index(f"{side}_{finger}3"), 1] < -0.001


def test_joints_that_are_not_free_say_nothing() -> None:
    only = Unknowns(joints=(SMPLX55.index("left_index1"), SMPLX55.index("right_thumb2")))
    state = with_hand("left", torch.zeros(45, dtype=torch.float64))
    other = with_hand("left", torch.cat((torch.zeros(3), 0.5 * torch.ones(42))).double())
    found, changed = linearize(HandPose(), state, only), linearize(HandPose(), other, only)
    assert found.residual.shape == (1, 6, 1) and torch.equal(found.residual, changed.residual)


def test_a_body_without_fingers_has_no_rows() -> None:
    body = random_body(joints=24)
    state = random_state(body, 2)
    assert linearize(HandPose(), state, Unknowns(joints=(0, 1)), body).residual.shape == (2, 0, 1)


def hand_file(folder: Path, *, mano: bool = False, name: str = "SMPLX_NEUTRAL.npz", **changed: object) -> Path:
    draw = np.random.default_rng(0)
    arrays = {} if mano else random_model("smplx", 20)
    for end in ("",) if mano else ("l", "r"):
        arrays[f"hands_components{end}"] = np.linalg.qr(draw.standard_normal((45, 45)))[0]
        arrays[f"hands_mean{end}"] = 0.3 * draw.standard_normal(45)
        arrays[f"hands_coeffs{end}"] = draw.standard_normal((200, 45)) * np.linspace(0.5, 0.05, 45)
    return write_npz(folder / name, {**arrays, **changed})


def test_hands_are_read_from_a_users_model_file(tmp_path: Path) -> None:
    prior = HandPose.read(hand_file(tmp_path), 10)
    assert prior.right is not None and prior.left.components.shape == (10, 45)
    assert not torch.equal(prior.left.mean, prior.right.mean)
    assert prior.left.std[0] == pytest.approx(0.5, rel=0.2) and prior.left.sigma_rest_rad < 0.4
    both = Unknowns(joints=(*HAND["left"], *HAND["right"]))
    assert linearize(prior, with_hand("left", prior.left.mean), both).residual[0, :45].abs().max() < 1e-9


def test_a_mano_file_gives_one_hand_and_its_mirror_image(tmp_path: Path) -> None:
    left, right = read_hand_spaces(hand_file(tmp_path, mano=True, name="MANO_RIGHT.npz"))
    assert torch.equal(left.mirrored().mean, right.mean) and len(right.std) == 12
    with pytest.raises(InputError, match="side: expected 'left' or 'right', got None"):
        read_hand_spaces(hand_file(tmp_path, mano=True, name="hand.npz"))


def test_files_without_hands_or_with_broken_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hands_componentsl: expected an array of shape"):
        HandPose.read(write_npz(tmp_path / "SMPL_NEUTRAL.npz", random_model("smpl", 10)))
    with pytest.raises(InputError, match=r"hand\.components: expected orthonormal rows"):
        HandPose.read(hand_file(tmp_path, hands_componentsl=np.ones((45, 45))))
    with pytest.raises(InputError, match="hands_coeffsl: expected an array of shape"):
        HandPose.read(hand_file(tmp_path, hands_coeffsl=np.ones((9, 12))))
    with pytest.raises(InputError, match="count: expected 1 to 44 components"):
        HandPose.read(hand_file(tmp_path), 45)
    with pytest.raises(InputError, match=r"hand\.std: expected values above zero"):
        HandSpace(torch.eye(2, 45), torch.zeros(45), torch.tensor([0.1, 0.0]))
