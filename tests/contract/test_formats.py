"""What every format must do; the tests walk `refine/formats` and `tests/layouts`.

A layout generates the exact file of a regressor: `SUFFIX` and `write(path, people) -> path`. It may say more: `FORMAT`
(where its name is not the format's), `SIZES` (heights and widths the reader must be given), `CAMERA` (the camera it
must be given), `PIXELS` (how exactly stored joints project onto stored pixels), `DERIVED` (keys that, like surfaces, a
refined file leaves out), and `EXEMPT` (what cannot be asked of it: the test's name, and why).
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tests.layouts
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.pelvis import source_pelvis
from refine.files.npz import member_names, read_arrays, read_object
from refine.files.pickled import kind, read_json, read_pickled
from refine.formats import Format
from refine.formats.find import formats, read, write
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.result import Result, load
from refine.solve import StopReason
from refine.state import State
from refine.transfer import refined_source, with_camera, with_found
from tests.nested import assert_same
from tests.refinements import refined

LAYOUTS = {
    module.name: importlib.import_module(f"tests.layouts.{module.name}")
    for module in pkgutil.iter_modules(tests.layouts.__path__)
    if not module.name.startswith("_")
}

REAL = {
    "real ROMP": ("romp_photo", "romp_output.npz"),
    "real BEV": ("bev_pair", "image_1_0.08.npz"),
    "real GLAMR": ("glamr", "running_seed1.pkl"),
}
SAME_BODY_PX = 0.1
"""How far the refined body may move by being written and read: rounding, at 400 m of a weak perspective's distance."""

PIXEL_TOLERANCE = 0.05
"""px, where a format's camera is the same as ours; a layout whose camera is another says its own in `PIXELS`."""

READ_ALIKE = {name: name for name in ("npz", "npy", "json", "torch", "pickle")} | {"joblib": "pickle"}
"""`joblib.load` reads plain pickles, and arrays in them as it reads its own."""

SURFACES = frozenset({"verts", "vertices", "smplx_verts", "v3d", "vertices3d"})
"""Keys under which regressors store what only their model's file can pose again."""


@dataclass(frozen=True)
class Example:
    """A file of some format, and what must be known to read it."""

    path: Path
    format: str
    sizes: Tensor | None
    pixels: float
    folder: Path
    derived: frozenset[str] = SURFACES
    camera: Camera | None = None

    def read(self, camera: Camera | None = None) -> Estimate:
        return read(self.path, camera=camera or self.camera, sizes=self.sizes)

    def again(self, path: Path) -> Estimate:
        return read(path, camera=self.camera, sizes=self.sizes)

    def out(self, name: str = "out") -> Path:
        """A place of the same name in another folder, as formats of several files need it."""
        path = self.folder / name / self.path.relative_to(self.folder / "in")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def example(layout: str, folder: Path, people: int = 2) -> Example:
    """The layout's file in a folder of its own."""
    module = LAYOUTS[layout]
    (folder / "in").mkdir()
    path = module.write(folder / "in" / f"estimate{module.SUFFIX}", people)
    sizes = getattr(module, "SIZES", None)
    sizes = None if sizes is None else torch.as_tensor(np.asarray(sizes), dtype=torch.float32).reshape(-1, 2)
    pixels = getattr(module, "PIXELS", PIXEL_TOLERANCE)
    camera = getattr(module, "CAMERA", None)
    derived = SURFACES | getattr(module, "DERIVED", frozenset())
    return Example(path, getattr(module, "FORMAT", layout), sizes, pixels, folder, derived, camera)


@pytest.fixture(params=[*LAYOUTS, *REAL])
def file(request: pytest.FixtureRequest, tmp_path: Path, real_data: Callable[[str], Path]) -> Example:
    layout = request.param
    if layout in REAL:
        folder, name = REAL[layout]
        place = tmp_path / "in" / name
        place.parent.mkdir()
        place.write_bytes((real_data(folder) / name).read_bytes())
        name = layout.split()[1].lower()
        pixels = getattr(LAYOUTS[name], "PIXELS", PIXEL_TOLERANCE)
        derived = SURFACES | getattr(LAYOUTS[name], "DERIVED", frozenset())
        return Example(place, name, None, pixels, tmp_path, derived)
    exempt = getattr(LAYOUTS[layout], "EXEMPT", {})
    reason = exempt.get(request.function.__name__)
    if reason is not None:
        pytest.skip(f"not asked of this layout: {reason}")
    return example(layout, tmp_path)


def content(path: Path) -> Any:
    """Everything a file holds; dictionaries that numpy stores as objects opened."""
    what = kind(path)
    if what == "npz":
        try:
            return dict(read_arrays(path))
        except InputError:
            return {name: read_object(path, name) for name in member_names(path)}
    return read_json(path) if what == "json" else read_pickled(path)


