"""Formats of datasets and fits (SPIN, EFT, ScoreHMR, EasyMocap, HumanData) against their systems' formulas."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.pelvis import REST_PELVIS_M
from refine.formats.find import read, write
from refine.geometry.camera import Camera
from tests.layouts import eft, humandata, humandata_dataset, scorehmr, spin
from tests.refinements import refined
from tests.regressor_files import BONES, HEIGHT, WIDTH, skeleton

SIZES = scorehmr.SIZES

NEAR_PX = 0.05


def pelvis_px(estimate: Estimate) -> np.ndarray:
    return estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()


def mean_pelvis() -> np.ndarray:
    return np.array(REST_PELVIS_M["smpl"])


def npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=True) as archive:
        return dict(archive)


@pytest.mark.parametrize("again", [False, True])
def test_scorehmrs_two_cameras_stay_those_of_one_box(again: bool, tmp_path: Path) -> None:
    path = scorehmr.write(tmp_path / "cache.npz", 3)
    estimate = read(path, sizes=SIZES)
    if again:
        write(refined(estimate), tmp_path / "refined.npz")
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


@pytest.mark.parametrize("again", [False, True])
def test_spins_camera_is_the_crops(again: bool, tmp_path: Path) -> None:
    path = spin.write(tmp_path / "spin.npz", 3)
    estimate = read(path)
    assert estimate.camera.size.tolist() == [[224.0, 224.0]] * 3 and estimate.image_index.tolist() == [0, 1, 2]
    if again:
        write(refined(estimate), tmp_path / "refined.npz")
        path = tmp_path / "refined.npz"
    s, tx, ty = npz(path)["camera"].T
    point = np.stack((tx, ty, 2 * 5000 / (224 * s)), 1) + mean_pelvis()
    seen = 5000 * point[:, :2] / point[:, 2:] + 112
    assert np.allclose(pelvis_px(read(path)), seen, atol=NEAR_PX)


def test_spins_joints_turn_with_the_body_and_missing_ones_stay_missing(tmp_path: Path) -> None:
    content = spin.arrays(3)
    content["pred_joints"][2] = 0
    np.savez(tmp_path / "spin.npz", **content)
    write(refined(read(tmp_path / "spin.npz"), slice(0, 3)), tmp_path / "refined.npz")
    after = npz(tmp_path / "refined.npz")
    assert not after["pred_joints"][2].any() and after["pred_joints"].dtype == np.float64
    joints, _ = skeleton(after["pose"].reshape(3, 24, 3))
    joints = joints - BONES[0] + mean_pelvis()
    was, _ = skeleton(content["pose"].reshape(3, 24, 3))
    was = was - BONES[0] + mean_pelvis()
    offset = np.linalg.norm(content["pred_joints"][:2] - was[:2][:, spin.H36M], axis=-1)
    now = np.linalg.norm(after["pred_joints"][:2] - joints[:2][:, spin.H36M], axis=-1)
    assert np.abs(now - offset).max() < 0.06  # SMPL's joints are taken from another body


@pytest.mark.parametrize("again", [False, True])
def test_efts_camera_is_the_weak_perspective_of_its_cut_crop(again: bool, tmp_path: Path) -> None:
    path = eft.write(tmp_path / "eft.json", 3)
    sizes = torch.tensor([[480.0, 640.0], [300.0, 200.0]])
    estimate = read(path, sizes=sizes)
    assert estimate.image_index.tolist() == [0, 0, 1] and len(estimate.source.images) == 2
    assert estimate.source.persons == ("100", "101", "102")
    if again:
        write(refined(estimate), tmp_path / "refined.json")
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
    write(refined(read(path, sizes=SIZES), slice(1, 2)), tmp_path / "refined.json")
    before, after = (json.loads(file.read_text()) for file in (path, tmp_path / "refined.json"))
    assert [before["data"][n] == after["data"][n] for n in range(3)] == [True, False, True]
    assert after["data"][1]["parm_shape"] == before["data"][1]["parm_shape"] and after["meta"] == before["meta"]


@pytest.mark.parametrize("again", [False, True])
def test_the_demos_of_mmhuman3d_see_each_person_in_a_crop_of_the_box(again: bool, tmp_path: Path) -> None:
    path = humandata.write(tmp_path / "result.npz", 3)
    estimate = read(path, sizes=SIZES)
    assert estimate.image_index.tolist() == [0, 0, 1] and estimate.source.persons == ("0", "1", "2")
    if again:
        write(refined(estimate), tmp_path / "refined.npz")
        path = tmp_path / "refined.npz"
    content = npz(path)
    assert ("verts" in content) != again
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
    write(refined(estimate), tmp_path / "refined.npz")
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
    write(refined(estimate), tmp_path / "refined.npz")
    again = read(tmp_path / "refined.npz", camera=given)
    assert np.allclose(pelvis_px(again), pelvis_px(refined(estimate)), atol=NEAR_PX)
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
    write(refined(estimate), tmp_path / "refined.npz")
    again = read(tmp_path / "refined.npz", sizes=SIZES)
    assert torch.allclose(again.bodies.pose, refined(estimate).bodies.pose, atol=2e-6)
