"""Numbers beside keypoints that are no confidences from 0 to 1 (percent, depths, ...), and files of none."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import refine
from refine.body import SkinnedBody
from refine.body.keypoint_names import COCO17
from refine.errors import InputError
from refine.inputs.estimates import Given
from refine.inputs.keypoint_files import read_keypoints
from refine.inputs.keypoints import detections_of
from refine.photo import Photo
from tests.folders import HEIGHT, WIDTH, make_folder
from tests.people import case

DRAW = np.random.default_rng(4)
COUNT = len(COCO17)


def points(people: int = 2) -> np.ndarray:
    return DRAW.uniform((0, 0), (WIDTH, HEIGHT), (people, COUNT, 2))


def with_third(third: np.ndarray | float) -> np.ndarray:
    drawn = points()
    return np.concatenate((drawn, np.broadcast_to(third, (*drawn.shape[:2],))[..., None]), 2)


def test_percent_are_divided_by_a_hundred_in_every_layout() -> None:
    percent = DRAW.uniform(30, 99, (2, COUNT))
    percent[:, 9] = 3
    drawn = points()
    instances = [
        {"keypoints": one.tolist(), "keypoint_scores": score.tolist()}
        for one, score in zip(drawn, percent, strict=True)
    ]
    for content in ((drawn, percent), np.concatenate((drawn, percent[..., None]), 2), instances):
        people = read_keypoints(content)
        assert np.allclose(people.confidence, percent / 100, atol=1e-6)
        assert "taken as percent, and were divided by 100" in " ".join(people.notes)


def test_a_scale_that_is_not_certain_is_said_and_kept() -> None:
    few = np.full((2, COUNT), 0.8)
    few[0, 0] = 60.0  # one number that fell out of line says nothing of the others
    logits = DRAW.uniform(2, 12, (2, COUNT))
    for scores in (few, logits):
        people = read_keypoints((points(), scores))
        assert "those above 1 count as 1. Divide by 100 if they are percent" in " ".join(people.notes)
        assert np.allclose(people.confidence, scores.clip(max=1), atol=1e-6)


@pytest.mark.parametrize("third", [1.7, 3.2, DRAW.uniform(2, 6, (2, COUNT)), DRAW.uniform(800, 4000, (2, COUNT))])
def test_a_depth_in_the_third_column_is_refused_in_words(third: np.ndarray | float) -> None:
    with pytest.raises(InputError, match=r"third numbers.*Is it a depth"):
        read_keypoints(with_third(third))


def test_a_third_column_that_goes_above_one_is_named_as_a_likely_depth() -> None:
    notes = " ".join(read_keypoints(with_third(DRAW.uniform(0.2, 1.9, (2, COUNT)))).notes)
    assert "depth (z)" in notes and "above 1 count as 1" in notes


@pytest.mark.parametrize("third", [1.0, 0.4, 1.1, DRAW.uniform(0, 1.2, (2, COUNT))])
def test_confidences_are_no_depth(third: np.ndarray | float) -> None:
    assert read_keypoints(with_third(third)).notes == ()


def photo() -> Given:
    return Given((Photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8)),))


@pytest.mark.parametrize("scores", [np.ones((2, COUNT, 1)), np.ones(2), np.ones((1, 2, COUNT))])
def test_scores_of_another_shape_are_told_by_their_shape(builtin_body: SkinnedBody, scores: np.ndarray) -> None:
    estimate = case(builtin_body, 2, 0).estimate
    with pytest.raises(InputError, match=r"scores: expected shape \(2, 17\)") as told:
        detections_of((points(), scores), estimate, photo())
    assert "scores (P, K)" in told.value.advice


def test_lists_of_anything_are_told_what_is_understood(builtin_body: SkinnedBody) -> None:
    estimate = case(builtin_body, 2, 0).estimate
    for junk in ([["a"] * 3] * COUNT, [{"who": 1}, {"who": 2}], [object(), object(), object()]):
        with pytest.raises(InputError, match=r"confidences \(P, 17\)"):
            detections_of(junk, estimate, photo())


@pytest.fixture
def result(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    folder = make_folder(builtin_body, tmp_path, 1)
    return folder.results / f"{folder.names[0]}.npz"


def bev(path: Path) -> Path:
    from tests.layouts.bev import write

    write(path, people=2)
    return path


def test_a_regressors_result_given_as_keypoints_is_called_that(result: Path, tmp_path: Path) -> None:
    for path in (result, bev(tmp_path / "bev.npz")):
        with pytest.raises(InputError, match="a regressor's result") as told:
            read_keypoints(path)
        assert "init" in told.value.advice and "copy it again" not in str(told.value)
    with np.load(result) as arrays:
        with pytest.raises(InputError, match="which is what init is for"):
            read_keypoints(dict(arrays))


@pytest.mark.parametrize("url", ["https://example.com/a.jpg", "s3://bucket/a/b.npz"])
def test_a_url_is_shown_as_it_was_given_and_not_fetched(result: Path, tmp_path: Path, url: str) -> None:
    from refine.folder.keypoints import find_keypoints
    from refine.folder.photos import find_photos
    from refine.folder.results import find_results

    image = str(tmp_path / "one.png")
    cv2.imwrite(image, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    calls: tuple[Callable[[str | Path], object], ...] = (
        lambda given: refine.fit(given, result),
        lambda given: refine.fit(image, given),
        lambda given: refine.fit(image, result, keypoints=given),
        refine.read, read_keypoints, find_photos, find_keypoints, find_results,
    )  # fmt: skip
    for call in calls:
        for given in (url, Path(url)):
            with pytest.raises(InputError, match="Download it first") as told:
                call(given)
            assert url in str(told.value)
