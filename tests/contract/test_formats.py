"""What every format must do; the tests walk `refine/formats` and `tests/layouts`.

A layout generates the exact file of a regressor: `SUFFIX` and `write(path, people) -> path`. It may say more: `FORMAT`
(where its name is not the format's), `SIZES` (heights and widths the reader must be given), `CAMERA` (the camera it
must be given), `PIXELS` (how exactly stored joints project onto stored pixels), `DERIVED` (keys that, like surfaces, a
refined file leaves out), and `EXEMPT` (what cannot be asked of it: the test's name, and why).
"""

from pathlib import Path

import pytest
import torch

from refine.errors import InputError
from refine.estimate.pelvis import source_pelvis
from refine.formats import Format
from refine.formats.find import formats, read, write
from refine.geometry.camera import Camera
from tests.format_examples import LAYOUTS, Example, example


def test_every_format_has_the_three_functions_of_the_protocol() -> None:
    assert {"romp", "bev", "parameters"} <= set(formats())
    for module in formats().values():
        assert isinstance(module, Format)
        assert module.__doc__ and "Source:" in module.__doc__


@pytest.mark.parametrize(
    "name", sorted(set(formats()) - {"nobody"})
)  # its examples: tests/reference/estimate/test_nobody.py
def test_every_format_has_an_example(name: str) -> None:
    shown = {getattr(module, "FORMAT", layout) for layout, module in LAYOUTS.items()}
    assert name in shown, f"tests/layouts has no example of the format {name}"


def test_a_file_is_recognised_by_its_format_and_no_other(file: Example) -> None:
    assert [name for name, module in formats().items() if module.recognises(file.path)] == [file.format]


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x03\x04", b"\x80\x04K\x01.", b"{", b"[1, 2]", b'{"a": 1}', b"\x89PNG\r\n", b"<html>"]
)
def test_what_is_of_no_format_is_recognised_by_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    assert [name for name, module in formats().items() if module.recognises(path)] == []


def test_a_truncated_file_is_refused(file: Example) -> None:
    data = file.path.read_bytes()
    for length in (len(data) // 3, len(data) - 1):
        file.path.write_bytes(data[:length])
        with pytest.raises(InputError):
            file.read()
        with pytest.raises(InputError):
            read(file.path, sizes=file.sizes, format=file.format)


def test_a_file_that_needs_its_photos_size_says_so(file: Example) -> None:
    if file.sizes is None:
        pytest.skip("the file knows, or needs no size")
    try:
        read(file.path)
    except InputError as error:
        assert "size" in str(error) and "refine.fit" in str(error)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_person_is_read_as_well(layout: str, tmp_path: Path) -> None:
    one = example(layout, tmp_path, people=1)
    estimate = one.read()
    write(estimate, one.out())
    assert len(one.again(one.out())) == len(estimate) >= 1


def test_stored_joints_project_onto_the_pixels_stored_with_them(file: Example) -> None:
    estimate = file.read()
    source = estimate.source
    if source.joints is None or source.keypoints_2d is None:
        pytest.skip("the format does not store both")
    apart = (estimate.camera.project(source.joints) - source.keypoints_2d).norm(dim=-1)
    assert float(apart.max()) < file.pixels


def test_the_body_on_which_an_estimate_is_put_has_its_pelvis(file: Example) -> None:
    estimate = file.read()
    pelvis = source_pelvis(estimate.source)
    assert torch.allclose(estimate.joints[:, 0], pelvis, rtol=1e-6, atol=1e-4)


def test_another_camera_leaves_every_pelvis_where_it_is_seen(file: Example) -> None:
    estimate = file.read()
    size = estimate.camera.size[:1]
    other = Camera(size.amax(1, keepdim=True).expand(-1, 2), size.flip(1) / 2 + 3.0, size)
    moved = file.read(camera=other)
    before = estimate.camera.project(estimate.joints[:, :1])
    assert torch.allclose(moved.camera.project(moved.joints[:, :1]), before, atol=0.02)
    scale, was = (e.camera.focal.mean(1) / e.joints[:, 0, 2] for e in (moved, estimate))
    assert torch.allclose(scale, was, rtol=1e-4)
    assert torch.equal(moved.bodies.pose, estimate.bodies.pose)
