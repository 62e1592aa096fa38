"""Evidence of another photo, of a cut of it or of a neighbour is not believed, however consistent it is, and the
verdict names the likely cause."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import refine
from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.evaluate.disturbance import as_estimate, disturb
from refine.evaluate.people import people
from refine.geometry.camera import Camera
from refine.refiner import Refiner
from refine.result.sentences import sentence, verdict_of
from refine.solve import Decision, StopReason, Verdict
from refine.state import State
from refine.trust.gate import Gate
from refine.trust.place import Move, move_of, place_of

COUNT = 8
ASIDE_PX = 300
"""About half of everybody's height in these photos."""
WIDTH_PX = 1280.0
"""People stand in the middle of photos so wide that somebody 300 px aside is in the photo too."""
PLACES = (Decision.BESIDE, Decision.RESIZED, Decision.ELSEWHERE)
ANYWHERE = Gate(most_shift=math.inf, most_growth=math.inf)
"""Does not ask where people are."""
BOUNDS = (Gate().most_shift, Gate().most_growth)
FACTOR_OFF = 0.2
"""Share by which a factor of one half is misjudged: the estimate's own place and size are off by a tenth."""


@pytest.fixture(scope="module")
def weak(builtin_body: SkinnedBody) -> tuple[State, Estimate]:
    """People as they are, and as a weak regressor sees them."""
    true = wide(people(builtin_body, COUNT, seed=3))
    return true, as_estimate(builtin_body, disturb(builtin_body, true, "weak", range(70, 70 + COUNT)))


def wide(state: State) -> State:
    """People as they are, in wide photos."""
    size = torch.stack((state.camera.size[:, 0], torch.full_like(state.camera.size[:, 0], WIDTH_PX)), 1)
    return State(state.bodies, Camera(state.camera.focal, size.flip(1) / 2, size))


def pixels(body: SkinnedBody, state: State) -> Tensor:
    return as_estimate(body, state).keypoints_2d("coco17")


def fit(estimate: Estimate, pixel: Tensor, gate: Gate | None = None) -> refine.Result:
    photos = [torch.full((*size, 3), 90, dtype=torch.uint8).numpy() for size in estimate.camera.size.int().tolist()]
    seen = refine.Detections("coco17", pixel, torch.full(pixel.shape[:2], 0.9))
    return refine.fit(photos, estimate, keypoints=seen, refiner=Refiner(gate=gate or Gate()))


@pytest.mark.parametrize("way", [(ASIDE_PX, 0), (-ASIDE_PX, 0), (0, ASIDE_PX)])
def test_keypoints_that_lie_aside_are_not_believed(weak: tuple[State, Estimate], way: tuple[int, int]) -> None:
    """As a crop's do whose corner was not added."""
    true, estimate = weak
    result = fit(estimate, pixels(estimate.body, true) + torch.tensor(way))
    assert not result.accepted.any()
    for verdict, said in zip(result.judgement, result.verdict, strict=True):
        assert verdict.decision in PLACES and verdict.shift is not None and verdict.shift > 0.3
        assert verdict.right is not None and verdict.down is not None
        assert math.hypot(verdict.right - way[0], verdict.down - way[1]) < 100
        named = "to the right" if way[0] > 0 else "to the left" if way[0] < 0 else "px down"
        assert f"{verdict.shift:.2f} of the person's height" in said and named in said
    assert sum(verdict.decision is Decision.BESIDE for verdict in result.judgement) > COUNT / 2
    assert torch.equal(result.bodies.translation, estimate.bodies.translation)


def test_keypoints_of_a_photo_of_half_the_size_are_not_believed_and_its_size_is_named(
    weak: tuple[State, Estimate],
) -> None:
    true, estimate = weak
    result = fit(estimate, 0.5 * pixels(estimate.body, true))
    assert not result.accepted.any()
    for verdict, said, size in zip(result.judgement, result.verdict, estimate.camera.size.tolist(), strict=True):
        assert verdict.decision is Decision.RESIZED
        assert verdict.photo_width is not None and verdict.photo_height is not None
        assert abs(verdict.photo_width / size[1] - 0.5) < FACTOR_OFF * 0.5
        assert abs(verdict.photo_height / verdict.photo_width - size[0] / size[1]) < 1e-4
        assert f"a photo of about {verdict.photo_width:.0f} x {verdict.photo_height:.0f} px" in said


