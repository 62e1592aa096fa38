"""CLIFF, SMPLer-X, Hand4Whole, PyMAF-X, AiOS and AGORA, BLADE, SMPLify-X: what contract tests do not see.

Projections are held against the systems' own formulas, written in `tests/layouts` a second time.
"""

import importlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.files.pickled import read_pickled
from refine.files.plain_data import TensorArray
from refine.formats import cliff, find, smplerx
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.transfer.source_fit import hand_coefficients
from tests.layouts import cliff as cliff_layout
from tests.layouts import hand4whole as hand4whole_layout
from tests.layouts import pymafx as pymafx_layout
from tests.layouts import smplerx as smplerx_layout
from tests.layouts import smplifyx as smplifyx_layout
from tests.refinements import refined
from tests.regressor_files import random_pose, skeleton

SIZE = (480.0, 640.0)


def test_cliffs_joints_have_its_translation_and_are_seen_through_the_photos_middle(tmp_path: Path) -> None:
    estimate = find.read(cliff_layout.write(tmp_path / "a.npz"), sizes=cliff_layout.SIZES)
    stored = cliff_layout.arrays()
    assert estimate.source.joints is not None
    assert np.array_equal(estimate.source.joints.numpy(), stored["pred_joints"])
    pixel = estimate.camera.project(estimate.source.joints).numpy()
    focal = np.hypot(*SIZE)
    wanted = focal * stored["pred_joints"][..., :2] / stored["pred_joints"][..., 2:] + (320, 240)
    assert np.abs(pixel - wanted).max() < 0.01
    assert estimate.image_index.tolist() == [0, 1]
    assert estimate.source.images == cliff_layout.IMAGES
    assert "CLIFF" in estimate.source.focal_rule


def test_cliffs_matrices_are_the_same_pose_as_its_axis_angles(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **cliff_layout.arrays())
    np.savez(tmp_path / "m.npz", **cliff_layout.arrays(matrices=True))
    one, other = (find.read(tmp_path / name, sizes=cliff_layout.SIZES) for name in ("a.npz", "m.npz"))
    assert torch.allclose(one.source.pose, other.source.pose, atol=1e-5)
    find.write(refined(other), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert written["pose"].shape == (2, 24, 3, 3)


def test_cliffs_tracked_people_keep_their_identities_and_interpolated_rows_are_left_alone(tmp_path: Path) -> None:
    stored = cliff_layout.arrays(tracked=True)
    more = {name: np.concatenate((stored[name], stored[name][:1])) for name in ("pred_joints", "detection_all")}
    np.savez(tmp_path / "a.npz", **(stored | more))
    estimate = find.read(tmp_path / "a.npz", sizes=cliff_layout.SIZES)
    assert estimate.source.persons == ("7", "8")
    assert len(estimate) == 2
    find.write(refined(estimate), tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        assert np.array_equal(written["pred_joints"][2], stored["pred_joints"][0])
        assert not np.array_equal(written["pred_joints"][0], stored["pred_joints"][0])


def test_cliff_says_that_it_needs_the_photos_size(tmp_path: Path) -> None:
    path = cliff_layout.write(tmp_path / "a.npz")
    with pytest.raises(InputError, match="height and width"):
        find.read(path)
    given = Camera(torch.full((1, 2), 900.0), torch.tensor([[320.0, 240.0]]), torch.tensor([SIZE]))
    assert torch.equal(find.read(path, camera=given).camera.focal, torch.full((2, 2), 900.0))
    assert "another photo" in cliff.read(path, sizes=torch.tensor([[1080.0, 1920.0]])).source.focal_rule


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"global_t": np.zeros((0, 3), np.float32)}, "one person"),
        ({"focal_l": np.full(3, 800.0)}, "focal_l"),
        ({"pose": np.zeros((2, 71))}, "pose"),
        ({"pred_joints": np.zeros((1, 45, 3))}, "pred_joints"),
        ({"detection_all": np.full((2, 8), 9.0)}, "imgname"),
    ],
)
def test_a_damaged_cliff_file_is_refused(tmp_path: Path, change: dict[str, np.ndarray], match: str) -> None:
    np.savez(tmp_path / "a.npz", **(cliff_layout.arrays() | change))
    with pytest.raises(InputError, match=match):
        find.read(tmp_path / "a.npz", sizes=cliff_layout.SIZES)


def test_a_cliff_file_without_numbers_is_of_people_without_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **(cliff_layout.arrays() | {"global_t": np.full((2, 3), np.nan)}))
    lost = find.read(tmp_path / "a.npz", sizes=cliff_layout.SIZES).source.without_numbers
    assert lost is not None and lost.tolist() == [True, True]


