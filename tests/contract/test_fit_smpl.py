"""`refine.fit` on SMPL, SMPL-H and SMPL-X from official files, pose correctives included: what comes back poses the
same mesh."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody, jacobian, pose_body
from refine.body.load import load_body
from refine.formats.parameters import read_parameters, source_of
from refine.refiner import Refiner
from refine.state import State, Unknowns
from refine.transfer import source_parameters
from refine.transfer.source_body import own_body
from tests.human_models import HANDS, PEOPLE, human_model, package_vertices, posed_again, told
from tests.people import Case, camera
from tests.reference.body.official_files import write_npz, write_pickle
from tests.reference.body.test_skinning import sampled
from tests.synthetic import random_body, random_state

smplx = pytest.importorskip("smplx", reason="the package smplx, which reads the same files, is not installed")

TOLERANCE_M = 1e-5
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, builtin_body: SkinnedBody) -> Iterator[Path]:
    """Model files of all families where the search looks for them; emptied afterwards, they are large."""
    path = tmp_path_factory.mktemp("body_models")
    write_pickle(path / "smpl" / "SMPL_NEUTRAL.pkl", human_model("smpl", builtin_body, 10))  # smplx reads no other
    write_npz(path / "smpl" / "SMPL_FEMALE.npz", human_model("smpl", builtin_body, 300, seed=1))
    write_npz(path / "smplh" / "SMPLH_NEUTRAL.npz", human_model("smplh", builtin_body, 16, seed=2))
    write_npz(path / "smplx" / "SMPLX_NEUTRAL.npz", human_model("smplx", builtin_body, 400, seed=3))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, and the search set to it."""
    monkeypatch.setenv("REFINE_BODY_MODELS", str(folder))
    return folder


def file_of(folder: Path, model: str) -> Path:
    """The neutral file of a family."""
    return next((folder / model).glob(f"{model.upper()}_NEUTRAL.*"))


def away(joints: torch.Tensor, people: Case) -> torch.Tensor:
    """How far the 22 body joints are from the truth, m."""
    return (joints[:, :22] - people.true.joints[:, :22]).norm(dim=-1).mean()


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_an_official_model_is_refined_and_its_parameters_give_the_same_mesh(model: str, folder: Path) -> None:
    path = file_of(folder, model)
    body = load_body(path)
    case_ = told(body)
    result = refine.fit(
        case_.people.photos, case_.init, body_model=path, camera=camera(PEOPLE), keypoints=case_.people.detections
    )
    assert result.accepted.all() and (result.misfit < 0.35 * result.misfit_before).all()
    assert away(result.joints, case_.people) < 0.8 * away(case_.people.estimate.joints, case_.people)
    values = result.smplx()
    assert "built_in_shape" not in values and not np.array_equal(values["betas"], case_.init["betas"])
    for name in values:
        assert values[name].shape == np.asarray(case_.init[name]).shape, name
    assert float((posed_again(body, values) - result.vertices).abs().max()) < TOLERANCE_M
    options = {} if model == "smpl" else {"use_pca": False, "flat_hand_mean": True}
    assert float((package_vertices(folder, model, values, **options) - result.vertices).abs().max()) < TOLERANCE_M


@pytest.mark.parametrize("model", ["smpl", "smplx"])
def test_an_estimate_finds_its_own_model_file(model: str, found: Path) -> None:
    case_ = told(load_body(file_of(found, model)))
    result = refine.fit(case_.people.photos, case_.init, camera=camera(PEOPLE), keypoints=case_.people.detections)
    assert result.body.model == model and "built_in_shape" not in result.smplx()
    assert any("used as they are" in note for note in result.notes)
    assert float((posed_again(result.body, result.smplx()) - result.vertices).abs().max()) < TOLERANCE_M


def test_without_a_model_file_the_pose_is_transferred(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFINE_BODY_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    case_ = told(load_body(file_of(folder, "smpl")))
    result = refine.fit(case_.people.photos, case_.init, camera=camera(PEOPLE), keypoints=case_.people.detections)
    assert result.body.model == "anny" and np.array_equal(result.smplx()["betas"], case_.init["betas"])
    assert "built_in_shape" in result.smplx() and any("transferred" in note for note in result.notes)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("smpl", {}),
        ("smplx", {"use_pca": False, "flat_hand_mean": True}),
        ("smplx", {"use_pca": True, "num_pca_comps": 12, "flat_hand_mean": False}),
        ("smplh", {"use_pca": True, "flat_hand_mean": False}),
    ],
)
def test_an_output_of_the_package_smplx_is_refined_with_and_without_naming_its_model(
    model: str, options: dict[str, Any], named: bool, found: Path
) -> None:
    curved = not options.get("flat_hand_mean", True)
    body = load_body(file_of(found, model), flat_hand_mean=not curved)
    case_ = told(body, count=1)
    given = {name: torch.from_numpy(value) for name, value in case_.init.items() if name != "image_index"}
    if options.get("use_pca"):
        wide = options.get("num_pca_comps", 6)
        given |= {name: 0.3 * torch.ones(1, wide) for name in HANDS}
    layer = smplx.create(str(found), model, gender="neutral", ext="npz", batch_size=1, **options)
    with torch.no_grad():
        output = layer(**given)
    result = refine.fit(
        case_.people.photos, output, camera=camera(1), keypoints=case_.people.detections,
        body_model=file_of(found, model) if named else None,
    )  # fmt: skip
    assert result.body.model == model and result.body.flat_hand_mean != curved
    assert float((result.estimate.vertices - output.vertices).abs().max()) < TOLERANCE_M
    assert result.accepted.all() and away(result.joints, case_.people) < 0.8 * away(output.joints, case_.people)
    values = result.smplx()
    options = options | {"use_pca": False} if model != "smpl" else options
    assert float((package_vertices(found, model, values, **options) - result.vertices).abs().max()) < TOLERANCE_M


