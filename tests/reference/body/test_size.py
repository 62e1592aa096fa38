"""How large people are: adults of any shape keep their size, children get a scale and a note, units are noticed, the
fit is the best there is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody, pose_body
from refine.body.size import CHILD_LOG_SCALE_SIGMA, shape_and_scale, unit_of
from refine.commands.cli import app
from refine.estimate import Source
from refine.evaluate.people import people
from refine.geometry.surface import nearest_on_surface
from refine.state import Bodies
from refine.transfer.source_fit import fit_bodies
from tests.layouts import sam3dbody
from tests.stranger import stranger_mesh

CHILD = "a child's size"


def said(joints: torch.Tensor, pose: torch.Tensor) -> Source:
    """What a regressor of SMPL-X would have stored of bodies: their pose and joints."""
    none = torch.zeros(len(pose), 0)
    return Source("memory", "smplx", pose, none, none, joints=joints)


def drawn(body: SkinnedBody, count: int, height: float, seed: int, spread: float = 1.0) -> Bodies:
    """People in recorded poses whose first shape coefficient, which is height, is given; the others are drawn."""
    bodies = people(body, count, seed).bodies
    draw = torch.Generator().manual_seed(seed)
    shape = spread * torch.randn(bodies.shape.shape, generator=draw)
    shape[:, 0] = height
    return replace(bodies, shape=shape)


@pytest.mark.parametrize("height", [-2.0, -1.0, 0.0, 1.5, 3.0, 4.0])
@pytest.mark.parametrize("noise_m", [0.0, 0.01, 0.02])
def test_adults_are_never_scaled(height: float, noise_m: float, builtin_body: SkinnedBody) -> None:
    bodies = drawn(builtin_body, 24, height, seed=int(10 * height) + 50, spread=1.5)
    joints = pose_body(builtin_body, bodies).joints
    joints = joints + noise_m * torch.randn(joints.shape, generator=torch.Generator().manual_seed(1))
    fitted = fit_bodies(said(joints, bodies.pose), builtin_body)
    assert torch.equal(fitted.scale, torch.ones(24))
    assert not any(CHILD in note for note in fitted.notes)


@pytest.mark.parametrize("size", [0.35, 0.5, 0.65])
@pytest.mark.parametrize("noise_m", [0.0, 0.01])
def test_children_are_scaled_and_it_is_said(size: float, noise_m: float, builtin_body: SkinnedBody) -> None:
    bodies = drawn(builtin_body, 12, 0.0, seed=3)
    joints = size * pose_body(builtin_body, bodies).joints
    joints = joints + noise_m * torch.randn(joints.shape, generator=torch.Generator().manual_seed(1))
    fitted = fit_bodies(said(joints, bodies.pose), builtin_body)
    assert float((fitted.scale.log() - np.log(size)).abs().max()) < 0.25  # the rest is a small adult's shape
    assert sum(CHILD in note for note in fitted.notes) == 12
    assert float(fitted.bodies.shape.abs().max()) < 4.5
    seen, stored = (part[..., :2] / part[..., 2:] for part in (pose_body(builtin_body, fitted.bodies).joints, joints))
    picture = 0.005 + 2 * noise_m / float(
        joints[..., 2].mean()
    )  # the picture stays, as far as the joints are one body's
    assert float((seen - stored)[:, :22].norm(dim=-1).mean()) < picture


def test_the_fit_is_the_best_that_another_solver_finds(builtin_body: SkinnedBody) -> None:
    draw = torch.Generator().manual_seed(0)
    design = torch.randn(4, 30, 8, generator=draw, dtype=torch.float64)
    mean = 40 * torch.randn(4, 30, generator=draw, dtype=torch.float64)
    seen = 0.4 * (mean + (design[..., :6] @ torch.randn(4, 6, 1, generator=draw, dtype=torch.float64))[..., 0])
    found = shape_and_scale(design, mean, seen, 6)
    assert bool(found.child.all())
    for row in range(4):

        def residual(step: np.ndarray, row: int = row) -> np.ndarray:
            point = np.exp(step[-1]) * (design[row].numpy() @ step[:-1] + mean[row].numpy())
            return np.concatenate((point - seen[row].numpy(), step[:6], step[-1:] / CHILD_LOG_SCALE_SIGMA))

        best = scipy.optimize.least_squares(residual, np.append(np.zeros(8), -1.0), gtol=1e-14, xtol=1e-14, ftol=1e-14)
        assert np.allclose(found.free[row].numpy(), best.x[:-1], atol=1e-4)
        assert abs(float(found.scale[row].log()) - best.x[-1]) < 1e-6


def test_a_persons_size_does_not_feel_its_batch(builtin_body: SkinnedBody) -> None:
    bodies = drawn(builtin_body, 6, 0.0, seed=8)
    size = torch.tensor([1.0, 0.4, 1.0, 0.5, 1.0, 0.6])
    joints = size[:, None, None] * pose_body(builtin_body, bodies).joints
    together = fit_bodies(said(joints, bodies.pose), builtin_body)
    for row in range(6):
        alone = fit_bodies(said(joints[row : row + 1], bodies.pose[row : row + 1]), builtin_body)
        assert torch.allclose(alone.scale, together.scale[row : row + 1], atol=1e-5)
        assert torch.allclose(alone.bodies.shape, together.bodies.shape[row : row + 1], atol=1e-4)


@pytest.mark.parametrize(("unit", "name"), [(1.0, "metres"), (100.0, "centimetres"), (1000.0, "millimetres")])
@pytest.mark.parametrize("size", [0.3, 0.6, 1.0, 1.25])
def test_the_unit_is_told_by_the_people(unit: float, name: str, size: float, builtin_body: SkinnedBody) -> None:
    joints = pose_body(builtin_body, people(builtin_body, 16).bodies).joints
    for one in joints:
        assert unit_of(unit * size * one[None, :22], builtin_body.joint_template[:22]) == (unit, name)


@pytest.mark.parametrize("unit", [1.0, 100.0, 1000.0])
def test_surfaces_in_other_units_become_the_same_bodies(unit: float, builtin_body: SkinnedBody) -> None:
    true = people(builtin_body, 2).bodies
    mesh, joints = stranger_mesh(builtin_body, true), pose_body(builtin_body, true).joints
    done = refine.convert(unit * mesh, joints=unit * joints)
    assert torch.equal(done.scale, torch.ones(2)) and done.unit == unit
    assert any("taken to be in" in note for note in done.notes) == (unit != 1)
    away = (pose_body(builtin_body, done.bodies).joints - joints)[:, :22].norm(dim=-1)
    assert float(away.mean()) < 0.015 and float(done.distance_m.max()) < 0.006


@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_a_file_of_sam3dbody_in_another_unit_is_read_and_written(unit: float, tmp_path: Path) -> None:
    stored = sam3dbody.person()
    scaled = {name: unit * stored[name] for name in ("pred_keypoints_3d", "pred_vertices", "pred_cam_t")}
    np.savez(tmp_path / "person.npz", **(stored | {name: value.astype(np.float32) for name, value in scaled.items()}))
    estimate = refine.read(tmp_path / "person.npz")
    place = torch.from_numpy(stored["pred_vertices"] + stored["pred_cam_t"])
    away = nearest_on_surface(place, estimate.vertices[0], estimate.body.faces).distance_m
    assert 1e3 * float(away.mean()) < 8
    assert not any(CHILD in note for note in estimate.notes)
    state = replace(
        estimate.state,
        bodies=replace(estimate.bodies, translation=estimate.bodies.translation + torch.tensor([0.1, 0, 0.2])),
    )
    moved = replace(estimate, state=state)
    refine.formats.find.write(moved, tmp_path / "out.npz")
    after = np.load(tmp_path / "out.npz")
    step = (after["pred_vertices"] + after["pred_cam_t"]) - (scaled["pred_vertices"] + scaled["pred_cam_t"])
    assert np.allclose(step / unit, [0.1, 0.0, 0.2], atol=2e-3)
    again = refine.read(tmp_path / "out.npz")
    assert torch.allclose(again.vertices, moved.vertices, atol=1e-4)


def test_a_surface_that_was_edited_is_fitted_anew(tmp_path: Path) -> None:
    np.savez(tmp_path / "person.npz", **sam3dbody.person())
    estimate = refine.read(tmp_path / "person.npz")
    shape = estimate.bodies.shape + 0.5
    moved = replace(estimate, state=replace(estimate.state, bodies=replace(estimate.bodies, shape=shape)))
    refine.formats.find.write(moved, tmp_path / "out.npz")
    edited = dict(np.load(tmp_path / "out.npz"))
    edited["pred_vertices"] = edited["pred_vertices"] + np.float32(0.0005)
    np.savez(tmp_path / "edited.npz", **edited)
    again = refine.read(tmp_path / "edited.npz")
    assert any("changed after refine wrote" in note for note in again.notes)
    assert not torch.allclose(again.bodies.shape, shape, atol=1e-3)


@pytest.mark.parametrize("name", ["img_subj00.npz", "img_subj01.npz"])
def test_real_persons_of_mhr_keep_their_size(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = real_data("sam3d_body") / name
    estimate, stored = refine.read(path), np.load(path)
    assert float(estimate.source.evidence["scale"]) == 1 and not any(
        "times as large" in note for note in estimate.notes
    )
    points = torch.from_numpy(stored["pred_keypoints_3d"])
    joints = estimate.joints[0]
    for ours, theirs in (((1, 4), (9, 11)), ((2, 5), (10, 12)), ((4, 7), (11, 13)), ((5, 8), (12, 14))):
        bone, own = (joints[ours[1]] - joints[ours[0]]).norm(), (points[theirs[1]] - points[theirs[0]]).norm()
        assert abs(float(bone - own)) < 0.02, (ours, float(bone), float(own))
    vertices = torch.from_numpy(stored["pred_vertices"] + stored["pred_cam_t"])
    away = 1e3 * float(nearest_on_surface(vertices, estimate.vertices[0], estimate.body.faces).distance_m.mean())
    assert away < 6
    done = CliRunner().invoke(app, ["convert", str(path), "--to", "anny", "--out", str(tmp_path / "out.npz")])
    number, lost, unit = done.stdout.split()
    assert (number, unit) == ("1", "mm") and abs(float(lost) - away) < 1


@pytest.mark.slow
def test_people_of_all_ages_from_another_generator(builtin_body: SkinnedBody) -> None:
    pytest.importorskip("anny", reason="the package anny is not installed: pip install 'refine[anny]'")
    from refine.body.build.anny_source import draw_phenotypes, load_anny, rest_bodies
    from refine.body.build.rest_pose import t_pose

    source = load_anny()
    for years, child in (((18.0, 90.0), False), ((0.5, 5.0), True)):
        posed = t_pose(source, rest_bodies(source, draw_phenotypes(source, 24, 7, years)))
        joints = posed.joints.float() + torch.tensor([0.0, 0.0, 4.0])
        fitted = fit_bodies(said(joints, torch.eye(3).expand(24, 55, 3, 3)), builtin_body)
        height = posed.vertices[..., 1].amax(1) - posed.vertices[..., 1].amin(1)
        scaled = fitted.scale != 1
        assert bool((scaled == (height < 1.3)).all() if child else (~scaled).all()), (height, fitted.scale)
        assert float(fitted.distance_m.max()) < 0.02
