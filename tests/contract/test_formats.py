"""What every format must do; the tests walk `refine/formats`, so a new file there is tested at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from refine import rotation
from refine.bodies import State
from refine.camera import Camera
from refine.errors import InputError
from refine.estimate import Estimate
from refine.formats import Format
from refine.formats._npz import read_arrays, read_object
from refine.formats.find import formats, read, write
from refine.source_pose import source_pelvis
from refine.transfer import refined_source, with_camera
from tests.regressor_files import WRITERS

REAL = {"real ROMP": ("romp_photo", "romp_output.npz"), "real BEV": ("bev_pair", "image_1_0.08.npz")}
PIXEL_TOLERANCE = 0.5
"""px; ROMP's weak perspective is seen through a long lens."""


@pytest.fixture(params=[*sorted(formats()), *REAL])
def file(request: pytest.FixtureRequest, tmp_path: Path, real_data: Callable[[str], Path]) -> Path:
    if request.param in REAL:
        folder, name = REAL[request.param]
        return real_data(folder) / name
    assert request.param in WRITERS, f"tests/regressor_files.py has no example of the format {request.param}"
    return WRITERS[request.param](tmp_path / "estimate.npz")


def content(path: Path) -> dict[str, object]:
    """Everything a file holds, by name; the dictionary inside ROMP's and BEV's opened."""
    try:
        return dict(read_arrays(path))
    except InputError:
        found = read_object(path, "results")
        assert isinstance(found, dict)
        return found


def refined(estimate: Estimate, rows: slice = slice(None)) -> Estimate:
    """The estimate as a refinement leaves it: some joints turned and the body moved, in some rows."""
    pose, translation = estimate.bodies.pose.clone(), estimate.bodies.translation.clone()
    pose[rows, 16] = pose[rows, 16] @ rotation.exp(torch.tensor([0.1, -0.2, 0.15]))
    pose[rows, 0] = pose[rows, 0] @ rotation.exp(torch.tensor([0.0, 0.1, 0.05]))
    translation[rows] *= torch.tensor([1.05, 0.95, 1.03])
    bodies = replace(estimate.bodies, pose=pose, translation=translation)
    return replace(estimate, state=State(bodies, estimate.camera))


def test_every_format_has_the_three_functions_of_the_protocol() -> None:
    assert {"romp", "bev", "parameters"} <= set(formats())
    for module in formats().values():
        assert isinstance(module, Format)
        assert module.__doc__ and "Source:" in module.__doc__


def test_a_file_is_recognised_by_exactly_one_format(file: Path) -> None:
    assert len([name for name, module in formats().items() if module.recognises(file)]) == 1


def test_stored_joints_project_onto_the_pixels_stored_with_them(file: Path) -> None:
    estimate = read(file)
    source = estimate.source
    if source.joints is None or source.keypoints_2d is None:
        assert source.format == "parameters"
        return
    apart = (estimate.camera.project(source.joints) - source.keypoints_2d).norm(dim=-1)
    assert float(apart.max()) < PIXEL_TOLERANCE
    if source.format == "bev":
        assert float(apart.max()) < 0.05  # its camera is the same as ours


def test_the_body_on_which_an_estimate_is_put_has_its_pelvis(file: Path) -> None:
    estimate = read(file)
    pelvis = source_pelvis(estimate.source)
    assert torch.allclose(estimate.joints[:, 0], pelvis, rtol=1e-6, atol=1e-4)


def test_what_was_not_refined_is_written_as_it_was_read(file: Path, tmp_path: Path) -> None:
    before, out = content(file), tmp_path / "again.npz"
    write(read(file), out)
    after = content(out)
    assert list(after) == list(before)
    for name, value in before.items():
        assert np.asarray(after[name]).dtype == np.asarray(value).dtype, name
        assert np.array_equal(np.asarray(after[name]), np.asarray(value)), name


def test_a_refined_estimate_is_read_back_as_it_was_written(file: Path, tmp_path: Path) -> None:
    estimate = refined(read(file))
    out = tmp_path / "refined.npz"
    write(estimate, out)
    again = read(out)
    said = refined_source(estimate)
    assert torch.allclose(again.source.pose, said.pose, atol=2e-6)
    assert again.bodies.pose.shape == estimate.bodies.pose.shape
    assert torch.allclose(again.bodies.pose[:, :22], estimate.bodies.pose[:, :22], atol=2e-6)
    place, seen = again.joints[:, 0], estimate.joints[:, 0]
    pixels = again.camera.project(place[:, None]) - estimate.camera.project(seen[:, None])
    assert float(pixels.abs().max()) < 0.01
    size, other = (e.camera.focal[:, 0] / e.joints[:, 0, 2] for e in (again, estimate))
    assert torch.allclose(size, other, rtol=1e-4)