def test_the_file_of_the_estimates_gender_is_taken(found: Path) -> None:
    init = told(load_body(file_of(found, "smpl"))).init
    assert own_body(source_of(init | {"gender": "female"})).gender == "female"
    assert own_body(source_of(init)).gender == "neutral"
    estimate = read_parameters(init | {"gender": "male"}, None, camera(PEOPLE))
    assert (
        estimate.body.model == "anny"
    )  # of the files here none is male, and betas of another gender mean another shape


@pytest.mark.parametrize(("stored", "kept"), [(10, 10), (11, 11), (16, 16), (300, 300)])
def test_as_many_betas_are_used_as_the_estimate_and_the_file_have(stored: int, kept: int, found: Path) -> None:
    init = told(load_body(file_of(found, "smpl"))).init
    init |= {"betas": 0.1 * np.ones((PEOPLE, stored), np.float32), "gender": "female"}
    estimate = read_parameters(init, None, camera(PEOPLE))
    assert estimate.bodies.shape.shape == (PEOPLE, kept) and bool((estimate.bodies.shape == 0.1).all())
    refined = read_parameters(init | {"gender": "neutral"}, None, camera(PEOPLE))  # that file holds ten
    assert refined.bodies.shape.shape == (PEOPLE, 10)
    assert any("cut" in note for note in refined.notes) == (stored > 10)


