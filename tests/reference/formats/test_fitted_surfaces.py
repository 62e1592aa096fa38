"""SAM 3D Body and Multi-HMR: a body fitted to a stored surface, and the surface carried along when the body moves."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.evaluate.people import people
from refine.formats._fitted_surface import carried
from refine.formats.find import read, write
from refine.geometry import rotation
from refine.geometry.surface import nearest_on_surface
from refine.state import State
from tests.layouts import multihmr, sam3dbody
from tests.stranger import stranger_mesh

PIXELS = 0.05
SURFACE_MM = 8.0


def bent(estimate: Estimate) -> Estimate:
    """The left arm raised, everything a little to the side."""
    pose = estimate.bodies.pose.clone()
    pose[:, 16] = pose[:, 16] @ rotation.exp(torch.tensor([0.0, 0.0, 0.6]))
    bodies = replace(
        estimate.bodies, pose=pose, translation=estimate.bodies.translation + torch.tensor([0.1, 0.0, 0.2])
    )
    return replace(estimate, state=State(bodies, estimate.camera))


@pytest.fixture(params=["written here", "real"])
def person(request: pytest.FixtureRequest, tmp_path: Path, real_data: Callable[[str], Path]) -> Path:
    """A file of SAM 3D Body."""
    if request.param == "real":
        return real_data("sam3d_body") / "img_subj00.npz"
    return sam3dbody.write(tmp_path / "person.npz")


def test_sam3dbodys_keypoints_lie_on_their_pixels(person: Path) -> None:
    estimate = read(person)
    stored = np.load(person)
    points = torch.from_numpy(stored["pred_keypoints_3d"] + stored["pred_cam_t"])[None]
    assert (
        float((estimate.camera.project(points)[0] - torch.from_numpy(stored["pred_keypoints_2d"])).norm(dim=1).max())
        < PIXELS
    )
    assert torch.allclose(estimate.camera.center * 2, estimate.camera.size.flip(1))


def test_the_body_lies_in_sam3dbodys_surface_with_its_fingers(person: Path) -> None:
    estimate = read(person)
    stored = np.load(person)
    vertices = torch.from_numpy(stored["pred_vertices"] + stored["pred_cam_t"])
    away = nearest_on_surface(vertices, estimate.vertices[0], estimate.body.faces).distance_m
    assert 1e3 * float(away.mean()) < SURFACE_MM
    points = torch.from_numpy(stored["pred_keypoints_3d"] + stored["pred_cam_t"])
    hands = estimate.posed.keypoints(estimate.body.keypoint_set("coco133"))[0, 91:]
    for first, tip in (
        (112, 21),
        (91, 42),
    ):  # right and left thumb tip: MHR's 21 and 42, the whole-body sets' 4th of each hand
        assert float((hands[first - 91 + 4] - points[tip]).norm()) < 0.03


def test_a_moved_body_takes_sam3dbodys_surface_with_it(person: Path, tmp_path: Path) -> None:
    estimate = read(person)
    moved = bent(estimate)
    write(moved, tmp_path / "out.npz")
    before, after = dict(np.load(person)), dict(np.load(tmp_path / "out.npz"))
    assert not set(sam3dbody.LEFT_OUT) & set(after) and "left out" in str(after["refine_note"])
    kept = set(before) - set(sam3dbody.LEFT_OUT)
    assert kept <= set(after)
    assert all(after[name].dtype == before[name].dtype and after[name].shape == before[name].shape for name in kept)
    for name in ("bbox", "shape_params", "scale_params", "expr_params", "lhand_bbox"):
        assert np.array_equal(after[name], before[name])
    points = after["pred_keypoints_3d"] + after["pred_cam_t"]
    pixels = moved.camera.project(torch.from_numpy(points)[None])[0].numpy()
    assert np.abs(pixels - after["pred_keypoints_2d"]).max() < PIXELS
    # As far from the moved body as it was from the unmoved one, and the wrist where the arm went.
    far, was = (
        nearest_on_surface(
            torch.from_numpy(file["pred_vertices"] + file["pred_cam_t"]), one.vertices[0], one.body.faces
        )
        for file, one in ((after, moved), (before, estimate))
    )
    assert abs(float(far.distance_m.mean() - was.distance_m.mean())) < 5e-4
    wrist = points[62] - (before["pred_keypoints_3d"] + before["pred_cam_t"])[62]
    went = (moved.joints - estimate.joints)[0, 20].numpy()
    assert np.linalg.norm(wrist - went) < 0.02 and np.linalg.norm(went) > 0.2
    again = read(tmp_path / "out.npz")
    assert torch.allclose(again.bodies.pose, moved.bodies.pose) and torch.allclose(
        again.joints, moved.joints, atol=1e-5
    )


def test_what_rides_on_a_body_that_stays_stays(builtin_body: SkinnedBody) -> None:
    posed = pose_body(builtin_body, people(builtin_body, 2).bodies)
    points = stranger_mesh(builtin_body, posed.bodies, 200)
    same = carried(points, posed, posed, torch.tensor([1.0, 1.0]))
    assert float((same - points.double()).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pred_vertices", np.zeros((5, 3), np.float32)),
        ("pred_keypoints_3d", np.zeros((69, 3), np.float32)),
        ("pred_cam_t", np.array([np.nan, 0, 5], np.float32)),
        ("pred_cam_t", np.array([0, 0, -5], np.float32)),
        ("pred_keypoints_2d", np.zeros((70, 2), np.float32)),
    ],
)
def test_a_broken_file_of_sam3dbody_is_refused(name: str, value: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "person.npz", **(sam3dbody.person() | {name: value}))
    with pytest.raises(InputError, match=name if name != "pred_cam_t" or np.isnan(value).any() else "camera"):
        read(tmp_path / "person.npz")


def test_a_stated_focal_length_is_taken_and_an_absent_mask_is_carried(tmp_path: Path) -> None:
    stated = sam3dbody.person() | {"focal_length": np.float32(sam3dbody.FOCAL), "mask": None}
    np.savez(tmp_path / "person.npz", **stated)
    estimate = read(tmp_path / "person.npz")
    assert float(estimate.camera.focal[0, 0]) == sam3dbody.FOCAL
    write(estimate, tmp_path / "again.npz")
    again = np.load(tmp_path / "again.npz", allow_pickle=True)  # written a moment ago, here
    assert again["mask"].item() is None and set(again.files) == set(stated)


def test_multihmrs_bodies_lie_in_their_surfaces(tmp_path: Path) -> None:
    path = multihmr.write(tmp_path / "photo.npy")
    estimate = read(path, sizes=torch.tensor(multihmr.SIZES))
    for stored, surface in zip(np.load(path), estimate.vertices, strict=True):
        away = nearest_on_surface(torch.from_numpy(stored), surface, estimate.body.faces).distance_m
        assert 1e3 * float(away.mean()) < SURFACE_MM
    assert torch.allclose(estimate.camera.focal, torch.full((2, 2), 320 / np.tan(np.pi / 6)).float())


def test_a_moved_body_takes_multihmrs_surface_with_it(tmp_path: Path) -> None:
    path, sizes = multihmr.write(tmp_path / "photo.npy"), torch.tensor(multihmr.SIZES)
    estimate = read(path, sizes=sizes)
    moved = bent(estimate)
    write(moved, tmp_path / "out.npy")
    stored, out = np.load(path), np.load(tmp_path / "out.npy")
    assert (out.shape, out.dtype) == (stored.shape, stored.dtype)
    again = read(tmp_path / "out.npy", sizes=sizes)
    assert (
        float((again.joints - moved.joints)[:, :22].norm(dim=-1).mean()) < 0.02
    )  # fitted anew, from the surface alone


@pytest.mark.parametrize("stored", [np.zeros((1, 6890, 3)), np.full((1, 10475, 3), np.nan), np.zeros((1, 10475, 3))])
def test_what_is_no_surface_of_multihmr_is_refused(stored: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", stored)
    with pytest.raises(InputError):
        read(tmp_path / "x.npy", sizes=torch.tensor(multihmr.SIZES), format="multihmr")


def test_refine_convert_reads_them(tmp_path: Path) -> None:
    done = refine.convert(torch.from_numpy(multihmr.vertices(1)))
    assert 1e3 * float(done.distance_m.max()) < SURFACE_MM