def test_a_refined_file_keeps_keys_shapes_and_types_and_what_it_does_not_know(file: Path, tmp_path: Path) -> None:
    before, out = content(file), tmp_path / "refined.npz"
    write(refined(read(file)), out)
    after = content(out)
    for name, value in after.items():
        if name in before:
            assert np.asarray(value).shape == np.asarray(before[name]).shape, name
            assert np.asarray(value).dtype == np.asarray(before[name]).dtype, name
    if "somebody_elses" in before:
        assert np.array_equal(np.asarray(after["somebody_elses"]), np.arange(3))
    assert np.array_equal(
        np.asarray(after.get("smpl_betas", after.get("betas"))),
        np.asarray(before.get("smpl_betas", before.get("betas"))),
    )


def test_vertices_of_the_regressor_are_never_written_as_refined(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "refined.npz"
    write(refined(read(file)), out)
    after = content(out)
    assert not {"verts", "vertices"} & set(after)
    assert "left out" in str(after["refine_note"])


def test_stored_joints_of_a_refined_file_project_onto_its_pixels(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "refined.npz"
    write(refined(read(file)), out)
    again = read(out)
    if again.source.keypoints_2d is None or again.source.joints is None:
        assert again.source.format == "parameters"
        return
    assert float((again.camera.project(again.source.joints) - again.source.keypoints_2d).abs().max()) < PIXEL_TOLERANCE


def test_a_body_that_was_not_refined_keeps_its_numbers_beside_one_that_was(file: Path, tmp_path: Path) -> None:
    estimate = read(file)
    if len(estimate) < 2:
        pytest.skip("one person in this file")
    before, out = content(file), tmp_path / "refined.npz"
    write(refined(estimate, slice(0, 1)), out)
    after = content(out)
    for name in (
        "smpl_thetas",
        "cam",
        "cam_trans",
        "pj2d_org",
        "joints",
        "params_pred",
        "body_pose",
        "global_orient",
        "transl",
    ):
        if name in before and name in after:
            was, now = np.asarray(before[name]), np.asarray(after[name])
            assert np.array_equal(now[1], was[1]), name
            assert not np.array_equal(now[0], was[0]), name


def test_another_camera_leaves_every_pelvis_where_it_is_seen(file: Path) -> None:
    estimate = read(file)
    size = estimate.camera.size[:1]
    other = Camera(size.amax(1, keepdim=True).expand(-1, 2), size.flip(1) / 2 + 3.0, size)
    moved = read(file, camera=other)
    before = estimate.camera.project(estimate.joints[:, :1])
    assert torch.allclose(moved.camera.project(moved.joints[:, :1]), before, atol=0.02)
    scale, was = (e.camera.focal.mean(1) / e.joints[:, 0, 2] for e in (moved, estimate))
    assert torch.allclose(scale, was, rtol=1e-4)
    assert torch.equal(moved.bodies.pose, estimate.bodies.pose)


def test_what_was_refined_through_another_camera_is_written_in_the_sources_own(file: Path, tmp_path: Path) -> None:
    estimate = read(file)
    size = estimate.camera.size[:1]
    other = Camera(1.5 * size.amax(1, keepdim=True).expand(-1, 2), size.flip(1) / 2, size)
    out = tmp_path / "refined.npz"
    write(refined(with_camera(estimate, other)), out)
    again = with_camera(read(out), other)
    expected = refined(with_camera(estimate, other))
    pixel, wanted = (e.camera.project(e.joints[:, :1]) for e in (again, expected))
    assert torch.allclose(pixel, wanted, atol=0.05)


def test_a_format_refuses_to_write_the_estimate_of_another(file: Path, tmp_path: Path) -> None:
    estimate = read(file)
    for name, module in formats().items():
        if name != estimate.source.format:
            with pytest.raises(InputError, match=estimate.source.format):
                module.write(estimate, tmp_path / "no.npz")
    assert not (tmp_path / "no.npz").exists()
