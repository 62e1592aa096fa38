"""SMPL, SMPL-H and SMPL-X from official files, held against the package smplx on generated files."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.body import SkinnedBody, pose_body
from refine.body.find_model import find_model
from refine.body.keypoint_names import SMPLX55
from refine.body.landmarks_smpl import SMPL_VERTICES, SMPLX_VERTICES
from refine.body.load import load_body
from refine.body.smplh import LAYOUT as SMPLH
from refine.body.smplx import LAYOUT as SMPLX
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import Bodies
from tests.reference.body import official_files as official

smplx = pytest.importorskip("smplx", reason="the package smplx, which these bodies are held against, is not installed")

TOLERANCE_M = 1e-5
COUNT = 3


@dataclass(frozen=True)
class Generated:
    """One generated model: its arrays and the file smplx reads."""

    arrays: dict[str, Any]
    file: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is emptied afterwards: the files are large."""
    path = tmp_path_factory.mktemp("body_models")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def smpl(folder: Path) -> Generated:
    arrays = official.random_model("smpl", shapes=10)
    return Generated(arrays, official.write_pickle(folder / "smpl" / "SMPL_NEUTRAL.pkl", arrays))


@pytest.fixture(scope="module")
def smplh(folder: Path) -> Generated:
    arrays = official.random_model("smplh", shapes=16, seed=1)
    return Generated(arrays, official.write_npz(folder / "smplh" / "SMPLH_MALE.npz", arrays))


@pytest.fixture(scope="module")
def smplx_small(folder: Path) -> Generated:
    arrays = official.random_model("smplx", shapes=20, seed=2)
    return Generated(arrays, official.write_npz(folder / "smplx" / "SMPLX_FEMALE.npz", arrays))


@pytest.fixture(scope="module")
def smplx_large(folder: Path) -> Generated:
    arrays = official.random_model("smplx", shapes=400, seed=3)
    return Generated(arrays, official.write_npz(folder / "smplx" / "SMPLX_NEUTRAL.npz", arrays))


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def posed(
    body: SkinnedBody, pose: torch.Tensor, shape: torch.Tensor, expression: torch.Tensor, translation: torch.Tensor
) -> Any:
    """Our body under stored axis-angle poses (B, J, 3)."""
    return pose_body(body, Bodies(rotation.exp(pose + body.mean_pose), shape, expression, translation))


def assert_same_as_smplx(body: SkinnedBody, theirs: Any, seed: int = 0) -> None:
    """Pose both alike, randomly, and compare vertices and joints."""
    joints, width = len(body.joint_names), body.shape_basis.shape[2]
    pose = 0.4 * draw(COUNT, joints, 3, seed=seed)
    shape, expression = draw(COUNT, width, seed=seed + 1), draw(COUNT, body.expression_basis.shape[2], seed=seed + 2)
    translation = draw(COUNT, 3, seed=seed + 3)
    flat = pose.flatten(1)
    options: dict[str, torch.Tensor] = {"betas": shape, "transl": translation, "global_orient": flat[:, :3]}
    if body.model == "smpl":
        options["body_pose"] = flat[:, 3:]
    else:
        options |= {"body_pose": flat[:, 3:66], "left_hand_pose": flat[:, -90:-45], "right_hand_pose": flat[:, -45:]}
    if body.model == "smplx":
        face = {"jaw_pose": flat[:, 66:69], "leye_pose": flat[:, 69:72], "reye_pose": flat[:, 72:75]}
        options |= {**face, "expression": expression}
    with torch.no_grad():
        expected = theirs(**options)
    ours = posed(body, pose, shape, expression, translation)
    torch.testing.assert_close(ours.vertices, expected.vertices, atol=TOLERANCE_M, rtol=0)
    torch.testing.assert_close(ours.joints, expected.joints[:, :joints], atol=TOLERANCE_M, rtol=0)


def test_smpl_poses_as_smplx_does(smpl: Generated) -> None:
    theirs = smplx.SMPL(str(smpl.file), batch_size=COUNT)
    assert_same_as_smplx(load_body(smpl.file), theirs)