def test_a_neighbours_keypoints_are_not_believed(weak: tuple[State, Estimate]) -> None:
    """They stand half a metre aside, in another pose, so that a neighbour's arm may be where an own one is."""
    true, estimate = weak
    others = replace(true.bodies, pose=true.bodies.pose.roll(1, 0), shape=true.bodies.shape.roll(1, 0))
    aside = replace(others, translation=others.translation + torch.tensor([0.55, 0.0, 0.2]))
    pixel = pixels(estimate.body, replace(true, bodies=aside))
    assert not fit(estimate, pixel).accepted.any()


@pytest.mark.parametrize("strength", ["weak", "medium"])
def test_estimates_as_they_come_are_refused_no_more_often(builtin_body: SkinnedBody, strength: str) -> None:
    true = people(builtin_body, 24, seed=5)
    estimate = as_estimate(builtin_body, disturb(builtin_body, true, strength, range(24)))
    draw = torch.Generator().manual_seed(2)
    pixel = pixels(builtin_body, true)
    pixel = pixel + 4 * torch.randn(pixel.shape, generator=draw)
    asked, not_asked = (fit(estimate, pixel, gate) for gate in (Gate(), ANYWHERE))
    assert [each.decision for each in asked.judgement] == [each.decision for each in not_asked.judgement]
    assert int(asked.accepted.sum()) > 12


def test_what_is_not_asked_is_believed(weak: tuple[State, Estimate]) -> None:
    """The other questions do not notice: that is what these two are for."""
    true, estimate = weak
    result = fit(estimate, pixels(estimate.body, true) + torch.tensor([ASIDE_PX, 0]), ANYWHERE)
    assert result.accepted.any()
    assert not any(verdict.decision in PLACES for verdict in result.judgement)


@pytest.mark.parametrize("what", ["right", "left", "half", "neighbour"])
def test_a_real_pairs_keypoints_from_elsewhere_are_not_believed(
    real_data: Callable[[str], Path], what: str, pair: tuple[Path, refine.Result]
) -> None:
    folder, right = pair
    found = right.detections
    assert found is not None and right.accepted.all()
    pixel, confidence = found.pixel, found.confidence
    if what == "neighbour":
        pixel, confidence = pixel.flip(0), confidence.flip(0)
    elif what == "half":
        pixel = 0.5 * pixel
    else:
        pixel = pixel + torch.tensor([300.0 if what == "right" else -300.0, 0.0])
    moved = refine.Detections(found.name, pixel, confidence)
    result = refine.fit(folder / "image_1.jpg", folder / "image_1_0.08.npz", keypoints=moved)
    expected = Decision.RESIZED if what == "half" else Decision.BESIDE
    assert [verdict.decision for verdict in result.judgement] == [expected] * 2
    if what == "half":
        for verdict in result.judgement:
            assert verdict.photo_width is not None
            assert abs(verdict.photo_width / float(result.camera.size[0, 1]) - 0.5) < FACTOR_OFF * 0.5


@pytest.fixture(scope="module")
def pair(real_data: Callable[[str], Path]) -> tuple[Path, refine.Result]:
    folder = real_data("bev_pair")
    keypoints = folder / "image_1_keypoints.json"
    return folder, refine.fit(folder / "image_1.jpg", folder / "image_1_0.08.npz", keypoints=keypoints)


