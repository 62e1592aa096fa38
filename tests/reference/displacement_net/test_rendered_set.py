"""Sets in BEDLAM's layout, on a small one made with the library: displacements against projection, order, colours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from displacement_net.training.batches import batch_of
from displacement_net.training.labelled_people import mean_misfit_px, own_model, true_state
from displacement_net.training.labels import read_labels
from displacement_net.training.rendered_set import RenderedSet
from displacement_net.training.samples import Samples
from displacement_net.training.shown import SampleSource, Shown
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate.metrics import mpjpe
from refine.geometry.camera import Camera
from refine.render.plain import PlainRasterizer
from refine.state import State
from tests.human_models import human_model
from tests.labelled_set import IMAGE, SIZES, WALLS, LabelledSet, stored
from tests.reference.body.official_files import write_npz

SIDE = 64
EVERYBODY = np.arange(4)
EXACT_PX = 0.05
"""What a displacement may be off the exact projection where the point is seen."""


@pytest.fixture(scope="module")
def source(files: LabelledSet, builtin_body: SkinnedBody) -> RenderedSet:
    return RenderedSet(files.labels, files.images, size=SIDE, body=builtin_body)


def exact(body: SkinnedBody, estimate: State, vertices: Tensor, camera: Camera, samples: Samples) -> list[np.ndarray]:
    """Offsets (N, 2) of each sample's pixels, by other means: plain ray casting, projection in float64 by hand."""
    own = samples.crop.camera(estimate.camera)
    guessed = pose_body(body, estimate.bodies).vertices
    ids = PlainRasterizer().triangles(guessed, body.faces, own, SIDE, SIDE).numpy()
    found = []
    for row in range(len(samples)):
        y, x = np.nonzero(ids[row] >= 0)
        corner = body.faces.numpy()[ids[row][y, x]]
        triangle = guessed[row].double().numpy()[corner]  # (N, 3, 3)
        ray = np.concatenate((np.stack((x, y), 1) + 0.5 - own.center[row].numpy(), np.ones((len(x), 1))), 1)
        ray[:, :2] /= own.focal[row].numpy()
        share = np.linalg.solve(triangle.transpose(0, 2, 1), ray[..., None])[..., 0]
        share /= share.sum(1, keepdims=True)
        point = (share[..., None] * vertices[row].double().numpy()[corner]).sum(1)
        photo = camera.focal[row].double().numpy() * point[:, :2] / point[:, 2:] + camera.center[row].double().numpy()
        affine = samples.crop.crop_from_image[row].double().numpy()
        offset = np.full((SIDE, SIDE, 2), np.nan)
        offset[y, x] = photo @ affine[:, :2].T + affine[:, 2] - np.stack((x, y), 1) - 0.5
        found.append(offset)
    return found


def test_displacements_are_exact_where_points_are_seen(source: RenderedSet) -> None:
    samples = source.batch(0, 4)
    true = pose_body(source.body, samples.true.bodies).vertices
    by_hand = exact(source.body, samples.estimate, true, samples.true.camera, samples)
    for row, offset in enumerate(by_hand):
        where = samples.visible[row].numpy() & np.isfinite(offset[..., 0])
        assert where.sum() > 50
        apart = np.linalg.norm(samples.offset[row].numpy() - offset, axis=-1)[where]
        assert np.quantile(apart, 0.99) < EXACT_PX  # on an edge the two rasterisers may see two triangles
        assert np.median(apart) < EXACT_PX / 10


def test_people_lie_on_the_built_in_body_where_the_labels_project_them(files: LabelledSet, source: RenderedSet) -> None:
    assert float(mean_misfit_px(source.labels, EVERYBODY, source.body).max()) < 0.5
    state = true_state(source.labels, EVERYBODY, files.camera.size, source.body)
    seen, true = (files.camera.project(pose_body(source.body, each).vertices) for each in (state.bodies, files.bodies))
    assert float((seen - true).norm(dim=-1).mean()) < 1.0


def test_the_shape_is_fitted_to_the_joints(files: LabelledSet, source: RenderedSet) -> None:
    """The labels' betas mean nothing on another model."""
    state = true_state(source.labels, EVERYBODY, files.camera.size, source.body)
    mean = replace(state.bodies, shape=torch.zeros_like(state.bodies.shape))
    joints, of_mean, true = (
        pose_body(source.body, each).joints[:, :BODY_JOINTS] for each in (state.bodies, mean, files.bodies)
    )
    assert float((joints - true).norm(dim=-1).mean()) < 0.02
    assert float(mpjpe(joints, true).mean()) < 0.5 * float(mpjpe(of_mean, true).mean())


