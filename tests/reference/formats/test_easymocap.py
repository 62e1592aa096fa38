"""EasyMocap's JSON against its own formulas, written here again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from refine.body import SkinnedBody, pose_body
from refine.body.load import load_body
from refine.errors import InputError
from refine.formats.find import read, write
from refine.geometry import rotation
from refine.state import Bodies
from tests.layouts import easymocap, scorehmr
from tests.reference.body.official_files import random_model, write_npz
from tests.refinements import refined


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SkinnedBody]:
    """Generated model files, in whose own numbers a file can be checked exactly."""
    folder = tmp_path_factory.mktemp("models")
    files = {
        name: write_npz(folder / name / f"{name.upper()}_NEUTRAL.npz", random_model(name, shapes))
        for name, shapes in (("smpl", 10), ("smplx", 20))
    }
    return {name: load_body(path) for name, path in files.items()}


def worlds(rows: list[dict[str, Any]], body: SkinnedBody) -> np.ndarray:
    """EasyMocap's vertices in the world: the model posed with a still root, then turned and moved."""
    found = []
    for row in rows:
        poses = np.array(row["poses"]).reshape(-1)
        pose = torch.eye(3).repeat(1, len(body.joint_names), 1, 1)
        pose[0, :22] = rotation.exp(torch.as_tensor(poses[:66], dtype=torch.float32).reshape(22, 3))
        if len(poses) == 72:
            pose[0, 22:24] = rotation.exp(torch.as_tensor(poses[66:], dtype=torch.float32).reshape(2, 3))
        rest = body.rest_bodies(1)
        shape = torch.as_tensor(np.array(row["shapes"]), dtype=torch.float32)
        still = pose_body(body, Bodies(pose, shape, rest.expression, torch.zeros(1, 3))).vertices[0].numpy()
        turn = Rotation.from_rotvec(np.array(row["Rh"]).reshape(3)).as_matrix()
        found.append(still @ turn.T + np.array(row["Th"]))
    return np.stack(found)


@pytest.mark.parametrize("again", [False, True])
def test_easymocaps_people_are_turned_about_the_models_origin(
    again: bool, bodies: dict[str, SkinnedBody], tmp_path: Path
) -> None:
    body = bodies["smpl"]
    path = easymocap.write(tmp_path / "frame.json")
    estimate = read(path, body, camera=easymocap.CAMERA)
    shown = estimate.vertices
    if again:
        estimate = refined(estimate)
        shown = estimate.vertices
        write(estimate, tmp_path / "refined.json")
        path = tmp_path / "refined.json"
    world = worlds(json.loads(path.read_text()), body)
    seen = world @ easymocap.WORLD.T + easymocap.PLACE
    assert np.abs(seen - shown.numpy()).max() < 1e-5 * (10 if again else 1)


def test_a_root_in_easymocaps_poses_is_turned_too_and_stays(tmp_path: Path) -> None:
    rows = easymocap.content()
    rows[0]["poses"][0][:3] = [0.1, -0.2, 0.3]
    (tmp_path / "frame.json").write_text(json.dumps(rows))
    estimate = read(tmp_path / "frame.json", camera=easymocap.CAMERA)
    whole = (
        easymocap.WORLD
        @ Rotation.from_rotvec(rows[0]["Rh"][0]).as_matrix()
        @ Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix()
    )
    assert np.allclose(estimate.source.pose[0, 0], whole, atol=1e-5)
    write(refined(estimate), tmp_path / "refined.json")
    again = read(tmp_path / "refined.json", camera=easymocap.CAMERA)
    assert json.loads((tmp_path / "refined.json").read_text())[0]["poses"][0][:3] == [0.1, -0.2, 0.3]
    assert torch.allclose(again.bodies.pose[:, 0], refined(estimate).bodies.pose[:, 0], atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "model", "mean"),
    [("smpl", "smpl", ""), ("smpl 69", "smpl", ""), ("smplh", "smplh", "mean"), ("smplh hands", "smplh", "mean"),
        ("smplx", "smplx", "flat")],
)  # fmt: skip
def test_every_model_of_easymocap_is_told_by_its_numbers(kind: str, model: str, mean: str, tmp_path: Path) -> None:
    path = easymocap.write(tmp_path / "frame.json", 2, kind)
    estimate = read(path, camera=easymocap.CAMERA)
    assert (estimate.source.model, estimate.source.hand_mean) == (model, mean)
    assert estimate.source.persons == ("3", "4")
    write(estimate, tmp_path / "same.json")
    assert json.loads((tmp_path / "same.json").read_text()) == json.loads(path.read_text())
    write(refined(estimate), tmp_path / "refined.json")
    again = read(tmp_path / "refined.json", camera=easymocap.CAMERA)
    assert torch.allclose(again.joints, refined(estimate).joints, atol=1e-4)
    before, after = json.loads(path.read_text()), json.loads((tmp_path / "refined.json").read_text())
    for was, now in zip(before, after, strict=True):
        assert list(was) == [key for key in now if not key.startswith("refine_")] and was["shapes"] == now["shapes"]
        if kind != "smpl" and kind != "smpl 69":
            assert was.get("handl") == now.get("handl")
            assert np.shape(was["poses"]) == np.shape(now["poses"]) and was["poses"][0][66:] == now["poses"][0][66:]


def test_easymocap_without_a_calibration_takes_its_own_guess_and_says_so(tmp_path: Path) -> None:
    rows = easymocap.content()
    for row in rows:  # a video of one view: the world is the camera's frame
        turn = Rotation.from_matrix(easymocap.WORLD) * Rotation.from_rotvec(row["Rh"][0])
        row["Rh"] = [turn.as_rotvec().tolist()]
        row["Th"] = (np.array(row["Th"]) @ easymocap.WORLD.T + easymocap.PLACE).tolist()
    (tmp_path / "frame.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"size.*refine\.fit"):
        read(tmp_path / "frame.json")
    estimate = read(tmp_path / "frame.json", sizes=scorehmr.SIZES)
    assert estimate.camera.focal[0].tolist() == pytest.approx([576.0, 576.0])
    assert any("without a calibration" in note for note in estimate.notes)
    behind = [row | {"Th": [[0.0, 0.0, -3.0]]} for row in rows]
    (tmp_path / "behind.json").write_text(json.dumps(behind))
    with pytest.raises(InputError, match="camera_from_world"):
        read(tmp_path / "behind.json", sizes=scorehmr.SIZES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"poses": [[0.0] * 70]}, "poses: expected one of .*72"),
        ({"Rh": [[0.0] * 4]}, "Rh"),
        ({"Th": [["far"] * 3]}, "Th"),
        ({"shapes": None}, "shapes"),
    ],
)
def test_easymocaps_broken_people_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    rows = easymocap.content()
    rows[1] = {name: value for name, value in (rows[1] | change).items() if value is not None}
    rows[0] |= {"poses": change["poses"]} if "poses" in change else {}
    (tmp_path / "frame.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=message):
        read(tmp_path / "frame.json", camera=easymocap.CAMERA)
