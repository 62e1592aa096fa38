"""BLADE, AGORA's submissions and AiOS: their cameras, and what hands stand on."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch

from refine.body.load import load_body
from refine.errors import InputError
from refine.files.pickled import read_pickled
from refine.formats import find
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer.source_fit import hands_are_relative
from tests.layouts import agora as agora_layout
from tests.layouts import blade as blade_layout
from tests.layouts import smplerx as smplerx_layout
from tests.reference.body.official_files import random_model, write_pickle
from tests.refinements import refined
from tests.regressor_files import random_pose


@pytest.mark.parametrize(("height", "width"), [(480, 640), (641, 500)])
def test_blades_focal_length_belongs_to_the_padded_square_and_not_to_what_it_renders(
    tmp_path: Path, height: int, width: int
) -> None:
    path = blade_layout.write(tmp_path / "x.pth")
    estimate = find.read(path, sizes=torch.tensor([[float(height), float(width)]]))
    longer = max(height, width)
    pads = ((longer - width) // 2, (longer - height) // 2)
    point = estimate.joints
    on_square = blade_layout.FOCAL * point[..., :2] / point[..., 2:] + blade_layout.SIDE / 2
    wanted = on_square * longer / blade_layout.SIDE - torch.tensor(pads)
    assert torch.allclose(estimate.camera.project(point), wanted, atol=1e-2)


def test_blades_people_can_be_smpl_under_the_same_names(tmp_path: Path) -> None:
    torch.save(blade_layout.content(smpl=True), tmp_path / "x.pth")
    estimate = find.read(tmp_path / "x.pth", sizes=blade_layout.SIZES)
    assert estimate.source.model == "smpl" and estimate.source.translation is not None
    assert torch.allclose(estimate.source.translation, torch.tensor([[0.11, 0.41, 2.21]]))
    find.write(refined(estimate), tmp_path / "out.pth")
    written = torch.load(tmp_path / "out.pth", weights_only=True)
    assert {name: value.shape for name, value in written.items() if not name.startswith("refine_")} == {
        name: value.shape for name, value in blade_layout.content(smpl=True).items()
    }


def test_aioss_camera_is_taken_where_its_joints_confirm_it(tmp_path: Path) -> None:
    estimate = find.read(agora_layout.write(tmp_path / "x.pkl"), sizes=agora_layout.SIZES)
    assert torch.allclose(estimate.camera.focal, torch.tensor([[5000 * 640 / 1066, 5000 * 480 / 800]]))
    assert (estimate.source.images, estimate.source.persons) == (("000000.png",), ("1",))
    assert estimate.source.keypoints_2d is not None
    seen = estimate.camera.project(estimate.joints[:, :22])
    assert float((seen - estimate.source.keypoints_2d[:, :22]).norm(dim=-1).mean()) < 8


def test_a_submission_without_a_translation_is_placed_by_its_joints_under_a_given_camera(tmp_path: Path) -> None:
    content = agora_layout.content()
    content["params"]["transl"] = np.zeros((1, 3))
    content["joints"] = agora_layout.joints_of(np.array([0.5, 0.3, 4.0]), (900.0, 900.0))
    path = tmp_path / "x_personId_0.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="transl"):
        find.read(path, sizes=agora_layout.SIZES)
    camera = Camera(torch.full((1, 2), 900.0), torch.tensor([[320.0, 240.0]]), agora_layout.SIZES)
    estimate = find.read(path, camera=camera)
    assert "placed by the stored joints" in estimate.source.focal_rule
    assert estimate.source.keypoints_2d is not None
    seen = estimate.camera.project(estimate.joints[:, :22])
    assert float((seen - estimate.source.keypoints_2d[:, :22]).norm(dim=-1).mean()) < 8
    assert abs(float(estimate.joints[0, 0, 2]) - 4.0) < 0.4


def test_a_refined_submission_moves_its_joints_along(tmp_path: Path) -> None:
    estimate = find.read(agora_layout.write(tmp_path / "x.pkl"), sizes=agora_layout.SIZES)
    moved = refined(estimate)
    find.write(moved, tmp_path / "out_personId_1.pkl")
    was, now = agora_layout.content()["joints"], read_pickled(tmp_path / "out_personId_1.pkl")["joints"]
    shift = (now - was) / (3840, 2160) * (640, 480)
    wanted = (moved.camera.project(moved.joints) - estimate.camera.project(estimate.joints))[0, :22].numpy()
    assert np.abs(shift[:22] - wanted).max() < 0.05


@pytest.mark.parametrize("smplx", [True, False])
def test_matrices_of_a_submission_are_whole_rotations(tmp_path: Path, smplx: bool) -> None:
    content = agora_layout.content()
    params = content["params"] if smplx else {name: content["params"][name] for name in ("transl", "betas")}
    if not smplx:
        params |= {"global_orient": random_pose(1)[:, :1], "body_pose": random_pose(1)[:, 1:]}
    turned = {
        name: rotation.exp(torch.as_tensor(value.reshape(1, -1, 3), dtype=torch.float32)).numpy()
        if name.endswith(("pose", "orient"))
        else value
        for name, value in params.items()
    }
    path = tmp_path / "x_personId_0.pkl"
    path.write_bytes(pickle.dumps(content | {"params": turned, "pose2rot": False, "gender": "female"}))
    estimate = find.read(path, sizes=agora_layout.SIZES)
    source = estimate.source
    assert (source.model, source.hand_mean, source.gender) == (
        ("smplx", "flat", "female") if smplx else ("smpl", "", "female")
    )
    find.write(refined(estimate), tmp_path / "out_personId_0.pkl")
    written = read_pickled(tmp_path / "out_personId_0.pkl")
    assert written["params"]["body_pose"].shape == turned["body_pose"].shape
    assert written["pose2rot"] is False


def test_a_submission_of_vertices_is_refused_with_what_to_do(tmp_path: Path) -> None:
    content = {"joints": np.zeros((24, 2)), "verts": np.zeros((10475, 3)), "allSmplJoints3d": np.zeros((127, 3))}
    (tmp_path / "x_personId_0.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="no rotations"):
        find.read(tmp_path / "x_personId_0.pkl", sizes=agora_layout.SIZES)


@pytest.mark.parametrize("hands", ["mean", "flat"])
def test_what_the_hands_stand_on_is_the_adapters_word(tmp_path: Path, hands: str) -> None:
    source = find.read(smplerx_layout.write(tmp_path / "x.npz"), sizes=smplerx_layout.SIZES).source
    assert hands_are_relative(replace(source, hand_mean=hands)) is (hands == "mean")


def test_hands_on_the_mean_hand_are_posed_as_the_regressors_own_layer_poses_them(tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "smplx" / "SMPLX_NEUTRAL.pkl", random_model("smplx", 400))
    layer = smplx.create(str(tmp_path), "smplx", gender="neutral", ext="pkl", use_pca=False, use_face_contour=False)
    stored = smplerx_layout.arrays()
    whole = {
        name: torch.as_tensor(np.array(value), dtype=torch.float32).reshape(1, -1) for name, value in stored.items()
    }
    with torch.no_grad():
        wanted = layer(**whole).vertices
    path = smplerx_layout.write(tmp_path / "00012_1.npz")
    estimate = find.read(path, load_body(file, flat_hand_mean=False, betas=10, expressions=10))
    assert float((estimate.vertices - wanted).abs().max()) < 2e-5
    find.write(refined(estimate), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert np.array_equal(written["left_hand_pose"], stored["left_hand_pose"])
        assert not np.array_equal(written["body_pose"], stored["body_pose"])
