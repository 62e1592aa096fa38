"""What may be asked of synthetic people: several estimates of a photo, other errors, textures, children."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from displacement_net.training.assets import procedural_assets
from displacement_net.training.errors_of_regressors import estimate_of
from displacement_net.training.samples import Sampler
from displacement_net.training.seen_textures import TEXTURE_CASES
from displacement_net.training.split import split
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.casting import ADULT_SHAPES, cast
from refine.evaluate.motion import Recordings
from refine.render import shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State
from tests.reference.displacement_net.test_synthetic_people import stand_in

SIZE = 64


def as_they_are(body: SkinnedBody, true: State, rng: np.random.Generator) -> State:
    """Estimates without an error."""
    return true


def with_children(body: SkinnedBody) -> SkinnedBody:
    """A body with one coefficient more, that halves its size."""
    basis = torch.cat((body.shape_basis, -0.5 * body.template[..., None]), 2)
    return replace(
        body, shape_basis=basis, joint_basis=torch.cat((body.joint_basis, -0.5 * body.joint_template[..., None]), 2)
    )


def test_the_photo_shows_the_person_where_a_perfect_estimate_is_visible(builtin_body: SkinnedBody) -> None:
    sampler = Sampler(
        stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, estimates=as_they_are, children=0.0
    )
    samples = sampler.batch(1, 12)
    there = samples.person[:, 0] > 0
    assert bool((samples.person[:, 1:].amax(1) > 0)[there].all())
    assert not samples.person[:, 1:].permute(0, 2, 3, 1)[~there].any()
    assert float((there & samples.visible).sum() / samples.visible.sum()) > 0.95
    both = (there & samples.visible)[:, None].expand(-1, 3, -1, -1)
    apart = (samples.person[:, 1:] - samples.colors)[both].abs()
    assert float(apart.max()) < 1e-4  # the same surface point, so the same colour
    assert float(samples.offset[samples.visible].abs().max()) < 0.02


def test_the_second_estimate_of_a_photo_is_another_one_of_the_same_person_or_of_somebody_beside(
    builtin_body: SkinnedBody,
) -> None:
    sampler = Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, per_photo=2)
    samples = sampler.batch(5, 32)
    first, second = slice(0, 16), slice(16, 32)
    # Other places of one batch: the same to rounding, and a pixel in a thousand on an outline.
    assert torch.allclose(samples.crop.crop_from_image[first], samples.crop.crop_from_image[second], rtol=1e-5)
    same = ((samples.true.bodies.pose[first] - samples.true.bodies.pose[second]).abs() < 1e-6).flatten(1).all(1)
    assert 4 < int(same.sum()) < 16  # somebody else in the photo, in turn
    apart = samples.estimate.bodies.pose[first] != samples.estimate.bodies.pose[second]
    assert bool(apart.flatten(1).any(1).all())
    shown = samples.person[:, 0] > 0
    assert (shown[first][same] != shown[second][same]).double().mean() < 1e-3
    assert not torch.equal(shown[first][~same], shown[second][~same])
    overlap = (shown[first] & shown[second])[~same].sum() / shown[second][~same].sum()
    assert float(overlap) < 0.02  # a pixel shows one of them
    alone = Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, per_photo=1).batch(5, 32)
    assert (alone.true.bodies.pose[first] - alone.true.bodies.pose[second]).abs().max() > 1e-3


def test_texture_cases_are_drawn_as_often_as_asked(builtin_body: SkinnedBody) -> None:
    only = tuple(float(name == "other frames") for name in TEXTURE_CASES)
    sampler = Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, cases=only)
    samples = sampler.batch(0, 6)
    assert bool((samples.texture_case == TEXTURE_CASES.index("other frames")).all())
    assert float(samples.confidence.max()) > 0
    for wrong in ((1.0,), (0.0,) * len(TEXTURE_CASES), (-1.0, 2.0, 0.0, 0.0, 0.0)):
        with pytest.raises(InputError, match="cases"):
            Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, cases=wrong)


def test_estimates_of_children_see_them_partly_as_adults_that_stand_farther_away(builtin_body: SkinnedBody) -> None:
    body, rng = with_children(builtin_body), np.random.default_rng(0)
    recordings = Recordings(np.zeros((4, 22, 3)), np.arange(4))
    scene = cast(body, recordings, 200, rng, children=0.5)
    young = scene.bodies.shape[:200, ADULT_SHAPES]
    assert 0.4 < float((young > 0).float().mean()) < 0.6
    true = State(scene.bodies[slice(0, 200)], scene.camera)
    estimate = estimate_of(body, true, np.random.default_rng(1))
    told = estimate.bodies.shape[:, ADULT_SHAPES]
    assert not told[young == 0].any()
    assert bool((told <= young + 1e-6).all()) and bool((told[young > 0] >= 0.19 * young[young > 0]).all())

    def focal_size(state: State) -> torch.Tensor:
        tall = 1 - 0.5 * state.bodies.shape[:, ADULT_SHAPES]  # this body's size
        return state.camera.focal[:, 0] * tall / pose_body(body, state.bodies).joints[:, 0, 2]

    ratio = focal_size(estimate) / focal_size(true)
    assert 0.9 < float(ratio[young > 0].median()) < 1.1  # as large in the photo as they are


def test_whole_recordings_are_held_out() -> None:
    assets = procedural_assets()
    sequence = np.repeat(np.arange(12), 5)
    assets = replace(assets, recordings=Recordings(np.zeros((60, 22, 3)), sequence))
    kept, shown = (set(split(assets, hold_out).recordings.sequence.tolist()) for hold_out in (True, False))
    assert kept and shown and not kept & shown
    assert kept | shown == set(range(12))


def test_what_the_photo_shows_ends_where_somebody_stands_in_front(builtin_body: SkinnedBody) -> None:
    sampler = Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=3, estimates=as_they_are)
    samples = sampler.batch(7, 24)
    body = sampler.body
    camera = samples.crop.camera(samples.true.camera)
    alone = rasterize(
        default_rasterizer(), pose_body(body, samples.true.bodies).vertices, body.faces, camera, SIZE, SIZE
    )
    silhouette = shade.interpolate(alone, body.faces, body.vertex_colors.expand(24, -1, -1)).sum(-1) > 0
    there = samples.person[:, 0] > 0
    assert not (there & ~silhouette).any()
    hidden = (silhouette & ~there).flatten(1).sum(1) / silhouette.flatten(1).sum(1).clamp(min=1)
    assert 0 < int((hidden > 0.1).sum()) < 24, "some are partly hidden or cut off, not all"
