"""Every detector's layout is read into our sets, people of many images told apart, pixels from the corner."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from refine.inputs.keypoint_files import load_keypoints, read_keypoints
from refine.inputs.keypoints import detections_of
from refine.keypoints.formats import KeypointFormat
from refine.keypoints.formats.find import keypoint_formats
from refine.photo import Photo
from tests.people import Case, case

DRAW = np.random.default_rng(0)


def points(people: int, count: int) -> np.ndarray:
    """Points (P, K, 3) in a photo of 640 x 480 px with scores from 0.4 to 0.9."""
    return DRAW.uniform((0, 0, 0.4), (639, 479, 0.9), (people, count, 3))


def instances(drawn: np.ndarray, nested: bool = True) -> list[dict[str, Any]]:
    box = [10.0, 20.0, 200.0, 400.0]
    return [
        {
            "keypoints": person[:, :2].tolist(),
            "keypoint_scores": person[:, 2].tolist(),
            "bbox": [box] if nested else box,
            "bbox_score": 0.9,
        }
        for person in drawn
    ]


@dataclass
class Landmark:
    """As MediaPipe's Python tasks return it."""

    x: float
    y: float
    z: float = 0.0
    visibility: float | None = None
    presence: float | None = None


def landmarks(drawn: np.ndarray) -> list[list[Landmark]]:
    return [[Landmark(x / 640, y / 480, 0.1, seen, 1.0) for x, y, seen in person] for person in drawn]


def coco_results(drawn: np.ndarray, image_id: Any = 785) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": 1, "keypoints": person.reshape(-1).tolist(), "score": 0.8}
        for person in drawn
    ]


