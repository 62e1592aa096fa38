"""MMPose's instances, DWPose's points and MediaPipe's landmarks, read into our sets."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.inputs.keypoint_files import read_keypoints
from tests.detector_outputs import Landmark, landmarks, mmpose, points


@pytest.mark.parametrize(("count", "name"), [(17, "coco17"), (133, "coco133"), (26, "body25"), (136, "openpose137")])
@pytest.mark.parametrize("nested", [True, False])
def test_mmposes_instances_go_into_our_set_half_a_pixel_on(count: int, name: str, nested: bool, tmp_path: Path) -> None:
    drawn = points(2, count)
    path = tmp_path / "photo.json"
    content = [one | {"bbox": one["bbox"] if nested else one["bbox"][0]} for one in mmpose(drawn)]
    path.write_text(json.dumps(content))
    people = read_keypoints(path)
    assert people.name == name and len(people) == 2
    nose, ear = SETS[name].index("nose"), SETS[name].index("right_ear")
    assert np.allclose(people.pixel[:, nose], drawn[:, 0, :2] + 0.5, atol=1e-4)
    assert np.allclose(people.pixel[:, ear], drawn[:, 4, :2] + 0.5, atol=1e-4)
    assert np.allclose(people.confidence[:, ear], drawn[:, 4, 2], atol=1e-6)


def test_halpes_toes_and_heels_stand_by_side_and_its_head_neck_and_hip_are_left_out() -> None:
    drawn = points(1, 26)
    people = read_keypoints(mmpose(drawn))
    order = ("left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe", "left_heel", "right_heel")
    for offset, name in enumerate(order):
        assert np.allclose(people.pixel[0, SETS["body25"].index(name)], drawn[0, 20 + offset, :2] + 0.5, atol=1e-4)
    for name in ("neck", "mid_hip"):
        assert float(people.confidence[0, SETS["body25"].index(name)]) == 0
    assert "without top of the head, nape, pelvis" in people.notes[0]


def test_scores_above_one_count_as_one_and_points_without_any_have_no_place() -> None:
    drawn = points(1, 17)
    drawn[0, 3, 2], drawn[0, 5, 2] = 1.07, 0.0
    people = read_keypoints(mmpose(drawn))
    assert float(people.confidence[0, 3]) == 1 and people.pixel[0, 5].tolist() == [0, 0]


def test_the_frame_of_a_video_is_named_by_its_number() -> None:
    drawn = points(3, 17)
    frames = [{"frame_id": 10 + index, "instances": mmpose(drawn[index : index + 1])} for index in range(3)]
    for content in (frames, {"meta_info": {}, "instance_info": frames}):
        found = read_keypoints(content, image=11)
        assert np.allclose(found.pixel[0], drawn[1, :, :2] + 0.5, atol=1e-4)
        for image in (None, 9, "000011.jpg"):
            with pytest.raises(InputError, match=r"3 frames, numbers 10 to 12.*image=NUMBER"):
                read_keypoints(content, image=image)


def test_another_set_of_the_same_size_is_told_by_its_names() -> None:
    names = {str(index): name for index, name in enumerate(["root", "right_hip", "right_knee"])}
    demo = {"meta_info": {"keypoint_id2name": names}, "instance_info": mmpose(points(1, 17))}
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