@pytest.mark.parametrize("flat_hand_mean", [True, False])
def test_smplh_poses_as_smplx_does_with_either_hand_mean(smplh: Generated, flat_hand_mean: bool) -> None:
    theirs = smplx.SMPLH(str(smplh.file), ext="npz", use_pca=False, flat_hand_mean=flat_hand_mean, batch_size=COUNT)
    body = load_body(smplh.file, flat_hand_mean=flat_hand_mean)
    assert bool(body.mean_pose.any()) != flat_hand_mean
    assert_same_as_smplx(body, theirs)


def test_all_sixteen_shape_components_of_amass_can_be_had(smplh: Generated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smplx.SMPLH, "SHAPE_SPACE_DIM", 16)  # smplx itself stops at 10 below 300
    theirs = smplx.SMPLH(str(smplh.file), ext="npz", use_pca=False, flat_hand_mean=True, num_betas=16, batch_size=COUNT)
    assert_same_as_smplx(load_body(smplh.file, betas=16), theirs)


@pytest.mark.parametrize("flat_hand_mean", [True, False])
def test_smplx_poses_as_smplx_does_with_either_hand_mean(smplx_small: Generated, flat_hand_mean: bool) -> None:
    theirs = smplx.SMPLX(str(smplx_small.file), use_pca=False, flat_hand_mean=flat_hand_mean, batch_size=COUNT)
    assert_same_as_smplx(load_body(smplx_small.file, flat_hand_mean=flat_hand_mean), theirs)


@pytest.mark.parametrize(("betas", "expressions"), [(10, 10), (11, 10), (16, 50), (300, 100)])
def test_smplx_takes_the_columns_smplx_takes(smplx_large: Generated, betas: int, expressions: int) -> None:
    sizes = {"num_betas": betas, "num_expression_coeffs": expressions}
    theirs = smplx.SMPLX(str(smplx_large.file), use_pca=False, flat_hand_mean=True, batch_size=COUNT, **sizes)
    assert_same_as_smplx(load_body(smplx_large.file, betas=betas, expressions=expressions), theirs)


@pytest.mark.parametrize("model", ["smpl", "smplx_small"])
def test_the_age_is_the_last_shape_coefficient(model: str, folder: Path, request: pytest.FixtureRequest) -> None:
    generated: Generated = request.getfixturevalue(model)
    kid = folder / f"{model}_kid_template.npy"
    np.save(kid, 0.6 * generated.arrays["v_template"] + 0.1)
    aged = {"age": "kid", "kid_template_path": str(kid), "batch_size": COUNT}
    if model == "smpl":
        theirs = smplx.SMPL(str(generated.file), **aged)
    else:
        theirs = smplx.SMPLX(str(generated.file), use_pca=False, flat_hand_mean=True, **aged)
    body = load_body(generated.file, kid_template=kid)
    assert body.shape_basis.shape[2] == 11
    assert_same_as_smplx(body, theirs)


def test_hand_components_open_the_same_hand_as_smplx(smplx_small: Generated) -> None:
    theirs = smplx.SMPLX(str(smplx_small.file), use_pca=True, num_pca_comps=12, flat_hand_mean=False, batch_size=COUNT)
    body = load_body(smplx_small.file, flat_hand_mean=False)
    left, right = draw(COUNT, 12), draw(COUNT, 12, seed=1)
    with torch.no_grad():
        expected = theirs(left_hand_pose=left, right_hand_pose=right)
    pose = torch.zeros(COUNT, 55, 3)
    pose[:, 25:40] = (left @ body.hand_basis[0, :12]).unflatten(1, (15, 3))
    pose[:, 40:] = (right @ body.hand_basis[1, :12]).unflatten(1, (15, 3))
    ours = posed(body, pose, torch.zeros(COUNT, 10), torch.zeros(COUNT, 10), torch.zeros(COUNT, 3))
    torch.testing.assert_close(ours.vertices, expected.vertices, atol=TOLERANCE_M, rtol=0)


