"""Detections with left and right swapped, of people whose truth is known."""

import pytest
import torch
from torch import Tensor

from priors import JointLimits, NearEstimate, NearShape, NearTranslation
from refine.body import SkinnedBody, pose_body
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.keypoints.detections import own_points
from refine.method.swaps import LEAST_GAIN, Swap, gains_of, likely_swaps, swaps_of
from refine.solve.start import Kind
from refine.state import State
from refine.terms import Term
from refine.terms.keypoints import Keypoints, keypoints_from_sigma

PEOPLE = 48
SIGMA_PX = 4.0
"""About a hundredth of a person's height in the demo's photos, as detectors err."""


def around(state: State) -> list[Term]:
    bodies = state.bodies
    return [NearEstimate(bodies.pose), NearShape(bodies.shape), NearTranslation(bodies.translation), JointLimits()]


def seen(body: SkinnedBody, strength: str, seed: int = 0) -> tuple[State, Tensor]:
    """Estimates of a strength, and where a detector sees the true people's coco17."""
    true = people(body, PEOPLE)
    pixel = true.camera.project(pose_body(body, true.bodies).keypoints(body.keypoint_set("coco17")))
    noise = SIGMA_PX * torch.randn(pixel.shape, generator=torch.Generator().manual_seed(seed))
    return disturb(body, true, strength, range(seed, seed + PEOPLE)), pixel + noise  # type: ignore[arg-type]


def detected(body: SkinnedBody, pixel: Tensor) -> Keypoints:
    return keypoints_from_sigma(body.keypoint_set("coco17"), pixel, torch.full(pixel.shape[:2], SIGMA_PX))


def all_swaps(body: SkinnedBody) -> tuple[Swap, ...]:
    return swaps_of(body.keypoint_set("coco17"))


def test_swaps_are_their_own_inverse_and_keep_the_middle(builtin_body: SkinnedBody) -> None:
    swaps, names = all_swaps(builtin_body), builtin_body.keypoint_set("coco17").names
    assert {swap.kind for swap in swaps} == {Kind.SWAPPED, Kind.SWAPPED_ARMS, Kind.SWAPPED_LEGS}
    for swap in swaps:
        assert [swap.order[place] for place in swap.order] == list(range(len(names)))
        moved = {names[place] for place, other in enumerate(swap.order) if place != other}
        assert moved and not any(name == "nose" for name in moved)
    legs = next(swap for swap in swaps if swap.kind is Kind.SWAPPED_LEGS)
    assert {names[place] for place, other in enumerate(legs.order) if place != other} == {
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    }  # fmt: skip


@pytest.mark.parametrize("strength", ["weak", "medium", "strong"])
def test_swaps_that_move_a_keypoint_are_recognised(strength: str, builtin_body: SkinnedBody) -> None:
    state, pixel = seen(builtin_body, strength)
    found = total = 0
    for swap in all_swaps(builtin_body):
        swapped = pixel[:, list(swap.order)]
        moves = (swapped - pixel).norm(dim=-1).amax(1) > 3 * SIGMA_PX
        starts = likely_swaps(builtin_body, state, detected(builtin_body, swapped), around(state))
        found += sum(start is not None for start, there in zip(starts, moves.tolist(), strict=True) if there)
        total += int(moves.sum())
    assert total > 4 * PEOPLE and found >= 0.95 * total, (found, total)


def test_what_is_not_swapped_is_hardly_taken_for_swapped(builtin_body: SkinnedBody) -> None:
    """By the linear cost alone; whether a start is taken the solved costs decide, and the gate."""
    found = 0
    for seed, strength in enumerate(("weak", "medium", "strong", "near")):
        state, pixel = seen(builtin_body, strength, seed)
        found += sum(
            start is not None
            for start in likely_swaps(builtin_body, state, detected(builtin_body, pixel), around(state))
        )
    assert found <= 0.02 * 4 * PEOPLE, found


def test_an_exact_swap_of_a_perfect_estimate_costs_what_its_keypoints_say(builtin_body: SkinnedBody) -> None:
    """With priors so narrow that nothing moves, the gain is the difference of the robust costs."""
    true = people(builtin_body, 2)
    pixel = true.camera.project(pose_body(builtin_body, true.bodies).keypoints(builtin_body.keypoint_set("coco17")))
    swap = all_swaps(builtin_body)[0]
    term = detected(builtin_body, pixel[:, list(swap.order)])
    narrow = torch.full((len(builtin_body.joint_names),), 1e-6)
    held: list[Term] = [NearEstimate(true.bodies.pose, narrow), NearTranslation(true.bodies.translation, (1e-6,) * 3)]
    held.append(NearShape(true.bodies.shape, 1e-6))
    gain = gains_of(builtin_body, true, term, held, [swap.order])[:, 0]
    squared = ((pixel[:, list(swap.order)] - pixel) / SIGMA_PX).square().sum(-1)
    assert torch.allclose(gain, 0.5 * term.kernel.rho(squared).sum(1).double(), rtol=1e-2)
    assert (gain > LEAST_GAIN).all()


def test_a_body_that_is_not_finite_has_no_swap_and_harms_nobody(builtin_body: SkinnedBody) -> None:
    state, pixel = seen(builtin_body, "medium")
    swapped = pixel[:, list(all_swaps(builtin_body)[0].order)]
    bodies = state.bodies
    pose = bodies.pose.clone()
    pose[0] = torch.nan
    broken = State(type(bodies)(pose, bodies.shape, bodies.expression, bodies.translation), state.camera)
    starts = likely_swaps(builtin_body, broken, detected(builtin_body, swapped), around(broken))
    assert starts[0] is None and sum(start is not None for start in starts[1:]) > 0.9 * PEOPLE


@pytest.mark.parametrize("name", ["coco133", "openpose137"])
def test_of_a_whole_body_set_the_bodys_arms_are_swapped_with_and_without_its_hands(
    builtin_body: SkinnedBody, name: str
) -> None:
    points = builtin_body.keypoint_set(name)
    own = own_points(points.names)
    arms = [swap.order for swap in swaps_of(points) if swap.kind is Kind.SWAPPED_ARMS]
    beyond = [any(place != taken for place, taken in enumerate(order) if place >= own) for order in arms]
    assert beyond.count(True) == 2 and beyond.count(False) == 2, "each with and without the shoulders"
    whole = [swap.order for swap in swaps_of(points) if swap.kind is Kind.SWAPPED]
    assert len(whole) == 2
