"""Numbers of people: right on people of known angles, and as sure as samples of the posterior say."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import refine
from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SMPL22
from refine.errors import InputError
from refine.geometry import rotation
from refine.result import Result
from refine.result.measures import describe, measured, names
from tests.people import Case, case

PLACE = {name: number for number, name in enumerate(SMPL22)}
DEGREE = 0.1


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17")


@pytest.fixture(scope="module")
def result(people: Case) -> Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)


def doll(**turned: float) -> torch.Tensor:
    """Joints (1, 22, 3) of somebody who hangs straight down facing the camera (x right, y down), some angles in
    degrees: bends in the plane of front and up, lifts to the front, `facing` to their left."""
    angle = {name: math.radians(turned.get(name, 0.0)) for name in (*names(),)}
    joints = torch.zeros(1, 22, 3, dtype=torch.float64)

    def direction(lift: float) -> torch.Tensor:  # 0: down, 90°: to the front, which is -z
        return torch.tensor([0.0, math.cos(lift), -math.sin(lift)], dtype=torch.float64)

    for side, sign in (("left", 1.0), ("right", -1.0)):
        for limb, begin, middle, end, top, lengths in (
            ("arm", "shoulder", "elbow", "wrist", (0.2 * sign, -0.5, 0.0), (0.3, 0.25)),
            ("thigh", "hip", "knee", "ankle", (0.1 * sign, 0.0, 0.0), (0.42, 0.4)),
        ):
            lift = angle[f"{side}_{limb}_lift"]
            bend = angle[f"{side}_{middle}_bend"]
            joints[0, PLACE[f"{side}_{begin}"]] = torch.tensor(top, dtype=torch.float64)
            joints[0, PLACE[f"{side}_{middle}"]] = joints[0, PLACE[f"{side}_{begin}"]] + lengths[0] * direction(lift)
            joints[0, PLACE[f"{side}_{end}"]] = joints[0, PLACE[f"{side}_{middle}"]] + lengths[1] * direction(
                lift + bend
            )
    turn = rotation.exp(torch.tensor([[0.0, -angle["facing"], 0.0]], dtype=torch.float64))
    return joints @ turn.mT + torch.tensor([0.3, 0.1, 4.0], dtype=torch.float64)


@pytest.mark.parametrize("name", [name for name in names() if name.endswith(("bend", "lift"))])
@pytest.mark.parametrize("degrees", [5.0, 45.0, 90.0, 150.0])
def test_a_known_angle_is_measured(name: str, degrees: float) -> None:
    found = dict(zip(names(), measured(doll(**{name: degrees}), PLACE)[0].tolist(), strict=True))
    assert found[name] == pytest.approx(degrees, abs=DEGREE)
    others = [value for other, value in found.items() if other.endswith(("bend", "lift")) and other != name]
    assert max(map(abs, others)) < DEGREE, "and no other"
    assert found["left_upper_arm"] == pytest.approx(0.3) and found["right_shank"] == pytest.approx(0.4)
    assert found["shoulder_width"] == pytest.approx(0.4)


@pytest.mark.parametrize("degrees", [-170.0, -90.0, -20.0, 0.0, 60.0, 135.0])
def test_where_somebody_faces_is_told_from_the_camera(degrees: float) -> None:
    found = dict(zip(names(), measured(doll(facing=degrees), PLACE)[0].tolist(), strict=True))
    assert found["facing"] == pytest.approx(degrees, abs=DEGREE) and abs(found["lean"]) < DEGREE


def test_sigmas_are_those_of_samples_of_the_posterior(result: Result) -> None:
    """Small ones, so that the measures are linear: a hundredth of the posterior's."""
    assert result.posterior is not None
    unknowns, small = result.posterior.unknowns, 1e-2
    factor = torch.linalg.cholesky(result.posterior.covariance[0] + 1e-12 * torch.eye(unknowns.size))
    count, place = 4000, {name: number for number, name in enumerate(result.body.joint_names)}
    draw = torch.randn(count, unknowns.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    many = torch.zeros(count, dtype=torch.long)
    moved = result.state[many].retract(replace(unknowns, free=None), (small * draw @ factor.mT).float())
    values = measured(pose_body(result.body, moved.bodies).joints.double(), place)
    first = describe(result)[0].numbers
    for number, name in enumerate(names()):
        if first[name].value > 5.0 or first[name].unit == "m":  # an angle near 0° is bent there, and not linear
            assert first[name].sigma == pytest.approx(float(values[:, number].std()) / small, rel=0.08), name


def test_a_sentence_says_what_is_sure(result: Result, people: Case) -> None:
    for row, one in enumerate(result.describe()):
        assert one.sentence.startswith(f"Person {row + 1}: ") and "cm tall" in one.sentence
        assert "facing the camera" in one.sentence and "standing" in one.sentence
        assert str(one).splitlines()[0] == one.sentence and "left_elbow_bend" in str(one)
    assert result.describe()[0].sentence == result.describe()[0].sentence


def test_a_loaded_result_knows_its_numbers_but_not_how_sure_they_are(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    for one, other in zip(refine.load(tmp_path / "result.npz").describe(), result.describe(), strict=True):
        assert all(math.isnan(each.sigma) for each in one.numbers.values())
        for name, each in one.numbers.items():
            assert each.value == pytest.approx(other.numbers[name].value, abs=1e-2)


def test_somebody_without_numbers_is_described_as_unknown(people: Case) -> None:
    """And the other one is described as ever."""
    bodies = people.estimate.bodies
    mapping = {
        "global_orient": rotation.log(bodies.pose[:, 0]).numpy(),
        "body_pose": rotation.log(bodies.pose[:, 1:22]).flatten(1).numpy(),
        "transl": bodies.translation.numpy().copy(), "betas": torch.zeros(2, 10).numpy(),
    }  # fmt: skip
    mapping["transl"][1] = math.nan
    fitted = refine.fit(people.photos[0], mapping, camera=people.estimate.camera[:1], keypoints=people.detections)
    found = fitted.describe()
    assert found[1].sentence == "Person 2: nothing is known." and "cm tall" in found[0].sentence


def test_numbers_are_written_as_json_and_csv(result: Result, tmp_path: Path) -> None:
    result.write_numbers(tmp_path / "people.json")
    result.write_numbers(tmp_path / "people.csv")
    stored = json.loads((tmp_path / "people.json").read_text())
    with (tmp_path / "people.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = result.describe()[0].numbers
    assert stored[0]["numbers"]["height"]["value"] == pytest.approx(first["height"].value)
    assert len(rows) == 2 * len(first) and float(rows[0]["value"]) == pytest.approx(first["height"].value, rel=1e-5)
    with pytest.raises(InputError, match=r"path: expected a name ending in \.json or \.csv"):
        result.write_numbers(tmp_path / "people.txt")
