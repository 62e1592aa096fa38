"""Synthetic people: the displacement is the projection, flags are right, the same seed makes the same samples.

The full base mesh is not part of the repository. Most tests stand in for it with the built-in body and a tube for the
skirt; those that need the real one have it built (`tests.built_body`); the assets are looked for in REFINE_ASSETS (by
default `../shared/assets` beside the checkout).
"""

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from displacement_net.training.assets import load_assets, procedural_assets
from displacement_net.training.colors import draw_colors, make_bank
from displacement_net.training.errors_of_regressors import estimate_of
from displacement_net.training.lighting import read_places
from displacement_net.training.samples import Sampler, Samples
from displacement_net.training.scene import Light, render_people
from displacement_net.training.sheet import sheet
from displacement_net.training.training_body import TrainingBody, load_training_body, vertices_of
from displacement_net.training.wardrobe import bound_piece, draw_looks
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate import casting
from refine.evaluate.motion import draw_poses, shipped_recordings
from refine.evaluate.truth import true_displacement
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.crop import crop_around
from refine.render import shade
from refine.render.rasterize import by_name, default_rasterizer, rasterize
from refine.state import Bodies, State
from tests.base_mesh import stand_in
from tests.built_body import BuiltBody

EXACT_PX = 0.05
"""How far the stored displacement may lie from the projection in float64, px of the crop."""
COUNT, SIZE = 8, 64
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sampler(builtin_body: SkinnedBody) -> Sampler:
    return Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=4)


@pytest.fixture(scope="module")
def samples(sampler: Sampler) -> Samples:
    return sampler.batch(3, COUNT)


