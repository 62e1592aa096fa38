"""Every detector's layout is read into our sets, people of many images told apart, pixels from the corner."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.inputs.keypoint_files import load_keypoints, read_keypoints
from refine.keypoints.formats import KeypointFormat
from refine.keypoints.formats.find import keypoint_formats
from tests.detector_outputs import Landmark, coco, controlnet, landmarks, mmpose, points, ultralytics, ultralytics_json

EXAMPLES: dict[str, object] = {
    "openpose": {"version": 1.3, "people": [{"pose_keypoints_2d": points(1, 25).reshape(-1).tolist()}]},
    "openpose, nobody": {"version": 1.3, "people": []},
    "mmpose": mmpose(points(2, 17)),
    "mmpose, nobody": [],
    "mmpose video": [{"frame_id": 0, "instances": mmpose(points(1, 133))}],
    "mmpose demo": {"meta_info": {}, "instance_info": mmpose(points(1, 26))},
    "mmpose in memory": {"visualization": [], "predictions": [mmpose(points(1, 17))]},
    "coco results": coco(points(2, 17)),
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
        [coco(drawn[n : n + 1], image)[0] for n, image in enumerate((785, 40083, 7))],
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
    drawn[..., 2] = np.random.default_rng(0).integers(0, 3, (2, 17))
    drawn[0, :3, 2] = 0, 1, 2
    for content in (coco(drawn), drawn, mmpose(drawn)):
        people = read_keypoints(content)
        assert "COCO's flags" in " ".join(people.notes)
        assert people.confidence[0, :3].tolist() == [0, 1, 1]
    drawn[..., 2] = 7.5
    for content in (mmpose(drawn), (drawn[..., :2], drawn[..., 2])):
        assert "confidences reach 7.5; those above 1 count as 1" in " ".join(read_keypoints(content).notes)
    drawn[..., 2] = 1.07
    assert read_keypoints(drawn).notes == ()


def test_a_canvas_of_another_shape_than_the_photos_is_doubted(tmp_path: Path) -> None:
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
    "a wrong number of points": (mmpose(points(1, 19)), "17 or 26 or 133 or 136 numbers, got 19"),
    "3D points": ([{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1.0] * 17}], "34 numbers, got 51"),
    "infinity": ([{"keypoints": [[float("inf"), 2]] * 17, "keypoint_scores": [1.0] * 17}], "finite"),
    "text": ([{"keypoints": [["a", "b"]] * 17, "keypoint_scores": [1.0] * 17}], "finite numbers, got something else"),
    "an instance of another kind": ([*mmpose(points(1, 17)), 3], "instance 1"),
    "two sets": (mmpose(points(1, 17)) + mmpose(points(1, 26)), "as many keypoints each"),
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
