"""People whose numbers are not finite, and all others who are not refined: one story in every place that tells of
them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import refine
from refine.conversion.as_parameters import body_words
from refine.conversion.converted import convert
from refine.export.files import write_ply
from refine.formats.parameters import read_parameters
from refine.inspection.result_file import inspect
from refine.result.page import page_of
from refine.solve import SOLVED, UNSOLVED, Decision, StopReason
from tests.folders import run_over
from tests.layouts import bev
from tests.layouts.parameters import smpl_parameters
from tests.regressor_files import HEIGHT, WIDTH

PHOTO = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
OF_A_ROW = ("global_orient", "body_pose", "betas", "transl", "joints")
"""What a person's row of the parameters consists of."""

People = dict[str, Any]
DAMAGES: dict[str, Callable[[People, int], None]] = {
    "one angle": lambda people, row: people["body_pose"].__setitem__((row, 3), np.nan),
    "a place": lambda people, row: people["transl"].__setitem__(row, np.nan),
    "an endless shape": lambda people, row: people["betas"].__setitem__((row, 0), np.inf),
    "joints": lambda people, row: people["joints"].__setitem__(row, np.nan),
    "all of it": lambda people, row: [people[name].__setitem__(row, np.nan) for name in OF_A_ROW] and None,
}


def damaged(kind: str, row: int, people: int = 2) -> People:
    """Parameters of people, those of one row damaged."""
    words = smpl_parameters(people)
    DAMAGES[kind](words, row)
    return words


def seen(init: People) -> Tensor:
    """Keypoints (B, 17, 3) a few pixels beside whole people's own."""
    whole = read_parameters(init).keypoints_2d("coco17")
    return torch.cat((whole + 4.0, torch.ones(*whole.shape[:2], 1)), 2)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("kind", DAMAGES)
def test_somebody_without_numbers_is_neither_accepted_nor_given_any(kind: str, row: int, tmp_path: Path) -> None:
    keypoints, other = seen(smpl_parameters(2)), 1 - row
    init = damaged(kind, row)
    result = refine.fit(PHOTO, init, keypoints=keypoints)
    assert result.accepted.tolist() == [n != row for n in range(2)]
    assert (result.stop[row], result.judgement[row].decision) == (StopReason.UNUSABLE, Decision.UNSOLVED)
    assert "no usable numbers" in result.verdict[row] and result.verdict[row].endswith("left as it came.")
    assert "1 refined" in repr(result) and f"person {row + 1}: unusable" in repr(result)
    assert page_of(result, 0).verdict == "1 of 2 people refined."
    told = {
        "vertices": result.vertices, "joints": result.joints, "keypoints": result.keypoints_2d("coco17"), "sigma": result.sigma_mm,  # noqa: E501
        "vertex sigma": result.vertex_sigma_mm([0]), "turned": result.turned, "pose": result.bodies.pose, "place": result.bodies.translation,  # noqa: E501
    }  # fmt: skip
    for name, values in told.items():
        assert bool(values[row].isnan().all()), name
        assert bool(values[other].isfinite().all()), name
    assert bool(result.misfit[row].isnan()) and bool(result.misfit_before[row].isnan())
    assert float(result.misfit[other]) < float(result.misfit_before[other])
    mine = [note for note in result.notes if f"Person {row + 1}" in note]
    assert mine == [f"Person {row + 1} has no usable numbers (NaN or infinite): left as it came."]
    words = result.smplx()
    for name in ("global_orient", "body_pose", "betas", "transl"):
        np.testing.assert_array_equal(words[name][row], init[name][row])
    result.save(tmp_path / "result.npz")
    again = refine.load(tmp_path / "result.npz")
    assert again.verdict == result.verdict and torch.equal(again.accepted, result.accepted)
    assert bool(again.vertices[row].isnan().all()) and bool(again.sigma_mm[row].isnan().all())


def test_the_others_do_not_feel_somebody_without_numbers() -> None:
    keypoints = seen(smpl_parameters(2))
    alone = {name: value if name in ("focal", "size") else value[:1] for name, value in smpl_parameters(2).items()}
    one = refine.fit(PHOTO, alone, keypoints=keypoints[:1])
    both = refine.fit(PHOTO, damaged("all of it", 1), keypoints=keypoints)
    assert (
        float((one.vertices[0] - both.vertices[0]).norm(dim=-1).max()) < 1e-3
    )  # a batch of another size rounds otherwise


@pytest.mark.parametrize("kind", DAMAGES)
def test_people_all_of_whom_have_no_numbers_stay_as_they_came(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    init = damaged(kind, 0, people=1)
    result = refine.fit(PHOTO, init, keypoints=seen(smpl_parameters(1)))
    assert result.stop == (StopReason.UNUSABLE,) and not result.accepted.any()
    assert bool(result.vertices.isnan().all())
    assert result.notes == ("Person 1 has no usable numbers (NaN or infinite): left as it came.",)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"].count(
        result.notes[0]
    ) == 1
    np.testing.assert_array_equal(result.smplx()["body_pose"], init["body_pose"])