def test_a_move_is_measured_in_the_picture_whatever_the_pose_and_the_depth(weak: tuple[State, Estimate]) -> None:
    true, estimate = weak
    body, bodies = estimate.body, true.bodies
    pelvis = pose_body(body, bodies).joints[:, 0]
    away = replace(bodies, translation=bodies.translation + pelvis)  # twice as far along each one's line of sight
    far = move_of(body, true, State(away, true.camera))
    assert torch.allclose(far.growth, torch.full_like(far.growth, -math.log(2)), atol=0.05)
    assert float(far.shift.max()) < 0.06, "the trunk's middle is a hand's breadth off the pelvis' line of sight"
    longer = replace(true.camera, focal=2 * true.camera.focal)
    same = move_of(body, true, State(away, longer))
    assert float(same.growth.abs().max()) < 0.05, "distance and lens undo each other in the picture"
    turned = torch.cat((bodies.pose[:, :1], bodies.pose[:, 1:].roll(1, 0)), 1)
    posed = move_of(body, true, State(replace(bodies, pose=turned), true.camera))
    assert float(posed.growth.abs().max()) < 0.1 and float(posed.shift.max()) < 0.1


def moves(start: tuple[float, float], way: tuple[float, float], growth: float) -> Move:
    one = (torch.tensor([start]), torch.tensor([way]), torch.tensor([400.0]), torch.tensor([growth]))
    return Move(*one, torch.tensor([[480.0, 640.0]]))


def test_causes_are_told_apart_by_what_they_leave() -> None:
    half, larger = math.log(0.5), math.log(1.3)
    told = {
        ((300.0, 200.0), (20.0, -10.0), 0.1): None,
        ((300.0, 200.0), (200.0, 0.0), 0.1): Decision.BESIDE,
        ((300.0, 200.0), (-200.0, -133.0), 0.05): Decision.BESIDE,  # toward the corner, yet as large as before
        ((300.0, 200.0), (-150.0, -100.0), half): Decision.RESIZED,
        ((300.0, 200.0), (90.0, 60.0), larger): Decision.RESIZED,
        ((300.0, 200.0), (150.0, 0.0), half): Decision.ELSEWHERE,
        ((300.0, 200.0), (math.nan, 0.0), half): None,  # nothing is known of it
    }
    for numbers, decision in told.items():
        place = place_of([moves(*numbers)], *BOUNDS)
        assert place.cause == (decision,), numbers
        width = float(place.numbers["photo_width"])
        assert (width == width) == (decision is Decision.RESIZED)
    exact = place_of([moves((300.0, 200.0), (-150.0, -100.0), half)], *BOUNDS)
    assert float(exact.numbers["photo_width"]) == pytest.approx(320) and float(
        exact.numbers["photo_height"]
    ) == pytest.approx(240)


def test_who_was_moved_farther_in_a_later_round_is_judged_by_that_one_and_a_row_does_not_feel_its_batch() -> None:
    near, far = moves((300.0, 200.0), (10.0, 0.0), 0.0), moves((300.0, 200.0), (100.0, 0.0), 0.0)
    first, last = batch.cat([near, far, near]), batch.cat([far, near, near])
    place = place_of([first, last], *BOUNDS)
    assert place.cause == (Decision.BESIDE, Decision.BESIDE, None)
    assert place.numbers["right"].tolist() == [100.0, 100.0, 10.0]


def test_the_way_is_told_in_words_and_read_again() -> None:
    for right, down, words in ((200.0, 3.0, "200 px to the right"), (-40.0, -30.0, "40 px to the left, 30 px up")):
        for decision in (Decision.BESIDE, Decision.ELSEWHERE):
            said = sentence(Verdict(decision, shift=0.44, right=right, down=down, enlarged=1.0), StopReason.CONVERGED)
            assert f"0.44 of the person's height ({words})" in said
            again = verdict_of(said)
            assert again.decision is decision and again.right == right and sentence(again, StopReason.CONVERGED) == said


@pytest.mark.parametrize("name", ["most_shift", "most_growth"])
@pytest.mark.parametrize("number", [0.0, -1.0, math.nan])
def test_bounds_that_are_none_are_refused(name: str, number: float) -> None:
    with pytest.raises(InputError, match="above zero"):
        replace(Gate(), **{name: number})  # type: ignore[arg-type]