def leaves(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Everything in nested data that is not a container, with the keys that lead to it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*where, name))
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple | np.ndarray) for item in value):
        for place, item in enumerate(value):
            yield from leaves(item, (*where, place))
    else:
        yield where, value


def shaped(estimate: Estimate) -> Estimate:
    """The estimate with other shapes, and fingers bent, as evidence that sees them leaves it."""
    draw = torch.Generator().manual_seed(3)
    shape = estimate.bodies.shape + 0.5 * torch.randn(estimate.bodies.shape.shape, generator=draw)
    pose = estimate.bodies.pose.clone()
    pose[:, 30] = pose[:, 30] @ rotation.exp(torch.tensor([0.0, 0.2, 0.1]))
    return replace(estimate, state=State(replace(estimate.bodies, shape=shape, pose=pose), estimate.camera))


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


def test_what_was_not_refined_is_written_as_it_was_read(file: Example) -> None:
    before = content(file.path)
    write(file.read(), file.out())
    assert READ_ALIKE.get(kind(file.out())) == READ_ALIKE.get(kind(file.path))
    assert_same(content(file.out()), before)


def test_a_refined_estimate_is_read_back_as_it_was_written(file: Example) -> None:
    estimate = refined(file.read())
    write(estimate, file.out())
    again = file.again(file.out())
    said = refined_source(estimate)
    assert torch.allclose(again.source.pose, said.pose, atol=2e-6)
    assert again.bodies.pose.shape == estimate.bodies.pose.shape
    assert torch.allclose(again.bodies.pose[:, :22], estimate.bodies.pose[:, :22], atol=2e-6)
    place, seen = again.joints[:, 0], estimate.joints[:, 0]
    pixels = again.camera.project(place[:, None]) - estimate.camera.project(seen[:, None])
    assert float(pixels.abs().max()) < 0.01
    size, other = (e.camera.focal[:, 0] / e.joints[:, 0, 2] for e in (again, estimate))
    assert torch.allclose(size, other, rtol=1e-4)
    assert torch.equal(again.image_index, estimate.image_index)
    assert (again.source.images, again.source.persons) == (estimate.source.images, estimate.source.persons)


def test_a_refined_body_is_read_back_as_it_was_refined(file: Example) -> None:
    estimate = shaped(refined(file.read()))
    write(estimate, file.out())
    again = file.again(file.out())
    pixels = [one.camera.project(one.vertices[:, ::97]) for one in (again, estimate)]
    assert float((pixels[0] - pixels[1]).abs().max()) < SAME_BODY_PX
    write(again, file.out("twice"))  # and once more, refined again by a trifle
    further = refined(again)
    write(further, file.out("further"))
    pixels = [one.camera.project(one.vertices[:, ::97]) for one in (file.again(file.out("further")), further)]
    assert float((pixels[0] - pixels[1]).abs().max()) < SAME_BODY_PX


@pytest.mark.parametrize("what", ["pose", "betas", "place"])
def test_a_body_whose_words_were_changed_is_read_from_its_words(file: Example, what: str) -> None:
    write(shaped(refined(file.read())), file.out())
    source = file.again(file.out()).source
    if source.found is None:
        pytest.skip("the format's words are the body itself")
    assert bool(source.found.valid.all())
    first = torch.arange(len(source)) == 0
    if what == "pose":
        turn = rotation.exp(torch.tensor([0.0, 0.01, 0.0]))
        pose = source.pose.clone()
        pose[0, 5] = pose[0, 5] @ turn
        changed = replace(source, pose=pose)
    elif what == "betas":
        changed = replace(source, betas=source.betas + 0.01 * first[:, None])
    else:
        step = 0.01 * first[:, None] * source_pelvis(source).norm(dim=1, keepdim=True)
        place = None if source.translation is None else source.translation + step
        joints = None if source.joints is None else source.joints + step[:, None]
        changed = replace(source, translation=place, joints=joints)
    if what == "betas" and not source.betas.shape[1]:
        pytest.skip("the format has no betas")
    found = with_found(changed).found
    assert found is not None and found.valid.tolist() == (~first).tolist()


def test_a_refined_file_keeps_keys_shapes_and_types_and_what_it_does_not_know(file: Example) -> None:
    before = dict(leaves(content(file.path)))
    write(refined(file.read()), file.out())
    after = dict(leaves(content(file.out())))
    for where, value in after.items():
        if where in before:
            was = before[where]
            assert type(value) is type(was), where
            if isinstance(was, np.ndarray):
                assert (value.shape, value.dtype) == (was.shape, was.dtype), where
        else:
            assert str(where[-1]).startswith("refine_"), where
    gone = {where for where in before if where not in after}
    assert all(file.derived & set(where) for where in gone), gone
    for where, value in before.items():
        if "somebody_elses" in where:
            assert_same(after[where], value)


