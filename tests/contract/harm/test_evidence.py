"""The harm benchmark itself: its people, its evidence, its rivals and its arithmetic, on few bodies."""

import numpy as np
import pytest
import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.dense.correspondence import correspond
from refine.errors import InputError
from refine.evaluate import metrics
from refine.evaluate.errors import errors_of
from refine.evaluate.harm import dense
from refine.evaluate.harm.estimates import ESTIMATES, estimates_of
from refine.evaluate.harm.evidence import KINDS, LIMBS, Evidence, hidden_limbs, hidden_parts
from refine.evaluate.harm.noise import ONE_SIGMA, TWO_SIGMA, Family, heavy, measured, normal_fields
from refine.evaluate.harm.people import REPORT, TUNE, recordings_of, true_people
from refine.evaluate.harm.scene import Case, Scene, make_scene
from refine.render.view import View, render_view
from refine.state import Unknowns
from refine.terms.correspondences import Correspondences
from refine.terms.keypoints import DetectorNoise, keypoints_from_detections

COUNT = 6
"""People of the scene (`conftest`)."""
SIZE = 128
SHARE_TOLERANCE = 0.03
"""Of shares of some ten thousand values that hang together."""
PIXEL = 0.02
"""Single precision on the way through a crop, px."""


def view_of(case: Case) -> View:
    return render_view(case.photos, case.estimate, None, SIZE)


def matches_of(case: Case, evidence: Evidence) -> Correspondences:
    view = view_of(case)
    assert evidence.displacer is not None
    said = evidence.displacer.displace(view)
    return correspond(view.fragments, said, view.crop.image_from_crop, evidence.matching)


def whitened(scene: Scene, matches: Correspondences) -> Tensor:
    """Whitened residuals (B, N, 2) at the truth of matches with information, NaN elsewhere, each by itself."""
    point, _ = pose_body(scene.body, scene.true.bodies).surface(matches.triangle, matches.barycentric, Unknowns(()))
    off = scene.true.camera.project(point) - matches.target
    root = matches.sqrt_information
    share = matches.share
    assert share is not None
    found = (root @ off[..., None])[..., 0] / share[..., None]
    return torch.where((root != 0).flatten(2).any(2)[..., None], found, torch.nan)


def test_the_two_sets_share_no_recording_no_shape_and_no_noise(builtin_body: SkinnedBody) -> None:
    one, two = (set(recordings_of(people).sequence.tolist()) for people in (TUNE, REPORT))
    assert one and two and not one & two
    assert TUNE.family != REPORT.family
    first, second = (true_people(builtin_body, people, COUNT).bodies.shape for people in (TUNE, REPORT))
    assert float((first[:, None] - second[None]).abs().amax(-1).amin()) > 0.1


def test_the_first_people_are_the_same_however_many_are_wanted(builtin_body: SkinnedBody, scene: Scene) -> None:
    more = true_people(builtin_body, REPORT, COUNT + 8)
    torch.testing.assert_close(more.bodies.pose[:COUNT], scene.true.bodies.pose, rtol=0, atol=0)


def test_what_is_drawn_for_a_person_does_not_depend_on_the_batch(scene: Scene) -> None:
    rows = torch.arange(3, COUNT)
    part = Scene(scene.body, scene.people, scene.true[rows], 3)
    torch.testing.assert_close(part.other.bodies.pose, scene.other.bodies.pose[rows], rtol=0, atol=0)
    for kind in ESTIMATES:
        whole, own = scene.case(kind).estimate.state, part.case(kind).estimate.state
        torch.testing.assert_close(own.bodies.pose, whole.bodies.pose[rows], rtol=0, atol=1e-6)
        torch.testing.assert_close(own.camera.focal, whole.camera.focal[rows], rtol=1e-5, atol=0)
    for kind in KINDS:
        one, two = Evidence(scene, kind, "both"), Evidence(part, kind, "both")
        assert one.detections is not None and two.detections is not None
        torch.testing.assert_close(two.detections.pixel, one.detections.pixel[rows], rtol=0, atol=PIXEL)
        assert one.displacer is not None and two.displacer is not None
        all_said = one.displacer.displace(view_of(scene.case("near"))).offset[rows]
        own_said = two.displacer.displace(view_of(part.case("near"))).offset
        off = (all_said - own_said).norm(dim=-1)
        assert float((off > PIXEL).double().mean()) < 1e-3  # a pixel on an outline may fall to either side


def test_a_wrong_camera_leaves_the_pose_and_nearly_the_picture(scene: Scene, medium: Case) -> None:
    body, true = scene.body, scene.true
    plainly = errors_of(body, medium.estimate.state, true)
    for kind in ("focal", "crop"):
        wrong = errors_of(body, scene.case(kind).estimate.state, true)
        torch.testing.assert_close(wrong.pa_mpjpe, plainly.pa_mpjpe, rtol=0, atol=0.1)
        assert float((wrong.pixel - plainly.pixel).nanmean()) < 5.0
    ratio = scene.case("focal").estimate.camera.focal[:, 0] / true.camera.focal[:, 0]
    assert set(ratio.mul(2).round().tolist()) <= {1.0, 2.0, 3.0, 4.0} and float(ratio.max()) == pytest.approx(2.0)


def test_an_unknown_estimate_is_refused(scene: Scene) -> None:
    with pytest.raises(InputError, match="weak, medium"):
        estimates_of(scene.body, scene.true, "good", 0)