def test_landmarks_lie_where_smplx_puts_them(smplx_small: Generated) -> None:
    theirs = smplx.SMPLX(str(smplx_small.file), use_pca=False, flat_hand_mean=True, use_face_contour=True, batch_size=1)
    body = load_body(smplx_small.file)
    pose = 0.3 * draw(1, 55, 3)
    pose[:, [0, 3, 6, 9, 12]] = 0.0  # the jaw line is the frontal face's
    flat = pose.flatten(1)
    with torch.no_grad():
        expected = theirs(
            global_orient=flat[:, :3], body_pose=flat[:, 3:66], jaw_pose=flat[:, 66:69], leye_pose=flat[:, 69:72],
            reye_pose=flat[:, 72:75], left_hand_pose=flat[:, 75:120], right_hand_pose=flat[:, 120:],
        )  # fmt: skip
    by_name = dict(zip(smplx_joint_names(), expected.joints[0], strict=True))
    points = body.keypoint_sets["openpose137"]
    ours = posed(body, pose, torch.zeros(1, 10), torch.zeros(1, 10), torch.zeros(1, 3)).keypoints(points)[0]
    for name, place in zip(points.names, ours, strict=True):
        if name in by_name:
            torch.testing.assert_close(place, by_name[name], atol=TOLERANCE_M, rtol=0, msg=name)
    assert {f"face_{n}" for n in range(68)} | {"left_pinky4", "right_heel", "left_shoulder"} <= set(points.names) & set(
        by_name
    )


def smplx_joint_names() -> list[str]:
    """The names smplx gives its joints, in our words: finger tips end in 4, face points are numbered as iBUG does."""
    names = list(import_module("smplx.joint_names").JOINT_NAMES)
    tips = {
        f"{side}_{finger}": f"{side}_{finger}4"
        for side in ("left", "right")
        for finger in ("thumb", "index", "middle", "ring", "pinky")
    }
    names = [tips.get(name, name) for name in names]
    names[76:] = [f"face_{n}" for n in (*range(17, 68), *range(17))]
    assert names[:55] == list(SMPLX55)
    return ["joint_neck" if name == "neck" else name for name in names]  # the detector's is another


@pytest.mark.parametrize(("ours", "theirs"), [(SMPL_VERTICES, "smplh"), (SMPLX_VERTICES, "smplx")])
def test_published_vertices_are_those_of_smplx(ours: dict[str, int], theirs: str) -> None:
    assert set(ours.values()) == set(import_module("smplx.vertex_ids").vertex_ids[theirs].values())