def test_pictures_and_meshes_show_who_is_there(tmp_path: Path) -> None:
    result = refine.fit(PHOTO, damaged("all of it", 1), keypoints=seen(smpl_parameters(2)))
    bodies = page_of(result, 0).bodies
    assert [body.shown for body in bodies] == [True, False] and not bodies[1].moved and not bodies[1].sure
    whole = refine.fit(PHOTO, smpl_parameters(2), keypoints=seen(smpl_parameters(2)))
    assert len(result.report()) < len(whole.report()) - 300  # a line in place of two pictures
    assert result.overlay().shape[1] == whole.overlay().shape[1]
    result.write_obj(tmp_path / "a.obj")
    text = (tmp_path / "a.obj").read_text()
    assert "o person_1" in text and "o person_2" not in text and "nan" not in text
    write_ply(tmp_path / "a.ply", result.vertices.flip(0), result.body.faces)
    header, _, data = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    count = len(result.body.template)
    assert f"element vertex {count}\n".encode() in header
    rows = np.frombuffer(data[: 16 * count], [("xyz", "<f4", 3), ("body", "<i4")])
    assert bool(np.isfinite(rows["xyz"]).all()) and set(rows["body"].tolist()) == {1}


@pytest.mark.parametrize("kind", DAMAGES)
def test_nothing_is_said_of_a_stand_in(kind: str, tmp_path: Path) -> None:
    whole, broken = smpl_parameters(2), damaged(kind, 1)
    for name, content in (
        ("whole", {k: v if k in ("focal", "size") else v[:1] for k, v in whole.items()}),
        ("broken", broken),
    ):
        np.savez(tmp_path / f"{name}.npz", **content)
    one, two = inspect(tmp_path / "whole.npz"), inspect(tmp_path / "broken.npz")
    assert set(two.suspicious) - set(one.suspicious) == {
        "Person 2 has no usable numbers (NaN or infinite): left as it came."
    }
    ranges = {"translation", "betas", "rotations", "camera"}
    assert [fact for fact in two.facts if fact[0] in ranges] == [fact for fact in one.facts if fact[0] in ranges]
    assert "1 without numbers" in dict(two.facts)["people"]
    np.savez(tmp_path / "none.npz", **damaged(kind, 0, people=1))
    assert dict(inspect(tmp_path / "none.npz").facts)["translation"] == "no numbers"


def test_stored_points_of_a_stand_in_are_held_against_nothing(tmp_path: Path) -> None:
    content = bev.bev_results(2)
    for value in content.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and len(value) == 2:
            value[1] = np.nan
    np.savez(tmp_path / "a.npz", results=np.array(content, object))
    found = inspect(tmp_path / "a.npz")
    assert not [said for said in found.suspicious if "project" in said or "behind" in said]


def test_a_converted_body_of_nobody_is_none() -> None:
    estimate = read_parameters(damaged("a place", 0))
    done = convert(estimate, "anny")
    assert bool(done.bodies.pose[0].isnan().all()) and bool(done.bodies.pose[1].isfinite().all())
    assert done.distance_m.isnan().tolist() == [True, False]
    words = body_words(estimate)
    for name in ("global_orient", "transl", "joints", "built_in_shape"):
        assert np.isnan(words[name][0]).all() and np.isfinite(words[name][1]).all(), name


def test_a_folder_of_nothing_but_nan_is_unchanged(tmp_path: Path) -> None:
    for folder in ("results", "images"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "results" / "a.npz", **damaged("one angle", 0, people=1))
    Image.fromarray(PHOTO).save(tmp_path / "images" / "a.png")
    summary = run_over(tmp_path / "results", images=tmp_path / "images", out=tmp_path / "out")
    (one,) = summary.files
    assert (one.status, one.refined) == ("unchanged", 0) and "without usable numbers" in one.reason
    with np.load(tmp_path / "out" / "a.npz") as written, np.load(tmp_path / "results" / "a.npz") as stored:
        np.testing.assert_array_equal(written["body_pose"], stored["body_pose"])


def moved(people: refine.Estimate, *by: float) -> refine.Estimate:
    """The people, the first of them moved, m."""
    place = people.bodies.translation.clone()
    place[0] += torch.tensor(by)
    return replace(people, state=replace(people.state, bodies=replace(people.bodies, translation=place)))


def not_refined(reason: StopReason) -> tuple[refine.Estimate, Tensor]:
    """People of whom the first comes back as it was for a reason, and points."""
    people, points = read_parameters(smpl_parameters(2)), seen(smpl_parameters(2))
    if reason is StopReason.UNUSABLE:
        return read_parameters(damaged("one angle", 0)), points
    if reason is StopReason.NO_EVIDENCE:
        points[0, :, 2] = 0.0
        return people, points
    return moved(people, *((50.0, 0.0, 0.0) if reason is StopReason.OUTSIDE_IMAGE else (0.0, 0.0, -20.0))), points


@pytest.mark.parametrize("gate", [True, False], ids=["gate", "no gate"])
@pytest.mark.parametrize("reason", [reason for reason in UNSOLVED if reason is not StopReason.NOT_FINITE])
def test_whoever_is_not_refined_is_not_accepted_and_told_why(reason: StopReason, gate: bool) -> None:
    init, points = not_refined(reason)
    result = refine.fit(PHOTO, init, keypoints=points, refiner=refine.Refiner() if gate else refine.Refiner(gate=None))
    assert result.stop[0] == reason and result.accepted.tolist() == [False, True]
    assert torch.equal(result.state.bodies.pose[0], result.estimate.bodies.pose[0])
    assert "1 refined" in repr(result)
    assert f"person 1: {reason.name.lower().replace('_', ' ')}" in repr(result)
    if gate:
        assert result.verdict[0] == reason.value


def test_an_end_of_the_solver_is_all_that_can_be_accepted() -> None:
    assert set(SOLVED) | set(UNSOLVED) == set(StopReason) and not set(SOLVED) & set(UNSOLVED)
    assert StopReason.UNUSABLE in UNSOLVED
