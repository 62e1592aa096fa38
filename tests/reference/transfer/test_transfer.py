"""The transfer against what it should equal: the regressor's own joints, another solver, smplx, and itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import smplx
import torch

from refine.body import SkinnedBody, pose_body
from refine.body.load import load_body
from refine.estimate import Estimate, Source, as_array
from refine.formats.find import read
from refine.formats.parameters import read_parameters, source_of
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import State
from refine.transfer import on_body, source_parameters, to_body, with_camera
from refine.transfer.source_fit import JOINT_SIGMA_M, fit_bodies
from tests.layouts.parameters import smpl_parameters
from tests.layouts.romp import romp_results
from tests.reference.body.official_files import random_model, write_pickle
from tests.regressor_files import random_pose, skeleton

CAMERA = Camera(torch.full((1, 2), 900.0), torch.tensor([[320.0, 240.0]]), torch.tensor([[480.0, 640.0]]))
CHILD = 0.45
"""Size of a child of about one year, of an adult's."""


def source(people: int = 3, scale: float = 1.0, seed: int = 0) -> Source:
    """People of an SMPL-like skeleton, joints stored."""
    pose = random_pose(people, seed)
    joints, _ = skeleton(pose, scale)
    translation = np.tile([0.2, 0.1, 4.0], (people, 1))
    values = smpl_parameters(people, seed) | {"transl": translation, "joints": joints + translation[:, None]}
    return source_of({name: value for name, value in values.items() if name not in ("focal", "size")})


def moved(estimate: Estimate) -> Estimate:
    """The estimate with the left elbow turned and the body pushed back."""
    pose = estimate.bodies.pose.clone()
    pose[:, 18] = pose[:, 18] @ rotation.exp(torch.tensor([0.0, -0.4, 0.0]))
    translation = estimate.bodies.translation + torch.tensor([0.05, 0.0, 0.2])
    return replace(estimate, state=State(replace(estimate.bodies, pose=pose, translation=translation), estimate.camera))


@pytest.mark.parametrize(
    ("folder", "name", "pixels"), [("romp_photo", "romp_output.npz", 6.0), ("bev_pair", "image_1_0.08.npz", 10.0)]
)
def test_transferred_joints_lie_on_the_regressors_own(
    folder: str, name: str, pixels: float, real_data: Callable[[str], Path], builtin_body: SkinnedBody
) -> None:
    # The people of the pair are 1.5 m from the camera, where a centimetre is 8 px; of the other photo it is 4 px.
    estimate = read(real_data(folder) / name, builtin_body)
    assert estimate.source.keypoints_2d is not None and estimate.source.joints is not None
    apart = (estimate.keypoints_2d("smpl24") - estimate.source.keypoints_2d[:, :24]).norm(dim=-1)
    assert float(apart.mean(1).max()) < pixels
    ours, theirs = estimate.posed.keypoints(builtin_body.keypoint_set("smpl24")), estimate.source.joints[:, :24]
    aligned = (ours - ours[:, :1]) - (theirs - theirs[:, :1])
    assert float(aligned.norm(dim=-1).mean(1).max()) < 0.025


def test_the_fitted_shape_is_the_one_another_solver_finds(builtin_body: SkinnedBody) -> None:
    told, body = source(1), builtin_body.to(dtype=torch.float64)
    assert told.joints is not None
    fitted = fit_bodies(told, body).bodies
    target = (told.joints - told.joints[:, :1])[0, 1:22].double().numpy()

    def residual(shape: np.ndarray) -> np.ndarray:
        joints = pose_body(body, replace(fitted, shape=torch.from_numpy(shape)[None])).joints[0]
        return np.concatenate((((joints - joints[0])[1:22].numpy() - target).ravel() / JOINT_SIGMA_M, shape))

    best = scipy.optimize.least_squares(residual, np.zeros(fitted.shape.shape[1]), jac="3-point", gtol=1e-12).x
    assert np.allclose(fitted.shape[0].numpy(), best, atol=1e-5)


def test_an_adult_keeps_its_size_and_distance(builtin_body: SkinnedBody) -> None:
    fitted = fit_bodies(source(), builtin_body)
    assert torch.equal(fitted.scale, torch.ones(3))
    assert float(fitted.distance_m.max()) < 0.025
    assert not any("times as large" in note for note in fitted.notes)


