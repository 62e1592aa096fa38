"""Filling, mixing and keeping textures, and a person from real and rendered photos."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.demo.scene import as_estimate, photograph
from refine.errors import InputError
from refine.evaluate.people import people
from refine.photo import Photo, read_photos
from refine.render.view import render_view
from refine.texture.atlas import Atlas, uv_atlas
from refine.texture.bake import bake
from refine.texture.fill import (
    MEAN_TRUST,
    MIRROR_TRUST,
    filled_by_part_means,
    filled_by_symmetry,
)
from refine.texture.personal import bake_textures, frames_of
from refine.texture.texture import Fill, render_texture, texture_of
from tests.textures import SIDE, patterned, pictures, psnr, turned_frames


def test_the_opposite_side_fills_what_was_not_seen_and_is_marked(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    baked = bake(turned_frames(builtin_body, patterned(atlas), (0.5 * math.pi,)), atlas)
    full = filled_by_symmetry(baked, atlas)
    seen = baked.filled == Fill.SEEN
    assert torch.equal(full.pixels[seen], baked.pixels[seen]) and torch.equal(full.filled[seen], baked.filled[seen])
    mirrored = (full.filled == Fill.MIRRORED).flatten()
    assert mirrored.sum() > 0.5 * seen.sum()
    assert (baked.filled.flatten()[mirrored] == Fill.EMPTY).all()
    # Whole body: a texel's opposite lies at the mirrored place, and its own opposite is itself or a neighbour.
    rest = (atlas.barycentric[..., None] * builtin_body.template[atlas.corners]).sum(1)
    place = torch.full((SIDE * SIDE,), -1)
    place[atlas.index] = torch.arange(len(atlas.index))
    here = place[mirrored.nonzero()[:, 0]]
    there = atlas.mirror[here]
    away = (rest[here] * torch.tensor([-1.0, 1, 1]) - rest[there]).norm(dim=1)
    assert away.mean() < 0.005 and away.max() < 0.02
    flat = baked.pixels.flatten(0, 2)[atlas.index]
    assert torch.equal(full.pixels.flatten(0, 2)[mirrored], flat[there])
    sure = baked.confidence.flatten()[atlas.index]
    assert torch.allclose(full.confidence.flatten()[mirrored], MIRROR_TRUST * sure[there])


def test_part_means_fill_the_rest_and_are_marked(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    by_part = torch.rand(len(builtin_body.part_names), 3, generator=torch.Generator().manual_seed(0))
    worn = texture_of(builtin_body, atlas.spread(by_part[atlas.part[: atlas.inside]][None]))
    baked = bake(turned_frames(builtin_body, worn), atlas)
    full = filled_by_part_means(baked, atlas)
    used = atlas.spread(torch.ones(1, atlas.inside, 1))[..., 0] > 0
    assert (full.filled[used] != Fill.EMPTY).all() and (full.filled[~used] == Fill.EMPTY).all()
    guessed = full.filled == Fill.PART_MEAN
    assert (full.confidence[guessed] <= MEAN_TRUST).all()
    seen = atlas.part[(baked.filled.flatten()[atlas.index] == Fill.SEEN)].bincount(minlength=len(by_part))
    known = torch.zeros_like(guessed).flatten()
    known[atlas.index] = (seen > 50)[atlas.part]
    compare = guessed & known.unflatten(0, (SIDE, SIDE))[None]
    assert (full.pixels[compare] - worn.pixels[compare]).abs().mean() < 0.03


def test_nothing_seen_stays_nothing(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    frames = turned_frames(builtin_body, patterned(atlas))
    nothing = bake(replace(frames, trust=torch.zeros(frames.pixels.shape[:3])), atlas)
    assert (nothing.confidence == 0).all() and (nothing.filled == Fill.EMPTY).all()
    full = filled_by_part_means(filled_by_symmetry(nothing, atlas), atlas)
    assert (full.filled == Fill.EMPTY).all() and (full.pixels == 0).all()
    shown, confidence = render_texture(frames.fragments, builtin_body, full)
    assert (shown == 0).all() and (confidence == 0).all()


def test_one_map_can_dress_everybody(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 1.0))
    each, _ = render_texture(frames.fragments, builtin_body, worn[[0, 0]])
    one, _ = render_texture(frames.fragments, builtin_body, worn)
    assert torch.allclose(one, each, atol=1e-6)  # one map is sampled in another shape than two
    with pytest.raises(InputError, match="1 map or 2"):
        render_texture(frames.fragments, builtin_body, worn[[0, 0, 0]])


def test_a_person_baked_from_a_photo_looks_like_the_photo(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    state = people(builtin_body, 1)
    photos, estimate = [Photo(photograph(builtin_body, state, 0))], as_estimate(builtin_body, state, "true")
    baked = bake_textures(photos, estimate, atlas, sigma_m=0.0)
    view = render_view(photos, estimate, crop_px=256)
    shown, confidence = render_texture(view.fragments, builtin_body, baked)
    pixels = torch.from_numpy(view.pixels()) / 255
    sure = confidence > 0.3
    assert (sure.sum() / (view.fragments.triangle >= 0).sum()) > 0.6
    assert psnr(shown[sure], pixels[sure]) > 25
    with pytest.raises(InputError, match="photos"):
        bake_textures([], estimate, atlas)
    with pytest.raises(InputError, match="estimate"):
        bake_textures(photos, as_estimate(builtin_body, estimate.state[:0], "nobody"), atlas)


def test_nothing_is_taken_from_beyond_the_border_or_from_who_stands_in_front(
    builtin_body: SkinnedBody, atlas: Atlas
) -> None:
    state = people(builtin_body, 1)
    photos, estimate = pictures(atlas, state), as_estimate(builtin_body, state, "true")
    behind = replace(estimate.state.bodies, translation=estimate.state.bodies.translation * 1.3)
    bodies = replace(
        behind,
        **{
            part: torch.cat((getattr(estimate.state.bodies, part), getattr(behind, part)))
            for part in ("pose", "shape", "expression", "translation")
        },
    )
    pair = replace(
        as_estimate(builtin_body, replace(estimate.state, bodies=bodies, camera=estimate.camera[[0, 0]]), "pair"),
        image_index=torch.tensor([0, 0]),
    )
    baked = bake_textures(photos, pair, atlas)
    alone = bake_textures(photos, estimate, atlas)
    changed = (baked.confidence[0] - alone.confidence[0]).abs() > 1e-3  # rounding may move a pixel of the outline
    assert changed.sum() < 0.01 * (alone.confidence > 0).sum(), "who stands in front loses nothing"
    assert baked.confidence[1].sum() < 0.2 * alone.confidence.sum()
    # The same person moved half out of the photo.
    shift = estimate.state.bodies.translation + torch.tensor([0.0, 1.2, 0.0])
    low = replace(estimate, state=replace(estimate.state, bodies=replace(estimate.state.bodies, translation=shift)))
    view = render_view(photos, low, crop_px=256)
    frames = frames_of(view)
    texture = bake(frames, atlas)
    point = (atlas.barycentric[..., None] * low.vertices[0][atlas.corners]).sum(1)
    row = low.camera.project(point[None])[0, :, 1]
    confidence = texture.confidence.flatten()[atlas.index]
    assert (confidence[row > photos[0].size[0] + 2] == 0).all() and (row > photos[0].size[0] + 2).sum() > 1000
    assert (confidence > 0).sum() > 500


def test_the_real_pair_looks_like_itself(real_data: Callable[[str], Path]) -> None:
    folder = real_data("bev_pair")
    photos = read_photos(folder / "image_1.jpg")
    estimate = refine.read(folder / "image_1_0.08.npz")
    baked = bake_textures(photos, estimate, uv_atlas(estimate.body))
    view = render_view(photos, estimate, crop_px=256)
    shown, confidence = render_texture(view.fragments, estimate.body, baked)
    pixels = torch.from_numpy(view.pixels()) / 255
    sure = confidence > 0.1
    assert (sure.flatten(1).sum(1) > 1000).all()
    assert psnr(shown[sure], pixels[sure]) > 25
