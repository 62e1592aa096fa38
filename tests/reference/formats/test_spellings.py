"""SMPL's parameters under other names and in other containers: the same people, and the same names again."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import refine
from refine.estimate import Estimate
from refine.files.pickled import kind
from refine.formats.find import read, write
from refine.geometry.camera import Camera
from tests import joblib_layout
from tests.format_examples import content, leaves
from tests.layouts.parameters import smpl_parameters
from tests.nested import assert_same
from tests.refinements import refined
from tests.regressor_files import HEIGHT, WIDTH

SIZE = torch.tensor([[float(HEIGHT), float(WIDTH)]])
CAMERA = Camera(torch.tensor([[800.0, 810.0]]), SIZE.flip(-1) / 2, SIZE)


def people(count: int = 2) -> dict[str, np.ndarray]:
    """Parameters by their public names, without joints and camera."""
    return {
        name: value
        for name, value in smpl_parameters(count).items()
        if name in ("global_orient", "body_pose", "betas", "transl")
    }


def whole(given: dict[str, np.ndarray], joints: int = 24) -> np.ndarray:
    """All joints in one array, what the parameters do not have at rest."""
    pose = np.zeros((len(given["transl"]), 3 * joints))
    width = 69 if joints == 24 else 63
    pose[:, :3], pose[:, 3 : 3 + width] = given["global_orient"], given["body_pose"][:, :width]
    return pose


def matrices(given: dict[str, np.ndarray]) -> np.ndarray:
    return Rotation.from_rotvec(whole(given).reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)


GIVEN = people()
SPELLINGS: dict[str, Any] = {
    "the public names": GIVEN,
    "AMASS": {"poses": whole(GIVEN), "trans": GIVEN["transl"], "betas": GIVEN["betas"][0],
        "gender": np.array("neutral")},
    "thetas": {"thetas": whole(GIVEN), "transl": GIVEN["transl"], "betas": GIVEN["betas"]},
    "SMPL-H": {"poses": whole(GIVEN, 52), "trans": GIVEN["transl"], "betas": GIVEN["betas"]},
    "SMPL-X's add-on": {"poses": whole(GIVEN, 55), "trans": GIVEN["transl"], "betas": GIVEN["betas"],
        "mocap_frame_rate": np.array(30)},
    "human_body_prior": {"root_orient": GIVEN["global_orient"], "pose_body": GIVEN["body_pose"][:, :63],
        "pose_hand": np.zeros((2, 90)), "trans": GIVEN["transl"], "betas": GIVEN["betas"]},
    "HMR2": {"pred_smpl_params": {"global_orient": matrices(GIVEN)[:, :1], "body_pose": matrices(GIVEN)[:, 1:],
        "betas": GIVEN["betas"]}, "pred_cam_t_full": GIVEN["transl"]},
    "HMR2, flat": {"global_orient": matrices(GIVEN)[:, :1], "body_pose": matrices(GIVEN)[:, 1:],
        "betas": GIVEN["betas"], "pred_cam_t_full": GIVEN["transl"]},
    "GVHMR, flattened": {f"smpl_params_incam_{name}": value if name != "body_pose" else value[:, :63] for name,
        value in GIVEN.items()} | {"poses": 0 * whole(GIVEN), "trans": 0 * GIVEN["transl"]},
    "a list of people": [{name: value[row] for name, value in GIVEN.items()} for row in range(2)],
}  # fmt: skip


def plain(value: Any) -> Any:
    """The same as lists and numbers."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist()


def tensors(value: Any) -> Any:
    """The same with tensors."""
    if isinstance(value, dict):
        return {name: tensors(item) for name, item in value.items()}
    if isinstance(value, list):
        return [tensors(item) for item in value]
    return torch.as_tensor(value) if value.dtype.kind == "f" else value


def save(path: Path, stored: Any) -> Path:
    what = path.suffix[1:]
    if what == "npz":
        np.savez(path, **stored) if isinstance(stored, dict) else np.savez(path, people=np.array(stored, object))
    elif what == "npy":
        holder = np.empty((), object)
        holder[()] = stored
        np.save(path, holder, allow_pickle=True)
    elif what == "pkl":
        path.write_bytes(pickle.dumps(stored))
    elif what == "joblib":
        joblib_layout.dump(stored, path)
    elif what == "pt":
        torch.save(tensors(stored), path)
    else:
        path.write_text(json.dumps(plain(stored)))
    return path


