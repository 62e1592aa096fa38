"""`refine.fit` as a user calls it: what comes back, in which order, with which reasons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.demo.scene import make_scene
from refine.geometry import rotation
from refine.refiner import Refiner
from refine.solve import StopReason
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.people import Case, camera, case


def test_the_keypoints_are_met_and_the_bodies_come_nearer_to_the_truth(people: Case, result: refine.Result) -> None:
    assert (result.misfit < 0.35 * result.misfit_before).all() and (result.cost < result.cost_before).all()
    before = (people.estimate.joints - people.true.joints).norm(dim=-1)[:, :22].mean()
    after = (result.joints - people.true.joints).norm(dim=-1)[:, :22].mean()
    assert after < 0.8 * before
    assert result.accepted.all()


def test_hands_jaw_and_eyes_stay_as_they_were_without_evidence_of_them(people: Case, result: refine.Result) -> None:
    assert torch.equal(result.bodies.pose[:, 22:], people.estimate.bodies.pose[:, 22:])


def test_without_evidence_the_estimate_comes_back_unchanged(people: Case) -> None:
    result = refine.fit(people.photos, people.estimate)
    assert result.stop == (StopReason.NO_EVIDENCE, StopReason.NO_EVIDENCE) and not result.accepted.any()
    assert torch.equal(result.bodies.pose, people.estimate.bodies.pose)
    assert torch.equal(result.bodies.translation, people.estimate.bodies.translation)


def test_a_body_without_keypoints_is_left_alone_beside_one_that_has_them(people: Case, result: refine.Result) -> None:
    confidence = people.detections.confidence.clone()
    confidence[1] = 0.0
    half = refine.fit(people.photos, people.estimate, keypoints=replace(people.detections, confidence=confidence))
    assert half.stop[1] == StopReason.NO_EVIDENCE and torch.equal(half.bodies.pose[1], people.estimate.bodies.pose[1])
    assert torch.allclose(half.bodies.pose[0], result.bodies.pose[0], atol=1e-4)


def test_a_body_behind_the_camera_or_outside_the_photo_is_an_outcome(people: Case) -> None:
    bodies = people.estimate.bodies
    away = bodies.translation.clone()
    away[0, 2], away[1, 0] = -4.0, 30.0
    lost = replace(people.estimate, state=replace(people.estimate.state, bodies=replace(bodies, translation=away)))
    result = refine.fit(people.photos, lost, keypoints=people.detections)
    assert result.stop == (StopReason.BEHIND_CAMERA, StopReason.OUTSIDE_IMAGE)
    assert torch.equal(result.bodies.pose, bodies.pose)


def test_one_photo_at_a_time_gives_what_all_together_give(people: Case, result: refine.Result) -> None:
    one = people.estimate
    parts = {key: getattr(one.source, key)[1:] for key in ("pose", "betas", "expression", "translation")}
    second = replace(one, state=one.state[[1]], image_index=torch.tensor([0]), source=replace(one.source, **parts))
    detections = refine.Detections("body25", people.detections.pixel[1:], people.detections.confidence[1:])
    alone = refine.fit(people.photos[1], second, keypoints=detections)
    assert torch.allclose(alone.bodies.pose[0], result.bodies.pose[1], atol=1e-3)


def test_a_side_view_with_left_and_right_swapped_is_turned_around(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, count=1, angle=0.05)
    side = rotation.exp(torch.tensor([0.0, 1.55, 0.0]))
    pose = people.true.bodies.pose.clone()
    pose[:, 0] = pose[:, 0] @ side
    far = people.true.bodies.translation + torch.tensor([0.0, 0.0, 2.0])
    true = replace(
        people.true, state=replace(people.true.state, bodies=replace(people.true.bodies, pose=pose, translation=far))
    )
    pixel = true.keypoints_2d("body25")
    names = builtin_body.keypoint_set("body25").names
    assert (pixel[0, names.index("left_shoulder")] - pixel[0, names.index("right_shoulder")]).norm() < 25
    wrong = pose.clone()
    wrong[:, 0] = wrong[:, 0] @ rotation.exp(torch.tensor([0.0, torch.pi, 0.0]))
    backwards = replace(true, state=replace(true.state, bodies=replace(true.bodies, pose=wrong)))
    result = refine.fit(people.photos, backwards, keypoints=refine.Detections("body25", pixel, torch.ones(1, 25)))
    assert float((result.joints - true.joints).norm(dim=-1)[:, :22].mean()) < 0.03
    assert any("turned around" in note for note in result.notes)


def test_parameters_by_their_public_names_need_a_camera_and_take_a_rule(people: Case) -> None:
    bodies = people.true.bodies
    init = {
        "global_orient": rotation.log(bodies.pose[:, 0]).numpy(),
        "body_pose": rotation.log(bodies.pose[:, 1:22]).flatten(1).numpy(),
        "betas": np.zeros((2, 10), np.float32),
        "transl": bodies.translation.numpy(),
        "image_index": np.arange(2),
    }
    with pytest.raises(refine.InputError, match=r"diagonal.*\n.*fov60|fov60"):
        refine.fit(people.photos, init)
    result = refine.fit(people.photos, init, camera="diagonal")
    assert float(result.camera.focal[0, 0]) == pytest.approx(np.hypot(480, 400), rel=1e-5)
    assert any("diagonal" in note for note in result.notes)
    assert set(result.smplx()) >= {"global_orient", "body_pose", "betas", "transl", "built_in_shape"}


def test_a_free_focal_length_is_found(builtin_body: SkinnedBody) -> None:
    from priors.default import default_priors
    from priors.near_focal import NearFocal

    people = case(builtin_body, count=1, angle=0.0)
    longer = replace(people.estimate.camera, focal=people.estimate.camera.focal * 1.3)
    start = replace(people.estimate, state=replace(people.estimate.state, camera=longer))
    unknowns = refine.Unknowns(tuple(range(22)), 16, 0, 3, 1)
    refiner = Refiner(unknowns=unknowns, solver=LevenbergMarquardt(steps=60))
    assert any(isinstance(prior, NearFocal) for prior in default_priors(start, unknowns))
    result = refine.fit(people.photos, start, keypoints=people.detections, refiner=refiner)
    assert float(result.misfit[0]) < 1.0 and float(result.camera.focal[0, 0]) != float(longer.focal[0, 0])


def test_the_callback_sees_every_round(people: Case) -> None:
    seen = []
    refine.fit(
        people.photos,
        people.estimate,
        keypoints=people.detections,
        callback=lambda number, solution: seen.append((number, solution.cost)),
    )
    assert [number for number, _ in seen] == [0, 1, 2]


def test_a_result_is_the_same_after_saving_and_loading(tmp_path: Path, result: refine.Result) -> None:
    result.save(tmp_path / "result.npz")
    again = refine.load(tmp_path / "result.npz")
    assert torch.equal(again.bodies.pose, result.bodies.pose) and torch.equal(again.camera.focal, result.camera.focal)
    assert torch.allclose(again.vertices, result.vertices, atol=1e-6)
    assert again.stop == result.stop and again.notes == result.notes
    assert torch.equal(again.estimate.bodies.pose, result.estimate.bodies.pose)
    assert torch.equal(again.keypoints_2d("coco17"), result.keypoints_2d("coco17"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.npz"]
    with pytest.raises(refine.InputError, match="photos"):
        again.overlay()


def test_pictures_and_meshes_are_written(tmp_path: Path, result: refine.Result) -> None:
    assert result.overlay(1).ndim == 3 and result.report(0).dtype == np.uint8
    result.write_obj(tmp_path / "mesh.obj")
    result.write_ply(tmp_path / "mesh.ply")
    lines = (tmp_path / "mesh.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == 2 * result.vertices.shape[1]
    assert (tmp_path / "mesh.ply").stat().st_size > 2 * result.vertices.shape[1] * 12


def test_every_public_view_has_the_promised_shape(result: refine.Result) -> None:
    count = len(result)
    for owner in (result, result.estimate):
        assert owner.vertices.shape[0] == count and owner.joints.shape == (count, 55, 3)
        for name, points in (("coco17", 17), ("body25", 25), ("smpl24", 24), ("smplx55", 55), ("coco133", 133)):
            assert owner.keypoints_2d(name).shape == (count, points, 2)
    assert torch.allclose(camera(2).project(result.joints), result.keypoints_2d("smplx55"), atol=1e-3)


def test_nothing_but_a_photo_and_an_estimate_is_needed(people: Case) -> None:
    """Without keypoints the network that ships with the library is asked; with them only who asks for both."""
    scene = make_scene(people.estimate.body, count=1)
    alone = refine.fit(scene.photos[0].pixels, scene.estimate)
    assert alone.accepted.all() and alone.predictions is not None
    assert not torch.equal(alone.bodies.pose, scene.estimate.bodies.pose)
    assert refine.fit(people.photos, people.estimate, keypoints=people.detections).predictions is None
    both = refine.fit(people.photos, people.estimate, keypoints=people.detections, refiner=refine.Refiner.default())
    assert both.predictions is not None and float(both.misfit.mean()) < float(both.misfit_before.mean())


def test_nobody_is_nobody_for_the_network_too(people: Case) -> None:
    none = people.estimate
    nobody = replace(none, state=none.state[:0], image_index=none.image_index[:0])
    assert len(refine.fit(people.photos, nobody)) == 0