def test_smplerx_sees_the_person_through_a_camera_centred_on_the_box(tmp_path: Path) -> None:
    estimate = find.read(smplerx_layout.write(tmp_path / "00012_1.npz"), sizes=smplerx_layout.SIZES)
    x, y, w, h = smplerx_layout.BOX
    assert estimate.camera.center.tolist() == [[x + w / 2, y + h / 2]]
    assert torch.allclose(estimate.camera.focal, torch.tensor([[5000 / 192 * w, 5000 / 256 * h]]))
    assert estimate.source.images == ("../demo/images/000012.jpg",)
    seen = estimate.camera.project(estimate.joints)[0, :22]
    assert bool(((seen > torch.tensor([x, y]) - 20) & (seen < torch.tensor([x + w, y + h]) + 20)).all())
    assert any("mean hand" in note for note in estimate.notes)


def test_smplerx_hands_stand_on_the_mean_hand(tmp_path: Path) -> None:
    source = find.read(smplerx_layout.write(tmp_path / "00012_1.npz")).source
    assert (source.model, source.hand_mean) == ("smplx", "mean")


def test_smplerx_takes_its_meta_file_along(tmp_path: Path) -> None:
    estimate = find.read(smplerx_layout.write(tmp_path / "00012_1.npz"), sizes=smplerx_layout.SIZES)
    for out in (tmp_path / "out" / "smplx" / "00012_1.npz", tmp_path / "out" / "alone.npz"):
        out.parent.mkdir(parents=True, exist_ok=True)
        find.write(refined(estimate), out)
        again = find.read(out, sizes=smplerx_layout.SIZES)
        assert torch.equal(again.camera.center, estimate.camera.center)
        assert again.source.arrays["meta"] == estimate.source.arrays["meta"]
    assert (tmp_path / "out" / "meta" / "00012_1.json").is_file()


def test_smplerx_without_a_meta_file_says_what_is_missing_and_takes_the_persons_camera(tmp_path: Path) -> None:
    np.savez(tmp_path / "00012_1.npz", **smplerx_layout.arrays())
    with pytest.raises(InputError, match=r"5000/192"):
        find.read(tmp_path / "00012_1.npz")
    meta = smplerx_layout.meta()
    focal, center = (torch.tensor([meta[name]], dtype=torch.float32) for name in ("focal", "princpt"))
    camera = Camera(focal, center, smplerx_layout.SIZES)
    assert torch.equal(smplerx.read(tmp_path / "00012_1.npz", camera=camera).camera.center, center)


def test_hand4whole_says_that_camera_and_place_are_missing(tmp_path: Path) -> None:
    path = hand4whole_layout.write(tmp_path / "smplx_param.json")
    with pytest.raises(InputError, match=r"5000/192"):
        find.read(path)
    (tmp_path / "output.obj").unlink()
    with pytest.raises(InputError, match=r"output\.obj"):
        find.read(path, camera=hand4whole_layout.CAMERA)


def test_hand4whole_is_where_its_obj_is(tmp_path: Path) -> None:
    path = hand4whole_layout.write(tmp_path / "smplx_param.json")
    estimate = find.read(path, camera=hand4whole_layout.CAMERA)
    joints = skeleton(random_pose(1))[0] + hand4whole_layout.TRANSLATION
    apart = estimate.joints[0, 0] - torch.as_tensor(joints[0, 0], dtype=torch.float32)
    assert float(apart.norm()) < 0.06  # a skeleton of balls is not the body, a few centimetres thinner
    assert estimate.source.vertices is not None


def test_a_refined_hand4whole_file_has_its_translation(tmp_path: Path) -> None:
    path = hand4whole_layout.write(tmp_path / "smplx_param.json")
    moved = refined(find.read(path, camera=hand4whole_layout.CAMERA))
    find.write(moved, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert len(written["transl"]) == 3 and written["somebody_elses"] == [0, 1, 2]
    assert written["lhand_pose"] == hand4whole_layout.content()["lhand_pose"]
    again = find.read(tmp_path / "out.json", camera=hand4whole_layout.CAMERA)
    assert torch.allclose(again.joints[:, :22], moved.joints[:, :22], atol=1e-4)


def test_smplifyx_takes_the_focal_length_of_its_run_and_its_default_without(tmp_path: Path) -> None:
    path = smplifyx_layout.write(tmp_path / "x.pkl")
    estimate = find.read(path, sizes=smplifyx_layout.SIZES)
    assert estimate.camera.focal.tolist() == [[5000.0, 5000.0]]
    smplifyx_layout.write_settings(tmp_path)
    estimate = find.read(path, sizes=smplifyx_layout.SIZES)
    assert estimate.camera.focal.tolist() == [[smplifyx_layout.FOCAL] * 2]
    assert "conf.yaml" in estimate.source.focal_rule
    assert (estimate.source.images, estimate.source.persons) == (("photo_0001",), ("000",))


def test_smplifyx_keeps_hands_that_are_coefficients_and_writes_pickle_protocol_2(tmp_path: Path) -> None:
    estimate = find.read(smplifyx_layout.write(tmp_path / "x.pkl"), sizes=smplifyx_layout.SIZES)
    assert hand_coefficients(estimate.source)[0].shape == (1, 12)
    find.write(refined(estimate), tmp_path / "out.pkl")
    data = (tmp_path / "out.pkl").read_bytes()
    assert data[:2] == b"\x80\x02"
    written = read_pickled(tmp_path / "out.pkl")
    assert np.array_equal(written["left_hand_pose"], smplifyx_layout.content()["left_hand_pose"])


def test_a_code_of_vposer_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "000.pkl").write_bytes(pickle.dumps(smplifyx_layout.content(vposer=True), protocol=2))
    with pytest.raises(InputError, match=r"vposer\.decode"):
        find.read(tmp_path / "000.pkl", sizes=smplifyx_layout.SIZES)


