"""The order of every detector's points, held against the names that the detector's own source lists.

Each list is written as the source has it; `SAME` says which of its words mean the same as ours.
"""

import numpy as np
import pytest

from refine.body.keypoint_names import SETS
from refine.inputs.keypoint_files import read_keypoints
from tests.detector_outputs import (
    SIZE,
    alphapose,
    alphapose_open,
    easy_vitpose,
    landmarks,
    openpose,
    pair,
    points,
    sapiens,
)

ALPHAPOSE_17 = (
    "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee Rknee LAnkle RAnkle"
).split()
"""MVIG-SJTU/AlphaPose@c60106d19a docs/output.md, keypoint ordering, COCO."""

ALPHAPOSE_OPEN = (
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar"
).split()
"""The same page, `--format open`."""

OPENPOSE_25 = (
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle REye LEye "
    "REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel"
).split()
"""CMU-Perceptual-Computing-Lab/openpose@5c5d96523e doc/02_output.md, BODY_25."""

RTMLIB_26 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle head neck hip left_big_toe "
    "right_big_toe left_small_toe right_small_toe left_heel right_heel"
).split()
"""Tau-J/rtmlib@2f36e3b62d rtmlib/visualization/skeleton/halpe26.py."""

RTMLIB_18 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
    "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear"
).split()
"""The same, openpose18.py; the first 18 of openpose134.py."""

EASY_25 = (
    "nose left_eye right_eye left_ear right_ear neck left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_hip right_hip hip left_knee right_knee left_ankle right_ankle left_big_toe left_small_toe "
    "left_heel right_big_toe right_small_toe right_heel"
).split()
"""JunkyByte/easy_ViTPose@4f2ba445c9 easy_ViTPose/vit_utils/visualization.py joints_dict()["coco_25"]."""

SAPIENS_70 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_hip right_hip "
    "left_knee right_knee left_ankle right_ankle left_big_toe left_small_toe left_heel right_big_toe right_small_toe "
    "right_heel right_thumb4 right_thumb3 right_thumb2 right_thumb_third_joint right_forefinger4 right_forefinger3 "
    "right_forefinger2 right_forefinger_third_joint right_middle_finger4 right_middle_finger3 right_middle_finger2 "
    "right_middle_finger_third_joint right_ring_finger4 right_ring_finger3 right_ring_finger2 "
    "right_ring_finger_third_joint right_pinky_finger4 right_pinky_finger3 right_pinky_finger2 "
    "right_pinky_finger_third_joint right_wrist left_thumb4 left_thumb3 left_thumb2 left_thumb_third_joint "
    "left_forefinger4 left_forefinger3 left_forefinger2 left_forefinger_third_joint left_middle_finger4 "
    "left_middle_finger3 left_middle_finger2 left_middle_finger_third_joint left_ring_finger4 left_ring_finger3 "
    "left_ring_finger2 left_ring_finger_third_joint left_pinky_finger4 left_pinky_finger3 left_pinky_finger2 "
    "left_pinky_finger_third_joint left_wrist left_olecranon right_olecranon left_cubital_fossa right_cubital_fossa "
    "left_acromion right_acromion neck"
).split()
"""facebookresearch/sapiens@3e829ac274 pose/configs/_base_/datasets/goliath.py dataset_info["keypoint_info"], the first
70 of 308."""

MEDIAPIPE_33 = (
    "nose, left eye (inner), left eye, left eye (outer), right eye (inner), right eye, right eye (outer), left ear, "
    "right ear, mouth (left), mouth (right), left shoulder, right shoulder, left elbow, right elbow, left wrist, right "
    "wrist, left pinky, right pinky, left index, right index, left thumb, right thumb, left hip, right hip, left knee, "
    "right knee, left ankle, right ankle, left heel, right heel, left foot index, right foot index"
).split(", ")
"""ai.google.dev, pose landmark detection guide, the landmarks of the model."""

HAND_33 = {f"{side} {finger}" for side in ("left", "right") for finger in ("pinky", "index", "thumb")}

NO_COUNTERPART = {
    "head", "neck of halpe", "hip of halpe", "neck of easy", "hip of easy", "neck of sapiens", "neck of rtmlib",
    *(name for name in SAPIENS_70 if name.endswith(("olecranon", "cubital_fossa", "acromion"))),
    *(name for name in MEDIAPIPE_33 if "(" in name or name in HAND_33),
}  # fmt: skip
"""Points that are none of ours."""


