"""Evaluation on annotated and stored people of real photos, on people whose answer is known."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from displacement_net.displacement import Displacement
from displacement_net.training.evaluation import tables
from displacement_net.training.evaluation.annotated import BODY, FEET, FILE, PARTS, Annotated, read_annotated
from displacement_net.training.evaluation.fit_annotated import SET, fit_annotated
from displacement_net.training.evaluation.pictures import draw_field, write_triptych
from displacement_net.training.evaluation.real_people import PersonRow, in_photo, rows_of, silhouettes, try_people
from displacement_net.training.evaluation.stored import BEV, arms, moved, refine_bev
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.geometry.focal import camera_from_rule
from refine.photo import Photo
from refine.refiner import Refiner
from refine.render.view import View, render_view
from tests.people import HEIGHT, WIDTH, Case, case

NEAR_PX = 6.0
"""How far fitted keypoints may lie from exact ones on a person 300 px tall: priors of shape and pose pull too."""


@pytest.fixture(scope="module")
def standing(builtin_body: SkinnedBody) -> Case:
    """Two people, seen by the camera annotated people are seen by."""
    people = case(builtin_body, 2, seed=3)
    camera = camera_from_rule("diagonal", (HEIGHT, WIDTH))[[0, 0]]
    return replace(people, true=replace(people.true, state=replace(people.true.state, camera=camera)))


@pytest.fixture(scope="module")
def people(standing: Case) -> Annotated:
    """The same, annotated without an error."""
    pixel = standing.true.keypoints_2d(SET)
    confidence = torch.zeros(pixel.shape[:2])
    confidence[:, : BODY + FEET] = 1.0
    low, high = pixel.amin(1), pixel.amax(1)
    return Annotated(
        ("a/1", "b/2"), tuple(Photo(photo) for photo in standing.photos), torch.arange(2), pixel, confidence,
        torch.ones(2, BODY, dtype=torch.bool), torch.cat((low, high - low), 1), tuple(silhouettes(standing.true)),
    )  # fmt: skip


def written(folder: Path, **changed: Any) -> Path:
    """One annotated person: a square of 20 px at (10, 20)."""
    cv2.imwrite(str(folder / "000000000007.jpg"), np.zeros((60, 80, 3), np.uint8))
    row: dict[str, Any] = {
        "id": 5, "image_id": 7, "num_keypoints": 2, "bbox": [10, 20, 20, 20],
        "segmentation": [[10, 20, 30, 20, 30, 40, 10, 40]],
        **{name: [0] * (3 * count) for name, count in PARTS},
        **{name.replace("kpts", "valid"): True for name, _ in PARTS[1:]},
    }  # fmt: skip
    row["keypoints"][:6] = [12, 22, 2, 14, 24, 1]
    row["face_kpts"] = [15, 25, 0.4] * 68
    row["lefthand_valid"], row["lefthand_kpts"] = False, [1, 2, 2] * 21
    nobody = {**row, "id": 6, "num_keypoints": 0}
    image = {"id": 7, "file_name": "000000000007.jpg"}
    (folder / FILE).write_text(json.dumps({"images": [image], "annotations": [{**row, **changed}, nobody]}))
    return folder


def test_annotations_are_read_as_they_are_written(tmp_path: Path) -> None:
    found = read_annotated(written(tmp_path))
    assert found.names == ("7/5",), "who has no keypoints is left out"
    assert found.visible[0].nonzero()[:, 0].tolist() == [0]
    assert found.confidence[0, :3].tolist() == [1.0, 0.5, 0.0]
    assert found.pixel[0, 1].tolist() == [14, 24]
    assert float(found.confidence[0, BODY + FEET : BODY + FEET + 68].min()) == 1
    assert float(found.confidence[0, BODY + FEET + 68 :].max()) == 0, "a hand that is not valid counts for nothing"
    assert found.masks[0].shape == (60, 80)
    assert found.masks[0].sum() == pytest.approx(400, rel=0.11)
    assert found.masks[0][21:39, 11:29].all()
    assert float(found.box_side) == 20


@pytest.mark.parametrize("changed", [{"keypoints": [1, 2]}, {"image_id": 8}, {"bbox": None}])
def test_damaged_annotations_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--real-data: expected COCO annotations"):
        read_annotated(written(tmp_path, **changed))


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--real-data"):
        read_annotated(tmp_path)


def test_the_body_is_fitted_to_annotated_people(builtin_body: SkinnedBody, people: Annotated) -> None:
    fitted = fit_annotated(builtin_body, people)
    found = in_photo(people, torch.arange(2), fitted)
    assert float(found.misfit.max()) < NEAR_PX
    assert float(found.iou.min()) > 0.75
    assert fitted.image_index.tolist() == [0, 1]


def test_who_lies_on_the_annotation_is_right_by_every_figure(standing: Case, people: Annotated) -> None:
    found = in_photo(people, torch.tensor([0, 1]), standing.true)
    assert float(found.misfit.max()) < 1e-3
    assert found.pck.tolist() == [[1, 1], [1, 1]]
    assert found.iou.tolist() == [1, 1]
    other = in_photo(people, torch.tensor([0, 1]), standing.estimate)
    assert float(other.iou.max()) < 1
    assert bool((other.pck[:, 0] <= other.pck[:, 1]).all())


@pytest.mark.parametrize(
    ("pair", "worse"), [((20.0, 20.9), False), ((20.0, 21.1), True), ((2.0, 2.3), True), ((2.0, 2.1), False)]
)
def test_worse_is_a_tenth_or_a_pixel_more(pair: tuple[float, float], worse: bool) -> None:
    assert PersonRow("a", "weak", False, pair, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)).worse is worse


class Still:
    """A displacer that says that it does not know."""

    def displace(self, view: View) -> Displacement:
        root = torch.zeros(*view.fragments.triangle.shape, 2, 2)
        return Displacement(root[..., 0], root)


def test_a_trial_keeps_people_strengths_and_seeds_apart(standing: Case, people: Annotated) -> None:
    trial = try_people(people, standing.true, Refiner(Still(), rounds=1), ("weak", "strong"), 2)
    assert trial.person.tolist() == [0, 0, 1, 1] * 2
    assert trial.strength.tolist() == [0] * 4 + [1] * 4
    assert trial.estimate.image_index.tolist() == trial.person.tolist()
    torch.testing.assert_close(trial.estimate.bodies.pose, trial.refined.bodies.pose)
    assert len({float(value) for value in trial.estimate.bodies.translation[:, 0]}) == 8
    assert trial.first_of(1).person.tolist() == [0, 1]
    torch.testing.assert_close(trial.first_of(1).estimate.bodies.pose, trial.estimate.bodies.pose[[4, 6]])
    rows = rows_of(people, trial, ("weak", "strong"))
    assert [(row.name, row.strength) for row in rows] == [
        (name, strength) for name in people.names for strength in ("weak", "strong")
    ]
    assert not any(row.worse or row.small for row in rows)
    weak, strong = (np.mean([row.misfit[0] for row in rows if row.strength == name]) for name in ("weak", "strong"))
    assert weak > strong > 0
    summary = tables.people_summary([*rows, replace(rows[0], small=True, misfit=(1e6, 0.0))])
    assert summary["all"]["change_percent"] == pytest.approx(0)
    assert summary["all"]["people"] == 4


def test_arrows_are_drawn_where_something_is_said(standing: Case) -> None:
    photos = [Photo(photo) for photo in standing.photos]
    view = render_view(photos, standing.true, crop_px=64)
    said = Still().displace(view)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    draw_field(picture, view, said, np.ones(2))
    assert not picture.any()
    root = torch.zeros_like(said.sqrt_information)
    root[0, :32] = torch.eye(2)
    draw_field(picture, view, replace(said, sqrt_information=root), np.ones(2))
    low, high = view.crop.to_image(torch.tensor([[[0.0, 0.0], [64.0, 32.0]]]).repeat(2, 1, 1))[0].round().int().tolist()
    drawn = np.argwhere(picture.any(-1))
    assert len(drawn) > 20
    assert drawn[:, 0].min() >= max(low[1], 0) - 4
    assert drawn[:, 0].max() <= high[1] + 4


def test_one_picture_a_photo_is_written(standing: Case, tmp_path: Path) -> None:
    photos = tuple(Photo(photo) for photo in standing.photos)
    before = replace(standing.estimate, state=replace(standing.estimate.state, camera=standing.true.camera))
    write_triptych(tmp_path / "people.png", photos, before, standing.true, Still(), "Estimate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people_0.png", "people_1.png"]
    picture = cv2.imread(str(tmp_path / "people_0.png"))
    assert picture is not None
    assert picture.shape[1] > 3 * WIDTH


def test_arms_of_the_bev_pair_stay_where_nothing_is_said(real_data: Callable[[str], Path]) -> None:
    folder = real_data(BEV)
    result = refine_bev(folder, Refiner(Still(), rounds=1))
    found = arms(folder, result)
    assert [one.points for one in found] == [6, 5]
    for one in found:
        assert 20 < one.before_px < 40
        assert one.after_px == pytest.approx(one.before_px)
    for one in moved(result):
        assert (one.pixel, one.joints_mm) == pytest.approx((0, 0), abs=1e-3)


def test_the_annotated_people_of_coco_are_twelve(real_data: Callable[[str], Path]) -> None:
    found = read_annotated(real_data("coco"))
    assert len(found) == 12
    assert len(found.photos) == 4
    for row, mask in enumerate(found.masks):
        left, top, width, _ = found.box[row].tolist()
        rows, columns = np.nonzero(mask)
        assert abs(rows.min() - top) < 2.5
        assert abs(columns.max() - left - width) < 2.5
