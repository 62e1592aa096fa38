"""From a detector that is run on the photo to keypoints of the bodies, with a stand-in that knows the people."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import refine
from refine import DetectedPeople, Detections
from refine.body import SkinnedBody
from refine.detectors.find import detector
from refine.errors import InputError
from refine.estimate import Estimate
from refine.inputs.detecting import SAME, person_boxes
from refine.inputs.estimates import Given
from refine.inputs.keypoints import MatchedKeypoints, matched_keypoints
from refine.photo import read_photos
from refine.terms.keypoints import DetectorNoise
from tests.people import HEIGHT, WIDTH, Case, case
from tests.stand_in_detector import NOISE_PX, StandIn


@pytest.fixture
def alone(builtin_body: SkinnedBody) -> Case:
    """One person in one photo."""
    return case(builtin_body, 1)


def in_one_photo(found: Case, shift_m: float = 1.0) -> tuple[Estimate, Estimate, Given]:
    """The true people and their estimates side by side in one photo, `shift_m` apart."""
    count = len(found.true)
    step = torch.zeros(count, 3)
    step[:, 0] = shift_m * (torch.arange(count) - (count - 1) / 2)

    def moved(estimate: Estimate) -> Estimate:
        state = estimate.state
        bodies = replace(state.bodies, translation=state.bodies.translation + step)
        return replace(estimate, state=replace(state, bodies=bodies), image_index=torch.zeros(count, dtype=torch.long))

    return moved(found.true), moved(found.estimate), Given(read_photos(found.photos[0]))


def matched(estimate: Estimate, given: Given, keypoints: object) -> MatchedKeypoints:
    return matched_keypoints(keypoints, estimate, given)


def test_a_detector_moves_an_estimate_onto_the_person_as_its_keypoints_would(alone: Case) -> None:
    stand_in = StandIn(alone.true.keypoints_2d("body25"))
    result = refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in)
    assert bool(result.accepted.all())
    assert float(result.misfit[0]) < 3 * NOISE_PX < float(result.misfit_before[0])
    boxes = person_boxes(alone.estimate, (HEIGHT, WIDTH))
    by_hand = refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in(alone.photos[0], boxes))
    assert torch.allclose(result.joints, by_hand.joints, atol=1e-5)


def test_boxes_hold_the_projected_body_and_end_at_the_photo(alone: Case) -> None:
    low, high = person_boxes(alone.estimate, (HEIGHT, WIDTH))[0].split(2)
    seen = alone.estimate.camera.project(alone.estimate.posed.vertices)[0]
    assert torch.allclose(low, seen.amin(0), atol=1e-3) and torch.allclose(high, seen.amax(0), atol=1e-3)
    cut = person_boxes(alone.estimate, (HEIGHT // 2, WIDTH))[0]
    assert float(cut[3]) == HEIGHT // 2
    nowhere = replace(alone.estimate.state.bodies, translation=torch.tensor([[50.0, 0.0, 4.0]]))
    away = replace(alone.estimate, state=replace(alone.estimate.state, bodies=nowhere))
    assert bool((person_boxes(away, (HEIGHT, WIDTH))[:, 0] >= WIDTH).all())


def test_who_is_outside_the_photo_is_not_looked_for_and_stays(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2), shift_m=40.0)
    found = matched(estimate, given, StandIn(true.keypoints_2d("body25")))
    assert found.detections is not None and not found.detections.confidence.any()


def test_detections_of_neighbours_are_assigned_together(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2))
    points = true.keypoints_2d("body25")

    def crossed(image: np.ndarray, boxes: Tensor) -> Detections:
        return Detections("body25", points.flip(0), torch.ones(points.shape[:2]))

    found = matched(estimate, given, crossed)
    assert found.detections is not None
    assert torch.allclose(found.detections.pixel, points, atol=1e-4)


def test_a_person_found_in_two_boxes_goes_to_the_nearer_estimate_and_the_other_gets_nothing(
    builtin_body: SkinnedBody,
) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2))
    points = true.keypoints_2d("body25")

    def twice(image: np.ndarray, boxes: Tensor) -> Detections:
        pixel = torch.stack((points[1], points[1] + 1.0))
        return Detections("body25", pixel, torch.tensor([[0.9], [0.8]]).expand(-1, 25))

    found = matched(estimate, given, twice)
    assert found.detections is not None
    assert not found.detections.confidence[0].any() and bool((found.detections.confidence[1] == 0.9).all())
    assert any("one person in the boxes of persons 1 and 2" in note for note in found.notes)
    assert any(note.startswith("Person 1:") and "no keypoints" in note for note in found.notes)


def test_two_people_an_arm_apart_are_two(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2), shift_m=0.35)
    points = true.keypoints_2d("body25")
    size = float((points[0].amax(0) - points[0].amin(0)).prod().sqrt())
    assert float((points[0] - points[1]).norm(dim=-1).mean()) > SAME * size
    found = matched(estimate, given, lambda image, boxes: Detections("body25", points, torch.ones(2, 25)))
    assert found.detections is not None and bool((found.detections.confidence == 1).all())


def test_more_people_found_than_estimated_are_left_out_and_counted(alone: Case) -> None:
    points = alone.true.keypoints_2d("body25")
    crowd = torch.cat((points + 150.0, points, points - 150.0))
    given = Given(read_photos(alone.photos[0]))

    def everybody(image: np.ndarray, boxes: Tensor) -> DetectedPeople:
        return DetectedPeople("body25", crowd, torch.ones(3, 25))

    found = matched(alone.estimate, given, everybody)
    assert found.detections is not None and torch.allclose(found.detections.pixel, points, atol=1e-4)
    assert any("2 detected people match no body" in note for note in found.notes)


@pytest.mark.parametrize("people", [False, True])
def test_nobody_found_leaves_the_person_as_it_came_and_says_so(alone: Case, people: bool) -> None:
    def blind(image: np.ndarray, boxes: Tensor) -> Detections | DetectedPeople:
        if people:
            return DetectedPeople("body25", torch.zeros(0, 25, 2), torch.zeros(0, 25))
        return Detections("body25", torch.full((1, 25, 2), torch.nan), torch.zeros(1, 25))

    result = refine.fit(alone.photos[0], alone.estimate, keypoints=blind)
    assert not bool(result.accepted.any())
    assert any("nobody was detected in blind" in note for note in result.notes)
    assert torch.equal(result.refined.bodies.pose, alone.estimate.bodies.pose)


def test_a_detectors_measured_noise_is_what_the_evidence_is_divided_by(alone: Case) -> None:
    points = alone.true.keypoints_2d("body25")
    given = Given(read_photos(alone.photos[0]))
    loose = DetectorNoise(oks_share=1.0)
    assert matched(alone.estimate, given, StandIn(points)).noise is None
    assert matched(alone.estimate, given, StandIn(points, noise=loose)).noise == loose
    costs = [
        float(refine.fit(alone.photos[0], alone.estimate, keypoints=StandIn(points, noise=noise)).cost_before[0])
        for noise in (None, loose)
    ]
    assert costs[1] < 0.5 * costs[0]


def test_several_photos_are_each_looked_at(builtin_body: SkinnedBody) -> None:
    found = case(builtin_body, 2)
    result = refine.fit(found.photos, found.estimate, keypoints=StandIn(found.true.keypoints_2d("body25")))
    assert bool(result.accepted.all()) and float(result.misfit.max()) < 3 * NOISE_PX


# Mistakes


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "refine.Detections with 1 row"),
        (torch.zeros(1, 25, 3), "refine.Detections with 1 row"),
        (Detections("body25", torch.zeros(2, 25, 2), torch.ones(2, 25)), r"pixel: expected .*B=1"),
        (Detections("body25", torch.zeros(1, 17, 2), torch.ones(1, 17)), r"confidence: expected .*K=25"),
        (Detections("body25", torch.zeros(1, 25, 2), torch.full((1, 25), 7.0)), "from 0 to 1"),
        (Detections("body25", torch.zeros(1, 25, 2), torch.full((1, 25), torch.nan)), "finite"),
        (Detections("body25", torch.full((1, 25, 2), torch.nan), torch.ones(1, 25)), "finite"),
        (Detections("body25", torch.full((1, 25, 2), 1e5), torch.ones(1, 25)), "points in an image of"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(alone: Case, returned: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refine.fit(alone.photos[0], alone.estimate, keypoints=lambda image, boxes: returned)


def test_a_name_that_is_nearly_a_detectors_is_not_taken_for_a_file(alone: Case) -> None:
    for name in ("mediapip", "Auto", "medipipe"):
        with pytest.raises(InputError, match=r"auto, a detector \(.*mediapipe.*\) or a file"):
            refine.fit(alone.photos[0], alone.estimate, keypoints=name)
    with pytest.raises(InputError, match=r"auto or one of .*mediapipe"):
        detector("yolo")


def test_a_detector_without_a_photo_is_refused(alone: Case) -> None:
    with pytest.raises(InputError, match="a photo to look at"):
        matched(alone.estimate, Given(), StandIn(alone.true.keypoints_2d("body25")))


def test_a_noise_that_is_none_is_refused(alone: Case) -> None:
    stand_in = StandIn(alone.true.keypoints_2d("body25"), noise=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="DetectorNoise"):
        refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in)