def ours(word: str) -> str:
    """Our name of a source's word."""
    if word[:1] in "LR" and word[1:2].isupper():
        side, rest = {"L": "left", "R": "right"}[word[0]], word[1:]
        parts = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in rest)
        return side + parts
    word = {"Nose": "nose", "Neck": "neck", "MidHip": "mid_hip", "Rknee": "right_knee"}.get(word, word)
    word = word.replace("foot index", "big toe")  # MediaPipe's (`refine.keypoints.sets`)
    word = word.replace("forefinger", "index").replace("_finger", "").replace("_third_joint", "1")
    return word.replace(" ", "_")


CASES = {
    "alphapose": (ALPHAPOSE_17, 17, lambda drawn: alphapose(drawn), 0.5, ""),
    "alphapose open": (ALPHAPOSE_OPEN, 18, lambda drawn: alphapose_open(drawn), 0.5, ""),
    "openpose": (OPENPOSE_25, 25, lambda drawn: openpose(drawn), 0.0, ""),
    "rtmlib 26": (RTMLIB_26, 26, lambda drawn: pair(drawn), 0.5, "halpe"),
    "rtmlib 18": (RTMLIB_18, 18, lambda drawn: pair(drawn), 0.5, ""),
    "rtmlib 134": (RTMLIB_18, 134, lambda drawn: pair(drawn), 0.5, "rtmlib"),
    "easy_ViTPose": (
        EASY_25, 25, lambda drawn: easy_vitpose(drawn, {str(index): name for index, name in enumerate(EASY_25)}), 0.5,
        "easy",
    ),
    "sapiens": (SAPIENS_70, 308, lambda drawn: sapiens(drawn), 0.5, "sapiens"),
    "mediapipe": (MEDIAPIPE_33, 33, lambda drawn: landmarks(drawn), 0.0, ""),
    "array 18": (RTMLIB_18, 18, lambda drawn: drawn, 0.0, ""),
    "array 26": (RTMLIB_26, 26, lambda drawn: drawn, 0.0, "halpe"),
    "array 33": (MEDIAPIPE_33, 33, lambda drawn: drawn, 0.0, ""),
    "array 25": (OPENPOSE_25, 25, lambda drawn: drawn, 0.0, ""),
    "array 308": (SAPIENS_70, 308, lambda drawn: drawn, 0.0, "sapiens"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_point_goes_where_its_own_source_says_it_is(case: str) -> None:
    words, count, make, half, whose = CASES[case]
    drawn = points(1, count)
    people = read_keypoints(make(drawn), image="photo.jpg", size=SIZE)
    names, met = SETS[people.name], set()
    for index, word in enumerate(words):
        if word in NO_COUNTERPART or f"{word} of {whose}" in NO_COUNTERPART:
            continue
        there = names.index(ours(word))
        met.add(there)
        assert np.allclose(people.pixel[0, there], drawn[0, index, :2] + half, atol=2e-3), word
        assert float(people.confidence[0, there]) == pytest.approx(drawn[0, index, 2], abs=1e-5), word
    if count < 134:  # all others are empty: nothing is put where nobody said it was
        assert {int(k) for k in (people.confidence[0] > 0).nonzero()[:, 0]} == met
    if whose == "sapiens":
        assert not people.confidence[0, [k for k, name in enumerate(names) if name.startswith("face_")]].any()


@pytest.mark.parametrize("count", [136, 134])
def test_hands_and_face_of_the_whole_bodies_stand_behind(count: int) -> None:
    """Halpe's 136 and DWPose's 134: face and hands behind body and feet (halpe_fullbody README, openpose134.py)."""
    drawn = points(1, count)
    people = read_keypoints(pair(drawn), size=SIZE)
    first = {136: 26, 134: 24}[count]
    for place, name in (
        (first, "face_0"),
        (first + 67, "face_67"),
        (first + 68, "left_hand_root"),
        (first + 89, "right_hand_root"),
    ):
        assert np.allclose(people.pixel[0, SETS[people.name].index(name)], drawn[0, place, :2] + 0.5, atol=1e-3), name


def test_another_set_of_the_same_size_is_told_by_easy_vitposes_names() -> None:
    from refine.errors import InputError

    animal = {
        str(n): name for n, name in enumerate(["L_Eye", "R_Eye", "Nose", "Neck", "Root of tail", *"abcdefghijkl"])
    }
    with pytest.raises(InputError, match=r"the points of coco17, got L_Eye, R_Eye"):
        read_keypoints(easy_vitpose(points(1, 17), animal))
    named = {str(n): f"face-{n - 23}" if n > 22 else name for n, name in enumerate(SETS["coco133"])}
    assert read_keypoints(easy_vitpose(points(1, 133), named)).name == "coco133"