def test_every_family_expresses_the_sets_it_can(smpl: Generated, smplh: Generated, smplx_small: Generated) -> None:
    body_sets = {"coco17", "body25", "smpl24"}
    assert set(load_body(smpl.file).keypoint_sets) == body_sets
    assert set(load_body(smplh.file).keypoint_sets) == body_sets
    assert set(load_body(smplx_small.file).keypoint_sets) == body_sets | {"coco133", "openpose137", "smplx55"}


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_python_2_pickles_with_chumpy_and_scipy_give_the_same_body(
    smpl: Generated, tmp_path: Path, protocol: int, kind: str
) -> None:
    arrays = dict(smpl.arrays)
    arrays["posedirs"] = arrays["posedirs"].astype(np.float32)
    arrays["shapedirs"] = official.ch(arrays["shapedirs"])
    arrays["J_regressor"] = official.sparse(arrays["J_regressor"], kind)
    path = official.write_python2_pickle(tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl", arrays, protocol)
    body, plain = load_body(path), load_body(smpl.file)
    assert body.gender == "female"
    for part in ("template", "shape_basis", "pose_basis", "joint_template", "joint_basis", "weight_values"):
        torch.testing.assert_close(getattr(body, part), getattr(plain, part), atol=1e-7, rtol=0)
    path.unlink()


def test_nested_chumpy_expressions_are_evaluated(smpl: Generated, tmp_path: Path) -> None:
    arrays, made = dict(smpl.arrays), official.chumpy_object
    basis, template = arrays["shapedirs"], arrays["v_template"]
    wide = official.ch(np.concatenate((basis, basis), 2))
    chosen = np.arange(wide.x.size).reshape(wide.x.shape)[:, :, :10]
    arrays["shapedirs"] = made("chumpy.reordering.Select", a=wide, idxs=chosen.ravel(), preferred_shape=chosen.shape)
    matrix = official.sparse(2 * np.eye(template.size // 30, dtype=np.float64))
    first = made("chumpy.ch.MatVecMult", mtx=matrix, vec=official.ch(template.ravel()[: template.size // 30] / 2))
    rest = made("chumpy.ch_ops.add", a=official.ch(template.ravel()[template.size // 30 :] - 1), b=official.ch([1.0]))
    both = made("chumpy.reordering.Concatenate", dterms=["m0", "m1"], m0=first, m1=rest, axis=0)
    arrays["v_template"] = made("chumpy.reordering.Reshape", a=both, newshape=template.shape)
    transposed = made("chumpy.reordering.transpose", a=official.ch(arrays["weights"].T), axes=None)
    arrays["weights"] = made("chumpy.ch_ops.multiply", a=transposed, b=official.ch([1.0]))
    body, plain = load_body(official.write_python2_pickle(tmp_path / "SMPL_MALE.pkl", arrays)), load_body(smpl.file)
    for part in ("template", "shape_basis", "weight_values"):
        torch.testing.assert_close(getattr(body, part), getattr(plain, part), atol=1e-7, rtol=0)


def test_texture_coordinates_are_turned_to_count_from_the_top(smplx_small: Generated, smpl: Generated) -> None:
    body = load_body(smplx_small.file)
    torch.testing.assert_close(
        body.uv[:, 1].double(), torch.from_numpy(1 - smplx_small.arrays["vt"][:, 1]), atol=1e-6, rtol=0
    )
    assert len(body.uv_faces) == len(body.faces)
    assert len(load_body(smpl.file).uv) == 0


def test_models_are_found_by_family_and_gender(
    folder: Path, smplx_large: Generated, smplh: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFINE_BODY_MODELS", str(folder))
    assert find_model(SMPLX) == smplx_large.file
    assert load_body("smplh", gender="male").name == "smplh male"
    with pytest.raises(InputError, match=r"only male.*https://mano\.is\.tue\.mpg\.de"):
        find_model(SMPLH, "neutral")


def test_asking_for_more_than_the_file_holds_is_a_mistake(
    smpl: Generated, smplx_small: Generated, smplx_large: Generated
) -> None:
    with pytest.raises(InputError, match="betas: expected 0 to 10"):
        load_body(smpl.file, betas=16)
    with pytest.raises(InputError, match="betas: expected 0 to 10"):
        load_body(smplx_small.file, betas=11)  # the columns from the eleventh are expression
    with pytest.raises(InputError, match="expressions: expected 0 to 0"):
        load_body(smpl.file, expressions=10)
    with pytest.raises(InputError, match="gender: expected 'female'"):
        load_body(smplx_small.file, gender="male")
    with pytest.raises(InputError, match="kid_template"):
        load_body(smpl.file, kid_template=smplx_large.file)


def test_damaged_and_foreign_files_are_told(smpl: Generated, smplh: Generated, tmp_path: Path) -> None:
    cut = tmp_path / "SMPLH_MALE.npz"
    cut.write_bytes(smplh.file.read_bytes()[:-5000])
    with pytest.raises(InputError, match="complete model file"):
        load_body(cut)
    short = tmp_path / "SMPL_MALE.pkl"
    short.write_bytes(smpl.file.read_bytes()[:200_000])
    with pytest.raises(InputError, match="complete pickle"):
        load_body(short)
    missing = {key: value for key, value in smpl.arrays.items() if key != "posedirs"}
    with pytest.raises(InputError, match=r"posedirs: expected an array of shape \(6890, 3, 207\), got no such entry"):
        load_body(official.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", missing))
    narrow = smpl.arrays | {"weights": smpl.arrays["weights"][:, :20]}
    with pytest.raises(InputError, match=r"weights: expected an array of shape \(6890, 24\), got shape \(6890, 20\)"):
        load_body(official.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", narrow))
    with pytest.raises(InputError, match="a pickled dictionary of arrays, got a pickled list"):
        load_body(official.write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", [1, 2]))
    with pytest.raises(InputError, match="a SMPL-X model, 55 joints, got 24 joints"):
        load_body(official.write_pickle(tmp_path / "SMPLX_NEUTRAL.pkl", smpl.arrays))