EXAMPLES: dict[str, object] = {
    "openpose": {"version": 1.3, "people": [{"pose_keypoints_2d": points(1, 25).reshape(-1).tolist()}]},
    "openpose, nobody": {"version": 1.3, "people": []},
    "mmpose": instances(points(2, 17)),
    "mmpose, nobody": [],
    "mmpose video": [{"frame_id": 0, "instances": instances(points(1, 133))}],
    "mmpose demo": {"meta_info": {}, "instance_info": instances(points(1, 26))},
    "mmpose in memory": {"visualization": [], "predictions": [instances(points(1, 17))]},
    "coco results": coco_results(points(2, 17)),
    "coco annotations": {"images": [{"id": 1}], "annotations": []},
    "dwpose": (points(2, 134)[..., :2], points(2, 134)[..., 2]),
    "mediapipe": SimpleNamespace(pose_landmarks=landmarks(points(2, 33)), pose_world_landmarks=[]),
    "mediapipe, nobody": SimpleNamespace(pose_landmarks=[]),
    "mediapipe solutions, nobody": SimpleNamespace(pose_landmarks=None),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_content_is_recognised_by_exactly_one_format(example: str) -> None:
    known = [name for name, module in keypoint_formats().items() if module.recognises(EXAMPLES[example])]
    assert known == [example.split()[0].rstrip(",")]
    people = read_keypoints(EXAMPLES[example], size=(480, 640))
    assert people.pixel.shape[1] == len(SETS[people.name])


@pytest.mark.parametrize(
    "content",
    [None, 5, b"bytes", {}, {"a": 1}, [1, 2], [[]], [{}], [None], (1, 2), {"people": 3}, {"instance_info": 3},
     {"annotations": 1, "images": []}, {"keypoints": 1, "scores": 2}, {"landmarks": [1]}, (np.zeros(3), np.zeros(3)),
     [{"keypoints": []}], {"predictions": [[], []]}, [[{"x": 1, "y": 2}] * 5]],
)  # fmt: skip
def test_content_of_another_kind_is_nobodys_and_says_what_it_is(content: object) -> None:
    assert not any(module.recognises(content) for module in keypoint_formats().values())
    with pytest.raises(InputError, match=r"a known layout \(alphapose, .*openpose, .*ultralytics\)"):
        read_keypoints(content)


def test_every_format_has_the_functions_of_the_protocol_and_states_its_source() -> None:
    for module in keypoint_formats().values():
        assert isinstance(module, KeypointFormat)
        assert "Source:" in (module.__doc__ or "") and "Pixels" in (module.__doc__ or "")


@pytest.mark.parametrize(("count", "name"), [(17, "coco17"), (133, "coco133"), (26, "body25"), (136, "openpose137")])
@pytest.mark.parametrize("nested", [True, False])
def test_mmposes_instances_go_into_our_set_half_a_pixel_on(count: int, name: str, nested: bool, tmp_path: Path) -> None:
    drawn = points(2, count)
    path = tmp_path / "photo.json"
    path.write_text(json.dumps(instances(drawn, nested)))
    people = read_keypoints(path)
    assert people.name == name and len(people) == 2
    nose, ear = SETS[name].index("nose"), SETS[name].index("right_ear")
    assert np.allclose(people.pixel[:, nose], drawn[:, 0, :2] + 0.5, atol=1e-4)
    assert np.allclose(people.pixel[:, ear], drawn[:, 4, :2] + 0.5, atol=1e-4)
    assert np.allclose(people.confidence[:, ear], drawn[:, 4, 2], atol=1e-6)


def test_halpes_toes_and_heels_stand_by_side_and_its_head_neck_and_hip_are_left_out() -> None:
    drawn = points(1, 26)
    people = read_keypoints(instances(drawn))
    order = ("left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel", "right_heel")
    for offset, name in enumerate(order):
        assert np.allclose(people.pixel[0, SETS["body25"].index(name)], drawn[0, 20 + offset, :2] + 0.5, atol=1e-4)
    for name in ("neck", "mid_hip"):
        assert float(people.confidence[0, SETS["body25"].index(name)]) == 0
    assert "without top of the head, nape, pelvis" in people.notes[0]


def test_scores_above_one_count_as_one_and_points_without_any_have_no_place() -> None:
    drawn = points(1, 17)
    drawn[0, 3, 2], drawn[0, 5, 2] = 1.07, 0.0
    people = read_keypoints(instances(drawn))
    assert float(people.confidence[0, 3]) == 1 and people.pixel[0, 5].tolist() == [0, 0]


def test_the_frame_of_a_video_is_named_by_its_number() -> None:
    drawn = points(3, 17)
    frames = [{"frame_id": 10 + index, "instances": instances(drawn[index : index + 1])} for index in range(3)]
    for content in (frames, {"meta_info": {}, "instance_info": frames}):
        found = read_keypoints(content, image=11)
        assert np.allclose(found.pixel[0], drawn[1, :, :2] + 0.5, atol=1e-4)
        for image in (None, 9, "000011.jpg"):
            with pytest.raises(InputError, match=r"3 frames, numbers 10 to 12.*image=NUMBER"):
                read_keypoints(content, image=image)


def test_another_set_of_the_same_size_is_told_by_its_names() -> None:
    names = {str(index): name for index, name in enumerate(["root", "right_hip", "right_knee"])}
    demo = {"meta_info": {"keypoint_id2name": names}, "instance_info": instances(points(1, 17))}
    with pytest.raises(InputError, match=r"the points of coco17, got root, right_hip"):
        read_keypoints(demo)
    demo["meta_info"] = {"keypoint_id2name": {str(index): name for index, name in enumerate(SETS["coco17"])}}
    assert len(read_keypoints(demo)) == 1


def test_dwposes_order_is_openposes_and_its_made_up_neck_says_nothing(tmp_path: Path) -> None:
    drawn = points(2, 134)
    drawn[:, 1, 2] = 1.0
    np.savez(tmp_path / "dwpose.npz", keypoints=drawn[..., :2], scores=drawn[..., 2])
    memory = read_keypoints((drawn[..., :2], drawn[..., 2]))
    file = read_keypoints(tmp_path / "dwpose.npz")
    assert memory.name == "openpose137" and (memory.pixel == file.pixel).all()
    names = SETS["openpose137"]
    for index, name in (
        (0, "nose"), (2, "right_shoulder"), (7, "left_wrist"), (8, "right_hip"), (13, "left_ankle"), (17, "left_ear"),
        (18, "left_big_toe"), (20, "left_heel"), (23, "right_heel"), (24, "face_0"), (91, "face_67"),
        (92, "left_hand_root"),
        (113, "right_hand_root"), (133, "right_pinky4"),
    ):  # fmt: skip
        assert np.allclose(memory.pixel[:, names.index(name)], drawn[:, index, :2] + 0.5, atol=1e-4), name
    assert not memory.confidence[:, names.index("neck")].any()
    assert not memory.confidence[:, names.index("right_pupil")].any()


MEDIAPIPE: dict[str, Callable[[list[list[Landmark]]], object]] = {
    "tasks": lambda people: SimpleNamespace(pose_landmarks=people, pose_world_landmarks=people),
    "solutions": lambda people: SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=people[0])),
    "a list": lambda people: people,
    "one person": lambda people: people[0],
    "javascript": lambda people: json.loads(
        json.dumps({"landmarks": [[vars(mark) for mark in one] for one in people]})
    ),
    "javascript solutions": lambda people: {"poseLandmarks": [vars(mark) for mark in people[0]]},
    "protobuf as json": lambda people: {"landmark": [vars(mark) for mark in people[0]]},
}