def test_a_child_looks_the_same_and_its_distance_says_so(builtin_body: SkinnedBody) -> None:
    told = source(scale=CHILD)
    assert told.joints is not None and told.translation is not None
    estimate = to_body(told, CAMERA, builtin_body)
    assert estimate.notes[-1].startswith("Person 3 is 0.")
    seen, stored = estimate.camera.project(estimate.joints[:, :22]), estimate.camera.project(told.joints[:, :22])
    assert float((seen - stored).norm(dim=-1).mean()) < 900 / 4 * 0.02 * CHILD  # 2 cm on an adult
    assert float(estimate.joints[:, 0, 2].min()) > 4.0 / 0.7
    # What is handed back is in the source's scale again, before and after a refinement.
    back = source_parameters(estimate)
    assert np.array_equal(back["transl"], as_array(told.arrays["transl"]))
    pushed = replace(estimate.bodies, translation=estimate.bodies.translation + 0.1 * estimate.joints[:, 0])
    back = source_parameters(replace(estimate, state=State(pushed, estimate.camera)))
    assert np.allclose(back["transl"] - told.translation.numpy(), 0.1 * told.joints[:, 0].numpy(), atol=1e-3)


def test_a_body_does_not_feel_its_batch(builtin_body: SkinnedBody) -> None:
    told = source(3)
    assert told.joints is not None and told.translation is not None
    one = replace(
        told, pose=told.pose[1:2], betas=told.betas[1:2], expression=told.expression[1:2],
        translation=told.translation[1:2], joints=told.joints[1:2], arrays={},
    )  # fmt: skip
    alone, together = fit_bodies(one, builtin_body).bodies, fit_bodies(told, builtin_body).bodies[1:2]
    assert torch.allclose(alone.shape, together.shape, atol=1e-5)
    assert torch.allclose(alone.translation, together.translation, atol=1e-6)


@pytest.mark.parametrize("matrices", [False, True])
def test_an_unrefined_estimate_gives_the_sources_parameters_to_the_bit(
    matrices: bool, builtin_body: SkinnedBody
) -> None:
    given = smpl_parameters(matrices=matrices)
    back = source_parameters(read_parameters(given, builtin_body))
    for name in ("global_orient", "body_pose", "betas", "transl"):
        assert np.array_equal(back[name], given[name]), name
        assert back[name].dtype == given[name].dtype
    assert back["built_in_shape"].shape == (2, 16)


@pytest.mark.parametrize("matrices", [False, True])
def test_refined_rotations_come_back_in_the_sources_layout(matrices: bool, builtin_body: SkinnedBody) -> None:
    given = smpl_parameters(matrices=matrices)
    estimate = moved(read_parameters(given, builtin_body))
    back = source_parameters(estimate)
    again = read_parameters(
        given | {name: back[name] for name in ("global_orient", "body_pose", "transl")}, builtin_body
    )
    assert torch.allclose(again.source.pose[:, :22], estimate.bodies.pose[:, :22], atol=1e-6)
    assert np.array_equal(back["betas"], given["betas"])
    assert np.allclose(back["transl"] - given["transl"], [0.05, 0.0, 0.2], atol=1e-6)
    changed = (back["body_pose"] != given["body_pose"]).reshape(2, 23, -1).any(-1)
    assert changed.sum(1).tolist() == [1, 1] and changed[:, 17].all()  # joint 18 is the 17th of the body pose, from 0