@pytest.mark.parametrize("suffix", ["npz", "npy", "pkl", "joblib", "pt", "json"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_in_every_container_is_the_same_people_and_is_written_again(
    name: str, suffix: str, tmp_path: Path
) -> None:
    path = save(tmp_path / f"a.{suffix}", SPELLINGS[name])
    estimate = read(path, camera=CAMERA)
    assert estimate.source.format == "parameters" and len(estimate) == 2
    turned = Rotation.from_rotvec(whole(GIVEN).reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    assert np.allclose(estimate.source.pose[:, :22].numpy(), turned[:, :22], atol=1e-5)
    assert estimate.source.translation is not None
    assert np.allclose(estimate.source.translation.numpy(), GIVEN["transl"], atol=1e-5)
    out = tmp_path / f"out.{suffix}"
    write(estimate, out)
    assert kind(out).replace("joblib", "pickle") == kind(path).replace("joblib", "pickle")
    assert_same(content(out), content(path))
    changed = refined(estimate)
    write(changed, out)
    again = read(out, camera=CAMERA)
    assert torch.allclose(again.source.pose[:, :22], changed.bodies.pose[:, :22], atol=1e-5)
    pixel, wanted = (one.camera.project(one.joints[:, :1]) for one in (again, changed))
    assert torch.allclose(pixel, wanted, atol=0.05)
    before, after = dict(leaves(content(path))), dict(leaves(content(out)))
    assert {where for where in after if not str(where[-1]).startswith("refine_")} == set(before)


def test_spellings_in_memory_are_understood() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for given in (SPELLINGS["AMASS"], SPELLINGS["HMR2"], tensors(SPELLINGS["human_body_prior"])):
        result = refine.fit(photo, given, camera=CAMERA, refiner=refine.Refiner())
        assert np.allclose(result.estimate.source.translation, GIVEN["transl"], atol=1e-5)


def test_a_focal_length_beside_the_parameters_is_their_camera_in_the_photo(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", SPELLINGS["HMR2, flat"] | {"focal_length": np.array(900.0)})
    estimate = read(path, sizes=SIZE)
    assert estimate.camera.focal.tolist() == [[900.0, 900.0]] * 2
    assert torch.equal(estimate.camera.center, (SIZE.flip(-1) / 2).expand(2, 2))


def test_intrinsics_beside_the_parameters_are_their_camera(tmp_path: Path) -> None:
    matrix = np.array([[700.0, 0, WIDTH / 2], [0, 710.0, HEIGHT / 2], [0, 0, 1]])
    estimate = read(save(tmp_path / "a.npz", GIVEN | {"K": matrix}))
    assert estimate.camera.focal[0].tolist() == [700.0, 710.0] and torch.equal(estimate.camera.size[:1], SIZE)


def refusal(path: Path) -> str:
    with pytest.raises(refine.InputError) as caught:
        read(path, camera=CAMERA)
    return str(caught.value)


def test_gvhmrs_copy_for_blender_is_refused_because_its_incam_is_the_world(tmp_path: Path) -> None:
    world = GIVEN | {"body_pose": GIVEN["body_pose"][:, :63]}
    said = refusal(save(tmp_path / "a.pkl", {"smpl_params_global": world, "smpl_params_incam": world}))
    assert "smpl_params_incam" in said and "hmr4d_results.pt" in said
    incam = world | {"transl": world["transl"] + 1}
    assert (
        len(read(save(tmp_path / "b.pkl", {"smpl_params_global": world, "smpl_params_incam": incam}), camera=CAMERA))
        == 2
    )


@pytest.mark.parametrize("axis", ["y", "z"])
def test_a_recorded_motion_in_a_world_is_refused(axis: str, tmp_path: Path) -> None:
    turn = Rotation.from_rotvec([np.pi, 0, 0] if axis == "y" else [-np.pi / 2, 0, 0])
    root = (turn * Rotation.from_rotvec(GIVEN["global_orient"])).as_rotvec()
    poses = whole(GIVEN | {"global_orient": root})
    said = refusal(
        save(tmp_path / "a.npz", {"poses": poses, "trans": GIVEN["transl"], "mocap_framerate": np.array(30)})
    )
    assert "camera's frame" in said and "global_orient and transl" in said


HINTS: dict[str, tuple[Any, str]] = {
    "HMR2's crop": ({"pred_smpl_params": {n: v for n, v in GIVEN.items() if n != "transl"}, "pred_cam": np.ones((2, 3)),
        "pred_cam_t": np.ones((2, 3))}, "pred_cam_t_full"),
    "HybrIK": ({"pred_thetas": np.ones((2, 216)), "pred_betas": np.ones((2, 10)), "transl": np.ones((2, 3)),
        "pred_cam_root": np.ones((2, 3)), "bbox": np.ones((2, 4)), "pred_uvd": np.ones((2, 29, 3))}, "HybrIK"),
    "SLAHMR": ({"root_orient": np.ones((1, 2, 3)), "pose_body": np.ones((1, 2, 63)), "trans": np.ones((1, 2, 3)),
        "cam_R": np.ones((1, 2, 3, 3)), "cam_t": np.ones((1, 2, 3))}, "SLAHMR"),
    "WHAM's network": ({"poses_body": np.ones((2, 23, 3, 3)), "poses_root_cam": np.ones((2, 1, 3, 3)),
        "betas": np.ones((2, 10)), "verts_cam": np.ones((2, 4, 3))}, "wham_output.pkl"),
    "EasyMocap in an npz": ({"Rh": np.ones((1, 3)), "Th": np.ones((1, 3)), "poses": np.ones((1, 72)),
        "shapes": np.ones((1, 10))}, "Th is no transl"),
}  # fmt: skip


@pytest.mark.parametrize("name", HINTS)
def test_what_cannot_be_told_is_refused_with_what_to_rename(name: str, tmp_path: Path) -> None:
    stored, words = HINTS[name]
    said = refusal(save(tmp_path / "a.pkl", stored))
    assert words in said and "looks like" not in said and len(said) < 900


def test_places_in_millimetres_are_refused_under_their_own_name(tmp_path: Path) -> None:
    stored = {"poses": whole(GIVEN), "trans": 1000 * GIVEN["transl"], "betas": GIVEN["betas"]}
    assert "trans: " in (said := refusal(save(tmp_path / "a.pkl", stored))) and "mm" in said


def test_an_estimate_of_another_format_is_not_taken_for_a_spelling(tmp_path: Path) -> None:
    from tests.layouts import cliff, prompthmr, spin

    for module in (cliff, spin, prompthmr):
        path = module.write(tmp_path / f"{module.__name__.rpartition('.')[2]}{module.SUFFIX}", 2)
        estimate: Estimate = read(path, sizes=SIZE)
        assert estimate.source.format == module.__name__.rpartition(".")[2]
