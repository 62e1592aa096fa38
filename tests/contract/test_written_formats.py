"""What every format must do when it writes: a file as it was, but for what was refined."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.estimate.pelvis import source_pelvis
from refine.files.pickled import kind
from refine.formats.find import formats, write
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.result import Result, load
from refine.solve import StopReason
from refine.transfer import refined_source, with_camera, with_found
from tests.format_examples import READ_ALIKE, SAME_BODY_PX, Example, content, leaves, shaped
from tests.nested import assert_same
from tests.refinements import refined


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