def test_the_refined_pelvis_is_where_transl_and_the_sources_rest_pelvis_put_it(builtin_body: SkinnedBody) -> None:
    given = smpl_parameters()
    estimate = moved(read_parameters(given, builtin_body))
    rest_pelvis = given["joints"][:, 0] - given["transl"]
    there = rest_pelvis + source_parameters(estimate)["transl"]
    assert np.allclose(there, estimate.joints[:, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kept", ["all as it is", "without joints", "tensors"])
def test_parameters_that_are_saved_and_read_again_are_the_refined_body(
    kept: str, tmp_path: Path, builtin_body: SkinnedBody
) -> None:
    estimate = moved(to_body(source(3, scale=1.0), CAMERA, builtin_body))
    shape = estimate.bodies.shape + 0.7
    estimate = replace(
        estimate, state=State(replace(estimate.bodies, shape=shape), CAMERA[torch.zeros(3, dtype=torch.long)])
    )
    words = source_parameters(estimate)
    if kept == "all as it is":
        words["joints"] = as_array(estimate.joints[:, :22])
    if kept == "tensors":
        again = read_parameters({name: torch.from_numpy(value) for name, value in words.items()}, builtin_body, CAMERA)
    else:
        np.savez(tmp_path / "body.npz", **words)
        again = read(tmp_path / "body.npz", builtin_body, camera=CAMERA)
    seen, wanted = (one.camera.project(one.vertices[:, ::50]) for one in (again, estimate))
    assert float((seen - wanted).abs().max()) < 0.1
    turned = np.array(words["body_pose"])
    turned[1, 3] += 0.02
    edited = read_parameters(words | {"body_pose": turned}, builtin_body, CAMERA)
    assert edited.source.found is not None and edited.source.found.valid.tolist() == [True, False, True]
    assert any("changed after refine wrote" in note and note.endswith("people 2.") for note in edited.notes)
    assert float((edited.bodies.pose[1, :22] - edited.source.pose[1, :22]).abs().max()) < 1e-6


def test_people_taken_out_of_saved_parameters_are_found_again(builtin_body: SkinnedBody) -> None:
    estimate = moved(to_body(source(3), CAMERA, builtin_body))
    words = source_parameters(estimate)
    left = {name: value[[2, 0]] if name != "refine_body" else value for name, value in words.items()}
    again = read_parameters(left, builtin_body, CAMERA)
    assert torch.allclose(again.vertices, estimate.vertices[[2, 0]], atol=1e-4)


@pytest.mark.parametrize("damage", ["cut", "blank", "other version", "nonsense"])
def test_a_damaged_body_beside_parameters_is_passed_over(damage: str, builtin_body: SkinnedBody) -> None:
    words = source_parameters(moved(to_body(source(2), CAMERA, builtin_body)))
    kept = words["refine_body"].copy()
    if damage == "cut":
        kept = kept[:, : kept.shape[1] // 2]
    elif damage == "blank":
        kept[:] = 32
    elif damage == "other version":
        kept[:, 0] = ord("9")
    else:
        kept = np.random.default_rng(0).integers(0, 255, kept.shape).astype(np.uint8)
    assert read_parameters(words | {"refine_body": kept}, builtin_body, CAMERA).source.found is None


@pytest.mark.parametrize("batched", [False, True])
def test_one_body_is_read_with_and_without_a_batch_axis(batched: bool, builtin_body: SkinnedBody) -> None:
    given = smpl_parameters(1)
    flat = given if batched else {n: v[0] if n not in ("focal", "size") else v for n, v in given.items()}
    estimate = read_parameters(flat, builtin_body)
    back = source_parameters(estimate)
    assert {name: back[name].shape for name in ("body_pose", "betas")} == {
        name: flat[name].shape for name in ("body_pose", "betas")
    }
    assert torch.equal(estimate.bodies.pose, read_parameters(given, builtin_body).bodies.pose)


def test_lists_and_tensors_are_read_like_arrays(builtin_body: SkinnedBody) -> None:
    given = smpl_parameters()
    estimate = read_parameters(given, builtin_body)
    for convert in (lambda v: v.tolist(), lambda v: torch.from_numpy(v).requires_grad_(v.dtype.kind == "f")):
        other = read_parameters({name: convert(value) for name, value in given.items()}, builtin_body)
        assert torch.allclose(other.bodies.pose, estimate.bodies.pose, atol=1e-6)
        assert torch.allclose(other.bodies.translation, estimate.bodies.translation, atol=1e-5)


def test_transl_alone_places_the_pelvis_of_the_mean_body(builtin_body: SkinnedBody) -> None:
    given = smpl_parameters()
    del given["joints"]
    estimate = read_parameters(given, builtin_body)
    assert np.allclose(estimate.joints[:, 0].numpy() - given["transl"], [-0.0018, -0.2233, 0.0282], atol=1e-5)
    assert any("no joints are stored" in note for note in estimate.notes)


def test_smplx_hands_and_face_reach_the_built_in_body(builtin_body: SkinnedBody) -> None:
    given = smpl_parameters(1) | {"left_hand_pose": np.full((1, 45), 0.1), "jaw_pose": np.array([[0.2, 0.0, 0.0]])}
    given["body_pose"] = given["body_pose"][:, :63]
    estimate = read_parameters(given, builtin_body)
    assert estimate.source.model == "smplx"
    turns = rotation.log(estimate.bodies.pose[0])
    assert torch.allclose(turns[22], torch.tensor([0.2, 0.0, 0.0]), atol=1e-6)
    assert torch.allclose(turns[25:40], torch.full((15, 3), 0.1), atol=1e-6)
    assert float(turns[40:].abs().max()) == 0
    assert np.array_equal(source_parameters(estimate)["left_hand_pose"], given["left_hand_pose"])


@pytest.mark.parametrize(
    ("model", "pca", "full"),
    [("smpl", False, False), ("smplx", False, False), ("smplx", True, False), ("smplx", True, True)],
)
def test_an_output_of_smplx_on_its_own_model_has_its_vertices(
    model: str, pca: bool, full: bool, tmp_path: Path
) -> None:
    path = write_pickle(
        tmp_path / model / f"{model.upper()}_NEUTRAL.pkl", random_model(model, 10 if model == "smpl" else 400)
    )
    options = {"use_pca": pca, "num_pca_comps": 6, "flat_hand_mean": pca, "num_betas": 10} if model == "smplx" else {}
    layer = smplx.create(str(tmp_path), model, gender="neutral", ext="pkl", batch_size=2, **options)
    draw = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(*shape, generator=draw)

    given = {}
    if model == "smplx":
        given = {f"{side}_hand_pose": random(2, 6 if pca else 45) for side in ("left", "right")}
        given |= {"expression": random(2, 10), "jaw_pose": random(2, 3)}
    if full:  # the eyes are in no other part of smplx's output
        given |= {"leye_pose": random(2, 3), "reye_pose": random(2, 3)}
    with torch.no_grad():
        output = layer(
            betas=random(2, 10), global_orient=random(2, 3), body_pose=random(2, 63 if model == "smplx" else 69),
            transl=random(2, 3) + torch.tensor([0.0, 0.0, 4.0]), return_full_pose=full, **given,
        )  # fmt: skip
    body = load_body(path, flat_hand_mean=pca, betas=10, expressions=10 if model == "smplx" else None)
    estimate = read_parameters(output, body, CAMERA)
    assert float((estimate.vertices - output.vertices).abs().max()) < 1e-5
    back = source_parameters(estimate)
    assert np.array_equal(back["body_pose"], output.body_pose.numpy())
    assert "built_in_shape" not in back


def test_a_refined_estimate_keeps_pose_and_place_on_another_model_and_camera(builtin_body: SkinnedBody) -> None:
    taller = replace(
        builtin_body, joint_template=1.1 * builtin_body.joint_template, template=1.1 * builtin_body.template
    )
    estimate = with_camera(to_body(source(), CAMERA, builtin_body), replace(CAMERA, focal=2 * CAMERA.focal))
    refined = moved(estimate)
    other = on_body(refined, taller)
    assert torch.allclose(other.joints[:, 0], refined.joints[:, 0], atol=1e-4)
    assert torch.allclose(other.bodies.pose[:, :22], refined.bodies.pose[:, :22], atol=1e-6)
    assert not torch.allclose(other.bodies.shape, refined.bodies.shape, atol=0.1)


def test_a_refined_child_in_romps_file_is_read_as_the_same_child(tmp_path: Path, builtin_body: SkinnedBody) -> None:
    path, out = tmp_path / "child.npz", tmp_path / "refined.npz"
    np.savez(path, results=romp_results(1, scale=CHILD))
    from refine.formats.find import write

    estimate = moved(read(path, builtin_body))
    write(estimate, out)
    again = read(out, builtin_body)
    assert torch.allclose(
        again.camera.project(again.joints[:, :1]), estimate.camera.project(estimate.joints[:, :1]), atol=0.01
    )
