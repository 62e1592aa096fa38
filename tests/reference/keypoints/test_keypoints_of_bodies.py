"""Whose keypoints are whose: the people of each photo, as detectors return them, come to the estimate's bodies."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.body.keypoint_names import COCO17, SETS
from refine.errors import InputError
from refine.inputs.estimates import Given
from refine.inputs.keypoint_files import read_keypoints
from refine.inputs.keypoints import detections_of
from refine.keypoints.formats.find import keypoint_formats
from refine.photo import Photo
from tests import detector_outputs as made
from tests.detector_outputs import Landmark, mmpose
from tests.people import Case, case


def test_a_list_of_results_is_not_one_photos(people: Case) -> None:
    result = SimpleNamespace(pose_landmarks=made.landmarks(made.points(2, 33)), pose_world_landmarks=[])
    assert not any(module.recognises([result, result]) for module in keypoint_formats().values())
    found, notes = detections_of([result] * 3, people.estimate, given(people))
    assert found is not None and len(found.pixel) == 3 and "without left eye" in notes[0]


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    """Three people, one a photo."""
    return case(builtin_body, count=3, angle=0.05)


def seen(people: Case, name: str) -> np.ndarray:
    """The true people's points (P, K, 3) as a detector that counts from pixel centres writes them."""
    pixel = people.true.keypoints_2d(name).numpy() - 0.5
    return np.concatenate((pixel, np.full((*pixel.shape[:2], 1), 0.9)), 2)


def given(people: Case, names: tuple[str, ...] = ("a_1.png", "a_2.png", "a_3.png")) -> Given:
    return Given(tuple(Photo(pixels, Path(name)) for pixels, name in zip(people.photos, names, strict=True)))


@pytest.mark.parametrize("form", ["a video", "coco", "one a photo", "what was read"])
def test_the_points_of_each_photo_come_to_the_body_in_it(form: str, people: Case, tmp_path: Path) -> None:
    drawn = seen(people, "coco17")
    one = [mmpose(person[None]) for person in drawn]
    if form == "a video":
        content: Any = [{"frame_id": index, "instances": part} for index, part in enumerate(one)]
    elif form == "coco":  # the images in another order than the photos
        content = {
            "images": [{"id": 10 + n, "file_name": f"train/a_{n + 1}.png"} for n in (2, 0, 1)],
            "annotations": [{"image_id": 10 + n, "keypoints": drawn[n].reshape(-1).tolist()} for n in (1, 2, 0)],
        }
    elif form == "one a photo":
        content = []
        for index, part in enumerate(one):
            content.append(tmp_path / f"{index}.json")
            content[-1].write_text(json.dumps(part))
    else:
        content = [read_keypoints(part) for part in one]
    if form in ("a video", "coco"):
        (tmp_path / "all.json").write_text(json.dumps(content))
        content = tmp_path / "all.json"
    found, notes = detections_of(content, people.estimate, given(people))
    assert found is not None and found.name == "coco17" and notes == ()
    assert np.allclose(found.pixel, drawn[..., :2] + 0.5, atol=1e-3)


def test_one_file_about_one_photo_is_not_taken_for_several(people: Case, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(mmpose(seen(people, "coco17")[:1])))
    for content in (tmp_path / "one.json", read_keypoints(tmp_path / "one.json"), mmpose(seen(people, "coco17"))):
        with pytest.raises(InputError, match=r"keypoints: expected 3 of them.*one file that is about all, got 1"):
            detections_of(content, people.estimate, given(people))


def test_a_video_of_more_frames_than_photos_is_refused(people: Case) -> None:
    frames = [{"frame_id": index, "instances": []} for index in range(5)]
    with pytest.raises(InputError, match=r"frames of 3 photo\(s\), got 5 frames"):
        detections_of(frames, people.estimate, given(people))


LISTS = ["huggingface", "ultralytics", "mediapipe", "nested lists"]