@pytest.fixture(scope="module")
def assets_folder() -> Path:
    folder = Path(os.environ.get("REFINE_ASSETS", ROOT.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip(f"assets are not here: {folder} (set REFINE_ASSETS)")
    return folder


@pytest.fixture(scope="module")
def base_mesh(builtin_body: SkinnedBody, built_body: BuiltBody) -> TrainingBody:
    return load_training_body(builtin_body, built_body.training)


def misfit(samples: Samples, body: SkinnedBody) -> torch.Tensor:
    """Distance (px) of the stored displacement from the projection in float64, at visible pixels."""
    body, crop = (
        body.to(dtype=torch.float64),
        replace(samples.crop, crop_from_image=samples.crop.crop_from_image.double()),
    )
    estimate, true = samples.estimate.to(dtype=torch.float64), samples.true.to(dtype=torch.float64)
    size = crop.side
    seen = rasterize(
        by_name("plain"),
        pose_body(body, estimate.bodies).vertices,
        body.faces,
        crop.camera(estimate.camera),
        size,
        size,
    )
    point = shade.interpolate(seen, body.faces, pose_body(body, true.bodies).vertices)
    target = crop.to_crop(true.camera.project(point))
    line = torch.arange(size, dtype=torch.float64) + 0.5
    center = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    both = samples.visible & (seen.triangle >= 0)
    return (target - center - samples.offset)[both].norm(dim=-1)


def test_the_displacement_is_the_projection_of_the_true_surface_point(
    samples: Samples, builtin_body: SkinnedBody
) -> None:
    distance = misfit(samples, builtin_body)
    assert len(distance) > 1000
    assert float(distance.max()) < EXACT_PX


def test_the_same_seed_makes_the_same_samples(sampler: Sampler, samples: Samples) -> None:
    again, other = sampler.batch(3, COUNT), sampler.batch(4, COUNT)
    for field in fields(Samples):
        value = getattr(samples, field.name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(again, field.name)), field.name
    assert not torch.equal(samples.image, other.image)


def test_what_is_visible_is_inside_and_what_is_inside_is_rendered(samples: Samples) -> None:
    assert not (samples.visible & ~samples.inside).any()
    assert not (samples.inside & ~samples.foreground).any()
    assert torch.equal(samples.mask[:, 0] > 0, samples.foreground)
    assert not samples.offset[~samples.foreground].any()
    assert bool((samples.foreground & ~samples.visible).any()), "somebody is hidden or cut off somewhere"
    for part in (samples.image, samples.texture, samples.confidence, samples.colors):
        assert 0 <= float(part.min()) and float(part.max()) <= 1
    for field in fields(Samples):
        value = getattr(samples, field.name)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert bool(value.isfinite().all()), field.name


def test_visible_points_land_inside_photo_and_crop(samples: Samples) -> None:
    line = torch.arange(SIZE) + 0.5
    target = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) + samples.offset
    inside_crop = ((target >= 0) & (target <= SIZE)).all(-1)
    photo = samples.crop.to_image(target)
    within = ((photo >= -0.01) & (photo <= samples.true.camera.size.flip(1)[:, None, None] + 0.01)).all(-1)
    assert bool(inside_crop[samples.visible].all()) and bool(within[samples.inside].all())


def someone(body: SkinnedBody, turned: float = 0.0) -> tuple[torch.Tensor, Camera]:
    """Vertices (1, V, 3) of a person four metres away who faces the camera or not, and the camera of a 64 px photo."""
    bodies = body.rest_bodies(1)
    upright = rotation.exp(torch.tensor([[torch.pi, 0.0, 0.0]])) @ rotation.exp(torch.tensor([[0.0, turned, 0.0]]))
    pose = bodies.pose.clone()
    pose[:, 0] = upright
    posed = pose_body(body, replace(bodies, pose=pose, translation=torch.tensor([[0.0, 0.0, 4.0]])))
    size = torch.full((1, 2), float(SIZE))
    return posed.vertices, Camera(torch.full((1, 2), 110.0), size / 2, size)


def seen_part(
    body: SkinnedBody, true: torch.Tensor, **changed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Foreground, inside and visible (64, 64) of an estimate that faces the camera."""
    vertices, camera = someone(body)
    fragments = rasterize(default_rasterizer(), vertices, body.faces, camera, SIZE, SIZE)
    crop = crop_around(torch.full((1, 2), SIZE / 2), torch.full((1,), float(SIZE)), side=SIZE)
    others = changed.get("others", torch.full((1, SIZE, SIZE), torch.inf))
    opacity = changed.get("opacity", torch.zeros(1, SIZE, SIZE))
    photo = changed.get("photo", torch.full((1, 2), float(SIZE)))
    own = rasterize(default_rasterizer(), true, body.faces, camera, SIZE, SIZE).depth
    truth = true_displacement(body, true, camera, fragments, crop, photo, own, others, opacity)
    return (fragments.triangle >= 0)[0], truth.inside[0], truth.visible[0]


def test_a_perfect_estimate_is_visible_everywhere(builtin_body: SkinnedBody) -> None:
    foreground, inside, visible = seen_part(builtin_body, someone(builtin_body)[0])
    assert torch.equal(inside, foreground)
    assert float(visible.sum()) > 0.97 * float(foreground.sum())


def test_others_objects_and_the_border_hide_their_part(builtin_body: SkinnedBody) -> None:
    true = someone(builtin_body)[0]
    half = torch.arange(SIZE) < SIZE // 2
    others = torch.full((1, SIZE, SIZE), torch.inf)
    others[..., half] = 3.0
    assert not seen_part(builtin_body, true, others=others)[2][:, half].any()
    others[..., half] = 5.0  # behind
    assert seen_part(builtin_body, true, others=others)[2][:, half].any()
    opacity = torch.zeros(1, SIZE, SIZE)
    opacity[:, half] = 1.0
    hidden = seen_part(builtin_body, true, opacity=opacity)[2]
    assert not hidden[half].any() and hidden[~half].any()
    inside = seen_part(builtin_body, true, photo=torch.tensor([[SIZE / 2, float(SIZE)]]))[1]
    assert not inside[~half].any() and inside[half].any()


def test_the_front_of_a_person_seen_from_behind_is_hidden(builtin_body: SkinnedBody) -> None:
    foreground, _, visible = seen_part(builtin_body, someone(builtin_body, turned=torch.pi)[0])
    assert float(visible.sum()) < 0.15 * float(foreground.sum())


def test_the_photo_shows_people_where_they_are(builtin_body: SkinnedBody) -> None:
    training, assets, rng = stand_in(builtin_body), procedural_assets(), np.random.default_rng(0)
    looks, bank = draw_looks(training, assets, 2, rng), make_bank(assets)
    scene = casting.cast(builtin_body, assets.recordings, 4, rng)
    dark, whole = torch.zeros(4), torch.ones(4)
    light = Light(
        read_places(assets.panoramas), torch.zeros(4, dtype=torch.long), scene.camera_from_level.mT, dark, whole, whole
    )
    scale = SIZE / casting.LONG_SIDE_PX
    camera = Camera(scene.camera.focal * scale, scene.camera.center * scale, torch.full((4, 2), float(SIZE)))
    people = len(scene.photo)
    layer = render_people(
        looks, np.arange(people) % 2, pose_body(builtin_body, scene.bodies), draw_colors(bank, people, rng), bank,
        light,
        scene.photo, camera, SIZE, default_rasterizer(), rng,
    )  # fmt: skip
    bare = rasterize(
        default_rasterizer(), vertices_of(builtin_body, pose_body(builtin_body, scene.bodies)), builtin_body.faces,
        camera[scene.photo], SIZE, SIZE,
    )  # fmt: skip
    body = bare.triangle >= 0
    assert bool((layer.covered[body] > 0).float().mean() > 0.98)
    assert float((layer.covered > 0.9)[~body].float().mean()) < 0.1  # clothes reach a little farther
    both = body & (layer.covered > 0)
    assert float((bare.depth - layer.depth)[both].median()) < 0.05
    assert float(layer.color[both].std()) > 0.05


def test_errors_go_from_none_to_large(builtin_body: SkinnedBody) -> None:
    rng = np.random.default_rng(0)
    scene = casting.cast(builtin_body, shipped_recordings(), 100, rng)
    true = State(scene.bodies[slice(0, 100)], scene.camera)
    estimate = estimate_of(builtin_body, true, rng)
    turned = rotation.log(true.bodies.pose.mT @ estimate.bodies.pose).norm(dim=-1)[:, 1:22].mean(1)
    assert float(turned.min()) < 1e-3 and float(turned.max()) > 0.4
    assert 0.02 < float(turned.median()) < 0.3
    exact = turned < 1e-5
    assert bool(exact.any())
    assert torch.allclose(estimate.bodies.translation[exact], true.bodies.translation[exact], atol=1e-4)
    assert torch.allclose(estimate.camera.focal[exact], true.camera.focal[exact])


def test_an_assumed_focal_length_leaves_the_person_where_it_was_in_the_photo(builtin_body: SkinnedBody) -> None:
    rng = np.random.default_rng(1)
    scene = casting.cast(builtin_body, shipped_recordings(), 60, rng)
    true = State(scene.bodies[slice(0, 60)], scene.camera)
    estimate = estimate_of(builtin_body, true, rng)
    pelvis, guessed = (
        state.camera.project(pose_body(builtin_body, state.bodies).joints[:, :1])[:, 0] for state in (true, estimate)
    )
    other = (estimate.camera.focal / true.camera.focal)[:, 0] > 1.5
    height = true.camera.focal[:, 0] / pose_body(builtin_body, true.bodies).joints[:, 0, 2]  # px per metre
    assert bool(other.any())
    assert float(((pelvis - guessed).norm(dim=1) / height)[other].median()) < 0.1  # m: what a regressor errs by anyway


def test_half_are_cut_off_and_half_have_company(builtin_body: SkinnedBody) -> None:
    scene = casting.cast(builtin_body, shipped_recordings(), 300, np.random.default_rng(0))
    joints = pose_body(builtin_body, scene.bodies).joints[:300, :22]
    pixel = scene.camera.project(joints)
    outside = ((pixel < 0) | (pixel > scene.camera.size.flip(1)[:, None])).any(-1).any(-1)
    assert 0.4 < float(outside.float().mean()) < 0.7
    company = len(torch.unique(scene.photo[300:])) / 300
    assert 0.4 < company < 0.7
    assert bool((pose_body(builtin_body, scene.bodies).joints[:, 0, 2] > 0.3).all())


def test_poses_are_rotations_and_come_in_both_hands() -> None:
    names = ("pelvis", *(f"joint{index}" for index in range(1, 22)), "left_index1", "left_thumb1")
    pose = draw_poses(shipped_recordings(), names, 200, np.random.default_rng(0))
    eye = torch.eye(3, dtype=pose.dtype)
    assert torch.allclose(pose @ pose.mT, eye.expand_as(pose), atol=1e-9)
    assert float(pose[:, 22].sub(eye).abs().amax()) > 0.5, "fingers bend"
    lying = pose[:, 0, 1, 1].abs() < 0.4
    assert bool(lying.any()) and float(lying.float().mean()) < 0.3


def test_bad_sizes_and_counts_are_refused(builtin_body: SkinnedBody, sampler: Sampler) -> None:
    with pytest.raises(InputError, match="size"):
        Sampler(stand_in(builtin_body), procedural_assets(), size=100, looks=1)
    with pytest.raises(InputError, match="count"):
        sampler.batch(0, 0)


def test_a_user_s_photos_become_backgrounds(builtin_body: SkinnedBody) -> None:
    red = np.zeros((50, 70, 3), np.uint8)
    red[..., 0] = 255
    with_photos = Sampler(stand_in(builtin_body), procedural_assets(), size=SIZE, looks=2, backgrounds=(red,))
    image = with_photos.batch(0, COUNT).image
    assert bool(((image[:, 0] > 0.4) & (image[:, 1:].amax(1) < 0.3)).flatten(1).float().mean(1).gt(0.15).any())


def test_the_sheet_shows_every_sample(samples: Samples) -> None:
    picture = sheet(samples, columns=4)
    assert picture.shape == (2 * 2 * SIZE, 4 * 3 * 2 * SIZE, 3) and picture.dtype == np.uint8


@pytest.mark.slow
def test_garments_lie_on_the_body_they_are_bound_to(base_mesh: TrainingBody, assets_folder: Path) -> None:
    body = base_mesh.body
    for garment in load_assets(assets_folder).outfits:
        piece = bound_piece(base_mesh, garment)
        distance, near = torch.cdist(piece.template, body.template).min(1)
        outward = shade.vertex_normals(body.template[None], body.faces)[0][near]
        height = ((piece.template - body.template[near]) * outward).sum(1)
        assert float(distance.median()) < 0.03, garment.name
        assert float((height < -0.01).float().mean()) < 0.1, garment.name  # hardly anything is inside the body


@pytest.mark.slow
def test_dressed_samples_are_exact_too(base_mesh: TrainingBody, assets_folder: Path) -> None:
    dressed = Sampler(base_mesh, load_assets(assets_folder), size=SIZE, looks=4).batch(1, COUNT)
    assert float(misfit(dressed, base_mesh.body).max()) < EXACT_PX
    assert isinstance(dressed.true.bodies, Bodies)