def test_proxs_two_translations_are_added_and_its_old_code_left_out(tmp_path: Path) -> None:
    content = smplifyx_layout.content() | {"transl": np.array([[0.1, 0.0, 1.0]]), "pose_embedding": np.zeros((1, 32))}
    (tmp_path / "000.pkl").write_bytes(pickle.dumps(content, protocol=2))
    estimate = find.read(tmp_path / "000.pkl", sizes=smplifyx_layout.SIZES)
    assert estimate.source.translation is not None
    assert torch.allclose(estimate.source.translation, torch.tensor([[0.3, 0.5, 19.0]]))
    find.write(refined(estimate), tmp_path / "out.pkl")
    written = read_pickled(tmp_path / "out.pkl")
    assert "pose_embedding" not in written and "left out" in written["refine_note"]
    again = find.read(tmp_path / "out.pkl", sizes=smplifyx_layout.SIZES)
    assert torch.allclose(again.joints[:, :22], refined(estimate).joints[:, :22], atol=1e-4)


def test_pymafxs_photo_size_follows_from_its_cameras(tmp_path: Path) -> None:
    estimate = find.read(pymafx_layout.write(tmp_path / "output.pkl", people=3))
    assert estimate.camera.size.tolist() == [list(SIZE)] * 3
    assert estimate.image_index.tolist() == [0, 2, 3]
    assert estimate.source.persons == ("image0_f0_p0", "image1_f1_p0", "image2_f2_p0")


def test_pymafxs_pelvis_and_weak_camera_agree(tmp_path: Path) -> None:
    content = pymafx_layout.content()
    estimate = find.read(pymafx_layout.write(tmp_path / "output.pkl"))
    pelvis = content["joints3d"][:, 8]
    weak = content["orig_cam"]
    half = np.array([SIZE[1], SIZE[0]]) / 2
    wanted = (weak[:, :2] * (pelvis[:, :2] + weak[:, 2:]) + 1) * half
    seen = estimate.camera.project(estimate.joints[:, :1])[:, 0].numpy()
    assert np.abs(seen - wanted).max() < 1.0  # the box of one camera is 0.4 px larger than that of the other


def test_pymafxs_cameras_are_refined_together(tmp_path: Path) -> None:
    stored = pymafx_layout.content()
    estimate = refined(find.read(pymafx_layout.write(tmp_path / "output.pkl")))
    find.write(estimate, tmp_path / "out.pkl")
    written = read_pickled(tmp_path / "out.pkl")
    crop, box, side = written["pred_cam"], stored["bboxes"], 300.4
    place = np.stack(
        (
            crop[:, 1] + 2 * (box[:, 0] - 320) / (crop[:, 0] * side),
            crop[:, 2] + 2 * (box[:, 1] - 240) / (crop[:, 0] * side),
            2 * 5000 / (side * crop[:, 0]),
        ),
        1,
    )
    assert np.allclose(written["orig_cam_t"], place, rtol=1e-5, atol=1e-4)
    assert np.allclose(written["orig_cam"][:, 0], crop[:, 0] * 300 / 640, rtol=1e-5)
    body = written["smplx_params"][0]["body_pose"]
    assert isinstance(body, TensorArray)
    turned = rotation.exp(torch.tensor(written["pose"].reshape(2, 24, 3)))
    assert np.allclose(turned.numpy(), body, atol=1e-5)
    joints = written["joints3d"] + written["orig_cam_t"][:, None]
    assert np.allclose(joints[:, 8], estimate.joints[:, 0].numpy(), atol=2e-3)


BROKEN = {
    "smplerx": lambda c: c | {"betas": np.full((2, 10), 0.1)},
    "smplifyx": lambda c: c | {"camera_rotation": np.diag([1.0, -1.0, -1.0])[None]},
    "pymafx": lambda c: c | {"orig_cam": c["orig_cam"] * 1.01},
    "blade": lambda c: c | {"camera_focal_length": torch.zeros(1, 1)},
    "agora": lambda c: c | {"joints": np.zeros((5, 2))},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    layout = importlib.import_module(f"tests.layouts.{name}")
    content = BROKEN[name](layout.arrays() if name == "smplerx" else layout.content())
    if name == "smplerx":
        np.savez(path.with_suffix(".npz"), **content)
        path.with_suffix(".json").write_text(json.dumps(layout.meta()))
        path = path.with_suffix(".npz")
    elif name == "blade":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError):
        find.read(path, sizes=getattr(layout, "SIZES", None))


def test_every_format_stands_in_the_table_of_formats() -> None:
    table = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in find.formats() if f"| `{name}` |" not in table] == []