@pytest.mark.parametrize("form", LISTS)
def test_a_list_of_people_is_not_a_list_of_photos(form: str, people: Case) -> None:
    """Two bodies in one photo, and what the detector returned of both."""
    one = people.estimate.rows([0, 1])
    estimate = replace(one, image_index=torch.zeros(2, dtype=torch.long))
    drawn = seen(people, "coco17")[:2]
    marks = people.true.keypoints_2d("coco17")[:2].numpy() / (people.photos[0].shape[1], people.photos[0].shape[0])
    contents: dict[str, object] = {
        "huggingface": made.huggingface(drawn)[0],
        "ultralytics": made.ultralytics(drawn),
        "mediapipe": [mediapipe_of(person) for person in marks],
        "nested lists": (drawn + np.array([0.5, 0.5, 0.0])).tolist(),
    }
    found, notes = detections_of(contents[form], estimate, Given((Photo(people.photos[0], Path("a_1.png")),)))
    assert found is not None and len(found.pixel) == 2
    nose = people.true.keypoints_2d("coco17")[:2, 0]
    assert torch.allclose(found.pixel[:, 0], nose, atol=2e-2) and not any("matches no body" in note for note in notes)


def mediapipe_of(shares: np.ndarray) -> list[Landmark]:
    """33 landmarks of COCO's 17 points, the others unseen."""
    marks = [Landmark(0.5, 0.5, visibility=0.0) for _ in range(33)]
    places = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    for place, (x, y) in zip(places, shares, strict=True):
        marks[place] = Landmark(float(x), float(y), visibility=0.9)
    return marks


def test_several_photos_results_are_shared_out(people: Case) -> None:
    drawn = seen(people, "coco17")
    shares = people.true.keypoints_2d("coco17").numpy() / (people.photos[0].shape[1], people.photos[0].shape[0])
    contents: dict[str, object] = {
        "huggingface": [page for one in drawn for page in made.huggingface(one[None])],
        "ultralytics": [result for one in drawn for result in made.ultralytics(one[None])],
        "ultralytics by path": [made.Results(torch.tensor(drawn[n : n + 1]), f"/x/a_{n + 1}.png") for n in (2, 0, 1)],
        "mediapipe": [mediapipe_of(one) for one in shares],
        "pairs": [made.pair(one[None]) for one in drawn],
        "arrays": [one[None] + np.array([0.5, 0.5, 0.0]) for one in drawn],
    }
    for form, content in contents.items():
        found, _ = detections_of(content, people.estimate, given(people))
        assert found is not None and torch.allclose(
            found.pixel[:, 0], people.true.keypoints_2d("coco17")[:, 0], atol=2e-2
        ), form
    with pytest.raises(InputError, match="expected 3 of them"):
        detections_of(made.huggingface(drawn)[0], people.estimate, given(people))


def test_nobody_detected_is_not_nobody_near(people: Case) -> None:
    drawn = seen(people, "coco17")
    for content, words in (
        ([[], mmpose(drawn[1:2]), []], "nobody was detected in the call"),
        ([mmpose(drawn[:1] + np.array([3000.0, 0.0, -0.7])), mmpose(drawn[1:2]), mmpose(drawn[2:])], "lies near"),
    ):
        _, notes = detections_of(content, people.estimate, given(people))
        said = [note for note in notes if note.startswith("Person 1: ")]
        assert len(said) == 1 and words in said[0]
        assert ("Are they of this photo" in said[0]) == (words == "lies near")


def test_arrays_are_rows_of_the_estimate_in_every_form(people: Case, tmp_path: Path) -> None:
    true = people.true.keypoints_2d("coco17")
    array = torch.cat((true, torch.full((3, 17, 1), 0.9)), -1)
    size = torch.tensor([people.photos[0].shape[1], people.photos[0].shape[0], 1.0])
    np.save(tmp_path / "all.npy", array.numpy())
    forms: dict[str, object] = {
        "tensor": array, "half": array.half(), "bfloat": array.bfloat16(), "list": array.tolist(),
        "without confidence": true.numpy(),
        "shares": array / size, "a file": tmp_path / "all.npy",
    }  # fmt: skip
    for form, content in forms.items():
        found, notes = detections_of(content, people.estimate, given(people))
        assert found is not None and torch.allclose(
            found.pixel, true, atol=2.0 if form in ("half", "bfloat") else 1e-2
        ), form
        assert bool(notes) == (form in ("without confidence", "shares")), form
    gaps = array.clone()
    gaps[1, 3, 0], gaps[2, :, 2] = torch.nan, torch.nan
    found, _ = detections_of(gaps, people.estimate, given(people))
    assert found is not None and float(found.confidence[1, 3]) == 0 and not found.confidence[2].any()
    with pytest.raises(InputError, match=r"3 rows, one a body, got 2 rows.*give keypoints=\(points, confidences\)"):
        detections_of(array[:2], people.estimate, given(people))


