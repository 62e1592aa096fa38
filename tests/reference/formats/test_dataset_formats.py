"""Formats of datasets and fits (SPIN, EFT, ScoreHMR, EasyMocap, HumanData) against their systems' formulas."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from refine.body import SkinnedBody, pose_body
from refine.body.load import load_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.pelvis import REST_PELVIS_M
from refine.formats.find import read, write
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State
from tests.layouts import easymocap, eft, humandata, humandata_dataset, scorehmr, spin
from tests.reference.body.official_files import random_model, write_npz
from tests.regressor_files import BONES, HEIGHT, WIDTH, skeleton

SIZES = scorehmr.SIZES
NEAR_PX = 0.05


def moved(estimate: Estimate, rows: slice = slice(None)) -> Estimate:
    """Some bodies turned and moved."""
    pose, translation = estimate.bodies.pose.clone(), estimate.bodies.translation.clone()
    pose[rows, 0] = pose[rows, 0] @ rotation.exp(torch.tensor([0.0, 0.1, 0.05]))
    pose[rows, 16] = pose[rows, 16] @ rotation.exp(torch.tensor([0.2, 0.0, 0.1]))
    translation[rows] *= torch.tensor([1.05, 0.95, 1.03])
    return replace(estimate, state=State(replace(estimate.bodies, pose=pose, translation=translation), estimate.camera))


def pelvis_px(estimate: Estimate) -> np.ndarray:
    return estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()


def mean_pelvis() -> np.ndarray:
    return np.array(REST_PELVIS_M["smpl"])


def npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=True) as archive:
        return dict(archive)


@pytest.mark.parametrize("refined", [False, True])
def test_scorehmrs_two_cameras_stay_those_of_one_box(refined: bool, tmp_path: Path) -> None:
    path = scorehmr.write(tmp_path / "cache.npz", 3)
    estimate = read(path, sizes=SIZES)
    if refined:
        write(moved(estimate), tmp_path / "refined.npz")
        path = tmp_path / "refined.npz"
    content = npz(path)
    (s, tx, ty), place = content["pred_cam"].T.astype(np.float64), content["pred_cam_t"].astype(np.float64)
    side = 2 * 5000 / (place[:, 2] * s)
    center = (place[:, :2] - np.stack((tx, ty), 1)) * (side * s)[:, None] / 2 + (WIDTH / 2, HEIGHT / 2)
    assert np.allclose(side, [260, 280, 300], rtol=1e-4)
    assert np.allclose(center, [(200, 250), (350, 250), (500, 250)], atol=0.05)
    point = place + mean_pelvis()
    seen = 5000 * point[:, :2] / point[:, 2:] + (WIDTH / 2, HEIGHT / 2)
    assert np.allclose(pelvis_px(read(path, sizes=SIZES)), seen, atol=NEAR_PX)


def test_every_row_of_a_cache_has_a_photo_of_its_own(tmp_path: Path) -> None:
    sizes = torch.tensor([[480.0, 640.0], [600.0, 400.0]])
    estimate = read(scorehmr.write(tmp_path / "cache.npz"), sizes=sizes)
    assert estimate.image_index.tolist() == [0, 1] and torch.equal(estimate.camera.size, sizes)
    with pytest.raises(InputError, match="sizes of 3 photos"):
        read(scorehmr.write(tmp_path / "more.npz", 3), sizes=sizes)


@pytest.mark.parametrize("refined", [False, True])
def test_spins_camera_is_the_crops(refined: bool, tmp_path: Path) -> None:
    path = spin.write(tmp_path / "spin.npz", 3)
    estimate = read(path)
    assert estimate.camera.size.tolist() == [[224.0, 224.0]] * 3 and estimate.image_index.tolist() == [0, 1, 2]
    if refined:
        write(moved(estimate), tmp_path / "refined.npz")
        path = tmp_path / "refined.npz"
    s, tx, ty = npz(path)["camera"].T
    point = np.stack((tx, ty, 2 * 5000 / (224 * s)), 1) + mean_pelvis()
    seen = 5000 * point[:, :2] / point[:, 2:] + 112
    assert np.allclose(pelvis_px(read(path)), seen, atol=NEAR_PX)


def test_spins_joints_turn_with_the_body_and_missing_ones_stay_missing(tmp_path: Path) -> None:
    content = spin.arrays(3)
    content["pred_joints"][2] = 0
    np.savez(tmp_path / "spin.npz", **content)
    write(moved(read(tmp_path / "spin.npz"), slice(0, 3)), tmp_path / "refined.npz")
    after = npz(tmp_path / "refined.npz")
    assert not after["pred_joints"][2].any() and after["pred_joints"].dtype == np.float64
    joints, _ = skeleton(after["pose"].reshape(3, 24, 3))
    joints = joints - BONES[0] + mean_pelvis()
    was, _ = skeleton(content["pose"].reshape(3, 24, 3))
    was = was - BONES[0] + mean_pelvis()
    offset = np.linalg.norm(content["pred_joints"][:2] - was[:2][:, spin.H36M], axis=-1)
    now = np.linalg.norm(after["pred_joints"][:2] - joints[:2][:, spin.H36M], axis=-1)
    assert np.abs(now - offset).max() < 0.06  # SMPL's joints are taken from another body


@pytest.mark.parametrize("refined", [False, True])
def test_efts_camera_is_the_weak_perspective_of_its_cut_crop(refined: bool, tmp_path: Path) -> None:
    path = eft.write(tmp_path / "eft.json", 3)
    sizes = torch.tensor([[480.0, 640.0], [300.0, 200.0]])
    estimate = read(path, sizes=sizes)
    assert estimate.image_index.tolist() == [0, 0, 1] and len(estimate.source.images) == 2
    assert estimate.source.persons == ("100", "101", "102")
    if refined:
        write(moved(estimate), tmp_path / "refined.json")
        path = tmp_path / "refined.json"
    again = read(path, sizes=sizes)
    point = again.joints[:, 0] - again.source.translation  # the body's own frame
    for row, person in enumerate(json.loads(path.read_text())["data"]):
        (x, y), scale = person["bbox_center"], person["bbox_scale"]
        left, top, bottom = int(x - 100 * scale), int(y - 100 * scale), int(y + 100 * scale)
        enlarged = 224 / (bottom - top)
        s, *shift = person["parm_cam"]
        crop = 112 * (s * point[row, :2].numpy() + shift)
        seen = crop / enlarged + (left, top) + 112 / enlarged
        assert np.allclose(pelvis_px(again)[row], seen, atol=NEAR_PX)


def test_eft_people_who_did_not_change_keep_their_text(tmp_path: Path) -> None:
    path = eft.write(tmp_path / "eft.json", 3)
    write(moved(read(path, sizes=SIZES), slice(1, 2)), tmp_path / "refined.json")
    before, after = (json.loads(file.read_text()) for file in (path, tmp_path / "refined.json"))
    assert [before["data"][n] == after["data"][n] for n in range(3)] == [True, False, True]
    assert after["data"][1]["parm_shape"] == before["data"][1]["parm_shape"] and after["meta"] == before["meta"]


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


@pytest.mark.parametrize("refined", [False, True])
def test_easymocaps_people_are_turned_about_the_models_origin(
    refined: bool, bodies: dict[str, SkinnedBody], tmp_path: Path
) -> None:
    body = bodies["smpl"]
    path = easymocap.write(tmp_path / "frame.json")
    estimate = read(path, body, camera=easymocap.CAMERA)
    shown = estimate.vertices
    if refined:
        estimate = moved(estimate)
        shown = estimate.vertices
        write(estimate, tmp_path / "refined.json")
        path = tmp_path / "refined.json"
    world = worlds(json.loads(path.read_text()), body)
    seen = world @ easymocap.WORLD.T + easymocap.PLACE
    assert np.abs(seen - shown.numpy()).max() < 1e-5 * (10 if refined else 1)


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
    write(moved(estimate), tmp_path / "refined.json")
    again = read(tmp_path / "refined.json", camera=easymocap.CAMERA)
    assert json.loads((tmp_path / "refined.json").read_text())[0]["poses"][0][:3] == [0.1, -0.2, 0.3]
    assert torch.allclose(again.bodies.pose[:, 0], moved(estimate).bodies.pose[:, 0], atol=2e-6)


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
    write(moved(estimate), tmp_path / "refined.json")
    again = read(tmp_path / "refined.json", camera=easymocap.CAMERA)
    assert torch.allclose(again.joints, moved(estimate).joints, atol=1e-4)
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
    estimate = read(tmp_path / "frame.json", sizes=SIZES)
    assert estimate.camera.focal[0].tolist() == pytest.approx([576.0, 576.0])
    assert any("without a calibration" in note for note in estimate.notes)
    behind = [row | {"Th": [[0.0, 0.0, -3.0]]} for row in rows]
    (tmp_path / "behind.json").write_text(json.dumps(behind))
    with pytest.raises(InputError, match="camera_from_world"):
        read(tmp_path / "behind.json", sizes=SIZES)


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


@pytest.mark.parametrize("refined", [False, True])
def test_the_demos_of_mmhuman3d_see_each_person_in_a_crop_of_the_box(refined: bool, tmp_path: Path) -> None:
    path = humandata.write(tmp_path / "result.npz", 3)
    estimate = read(path, sizes=SIZES)
    assert estimate.image_index.tolist() == [0, 0, 1] and estimate.source.persons == ("0", "1", "2")
    if refined:
        write(moved(estimate), tmp_path / "refined.npz")
        path = tmp_path / "refined.npz"
    content = npz(path)
    assert ("verts" in content) != refined
    for row, (box, (s, tx, ty)) in enumerate(zip(content["bboxes_xyxy"], content["pred_cams"], strict=True)):
        x0, y0, x1, y1, _ = box
        side = 1.25 * max(x1 - x0, y1 - y0)
        point = np.array((tx, ty, 2 * 5000 / (224 * s))) + mean_pelvis()
        crop = 5000 * point[:2] / point[2] + 112
        seen = side / 224 * crop + ((x0 + x1) / 2 - side / 2, (y0 + y1) / 2 - side / 2)
        assert np.allclose(pelvis_px(read(path, sizes=SIZES))[row], seen, atol=NEAR_PX)


def test_a_dataset_has_its_camera_and_size_and_keeps_its_keypoints(tmp_path: Path) -> None:
    path = humandata_dataset.write(tmp_path / "data.npz")
    estimate = read(path)
    assert estimate.camera.size.tolist() == [[480.0, 640.0]] * 2
    assert estimate.camera.focal.tolist() == [[800.0, 800.0]] * 2
    write(moved(estimate), tmp_path / "refined.npz")
    before, after = npz(path), npz(tmp_path / "refined.npz")
    assert set(before) - set(after) == {"keypoints2d_smpl", "keypoints2d_smpl_mask"}
    for name in ("keypoints2d_original", "keypoints2d_original_mask", "bbox_xywh", "image_path"):
        assert np.array_equal(before[name], after[name]), name
    assert after["meta"].item()["gender"].tolist() == ["female", "male"]
    assert bool(after["__keypoints_compressed__"]) and str(after["config"]) == "gta_human"


def test_the_size_in_misc_is_taken_as_the_principal_point_has_it(tmp_path: Path) -> None:
    content = humandata.dataset()
    content["misc"] = content["misc"] | {"image_shape": np.array([[WIDTH, HEIGHT]])}
    np.savez(tmp_path / "data.npz", **content)
    assert read(tmp_path / "data.npz").camera.size.tolist() == [[480.0, 640.0]] * 2
    content["meta"] = {"height": ["480", "240"], "width": ["640", "320"]}
    np.savez(tmp_path / "data.npz", **content)
    assert read(tmp_path / "data.npz").camera.size.tolist() == [[480.0, 640.0], [240.0, 320.0]]


def test_a_dataset_without_a_camera_takes_the_callers_and_without_places_is_refused(tmp_path: Path) -> None:
    content = humandata.dataset()
    own = content.pop("misc")
    np.savez(tmp_path / "data.npz", **content)
    with pytest.raises(InputError, match="camera: expected a camera"):
        read(tmp_path / "data.npz", sizes=SIZES)
    given = Camera(torch.tensor([[700.0, 700.0]]), torch.tensor([[320.0, 240.0]]), SIZES)
    estimate = read(tmp_path / "data.npz", camera=given)
    place = content["smpl"]["transl"] + mean_pelvis()
    assert np.allclose(pelvis_px(estimate), 700 * place[:, :2] / place[:, 2:] + (320, 240), atol=NEAR_PX)
    write(moved(estimate), tmp_path / "refined.npz")
    again = read(tmp_path / "refined.npz", camera=given)
    assert np.allclose(pelvis_px(again), pelvis_px(moved(estimate)), atol=NEAR_PX)
    del content["smpl"]["transl"]
    np.savez(tmp_path / "data.npz", **content, misc=own)
    with pytest.raises(InputError, match="Nothing says where the bodies are"):
        read(tmp_path / "data.npz", sizes=SIZES)


def test_a_full_pose_of_smplx_is_read_and_written(tmp_path: Path) -> None:
    content = humandata.inference()
    pose = np.zeros((2, 55, 3))
    pose[:, 0], pose[:, 1:22] = content["smpl"]["global_orient"], content["smpl"]["body_pose"][:, :21]
    content["smplx"] = {"fullpose": pose, "betas": content.pop("smpl")["betas"]}
    np.savez(tmp_path / "result.npz", **content, misc={"flat_hand_mean": True})
    estimate = read(tmp_path / "result.npz", sizes=SIZES)
    assert (estimate.source.model, estimate.source.hand_mean) == ("smplx", "flat")
    write(moved(estimate), tmp_path / "refined.npz")
    again = read(tmp_path / "refined.npz", sizes=SIZES)
    assert torch.allclose(again.bodies.pose, moved(estimate).bodies.pose, atol=2e-6)
