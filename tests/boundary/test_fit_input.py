"""What `refine.fit` says to bad input: which argument, what was expected, what came, what to do."""

import json
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

import refine
from priors import NearTranslation
from refine.body import SkinnedBody
from tests.people import Case, case


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=1)


@pytest.fixture(autouse=True)
def as_called_by_users() -> object:
    """Without the tests' run-time check of signatures, which would speak before the library does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def refused(match: str, *arguments: object, **named: object) -> None:
    with pytest.raises(refine.InputError, match=match) as caught:
        refine.fit(*arguments, **named)  # type: ignore[arg-type]
    assert "expected" in str(caught.value) and "got" in str(caught.value)


def test_a_photo_of_another_size_is_refused(people: Case) -> None:
    refused(r"image.*400x480.*got 100x90", np.zeros((90, 100, 3), np.uint8), people.estimate)


def test_an_image_index_without_its_photo_is_refused(people: Case) -> None:
    refused("2 photos", people.photos, replace(people.estimate, image_index=torch.tensor([1])))


def test_parameters_in_several_photos_say_who_is_in_which(people: Case) -> None:
    zero = {"global_orient": np.zeros((2, 3)), "body_pose": np.zeros((2, 63)), "transl": np.tile([0, 0, 3.0], (2, 1))}
    photos = [np.zeros((90, 100, 3), np.uint8)] * 2
    refused(r"image_index \(B,\) of 2 bodies in 2 photos.*numpy.arange", photos, zero, camera="diagonal")
    result = refine.fit(photos, {**zero, "image_index": np.arange(2)}, camera="diagonal", refiner=refine.Refiner())
    assert result.estimate.image_index.tolist() == [0, 1] and not any("Photo" in note for note in result.notes)


def test_a_photo_with_nobody_is_noted(people: Case) -> None:
    result = refine.fit([*people.photos, *people.photos], people.estimate, refiner=refine.Refiner())
    assert any(note.startswith("Photo 2 of 2: nobody") for note in result.notes)


@pytest.mark.parametrize("image", ["missing.jpg", np.zeros((0, 4, 3), np.uint8), np.zeros(7, np.uint8)])
def test_an_image_that_is_none_is_refused(people: Case, image: object) -> None:
    refused("image|missing", image, people.estimate)


@pytest.mark.parametrize("init", [3, {"poses": [1]}, "nowhere.npz"])
def test_an_estimate_that_is_none_is_refused(people: Case, init: object) -> None:
    refused("init|nowhere", people.photos, init, camera="diagonal")


def test_nan_in_parameters_is_the_outcome_of_that_person(people: Case) -> None:
    init = {"global_orient": np.zeros((1, 3)), "body_pose": np.full((1, 63), np.nan), "transl": np.array([[0, 0, 3.0]])}
    result = refine.fit(people.photos, init, camera="diagonal", refiner=refine.Refiner())
    assert result.stop == (refine.StopReason.UNUSABLE,) and not result.accepted.any()


def test_an_unknown_rule_lists_the_known_ones(people: Case) -> None:
    refused("diagonal", people.photos, people.estimate, camera="fisheye9000")


def test_a_negative_focal_length_is_refused(people: Case) -> None:
    wrong = replace(people.estimate.camera, focal=-people.estimate.camera.focal)
    refused("focal.*above zero", people.photos, people.estimate, camera=wrong)


@pytest.mark.parametrize("keypoints", [np.zeros((1, 19, 3)), np.zeros((2, 17, 3)), 5, ["a.json", "b.json"]])
def test_keypoints_of_another_form_are_refused(people: Case, keypoints: object) -> None:
    refused("keypoints", people.photos, people.estimate, keypoints=keypoints)


def test_keypoints_of_another_image_size_are_refused(people: Case, tmp_path: Path) -> None:
    far = [number for k in range(25) for number in (4000.0 + k, 3000.0 + k, 0.9)]
    path = tmp_path / "keypoints.json"
    path.write_text(json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": far}]}))
    refused("keypoints", people.photos, people.estimate, keypoints=path)


def test_a_file_without_people_leaves_the_estimate_as_it_is(people: Case, tmp_path: Path) -> None:
    path = tmp_path / "keypoints.json"
    path.write_text(json.dumps({"version": 1.3, "people": []}))
    result = refine.fit(people.photos, people.estimate, keypoints=path)
    assert result.stop[0] == refine.StopReason.NO_EVIDENCE and any(
        "nobody was detected" in note for note in result.notes
    )


def test_nan_confidence_is_refused_in_detections_and_a_missing_point_in_an_array(people: Case) -> None:
    pixel, confidence = people.detections.pixel, people.detections.confidence
    refused(
        "confidence",
        people.photos,
        people.estimate,
        keypoints=refine.Detections("body25", pixel, confidence * torch.nan),
    )
    result = refine.fit(people.photos, people.estimate, keypoints=np.full((1, 17, 3), np.nan, np.float32))
    assert result.stop[0] == refine.StopReason.NO_EVIDENCE


def test_a_missing_model_file_names_where_to_get_it(people: Case) -> None:
    refused("smpl", people.photos, people.estimate, body_model="no/such/SMPL_NEUTRAL.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_a_result_file_that_is_broken_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "result.npz"
    path.write_bytes(content)
    with pytest.raises(refine.InputError, match="result npz"):
        refine.load(path)


def test_a_result_of_a_later_version_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "result.npz", version=np.array(99))
    with pytest.raises(refine.InputError, match="version 99"):
        refine.load(tmp_path / "result.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [("evidence", 5), ("evidence", [5]), ("priors", "prior"), ("refiner", "x"), ("callback", "x"), ("priors", [dict])],
)
def test_an_argument_of_another_kind_is_refused_by_its_name(people: Case, name: str, value: object) -> None:
    refused(name, people.photos, people.estimate, **{name: value})


def test_evidence_of_another_number_of_bodies_is_refused(people: Case) -> None:
    from refine.terms.points3d import Points3D

    points = people.estimate.body.keypoint_set("coco17")
    two = replace(people.estimate, state=people.estimate.state[[0, 0]], image_index=torch.zeros(2, dtype=torch.long))
    for count in (1, 3):
        term = Points3D(points, torch.zeros(count, 17, 3), torch.ones(count, 17))
        refused("Points3D.target", people.photos, two, evidence=[term])
        refused(
            "NearTranslation",
            people.photos,
            two,
            keypoints=np.zeros((2, 17, 3), np.float32),
            priors=[NearTranslation(torch.zeros(count, 3))],
        )


def test_columns_the_model_lacks_are_refused(people: Case) -> None:
    for unknowns in (refine.Unknowns((0, 70)), refine.Unknowns((0,), 99), refine.Unknowns((0,), 0, 5)):
        refused(
            "unknowns",
            people.photos,
            people.estimate,
            keypoints=people.detections,
            refiner=refine.Refiner(unknowns=unknowns),
        )


def test_a_result_is_not_taken_for_an_estimate_but_its_file_is(people: Case, tmp_path: Path) -> None:
    result = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    refused("result.refined", people.photos, result)
    result.save(tmp_path / "result.npz")
    again = refine.fit(people.photos, tmp_path / "result.npz", keypoints=people.detections)
    torch.testing.assert_close(again.estimate.bodies.pose, result.bodies.pose)


def test_nobody_at_all_is_no_error(people: Case) -> None:
    none = people.estimate
    nobody = replace(none, state=none.state[:0], image_index=none.image_index[:0])
    result = refine.fit(people.photos, nobody, keypoints=np.zeros((0, 17, 3), np.float32))
    assert len(result) == 0 and result.stop == ()


def test_an_estimate_that_carries_gradients_is_refined_without_them(people: Case) -> None:
    state = people.estimate.state
    pose = state.bodies.pose.clone().requires_grad_()
    tracked = replace(people.estimate, state=replace(state, bodies=replace(state.bodies, pose=pose)))
    result = refine.fit(people.photos, tracked, keypoints=people.detections)
    assert result.accepted.all() and not result.bodies.pose.requires_grad


def changed(people: Case, **parts: torch.Tensor) -> refine.Estimate:
    """The estimate with some of its bodies' parts replaced."""
    state = people.estimate.state
    return replace(people.estimate, state=replace(state, bodies=replace(state.bodies, **parts)))