def test_who_is_nobody_and_who_is_spare_is_told(people: Case) -> None:
    drawn = seen(people, "coco17")
    far = drawn[:1] + np.array([3000.0, 0.0, 0.0])
    far[..., 2] = 0.2
    content = [mmpose(np.concatenate((far, drawn[:1]))), [], mmpose(drawn[2:])]
    found, notes = detections_of(content, people.estimate, given(people))
    assert found is not None and found.confidence.amax(1).tolist() == pytest.approx([0.9, 0.0, 0.9])
    assert (
        len(notes) == 2 and "1 detected person matches no body" in notes[0] and notes[1].startswith("Person 2: nobody")
    )


def test_what_halpe_lacks_here_is_told_once(people: Case) -> None:
    halpe = np.zeros((3, 26, 3))
    halpe[:, :17] = seen(people, "coco17")
    found, notes = detections_of([mmpose(part[None]) for part in halpe], people.estimate, given(people))
    assert found is not None and found.name == "body25"
    assert len(notes) == 1 and "halpe26 is read as body25" in notes[0]


def test_photos_without_people_take_the_set_of_the_others(people: Case) -> None:
    drawn = seen(people, "coco133")
    found, _ = detections_of([[], mmpose(drawn[1:2]), []], people.estimate, given(people))
    assert found is not None and found.name == "coco133"
    with pytest.raises(InputError, match="sets body25, coco17"):
        halpe = mmpose(np.ones((1, 26, 3)))
        detections_of([halpe, mmpose(drawn[1:2, :17]), []], people.estimate, given(people))


@pytest.mark.parametrize("form", ["mediapipe", "dwpose", "mmpose"])
def test_what_a_detector_returns_moves_the_body(form: str, people: Case) -> None:
    body = seen(people, "coco17")[0]
    names = SETS["openpose137"]
    whole = people.true.keypoints_2d("openpose137")[0].numpy()
    if form == "mmpose":
        content: object = mmpose(body[None])
    elif form == "dwpose":
        order = [*range(8), *range(9, 25), *range(67, 135), *range(25, 67)]
        content = (whole[None, order] - 0.5, np.full((1, 134), 0.9, np.float32))
        assert names[order[24]] == "face_0" and names[order[92]] == "left_hand_root"
    else:
        marks = [Landmark(0.5, 0.5, visibility=0.0) for _ in range(33)]
        for index, name in {0: "nose", 2: "left_eye", 5: "right_eye", 7: "left_ear", 8: "right_ear"}.items():
            marks[index] = Landmark(*(body[COCO17.index(name), :2] + 0.5) / (400, 480), visibility=0.9)
        for index in range(6):
            for first, part in (
                (11, "shoulder"),
                (13, "elbow"),
                (15, "wrist"),
                (23, "hip"),
                (25, "knee"),
                (27, "ankle"),
            ):
                side = ("left", "right")[index % 2]
                place = body[COCO17.index(f"{side}_{part}"), :2] + 0.5
                marks[first + index % 2] = Landmark(*place / (400, 480), visibility=0.9)
        content = SimpleNamespace(pose_landmarks=[marks])
    one = people.estimate.rows([0])
    result = refine.fit(people.photos[0], one, keypoints=content)
    true = people.true.keypoints_2d("coco17")[0]
    before = (one.keypoints_2d("coco17")[0] - true).norm(dim=-1).mean()
    after = (result.refined.keypoints_2d("coco17")[0] - true).norm(dim=-1).mean()
    assert float(after) < 0.5 * float(before)
    assert torch.isfinite(result.misfit).all()


def test_the_real_pair_is_matched_from_its_file(real_data: Callable[[str], Path]) -> None:
    folder = real_data("bev_pair")
    estimate = refine.read(folder / "image_1_0.08.npz")
    photos = Given((Photo(np.zeros((971, 1457, 3), np.uint8), folder / "image_1.jpg"),))
    found, notes = detections_of(folder / "image_1_keypoints.json", estimate, photos)
    assert found is not None and found.name == "openpose137" and notes == ()
    projected = estimate.keypoints_2d("openpose137")
    shown = found.confidence >= 0.5
    apart = [(projected[row] - found.pixel[row])[shown[row]].norm(dim=-1).median() for row in range(2)]
    other = [(projected[row] - found.pixel[1 - row])[shown[1 - row]].norm(dim=-1).median() for row in range(2)]
    assert max(apart) < 40 < min(other)
