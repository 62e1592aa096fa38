"""Tracks of videos, and torch and numpy files: what each format's own formulas say of a file that was refined."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from refine.errors import InputError
from refine.files.pickled import read_pickled
from refine.formats.find import read, write
from refine.geometry.camera import Camera
from tests.layouts import glamr, gvhmr, phalp, prompthmr, prompthmr_video, tram, wham
from tests.refinements import refined, rewritten
from tests.regressor_files import HEIGHT, WIDTH

SIZE = torch.tensor([[float(HEIGHT), float(WIDTH)]])


def matrices(angles: Any) -> np.ndarray:
    return Rotation.from_rotvec(np.asarray(angles).reshape(-1, 3)).as_matrix()


def test_wham_is_seen_through_the_diagonal_and_its_world_follows(tmp_path: Path) -> None:
    path = wham.write(tmp_path / "x.pkl")
    estimate = read(path, sizes=SIZE)
    assert torch.allclose(estimate.camera.focal, torch.tensor(float(np.hypot(WIDTH, HEIGHT))))
    assert estimate.image_index.tolist() == [0, 1, 2, 2, 3, 4]
    assert estimate.source.persons == ("1", "1", "1", "2", "2", "2")
    with pytest.raises(InputError, match=r"refine\.fit"):
        read(path)
    camera = Camera(torch.full((1, 2), 900.0), torch.tensor([[320.0, 240.0]]), SIZE)
    assert len(read(path, camera=camera)) == 6
    before, after = rewritten(path, tmp_path / "out.pkl", sizes=SIZE)
    for key in before:
        turn = matrices(before[key]["pose_world"][:, :3]) @ matrices(before[key]["pose"][:, :3]).transpose(0, 2, 1)
        root = turn @ matrices(after[key]["pose"][:, :3])
        assert np.allclose(matrices(after[key]["pose_world"][:, :3]), root, atol=1e-5)
        assert np.array_equal(after[key]["pose_world"][:, 3:48], before[key]["pose_world"][:, 3:48])
        assert np.allclose(after[key]["pose_world"][:, 48:51], after[key]["pose"][:, 48:51], atol=1e-6)
        step = np.einsum("nab,nb->na", turn, after[key]["trans"] - before[key]["trans"])
        assert np.allclose(after[key]["trans_world"] - before[key]["trans_world"], step, atol=1e-5)
        assert "verts" not in after[key]


def test_gvhmrs_world_follows_and_the_networks_outputs_stay(tmp_path: Path) -> None:
    path = gvhmr.write(tmp_path / "x.pt", 4)
    before, after = rewritten(path, tmp_path / "out.pt")
    camera, world = (name for name in ("smpl_params_incam", "smpl_params_global"))
    turn = matrices(before[world]["global_orient"]) @ matrices(before[camera]["global_orient"]).transpose(0, 2, 1)
    root = turn @ matrices(after[camera]["global_orient"])
    assert np.allclose(matrices(after[world]["global_orient"]), root, atol=1e-5)
    assert np.allclose(after[world]["body_pose"], after[camera]["body_pose"], atol=1e-6)
    step = np.einsum("nab,nb->na", turn, np.asarray(after[camera]["transl"] - before[camera]["transl"]))
    assert np.allclose(after[world]["transl"] - before[world]["transl"], step, atol=1e-5)
    inner = "pred_smpl_params_incam"
    assert np.array_equal(after["net_outputs"][inner]["transl"], before["net_outputs"][inner]["transl"])
    loaded = torch.load(tmp_path / "out.pt", weights_only=False)
    assert isinstance(loaded[camera]["transl"], torch.Tensor)


def test_glamrs_pelvis_is_seen_where_the_real_file_says(real_data: Callable[[str], Path]) -> None:
    path = real_data("glamr") / "running_seed1.pkl"
    estimate = read(path)
    stored = read_pickled(path)["person_data"][0]
    pixel = estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()
    assert len(estimate) == 203 and estimate.camera.size[0].tolist() == [2160.0, 3840.0]
    assert np.abs(pixel - stored["kp_2d_pred"][:, 0]).max() < 0.05


@pytest.mark.parametrize("real", [False, True])
def test_glamrs_world_seen_by_its_camera_is_its_camera_frame(
    real: bool, tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    path = real_data("glamr") / "running_seed1.pkl" if real else glamr.write(tmp_path / "x.pkl")
    before, after = rewritten(path, tmp_path / "out.pkl")
    view = after["cam_pose"]
    for key, person in after["person_data"].items():
        there = person["exist_frames"]
        seen = np.einsum("tab,tb->ta", view[:, :3, :3], person["root_trans_world"]) + view[:, :3, 3]
        assert np.allclose(seen[there], person["root_trans_cam_in_world"][there], atol=1e-3)
        root = view[:, :3, :3] @ matrices(person["smpl_orient_world"])
        assert np.allclose(root[there], matrices(person["smpl_orient_cam_in_world"])[there], atol=1e-3)
        whole = person["person_transform_world"]
        assert np.allclose(whole[there][:, :3, 3], person["root_trans_world"][there], atol=1e-5)
        assert np.allclose(whole[there][:, :3, :3], matrices(person["smpl_orient_world"])[there], atol=1e-3)
        was = before["person_data"][key]
        assert np.array_equal(person["smpl_pose"][~there], was["smpl_pose"][~there])
        for name in ("smpl_orient_cam", "root_trans_cam"):
            assert np.array_equal(person[name], was[name])


def test_a_frame_without_a_detection_has_glamrs_nearest_camera(tmp_path: Path) -> None:
    estimate = read(glamr.write(tmp_path / "x.pkl", 1))
    assert len(estimate) == 4 and estimate.image_index.tolist() == [1, 2, 3, 4]
    assert torch.equal(estimate.camera.focal, torch.full((4, 2), glamr.FOCAL))


def test_trams_crop_camera_and_six_numbers_follow_its_formulas(tmp_path: Path) -> None:
    path = tram.write(tmp_path / "x.npy", 3)
    out = tmp_path / "other" / "video" / "hps" / "hps_track_0.npy"
    out.parent.mkdir(parents=True)
    _, after = rewritten(path, out)
    matrices_, six = np.asarray(after["pred_rotmat"]), np.asarray(after["pred_pose"])
    assert np.allclose(six.reshape(3, 24, 3, 2), matrices_[..., :2], atol=1e-6)
    side, center = 250.0, np.array([WIDTH / 2, HEIGHT / 2])
    scale, shift = np.asarray(after["pred_cam"])[:, :1], np.asarray(after["pred_cam"])[:, 1:]
    box = np.stack([np.array((200.0 + 30 * n, 240.0)) for n in range(3)])
    whole = np.concatenate((shift + 2 * (box - center) / (side * scale), 2 * 600.0 / (side * scale)), 1)
    assert np.allclose(np.asarray(after["pred_trans"])[:, 0], whole, atol=1e-4)
    assert (tmp_path / "other" / "video" / "camera.npy").is_file()
    assert isinstance(np.load(out, allow_pickle=True).item()["pred_trans"], torch.Tensor)


def test_a_track_of_tram_without_its_camera_needs_one(tmp_path: Path) -> None:
    path = tram.write(tmp_path / "x.npy", 3)
    (path.parent.parent / "camera.npy").unlink()
    with pytest.raises(InputError, match="camera"):
        read(path)
    camera = Camera(torch.full((1, 2), 600.0), torch.tensor([[WIDTH / 2, HEIGHT / 2]]), SIZE)
    estimate = read(path, camera=camera)
    assert estimate.image_index.tolist() == [5, 6, 7]
    write(refined(estimate), tmp_path / "out.npy")
    assert len(read(tmp_path / "out.npy", camera=camera)) == 3


def test_prompthmrs_camera_is_the_full_photos(tmp_path: Path) -> None:
    path = prompthmr.write(tmp_path / "x.pt")
    estimate = read(path, sizes=SIZE)
    assert torch.allclose(estimate.camera.focal, torch.tensor(float(np.hypot(WIDTH, HEIGHT))), rtol=1e-5)
    assert torch.allclose(estimate.camera.center, SIZE.flip(-1) / 2, atol=1e-3)
    _, after = rewritten(path, tmp_path / "out.pt", sizes=SIZE)
    assert np.allclose(np.asarray(after["pose"]).reshape(2, 22, 2, 3), np.asarray(after["rotmat"])[:, :, :2], atol=1e-6)


def test_prompthmrs_video_keeps_its_zero_fingers_and_fits_photos_of_another_size(tmp_path: Path) -> None:
    path = prompthmr_video.write(tmp_path / "x.pkl")
    before, after = rewritten(path, tmp_path / "out.pkl")
    for key, person in after["people"].items():
        camera, world = person["smplx_cam"], person["smplx_world"]
        assert not camera["rotmat"][:, 25:].any()
        assert np.allclose(matrices(camera["pose"][:, :66]).reshape(-1, 22, 3, 3), camera["rotmat"][:, :22], atol=1e-5)
        was = before["people"][key]
        turn = matrices(was["smplx_world"]["pose"][:, :3]) @ was["smplx_cam"]["rotmat"][:, 0].transpose(0, 2, 1)
        assert np.allclose(matrices(world["pose"][:, :3]), turn @ camera["rotmat"][:, 0], atol=1e-5)
        assert np.array_equal(world["pose"][:, 66:], was["smplx_world"]["pose"][:, 66:])
    twice = read(path, sizes=2 * SIZE)
    assert torch.allclose(twice.camera.focal, torch.tensor(1440.0))
    assert torch.allclose(twice.bodies.translation, read(path).bodies.translation)
    write(twice, tmp_path / "same.pkl")
    assert np.array_equal(
        read_pickled(tmp_path / "same.pkl")["people"][1]["smplx_cam"]["trans"],
        before["people"][1]["smplx_cam"]["trans"],
    )


def damaged(content: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """The content with one entry replaced."""
    key, *rest = keys
    fresh = dict(content) if isinstance(content, dict) else list(content)
    fresh[key] = damaged(content[key], tuple(rest), value) if rest else value
    return fresh


FRAME = "frames/000000.jpg"

BAD: dict[str, tuple[str, Any, tuple[Any, ...], Any]] = {
    "wham, too few rows": ("wham", {1: wham.person(0)}, (1, "pose"), np.zeros((2, 72))),
    "wham, no frames": ("wham", {1: wham.person(0)}, (1, "frame_ids"), np.zeros(0)),
    "phalp, a missing joint": ("phalp", phalp.frames(1), (FRAME, "3d_joints", 0), np.zeros((44, 3))),
    "phalp, a shorter list": ("phalp", phalp.frames(1), (FRAME, "smpl"), []),
    "phalp, no rotations": ("phalp", phalp.frames(1), (FRAME, "smpl", 0, "global_orient"), np.ones((1, 3, 3))),
    "phalp, no size": ("phalp", phalp.frames(1), (FRAME, "size", 0), [0, 0]),
    "glamr, zero intrinsics": (
        "glamr",
        {"person_data": {0: glamr.person(0, glamr.cameras())}},
        ("person_data", 0, "cam_K"),
        np.zeros((5, 3, 3)),
    ),
    "gvhmr, transposed intrinsics": ("gvhmr", gvhmr.results(), ("K_fullimg",), torch.ones(4, 3, 3)),
    "gvhmr, no person": ("gvhmr", gvhmr.results(), ("smpl_params_incam",), None),
    "gvhmr, other lengths": ("gvhmr", gvhmr.results(), ("smpl_params_incam", "betas"), torch.zeros(3, 10)),
    "prompthmr, nobody": ("prompthmr", prompthmr.output(1), ("transl",), torch.zeros(0, 3)),
    "prompthmr, flat intrinsics": ("prompthmr", prompthmr.output(1), ("cam_int",), torch.zeros(1, 3, 3)),
    "video, no centre": ("prompthmr_video", prompthmr_video.results(1), ("camera",), {"img_focal": 1.0}),
    "video, text": ("prompthmr_video", prompthmr_video.results(1), ("camera", "img_focal"), "long"),
    "tram, half a translation": ("tram", tram.track(3), ("pred_trans",), torch.zeros(3, 1, 2)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_file_is_refused(name: str, tmp_path: Path) -> None:
    format_, content, keys, value = BAD[name]
    path = tmp_path / "x"
    broken = damaged(content, keys, value)
    if format_ in ("gvhmr", "prompthmr"):
        torch.save(broken, path)
    elif format_ == "tram":
        with path.open("wb") as file:
            np.save(file, np.array(broken, object), allow_pickle=True)
        tram.save(tmp_path / "camera.npy", tram.camera(3))
    else:
        path.write_bytes(pickle.dumps(broken))
    with pytest.raises(InputError):
        read(path, format=format_, sizes=SIZE)


@pytest.mark.parametrize("name", ["wham", "tram"])
def test_a_track_without_numbers_is_of_people_without_numbers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if name == "wham":
        path.write_bytes(pickle.dumps(damaged({1: wham.person(0)}, (1, "trans"), np.full((3, 3), np.nan))))
    else:
        broken = damaged(tram.track(3), ("pred_cam",), torch.full((3, 3), torch.nan))
        with path.open("wb") as file:
            np.save(file, np.array(broken, object), allow_pickle=True)
        tram.save(tmp_path / "camera.npy", tram.camera(3))
    lost = read(path, format=name, sizes=SIZE).source.without_numbers
    assert lost is not None and bool(lost.all())