@pytest.mark.parametrize("form", MEDIAPIPE)
def test_mediapipes_landmarks_are_shares_of_the_photo(form: str) -> None:
    drawn = points(2, 33)
    content = MEDIAPIPE[form](landmarks(drawn))
    people = read_keypoints(content, size=(480, 640))
    assert people.name == "body25" and len(people) in (1, 2)
    for index, name in (
        (0, "nose"),
        (2, "left_eye"),
        (8, "right_ear"),
        (11, "left_shoulder"),
        (28, "right_ankle"),
        (29, "left_heel"),
    ):
        there = SETS["body25"].index(name)
        assert np.allclose(people.pixel[0, there], drawn[0, index, :2], atol=1e-3), name
        assert float(people.confidence[0, there]) == pytest.approx(drawn[0, index, 2])
    with pytest.raises(InputError, match="the photo's size"):
        read_keypoints(content)


def test_landmarks_without_visibility_are_believed() -> None:
    marks = [[Landmark(0.5, 0.5) for _ in range(33)]]
    assert float(read_keypoints(marks, size=(480, 640)).confidence.max()) == 1


def test_a_list_of_results_is_not_one_photos(people: Case) -> None:
    result = EXAMPLES["mediapipe"]
    assert not any(module.recognises([result, result]) for module in keypoint_formats().values())
    found, notes = detections_of([result] * 3, people.estimate, given(people))
    assert found is not None and len(found.pixel) == 3 and "without left eye" in notes[0]


def test_cocos_images_are_found_by_id_name_and_number() -> None:
    drawn = points(3, 17)
    names = ["val2017/000000000785.jpg", "val2017/000000040083.jpg", "frame_b.png"]
    annotations = [
        {"image_id": image, "keypoints": person.reshape(-1).tolist(), "iscrowd": 0, "category_id": 1}
        for image, person in zip((785, 40083, 7), drawn, strict=True)
    ]
    images = [{"id": image, "file_name": name} for image, name in zip((785, 40083, 7), names, strict=True)]
    both: list[object] = [
        {"images": images, "annotations": annotations},
        [coco_results(drawn[n : n + 1], image)[0] for n, image in enumerate((785, 40083, 7))],
    ]
    for content in both:
        for image in (40083, "000000040083.jpg", "/data/val2017/000000040083.jpg", "COCO_val2014_000000040083.jpg"):
            found = read_keypoints(content, image=image)
            assert len(found) == 1 and np.allclose(found.pixel[0, 0], drawn[1, 0, :2] + 0.5, atol=1e-4), image
        with pytest.raises(InputError, match="expected one image, got images"):
            read_keypoints(content)
        with pytest.raises(InputError, match=r"the image 'other\.jpg', got images"):
            read_keypoints(content, image="other.jpg")
    assert len(read_keypoints(both[0], image="folder/frame_b.jpg")) == 1


def test_people_without_labelled_points_and_crowds_are_left_out() -> None:
    drawn = points(3, 17)
    drawn[..., 2] = 2
    drawn[1] = 0
    annotations = [{"image_id": 1, "keypoints": person.reshape(-1).tolist(), "iscrowd": 0} for person in drawn]
    annotations[2]["iscrowd"] = 1
    people = read_keypoints(
        {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [*annotations, {"image_id": 1}]}
    )
    assert len(people) == 1 and float(people.confidence.min()) == 1
    assert (
        len(people.notes) == 1
        and "COCO's flags (0 not labelled, 1 hidden, 2 visible), not confidences" in people.notes[0]
    )


def test_flags_are_told_apart_from_confidences_in_every_layout() -> None:
    drawn = points(2, 17)
    drawn[..., 2] = DRAW.integers(0, 3, (2, 17))
    drawn[0, :3, 2] = 0, 1, 2
    for content in (coco_results(drawn), drawn, instances(drawn)):
        people = read_keypoints(content)
        assert "COCO's flags" in " ".join(people.notes)
        assert people.confidence[0, :3].tolist() == [0, 1, 1]
    drawn[..., 2] = 7.5
    for content in (instances(drawn), (drawn[..., :2], drawn[..., 2])):
        assert "confidences reach 7.5; those above 1 count as 1" in " ".join(read_keypoints(content).notes)
    drawn[..., 2] = 1.07
    assert read_keypoints(drawn).notes == ()