def test_the_age_of_smpl_a_is_used_where_its_template_lies_beside_the_file(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFINE_BODY_MODELS", str(tmp_path))
    (tmp_path / "smpl").mkdir()
    file = shutil.copy(file_of(folder, "smpl"), tmp_path / "smpl")
    kid = tmp_path / "smpl" / "smpl_kid_template.npy"
    np.save(kid, 0.6 * load_body(file).template.numpy() + 0.1)
    init = told(load_body(file)).init
    init["betas"] = np.concatenate((init["betas"], np.full((PEOPLE, 1), 0.7, np.float32)), 1)
    estimate = read_parameters(init, None, camera(PEOPLE))
    expected = read_parameters(init, load_body(file, kid_template=kid), camera(PEOPLE))
    assert torch.equal(estimate.vertices, expected.vertices) and not any("cut" in note for note in estimate.notes)


def test_hand_coefficients_stand_on_the_mean_hand_unless_the_joints_say_otherwise(found: Path) -> None:
    path = file_of(found, "smplx")
    init = told(load_body(path), hands=False).init
    coefficients = 0.4 * np.ones((PEOPLE, 12), np.float32)
    mapping = init | dict.fromkeys(HANDS, coefficients)
    for flat in (False, True):
        options = {"use_pca": True, "num_pca_comps": 12, "flat_hand_mean": flat}
        layer = smplx.create(str(found), "smplx", gender="neutral", ext="npz", batch_size=PEOPLE, **options)
        given = {name: torch.from_numpy(value) for name, value in mapping.items() if name != "image_index"}
        with torch.no_grad():
            output = layer(**given)
        with_joints = read_parameters(mapping | {"joints": output.joints.numpy()}, None, camera(PEOPLE))
        assert float((with_joints.vertices - output.vertices).abs().max()) < TOLERANCE_M
        assert np.array_equal(source_parameters(with_joints)["left_hand_pose"], coefficients)
        alone = read_parameters(mapping, None, camera(PEOPLE))
        assert (float((alone.vertices - output.vertices).abs().max()) < TOLERANCE_M) == (not flat)


def test_refined_hands_that_were_coefficients_come_back_as_rotations(found: Path) -> None:
    body = load_body(file_of(found, "smplx"), flat_hand_mean=False)
    case_ = told(body, hands=False, name="smplx55")
    mapping = case_.init | dict.fromkeys(HANDS, 0.4 * np.ones((PEOPLE, 12), np.float32))
    refiner = Refiner(unknowns=Unknowns((*range(22), 30, 31, 40), 10, 0, 3))
    result = refine.fit(
        case_.people.photos, mapping, camera=camera(PEOPLE), keypoints=case_.people.detections, refiner=refiner
    )
    assert bool(result.accepted.all()) and bool((result.bodies.pose != result.estimate.bodies.pose)[:, 30].any())
    values = result.smplx()
    assert values["left_hand_pose"].shape == (PEOPLE, 45)
    options = {"use_pca": False, "flat_hand_mean": False}
    assert float((package_vertices(found, "smplx", values, **options) - result.vertices).abs().max()) < TOLERANCE_M


def test_betas_and_joints_the_estimate_did_not_have_come_back_where_they_were_refined(folder: Path) -> None:
    body = load_body(file_of(folder, "smplx"))
    case_ = told(body, name="smplx55")
    init = {name: case_.init[name] for name in ("global_orient", "body_pose", "transl", "image_index")}
    refiner = Refiner(unknowns=Unknowns((*range(23), 26), 10, 4, 3))
    result = refine.fit(
        case_.people.photos, init, body_model=body, camera=camera(PEOPLE), keypoints=case_.people.detections,
        refiner=refiner,
    )  # fmt: skip
    values = result.smplx()
    assert values["betas"].shape == (PEOPLE, 10) and {"jaw_pose", "left_hand_pose", "expression"} & set(values)
    assert "right_hand_pose" not in values
    assert float((posed_again(body, values) - result.vertices).abs().max()) < TOLERANCE_M


@pytest.mark.parametrize("model", ["smpl", "smplx"])
def test_a_result_on_an_official_model_is_the_same_after_saving_and_loading(
    model: str, found: Path, tmp_path: Path
) -> None:
    case_ = told(load_body(file_of(found, model)))
    wide = {"betas": np.pad(case_.init["betas"], ((0, 0), (0, 6)))} if model == "smplx" else {}
    result = refine.fit(
        case_.people.photos, case_.init | wide, camera=camera(PEOPLE), keypoints=case_.people.detections
    )
    result.save(tmp_path / "result.npz")
    again = refine.load(tmp_path / "result.npz")
    assert again.body.name == result.body.name and torch.equal(again.vertices, result.vertices)
    for name, value in result.smplx().items():
        assert np.array_equal(again.smplx()[name], value), name
    assert torch.equal(refine.load(tmp_path / "result.npz", body_model=result.body).vertices, result.vertices)


def test_a_result_whose_model_file_is_gone_says_to_give_the_model(
    folder: Path, tmp_path: Path, builtin_body: SkinnedBody
) -> None:
    moved = Path(shutil.copy(file_of(folder, "smpl"), tmp_path / "SMPL_NEUTRAL.pkl"))
    case_ = told(load_body(moved))
    out = tmp_path / "result.npz"
    result = refine.fit(case_.people.photos, case_.init, body_model=moved, camera=camera(PEOPLE))
    result.save(out)
    moved.unlink()
    with pytest.raises(refine.InputError, match=r"body_model: .*SMPL_NEUTRAL\.pkl.*body_model=") as caught:
        refine.load(out)
    assert "smpl neutral" in str(caught.value)
    assert torch.equal(refine.load(out, body_model=file_of(folder, "smpl")).vertices, result.vertices)
    nameless = replace(result.estimate, body=replace(result.body, provenance={}))
    replace(result, estimate=nameless).save(out)
    with pytest.raises(refine.InputError, match="body_model: expected smpl neutral"):
        refine.load(out)


def test_an_estimate_put_on_its_own_model_later_keeps_its_parameters(folder: Path, builtin_body: SkinnedBody) -> None:
    body = load_body(file_of(folder, "smpl"))
    case_ = told(body)
    transferred = read_parameters(case_.init, builtin_body, camera(PEOPLE))
    result = refine.fit(case_.people.photos, transferred, body_model=file_of(folder, "smpl"))
    assert torch.allclose(result.estimate.bodies.translation, torch.from_numpy(case_.init["transl"]), atol=1e-6)
    assert float((result.estimate.vertices - posed_again(body, case_.init)).abs().max()) < TOLERANCE_M


@pytest.mark.parametrize("bytes_at_once", [1, 10**5, 10**9])
def test_correctives_gathered_in_parts_and_at_once_are_the_same(
    bytes_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = random_body(expressions=2)
    state: State = random_state(body, 5)
    triangle, barycentric = sampled(body, 5, 30)
    unknowns = Unknowns((0, 1, 2, 7, 9, 10), 3, 1, 3)
    expected = pose_body(body, state.bodies).surface(triangle, barycentric, unknowns)
    monkeypatch.setitem(jacobian.CORRECTIVES_AT_ONCE, "cpu", bytes_at_once)
    got = pose_body(body, state.bodies).surface(triangle, barycentric, unknowns)
    for one, other in zip(expected, got, strict=True):
        assert float((one - other).abs().max()) < ROUNDING