def test_an_estimate_with_numbers_that_are_none_is_refused(people: Case) -> None:
    bodies = people.estimate.bodies
    refused("translation: expected finite", people.photos, changed(people, translation=bodies.translation * torch.nan))
    refused("pose: expected rotation matrices", people.photos, changed(people, pose=2 * bodies.pose))
    camera = people.estimate.camera
    negative = replace(
        people.estimate, state=replace(people.estimate.state, camera=replace(camera, focal=-camera.focal))
    )
    refused("focal: expected values above zero", people.photos, negative)


def test_cameras_of_another_number_are_refused(people: Case) -> None:
    camera = people.estimate.camera[torch.zeros(3, dtype=torch.long)]
    refused("camera: expected one camera", people.photos, people.estimate, camera=camera)


def test_a_camera_in_another_frame_than_the_bodies_is_refused(people: Case) -> None:
    camera = replace(people.estimate.camera, camera_from_world=torch.eye(4)[None, :3])
    refused("camera_from_world", people.photos, people.estimate, camera=camera)


def test_an_array_of_keypoints_of_another_image_size_is_refused(people: Case) -> None:
    points = torch.cat((people.detections.pixel * 3, people.detections.confidence[..., None]), -1)
    refused("keypoints of the call: expected points in an image", people.photos, people.estimate, keypoints=points)


def test_detections_with_another_number_of_points_are_refused(people: Case) -> None:
    wrong = refine.Detections("coco17", people.detections.pixel, people.detections.confidence)
    refused("keypoints", people.photos, people.estimate, keypoints=wrong)


def test_a_damaged_result_file_is_refused_whatever_is_damaged(people: Case, tmp_path: Path) -> None:
    refine.fit(people.photos, people.estimate, keypoints=people.detections).save(tmp_path / "whole.npz")
    whole = dict(np.load(tmp_path / "whole.npz"))
    for key in (
        "pose",
        "focal",
        "stop",
        "notes",
        "cost",
        "source/pose",
        "source/format",
        "body",
        "estimate/shape",
        "image_index",
    ):
        np.savez(tmp_path / "part.npz", **{name: array for name, array in whole.items() if name != key})
        with pytest.raises(refine.InputError):
            refine.load(tmp_path / "part.npz")
    for key, value in (
        ("pose", np.full_like(whole["pose"], np.nan)),
        ("stop", np.array(["NOWHERE"])),
        ("version", np.array("one")),
    ):
        np.savez(tmp_path / "part.npz", **{**whole, key: value})
        with pytest.raises(refine.InputError):
            refine.load(tmp_path / "part.npz")
    data = bytearray((tmp_path / "whole.npz").read_bytes())
    for place in range(200, len(data) - 200, len(data) // 40):
        hurt = bytearray(data)
        hurt[place] ^= 0xFF
        (tmp_path / "part.npz").write_bytes(bytes(hurt))
        try:
            refine.load(tmp_path / "part.npz")  # a flipped bit in a stored name may go unseen
        except refine.InputError:
            continue