def test_a_canvas_of_another_shape_than_the_photos_is_doubted(tmp_path: Path) -> None:
    from tests.detector_outputs import controlnet

    drawn = points(1, 18)
    for canvas, doubted in (((480, 640), False), ((448, 640), False), ((512, 640), False), ((640, 640), True)):
        notes = " ".join(read_keypoints(controlnet(drawn, canvas), size=(480, 640)).notes)
        assert ("Their shapes differ" in notes) == doubted and (canvas == (480, 640)) == ("scaled to it" not in notes)
    unknown = read_keypoints(controlnet(drawn, (240, 320)))
    assert "give the photo's size if it is another" in unknown.notes[0]
    assert np.allclose(unknown.pixel[0, 0], drawn[0, 0, :2] / 2 + 0.5, atol=1e-3)


def test_a_threshold_leaves_points_where_their_label_says() -> None:
    drawn = points(1, 17)[0]
    kept = [3, 5, 16]
    person = {
        "keypoints": torch.tensor(drawn[kept, :2]),
        "scores": torch.tensor(drawn[kept, 2]),
        "labels": torch.tensor(kept),
    }
    nobody = {"keypoints": torch.zeros(0, 2), "scores": torch.zeros(0), "labels": torch.zeros(0)}
    people = read_keypoints([[person, nobody]])
    assert people.name == "coco17" and (people.confidence[0] > 0).nonzero()[:, 0].tolist() == kept
    assert np.allclose(people.pixel[0, kept], drawn[kept, :2] + 0.5, atol=1e-4) and not people.confidence[1].any()


def test_ultralytics_points_at_the_corner_are_missing_whatever_their_confidence() -> None:
    from tests.detector_outputs import ultralytics, ultralytics_json

    drawn = points(1, 17)
    drawn[0, 4] = 0, 0, 0.45
    for content in (ultralytics(drawn), ultralytics_json(drawn)):
        people = read_keypoints(content)
        assert float(people.confidence[0, 4]) == 0 and int((people.confidence > 0).sum()) == 16


def test_cocos_whole_body_is_put_together_in_its_order() -> None:
    drawn = points(1, 133)[0]
    cuts = {
        "keypoints": (0, 17),
        "foot_kpts": (17, 23),
        "face_kpts": (23, 91),
        "lefthand_kpts": (91, 112),
        "righthand_kpts": (112, 133),
    }
    result = {"image_id": 3, "category_id": 1, "score": 1.0} | {
        name: drawn[start:stop].reshape(-1).tolist() for name, (start, stop) in cuts.items()
    }
    people = read_keypoints([result])
    assert people.name == "coco133" and np.allclose(people.pixel[0], drawn[:, :2] + 0.5, atol=1e-4)


