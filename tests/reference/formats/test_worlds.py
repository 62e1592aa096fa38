"""Files of videos that know where the camera stands in a world: both copies of a person agree, before and after."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

import refine
from refine.estimate import Estimate
from refine.estimate.pelvis import REST_PELVIS_M
from refine.files.pickled import read_pickled
from refine.formats.find import read, write
from refine.result import Result
from refine.solve import StopReason
from refine.transfer import in_camera, in_world
from tests.layouts import cliff, glamr, gvhmr, hybrik, sam3dbody, tram, wham
from tests.refinements import refined
from tests.regressor_files import HEIGHT, WIDTH

SAME_PX, SAME_M = 0.05, 1e-4
SIZE = torch.tensor([[float(HEIGHT), float(WIDTH)]])
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "glamr": lambda folder: glamr.write(folder / "x.pkl"),
    "gvhmr": lambda folder: gvhmr.write(folder / "x.pt", 4),
    "tram": lambda folder: tram.write(folder / "x.npy", 3),
}


def matrices(angles: Any) -> np.ndarray:
    return Rotation.from_rotvec(np.asarray(angles).reshape(-1, 3)).as_matrix()


def world_of(name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the roots (B, 3, 3) and pelvises (B, 3) in the world as the file says them itself."""
    content = read_pickled(path)
    if name == "glamr":
        rows = [person for person in content["person_data"].values()]
        there = rows[0]["exist_frames"]
        roots = [matrices(person["smpl_orient_world"][there]) for person in rows]
        return np.concatenate(roots), np.concatenate([person["root_trans_world"][there] for person in rows])
    if name == "gvhmr":
        world = content["smpl_params_global"]
        return matrices(world["global_orient"]), np.asarray(world["transl"]) + np.array(REST_PELVIS_M["smplx"])
    camera = read_pickled(path.parents[1] / "camera.npy")
    turn, place = (camera[f"world_cam_{part}"][np.asarray(content["frame"])] for part in "RT")
    pelvis = np.asarray(content["pred_trans"])[:, 0] + np.array(REST_PELVIS_M["smpl"])
    root = np.asarray(content["pred_rotmat"])[:, 0]
    return turn @ root, np.einsum("nij,nj->ni", turn, pelvis) + place


def check_world(name: str, path: Path, world: Estimate) -> None:
    root, pelvis = world_of(name, path)
    np.testing.assert_allclose(world.bodies.pose[:, 0].numpy(), root, atol=SAME_M)
    np.testing.assert_allclose(world.posed.joints[:, 0].numpy(), pelvis, atol=10 * SAME_M)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_files_world_is_seen_in_the_same_pixels(name: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path)
    estimate = read(path)
    assert estimate.camera.camera_from_world is None and any("in_world" in note for note in estimate.notes)
    world = in_world(estimate)
    pixels = [one.keypoints_2d("smplx55") for one in (estimate, world)]
    assert (pixels[0] - pixels[1]).abs().max() < SAME_PX
    assert (world.vertices - estimate.vertices).abs().max() < SAME_M
    assert (world.posed.vertices - estimate.vertices).abs().max() > 0.5
    check_world(name, path, world)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_was_refined_in_the_world_is_written_in_both_frames(name: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path)
    out = path.with_name(f"out{path.suffix}")
    world = refined(in_world(read(path)), [0, 2])
    write(world, out)
    again = read(out)
    there = in_world(again)
    check_world(name, out, there)
    assert (again.keypoints_2d("smplx55") - world.keypoints_2d("smplx55")).abs().max() < SAME_PX
    assert (there.vertices - world.vertices).abs().max() < 10 * SAME_M
    still = [1, *range(3, len(world))]
    first, second = (read(each).source for each in (path, out))
    assert torch.equal(first.pose[still], second.pose[still]) and not torch.equal(first.pose[0], second.pose[0])
    assert first.translation is not None and second.translation is not None
    assert torch.equal(first.translation[still], second.translation[still])


def test_trams_newer_camera_file_has_the_first_cameras_frame(tmp_path: Path) -> None:
    path = LAYOUTS["tram"](tmp_path)
    place = path.parents[1] / "camera.npy"
    content = {name: value for name, value in read_pickled(place).items() if not name.startswith("world")}
    tram.save(place, content)
    found = read(path).source.camera_from_world
    assert found is not None
    turn = torch.tensor(content["pred_cam_R"][tram.FIRST_FRAME :])
    assert torch.allclose(found[:, :, :3] @ turn, torch.eye(3).expand(3, 3, 3), atol=1e-6)
    for wrong in (content | {"pred_cam_R": np.ones_like(content["pred_cam_R"])}, content | {"pred_cam_T": np.zeros(3)}):
        tram.save(place, wrong)
        assert read(path).source.camera_from_world is None