def test_a_refined_estimate_keeps_its_sources_shape(file: Example) -> None:
    estimate = file.read()
    write(refined(estimate), file.out())
    assert torch.equal(file.again(file.out()).source.betas, estimate.source.betas)


def test_what_was_written_is_written_again_as_it_is(file: Example) -> None:
    write(refined(file.read()), file.out())
    write(file.again(file.out()), file.out("twice"))
    assert_same(content(file.out("twice")), content(file.out()))


def test_surfaces_of_the_regressor_are_never_written_as_refined(file: Example) -> None:
    before = {name for where, _ in leaves(content(file.path)) for name in where if isinstance(name, str)}
    write(refined(file.read()), file.out())
    after = list(leaves(content(file.out())))
    assert not {name for where, _ in after for name in where if isinstance(name, str)} & file.derived
    if before & file.derived:
        assert any(where[-1] == "refine_note" and "left out" in str(value) for where, value in after)


def test_stored_joints_of_a_refined_file_project_onto_its_pixels(file: Example) -> None:
    write(refined(file.read()), file.out())
    again = file.again(file.out())
    if again.source.keypoints_2d is None or again.source.joints is None:
        pytest.skip("the format does not store both")
    apart = (again.camera.project(again.source.joints) - again.source.keypoints_2d).norm(dim=-1)
    assert float(apart.max()) < file.pixels


def test_a_body_that_was_not_refined_keeps_its_numbers_beside_one_that_was(file: Example) -> None:
    estimate = file.read()
    if len(estimate) < 2:
        pytest.skip("one person in this file")
    before = dict(leaves(content(file.path)))
    write(refined(estimate, slice(0, 1)), file.out())
    after = dict(leaves(content(file.out())))
    again = file.again(file.out())
    # A surface's bodies travel beside it as rotation vectors: the same to rounding. What is stored itself is compared
    # below, to the bit.
    assert torch.allclose(again.source.pose[1:], estimate.source.pose[1:], atol=2e-6)
    assert not torch.allclose(again.source.pose[0], estimate.source.pose[0], atol=1e-4)
    for name in ("betas", "expression", "keypoints_2d"):
        was, now = getattr(estimate.source, name), getattr(again.source, name)
        assert was is None or torch.equal(now[1:], was[1:]), name
    assert torch.allclose(source_pelvis(again.source)[1:], source_pelvis(estimate.source)[1:], rtol=1e-4)
    for where, value in before.items():
        if where in after and isinstance(value, np.ndarray) and value.ndim > 1 and len(value) == len(estimate):
            assert np.array_equal(after[where][1:], value[1:], equal_nan=True), where


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


def test_what_was_refined_through_another_camera_is_written_in_the_sources_own(file: Example) -> None:
    estimate = file.read()
    size = estimate.camera.size[:1]
    other = Camera(1.5 * size.amax(1, keepdim=True).expand(-1, 2), size.flip(1) / 2, size)
    write(refined(with_camera(estimate, other)), file.out())
    again = with_camera(file.again(file.out()), other)
    expected = refined(with_camera(estimate, other))
    pixel, wanted = (e.camera.project(e.joints[:, :1]) for e in (again, expected))
    assert torch.allclose(pixel, wanted, atol=0.05)


def test_a_format_refuses_to_write_the_estimate_of_another(file: Example) -> None:
    estimate = file.read()
    for name, module in formats().items():
        if name != estimate.source.format:
            with pytest.raises(InputError, match=estimate.source.format):
                module.write(estimate, file.out())
    assert not file.out().exists()


@pytest.mark.parametrize(
    "rows", [slice(None), slice(0, 1), slice(0)], ids=["all refined", "one refined", "none refined"]
)
def test_a_result_that_was_saved_writes_the_same_file_as_one_that_was_not(file: Example, rows: slice) -> None:
    estimate = file.read()
    changed = refined(estimate, rows)
    stop, zero = (StopReason.CONVERGED,) * len(estimate), torch.zeros(len(estimate))
    result = Result(estimate, changed.state, stop, zero, zero, zero, zero)
    result.write_source(file.out())
    result.save(file.folder / "result.npz")
    load(file.folder / "result.npz").write_source(file.out("saved"))
    assert kind(file.out("saved")) == kind(file.out())
    assert_same(content(file.out("saved")), content(file.out()))
    for path in file.folder.glob("out/**/*"):  # some formats are several files
        if path.is_file() and path != file.out():
            other = file.folder / "saved" / path.relative_to(file.folder / "out")
            if kind(path):
                assert_same(content(other), content(path))
            else:
                assert other.read_bytes() == path.read_bytes()
