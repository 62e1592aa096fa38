"""Keypoint files in OpenPose's layout, and who is who. The other layouts: `test_keypoint_formats.py`."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.inputs.keypoint_files import read_keypoints
from refine.keypoints.formats import Wanted
from refine.keypoints.formats.find import layout_of
from refine.keypoints.matching import FARTHEST, match_people
from refine.keypoints.sets import THEIRS


def write(path: Path, people: list[dict[str, list[float]]]) -> Path:
    path.write_text(json.dumps({"version": 1.3, "people": people}))
    return path


def numbered(count: int) -> list[float]:
    """Points (k, 10 k) of confidence 0.5."""
    return [value for k in range(1, count + 1) for value in (float(k), 10.0 * k, 0.5)]


def person_at(x: float, y: float, seed: int = 0) -> torch.Tensor:
    """25 points in a box of about 100 x 200 px."""
    draw = torch.Generator().manual_seed(seed)
    return torch.tensor([x, y]) + torch.rand(25, 2, generator=draw) * torch.tensor([100.0, 200.0])


def test_body25_is_read_in_its_order_and_counts_from_the_images_corner_already(tmp_path: Path) -> None:
    file = read_keypoints(write(tmp_path / "k.json", [{"pose_keypoints_2d": numbered(25)}]))
    assert file.name == "body25" and len(file) == 1
    assert file.pixel[0, 4].tolist() == [5.0, 50.0]
    assert file.confidence[0].tolist() == [0.5] * 25


def test_another_detectors_body_in_openposes_layout_counts_from_pixel_centres(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": numbered(25)}]}))
    assert read_keypoints(path).pixel[0, 4].tolist() == [5.5, 50.5]


@pytest.mark.parametrize(
    "beside", [{}, {"person_id": [-1]}, {"person_id": [3], "pose_keypoints_3d": [1.0] * 100, "face_keypoints_3d": []}]
)
@pytest.mark.parametrize("version", [1.1, 1.2, 1.3])
def test_what_stands_beside_the_points_in_the_releases_is_not_read(
    beside: dict[str, list[float]], version: float, tmp_path: Path
) -> None:
    person = {"pose_keypoints_2d": numbered(25), "face_keypoints_2d": [], "hand_left_keypoints_2d": [], **beside}
    path = tmp_path / "k.json"
    path.write_text(json.dumps({"version": version, "people": [person], "part_candidates": [{"0": [1.0, 2.0, 0.5]}]}))
    file = read_keypoints(path)
    assert file.name == "body25" and file.pixel[0, 4].tolist() == [5.0, 50.0]


def test_the_keys_before_release_1_3_are_known(tmp_path: Path) -> None:
    file = read_keypoints(
        write(tmp_path / "k.json", [{"pose_keypoints": numbered(18), "face_keypoints": numbered(70)}])
    )
    assert file.name == "openpose137" and float(file.confidence[0, 67:].min()) == 0.5


def test_points_that_are_shares_of_the_image_are_refused(tmp_path: Path) -> None:
    values = [value for k in range(25) for value in (k / 25, 1 - k / 25, 0.9)]
    with pytest.raises(InputError, match="keypoint_scale 0"):
        read_keypoints(write(tmp_path / "k.json", [{"pose_keypoints_2d": values}]))


def test_joints_that_were_not_found_have_no_confidence_and_no_place(tmp_path: Path) -> None:
    values = numbered(25)
    values[3:6] = [0.0, 0.0, 0.0]
    file = read_keypoints(write(tmp_path / "k.json", [{"pose_keypoints_2d": values}]))
    assert file.pixel[0, 1].tolist() == [0.0, 0.0] and float(file.confidence[0, 1]) == 0.0


def test_cocos_18_points_take_their_places_in_body25(tmp_path: Path) -> None:
    file = read_keypoints(write(tmp_path / "k.json", [{"pose_keypoints_2d": numbered(18)}]))
    assert file.pixel.shape == (1, 25, 2)
    # COCO-18: 8 right hip, 11 left hip, 14 right eye; BODY_25: 9, 12, 15.
    assert [float(file.pixel[0, k, 0]) for k in (7, 9, 12, 15, 18)] == [8.0, 9.0, 12.0, 15.0, 18.0]
    assert [k for k in range(25) if float(file.confidence[0, k]) == 0] == [8, *range(19, 25)]


def test_hands_and_face_follow_the_body(tmp_path: Path) -> None:
    person = {"pose_keypoints_2d": numbered(25), "hand_right_keypoints_2d": numbered(21), "face_keypoints_2d": []}
    file = read_keypoints(write(tmp_path / "k.json", [person]))
    assert file.name == "openpose137"
    assert float(file.confidence[0, 25:46].max()) == 0 and float(file.confidence[0, 67:].max()) == 0
    assert file.pixel[0, 46:67, 0].tolist() == [k + 0.5 for k in range(1, 22)]


def test_a_file_without_hands_can_be_had_in_the_whole_set(tmp_path: Path) -> None:
    whole = read_keypoints(write(tmp_path / "k.json", [{"pose_keypoints_2d": numbered(25)}])).whole()
    assert whole.name == "openpose137" and whole.pixel.shape == (1, 137, 2)
    assert float(whole.confidence[0, 25:].max()) == 0


def test_a_photo_without_people_has_none(tmp_path: Path) -> None:
    file = read_keypoints(write(tmp_path / "k.json", []))
    assert len(file) == 0
    assert match_people(person_at(0, 0)[None], file.pixel, file.confidence).tolist() == [-1]


def test_the_real_files_are_read(real_data: Callable[[str], Path]) -> None:
    pair = read_keypoints(real_data("bev_pair") / "image_1_keypoints.json").checked((971, 1457))
    assert len(pair) == 2 and pair.name == "openpose137"
    one = read_keypoints(next(real_data("openpose_photo").glob("*.json"))).checked((6016, 4016))
    assert len(one) == 1 and one.name == "body25"


def test_matching_is_the_best_of_all_pairings() -> None:
    places = [(0.0, 0.0), (120.0, 10.0), (60.0, 40.0)]
    detected = torch.stack([person_at(*place) for place in places])
    projected = detected + torch.tensor([[25.0, 5.0], [-30.0, 10.0], [8.0, -20.0]])[:, None]
    confidence = torch.rand(3, 25, generator=torch.Generator().manual_seed(1)) * 0.6 + 0.4
    cost = np.zeros((3, 3))
    for b, p in itertools.product(range(3), repeat=2):
        apart = (projected[b] - detected[p]).norm(dim=-1)
        sides = detected[p].amax(0) - detected[p].amin(0)
        cost[b, p] = float((apart * confidence[p]).sum() / confidence[p].sum() / sides.prod().sqrt())
    assert cost.min(1).max() < FARTHEST
    best = min(
        itertools.permutations(range(3)), key=lambda order: sum(min(cost[b, p], FARTHEST) for b, p in enumerate(order))
    )
    assert match_people(projected, detected, confidence).tolist() == list(best)


def test_a_body_nobody_was_detected_near_gets_nobody_and_takes_nobody_from_others() -> None:
    detected, confidence = torch.stack([person_at(0, 0), person_at(500, 0)]), torch.ones(2, 25)
    projected = torch.stack([person_at(2000, 0), person_at(510, 0), person_at(10, 5)])
    assert match_people(projected, detected, confidence).tolist() == [-1, 1, 0]


def test_points_without_confidence_do_not_decide() -> None:
    detected = torch.stack([person_at(0, 0), person_at(0, 0)])
    detected[0, 10:] = 0.0
    confidence = torch.ones(2, 25)
    confidence[0, 10:] = 0.0
    detected[1] += 60.0
    assert match_people(person_at(0, 0)[None], detected, confidence).tolist() == [0]


def test_permuting_people_permutes_the_match() -> None:
    detected, confidence = torch.stack([person_at(200.0 * n, 0, n) for n in range(4)]), torch.ones(4, 25)
    order = torch.tensor([2, 0, 3, 1])
    assert match_people(detected[order] + 5.0, detected, confidence).tolist() == order.tolist()


@pytest.mark.parametrize("count", sorted({len(names) for names, _ in THEIRS.values()}))
def test_points_and_their_scores_are_read_whatever_detector_has_as_many(count: int) -> None:
    """Nearly all detectors return such a pair; arrays of points and confidences say the same in one."""
    draw = np.random.default_rng(count)
    points, scores = draw.uniform(100, 300, (2, count, 2)), draw.uniform(0.3, 1.0, (2, count))
    wanted = Wanted("the call", None, (400, 400))
    contents = (points, scores), np.concatenate((points, scores[..., None]), -1)
    found, one = (layout_of(content, "the call").read(content, wanted) for content in contents)
    assert found.name == one.name and torch.allclose(found.confidence, one.confidence)
    seen = found.confidence > 0
    apart = (found.pixel - one.pixel)[seen]
    assert torch.allclose(apart, apart[:1].expand_as(apart), atol=1e-4) and set(apart[0].tolist()) <= {0.0, 0.5}