def test_glamrs_world_is_not_taken_where_its_camera_does_not_see_its_people_there(tmp_path: Path) -> None:
    path = LAYOUTS["glamr"](tmp_path)
    content = read_pickled(path)
    shifted = np.array(content["cam_pose"])
    shifted[:, 0, 3] += 0.1
    content["cam_pose"] = shifted
    path.write_bytes(pickle.dumps(content))
    assert read(path).source.camera_from_world is None


def test_whams_world_is_not_known(tmp_path: Path) -> None:
    estimate = read(wham.write(tmp_path / "x.pkl"), sizes=SIZE)
    assert estimate.source.camera_from_world is None
    with pytest.raises(refine.InputError, match="camera_from_world"):
        in_world(estimate)


def test_glamrs_real_world_is_seen_in_the_same_pixels(real_data: Callable[[str], Path]) -> None:
    path = real_data("glamr") / "running_seed1.pkl"
    estimate = read(path)
    world = in_world(estimate)
    assert (world.keypoints_2d("body25") - estimate.keypoints_2d("body25")).abs().max() < SAME_PX
    stored = read_pickled(path)["person_data"][0]
    assert np.abs(world.posed.joints[:, 0].numpy() - stored["root_trans_world"]).max() < 1e-3
    assert np.abs(world.bodies.pose[:, 0].numpy() - matrices(stored["smpl_orient_world"])).max() < 1e-3
    assert np.ptp(world.posed.joints[:, 0, 2].numpy()) < 0.3, "z is up there, and the floor is level"


@pytest.mark.parametrize("layout", [hybrik, cliff, sam3dbody], ids=["hybrik", "cliff", "sam3dbody"])
def test_a_file_without_a_world_gets_people_refined_in_one_in_its_cameras_frame(layout: Any, tmp_path: Path) -> None:
    path = layout.write(tmp_path / f"x{layout.SUFFIX}")
    estimate = read(path, sizes=SIZE)
    turn = torch.from_numpy(matrices([0.4, 1.2, -0.3])).float()
    world = torch.cat((turn, torch.tensor([[[3.0], [-1.0], [2.0]]])), 2).expand(len(estimate), 3, 4)
    moved = refined(estimate)
    write(in_world(moved, world), tmp_path / f"out{layout.SUFFIX}")
    again = read(tmp_path / f"out{layout.SUFFIX}", sizes=SIZE)
    pixels = [one.keypoints_2d("smplx55") for one in (again, moved)]
    assert (pixels[0] - pixels[1]).abs().max() < SAME_PX
    assert (again.joints[:, 0] - moved.joints[:, 0]).abs().max() < 0.01


def test_a_result_in_the_world_is_saved_and_read(tmp_path: Path) -> None:
    estimate = in_world(read(LAYOUTS["gvhmr"](tmp_path)))
    bent = replace(estimate.camera, distortion=torch.tensor([[-0.1, 0.01, 0.001, 0.0]]).expand(len(estimate), -1))
    estimate = replace(estimate, state=replace(estimate.state, camera=bent))
    nothing = torch.full((len(estimate),), torch.nan)
    stop = (StopReason.NO_EVIDENCE,) * len(estimate)
    result = Result(estimate, estimate.state, stop, nothing, nothing, nothing, nothing)
    result.save(tmp_path / "result.npz")
    back = refine.load(tmp_path / "result.npz")
    for name in ("camera_from_world", "distortion", "focal"):
        assert torch.equal(getattr(back.camera, name), getattr(estimate.camera, name))
    assert torch.equal(back.source.camera_from_world, estimate.source.camera_from_world)  # type: ignore[arg-type]
    again = refine.read(tmp_path / "result.npz")
    assert (again.vertices - estimate.vertices).abs().max() < SAME_M
    assert (again.keypoints_2d("coco17") - estimate.keypoints_2d("coco17")).abs().max() < SAME_PX
    moved = refined(again, [0])
    write(moved, tmp_path / "moved.npz")
    third: Tensor = read(tmp_path / "moved.npz").vertices
    assert (third - moved.vertices).abs().max() < 10 * SAME_M
    assert in_camera(again).camera.camera_from_world is None