def test_on_its_own_model_a_body_is_taken_as_it_is(
    files: LabelledSet,
    changed: Callable[..., Path],
    builtin_body: SkinnedBody,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_npz(tmp_path / "smplx" / "SMPLX_NEUTRAL.npz", human_model("smplx", builtin_body, 20))
    monkeypatch.setenv("REFINE_BODY_MODELS", str(tmp_path))
    labels = read_labels(changed(shape=stored(files, "shape")[:, :10]))  # a file of version 1.0 holds no more
    body = own_model(labels)
    assert body.model == "smplx"
    source = RenderedSet(labels, files.images, size=SIDE, body=body)
    samples = source.batch(0, 4)
    people = source.drawn(0, 4)
    torch.testing.assert_close(samples.true.bodies.shape.numpy(), labels.betas[people].astype(np.float32))
    moved = stored(files, "trans_cam") + stored(files, "cam_ext")[:, :3, 3]
    torch.testing.assert_close(samples.true.bodies.translation.numpy(), moved[people].astype(np.float32))
    by_hand = exact(
        body, samples.estimate, pose_body(body, samples.true.bodies).vertices, files.camera[people], samples
    )
    for row, offset in enumerate(by_hand):
        where = samples.visible[row].numpy() & np.isfinite(offset[..., 0])
        apart = np.linalg.norm(samples.offset[row].numpy() - offset, axis=-1)[where]
        assert (
            np.quantile(apart, 0.9) < EXACT_PX
        )  # this body's triangles are slivers, on whose edges rasterisers differ


def test_every_round_shows_everybody_once_and_in_another_order(source: RenderedSet) -> None:
    rounds = [source.drawn(4 * number, 4).tolist() for number in range(6)]
    assert all(sorted(each) == [0, 1, 2, 3] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1
    assert [*source.drawn(2, 2), *source.drawn(4, 3)] == source.drawn(2, 5).tolist()


def test_a_batch_is_the_same_for_the_same_seed_and_count(source: RenderedSet, files: LabelledSet) -> None:
    again = RenderedSet(files.labels, files.images, size=SIDE, body=source.body)
    one, two, other = source.batch(5, 3), again.batch(5, 3), source.batch(8, 3)
    for name in ("image", "offset", "visible", "normals"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert not torch.equal(one.offset, other.offset)


def test_colours_come_in_the_right_order_and_from_the_right_image(source: RenderedSet) -> None:
    samples, people = source.batch(0, 4), source.drawn(0, 4)
    for row, person in enumerate(people):
        wall = torch.tensor(WALLS[IMAGE[person]]) / 255
        near = (samples.image[row] - wall[:, None, None]).abs().amax(0) < 0.01
        assert float(near.double().mean()) > 0.2


def test_an_image_that_is_stored_lying_is_turned_upright(source: RenderedSet, files: LabelledSet) -> None:
    assert cv2.imread(str(files.images / "seq_000002/seq_000002_0000.png")).shape[:2] == SIZES[2][::-1]
    assert [source.photo(person).shape[:2] for person in range(4)] == [SIZES[image] for image in IMAGE]
    # The person's colours lie where the labels say: a pixel of the wall at no joint.
    pixels, at = source.photo(3), stored(files, "gtkps")[3, :BODY_JOINTS].astype(int)
    inside = ((at >= 0) & (at < np.array(SIZES[2][::-1]))).all(1)
    assert inside.sum() > 10
    assert (np.abs(pixels[at[inside, 1], at[inside, 0]].astype(int) - WALLS[2]).max(1) > 10).mean() > 0.9


def test_the_photo_shows_the_person_where_the_displacement_points(source: RenderedSet) -> None:
    """Rest-pose colours of visible rendered points are those of the photo where they really are."""
    samples = source.batch(0, 4)
    for row in range(4):
        y, x = samples.visible[row].nonzero(as_tuple=True)
        at = torch.stack((x, y), 1) + 0.5 + samples.offset[row, y, x]
        column, line = (at.floor().long().clamp(0, SIDE - 1)).unbind(1)
        apart = (samples.image[row][:, line, column] - samples.colors[row][:, y, x]).abs().amax(0)
        assert float(apart.median()) < 0.06


def test_pixels_of_the_photo_show_the_person_in_the_colours_that_are_told(source: RenderedSet) -> None:
    """The small set is painted in rest-pose colours; a person behind another is not told where the other is."""
    samples, people = source.batch(0, 4), source.drawn(0, 4)
    there = samples.person[:, 0] > 0
    inner = ~torch.nn.functional.max_pool2d((~there)[:, None].float(), 3, 1, 1)[:, 0].bool()  # edges are mixed
    apart = (samples.image - samples.person[:, 1:]).abs().amax(1)
    for row in range(4):
        assert int(there[row].sum()) > 100
        assert float(apart[row][inner[row]].quantile(0.9)) < 0.06
    assert float(samples.person[:, 1:][~there[:, None].expand(-1, 3, -1, -1)].abs().max()) == 0
    wall = torch.tensor([WALLS[IMAGE[person]] for person in people]) / 255
    beside = (samples.image - wall[:, :, None, None]).abs().amax(1) < 0.01
    assert not bool((beside & inner).any())


def test_people_in_front_hide_those_behind(source: RenderedSet) -> None:
    shares = []
    for seed in range(0, 16, 4):
        samples, people = source.batch(seed, 4), source.drawn(seed, 4)
        seen = (samples.visible & samples.inside).flatten(1).sum(1) / samples.foreground.flatten(1).sum(1)
        shares.append([float(seen[people.tolist().index(person)]) for person in (0, 1)])
    front, behind = np.mean(shares, 0)
    assert behind < front - 0.15


def test_a_set_is_a_source_the_network_can_be_trained_with(source: RenderedSet) -> None:
    assert isinstance(source, SampleSource)
    samples = source.batch(0, 2)
    assert isinstance(samples, Shown)
    batch = batch_of(samples)
    assert batch.channels.shape == (2, 15, SIDE, SIDE)
    assert bool(batch.channels.isfinite().all())