BROKEN: dict[str, tuple[object, str]] = {
    "a wrong number of points": (instances(points(1, 19)), "17 or 26 or 133 or 136 numbers, got 19"),
    "3D points": ([{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1.0] * 17}], "34 numbers, got 51"),
    "infinity": ([{"keypoints": [[float("inf"), 2]] * 17, "keypoint_scores": [1.0] * 17}], "finite"),
    "text": ([{"keypoints": [["a", "b"]] * 17, "keypoint_scores": [1.0] * 17}], "finite numbers, got something else"),
    "an instance of another kind": ([*instances(points(1, 17)), 3], "instance 1"),
    "two sets": (instances(points(1, 17)) + instances(points(1, 26)), "as many keypoints each"),
    "COCO's of another size": ([{"image_id": 1, "keypoints": [1.0] * 50}], "51 or 78 or 399 or 408 numbers, got 50"),
    "scores of other people": ((points(2, 134)[..., :2], points(3, 134)[..., 2]), "scores: expected shape"),
    "DWPose's infinity": ((np.full((1, 134, 2), np.inf), np.ones((1, 134))), "finite"),
    "MediaPipe's infinity": ([[Landmark(float("inf"), 0.0)] * 33], "finite"),
    "depths for confidences": (np.full((1, 33, 3), -0.4), "confidences from 0 to 1, got down to -0.4.*depth"),
    "an array with infinity": (np.full((1, 17, 3), np.inf), "finite"),
    "ragged lists": ([[[1.0, 2.0, 0.9]] * 17, [[1.0, 2.0, 0.9]] * 16], "a known layout"),
    "a canvas without size": ({"people": [], "canvas_width": 0, "canvas_height": 5}, "sizes above zero"),
    "EasyMocap's of other points": (
        {"height": 5, "width": 5, "annots": [{"keypoints": [[1, 2, 3]] * 19}]},
        "75 or 51 or 99",
    ),
    "AlphaPose's MPII": ([{"image_id": "a.jpg", "keypoints": [1.0] * 48}], "51 or 78 or 399 or 408 numbers, got 48"),
    "labels of another model": (
        [{"keypoints": [[1, 2]] * 3, "scores": [1] * 3, "labels": [0, 1, 200], "bbox": [0] * 4}],
        "labels: expected 3 numbers below 133",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_content_is_named(case: str) -> None:
    content, message = BROKEN[case]
    with pytest.raises(InputError, match=message):
        read_keypoints(content, size=(480, 640))


@pytest.mark.parametrize("bytes_", [b"", b"{", b"\xff\xfe", b"PK\x03\x04 cut off", b"[1, 2", b"nothing"])
def test_a_broken_file_is_named(bytes_: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keypoints.json"
    path.write_bytes(bytes_)
    with pytest.raises(InputError, match=r"keypoints\.json"):
        read_keypoints(path)
    with pytest.raises(InputError, match=r"absent\.json"):
        read_keypoints(tmp_path / "absent.json")
    with pytest.raises(InputError, match="a JSON file"):
        read_keypoints(tmp_path)


def test_the_real_coco_files_are_read(real_data: Callable[[str], Path]) -> None:
    folder = real_data("coco")
    body, whole = (load_keypoints(folder / name) for name in ("test_coco.json", "test_coco_wholebody.json"))
    found = 0
    for photo in sorted(folder.glob("*.jpg")):
        people, all_points = (read_keypoints(content, image=photo.name) for content in (body, whole))
        assert people.name == "coco17" and all_points.name == "coco133" and len(people) == len(all_points)
        assert np.allclose(people.pixel, all_points.pixel[:, :17])
        found += len(people)
        people.checked((640, 640))
    assert found == 12
    first = read_keypoints(body, image=785)
    assert first.pixel[0, 0].tolist() == [367.5, 81.5]


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
    one = [instances(person[None]) for person in drawn]
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
    (tmp_path / "one.json").write_text(json.dumps(instances(seen(people, "coco17")[:1])))
    for content in (tmp_path / "one.json", read_keypoints(tmp_path / "one.json"), instances(seen(people, "coco17"))):
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
    from tests import detector_outputs as made

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
    from tests import detector_outputs as made

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
        ([[], instances(drawn[1:2]), []], "nobody was detected in the call"),
        (
            [instances(drawn[:1] + np.array([3000.0, 0.0, -0.7])), instances(drawn[1:2]), instances(drawn[2:])],
            "lies near",
        ),
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
    content = [instances(np.concatenate((far, drawn[:1]))), [], instances(drawn[2:])]
    found, notes = detections_of(content, people.estimate, given(people))
    assert found is not None and found.confidence.amax(1).tolist() == pytest.approx([0.9, 0.0, 0.9])
    assert (
        len(notes) == 2 and "1 detected person matches no body" in notes[0] and notes[1].startswith("Person 2: nobody")
    )


def test_what_halpe_lacks_here_is_told_once(people: Case) -> None:
    halpe = np.zeros((3, 26, 3))
    halpe[:, :17] = seen(people, "coco17")
    found, notes = detections_of([instances(part[None]) for part in halpe], people.estimate, given(people))
    assert found is not None and found.name == "body25"
    assert len(notes) == 1 and "halpe26 is read as body25" in notes[0]


def test_photos_without_people_take_the_set_of_the_others(people: Case) -> None:
    drawn = seen(people, "coco133")
    found, _ = detections_of([[], instances(drawn[1:2]), []], people.estimate, given(people))
    assert found is not None and found.name == "coco133"
    with pytest.raises(InputError, match="sets body25, coco17"):
        halpe = instances(np.ones((1, 26, 3)))
        detections_of([halpe, instances(drawn[1:2, :17]), []], people.estimate, given(people))


@pytest.mark.parametrize("form", ["mediapipe", "dwpose", "mmpose"])
def test_what_a_detector_returns_moves_the_body(form: str, people: Case) -> None:
    body = seen(people, "coco17")[0]
    names = SETS["openpose137"]
    whole = people.true.keypoints_2d("openpose137")[0].numpy()
    if form == "mmpose":
        content: object = instances(body[None])
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