def test_without_noise_the_truth_explains_the_evidence(
    scene: Scene, medium: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def still(seeds: tuple[int, ...], channels: int, side: int, noise: object) -> Tensor:
        return torch.zeros(len(seeds), channels, side, side)

    monkeypatch.setattr(dense, "normal_fields", still)
    residual = whitened(scene, matches_of(medium, Evidence(scene, "clean", "dense")))
    known = residual.isfinite()
    assert float(known.double().mean()) > 0.5
    assert float(residual[known].abs().max()) < PIXEL


def test_clean_errors_are_as_large_as_the_evidence_says(builtin_body: SkinnedBody) -> None:
    scene = make_scene(builtin_body, REPORT, 20)
    case = scene.case("medium")
    residual = whitened(scene, matches_of(case, Evidence(scene, "clean", "dense")))
    assert float(residual[residual.isfinite()].square().mean()) == pytest.approx(1.0, abs=0.25)
    assert mean_square_of_keypoints(scene, "clean") == pytest.approx(1.0, abs=0.2)
    assert mean_square_of_keypoints(scene, "noisy") > 2.0


def mean_square_of_keypoints(scene: Scene, kind: str) -> float:
    """Mean squared whitened residual at the truth of what the term takes from the detections."""
    points = scene.body.keypoint_set("coco17")
    pixel = scene.true.camera.project(pose_body(scene.body, scene.true.bodies).keypoints(points))
    found = Evidence(scene, kind, "keypoints").detections
    assert found is not None
    term = keypoints_from_detections(points, found.pixel, found.confidence, scene.true.camera, pixel)
    residual = (term.sqrt_information @ (pixel - term.target)[..., None])[..., 0]
    return float(residual[(term.sqrt_information != 0).flatten(2).any(2)].square().mean())


def test_somebody_else_stands_in_the_same_place_and_looks_different(scene: Scene, medium: Case) -> None:
    body, camera = scene.body, scene.true.camera
    joints, others = (pose_body(body, each.bodies).joints for each in (scene.true, scene.other))
    torch.testing.assert_close(camera.project(others[:, :1]), camera.project(joints[:, :1]), rtol=0, atol=PIXEL)
    assert float(metrics.mpjpe(others[:, :BODY_JOINTS], joints[:, :BODY_JOINTS]).min()) > 60.0
    assert mean_square_of_keypoints(scene, "other") > 10.0
    residual = whitened(scene, matches_of(medium, Evidence(scene, "other", "dense")))
    assert float(residual[residual.isfinite()].square().mean()) > 3.0


def test_two_of_four_limbs_are_hidden_and_silent(scene: Scene) -> None:
    evidence = Evidence(scene, "hidden", "both")
    gone = hidden_limbs(evidence)
    assert gone.sum(1).tolist() == [2] * COUNT
    assert evidence.detections is not None and evidence.displacer is not None
    names = scene.body.keypoint_set("coco17").names
    least = DetectorNoise().least_confidence
    for limb, column in zip(LIMBS, gone.T, strict=True):
        for name in set(limb) & set(names) - {"left_shoulder", "right_shoulder"}:
            assert bool((evidence.detections.confidence[column, names.index(name)] < least).all())
    view = view_of(scene.case("near"))
    said = evidence.displacer.displace(view).sqrt_information.flatten(3).abs().sum(3) > 0
    part = scene.body.vertex_parts[scene.body.faces[view.fragments.triangle.clamp(min=0).long(), 0]]
    silent = hidden_parts(evidence).gather(1, part.flatten(1)).reshape(part.shape)
    assert not bool((said & silent).any()) and bool(said.any())


def test_clothes_lie_one_to_three_centimetres_outside_the_skin(scene: Scene) -> None:
    evidence = Evidence(scene, "clothing", "dense").displacer
    assert evidence is not None
    off = evidence.seen_at - scene.vertices
    outward = (off * scene.normals).sum(-1)
    dressed = outward > 1e-4
    assert 0.4 < float(dressed.double().mean()) < 0.99
    assert 0.0099 < float(outward[dressed].min()) and float(outward.max()) < 0.0301


@pytest.mark.parametrize("family", ["student", "mixed", "normal"])
def test_errors_of_every_family_have_the_same_one_sigma(family: Family) -> None:
    z = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))
    found = heavy(z[:, 0], z[:, 1], family, dof=5.0).abs()
    two = float(found.quantile(TWO_SIGMA))
    assert float((found <= 1).double().mean()) == pytest.approx(ONE_SIGMA, abs=0.005)
    assert two == pytest.approx(2.0 if family == "normal" else 2.4, abs=0.1)


def test_errors_hang_together_as_measured() -> None:
    noise = measured()
    fields = normal_fields(tuple(range(24)), 2, SIZE, noise)
    assert float(fields.square().mean()) == pytest.approx(1.0, abs=0.15)
    for distance in (4, 8):
        away = distance * 256 / SIZE
        wanted = sum(
            share * np.exp(-(away**2) / (4 * length**2))
            for share, length in zip(noise.share, noise.length_px, strict=True)
        )
        found = float((fields[..., distance:] * fields[..., :-distance]).mean() / fields.square().mean())
        assert found == pytest.approx(wanted, abs=4 * SHARE_TOLERANCE)


def test_stated_roots_are_lower_triangular_and_square_to_the_information() -> None:
    angle = torch.tensor([0.3, 1.2])
    axes = torch.stack((torch.stack((angle.cos(), angle.sin()), -1), torch.stack((-angle.sin(), angle.cos()), -1)), -2)
    sigma = torch.tensor([[1.0, 3.0], [2.0, 0.5]])
    root = dense.root_of(axes, sigma)
    assert root[:, 0, 1].tolist() == [0.0, 0.0]
    torch.testing.assert_close(root.mT @ root, axes.mT @ torch.diag_embed(sigma**-2) @ axes)
