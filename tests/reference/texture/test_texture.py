"""Baking: what is seen is recovered, what is not seen is not believed, wrong frames are outvoted."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.demo.scene import as_estimate
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.render.plain import PlainRasterizer
from refine.texture.atlas import Atlas, uv_atlas
from refine.texture.bake import CUT, GRAZING, bake, combine
from refine.texture.personal import bake_textures
from refine.texture.texture import Fill, Texture, render_texture, texture_of
from tests.textures import PSNR_DB, SIDE, patterned, pictures, psnr, turned_frames


def test_every_texel_inside_lies_on_its_triangle(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    corners = builtin_body.uv[builtin_body.uv_faces[atlas.triangle[: atlas.inside]]]  # (T', 3, 2)
    uv = (atlas.barycentric[: atlas.inside, :, None] * corners).sum(1) * SIDE
    index = atlas.index[: atlas.inside]
    assert torch.allclose(uv, torch.stack((index % SIDE, index // SIDE), 1) + 0.5, atol=0.01)
    assert len(atlas.index.unique()) == len(atlas.index)
    slow = uv_atlas(builtin_body, (64, 48), PlainRasterizer())
    fast = uv_atlas(builtin_body, (64, 48))
    # Texels on the edge of two triangles may go either way: the two rasterisers round otherwise.
    there, here = ({*zip(map_.index.tolist(), map_.triangle.tolist(), strict=True)} for map_ in (slow, fast))
    assert len(there ^ here) < 0.002 * len(there)


def test_the_gutter_keeps_seams_from_showing(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    white = texture_of(builtin_body, torch.ones(1, SIDE, SIDE, 3))
    used = atlas.spread(torch.ones(1, atlas.inside, 1))[..., 0]
    worn = replace(white, pixels=white.pixels * used[..., None], filled=used.to(torch.uint8), confidence=used)
    frames = turned_frames(builtin_body, worn, (0.0, 2.0))
    shown, confidence = render_texture(frames.fragments, builtin_body, worn)
    seen = frames.fragments.triangle >= 0
    assert torch.allclose(shown[seen], torch.ones(()), atol=1e-5)
    assert (confidence[seen] < 0.99).float().mean() < 0.002  # slivers of the charts, less than a texel wide
    assert (shown[~seen] == 0).all() and (confidence[~seen] == 0).all()


def test_empty_texels_do_not_darken_their_neighbours(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    worn = texture_of(builtin_body, torch.ones(1, SIDE, SIDE, 3))
    checks = (torch.arange(SIDE)[:, None] + torch.arange(SIDE)) % 8 < 4
    filled = torch.where(checks, int(Fill.SEEN), int(Fill.EMPTY)).to(torch.uint8)[None]
    frames = turned_frames(builtin_body, worn)
    shown, _ = render_texture(frames.fragments, builtin_body, replace(worn, filled=filled))
    dark, bright = (shown < 1e-5).all(-1), (shown - 1).abs().amax(-1) < 1e-4
    assert (dark | bright).all()
    assert bright.sum() > 5000 and (dark & (frames.fragments.triangle >= 0)).sum() > 1000


def test_baking_a_rendered_texture_recovers_it_where_it_is_seen(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi))
    baked = bake(frames, atlas)
    sure = baked.confidence > 0.3
    assert (sure.sum() / atlas.inside) > 0.6
    assert psnr(baked.pixels[sure], worn.pixels[sure]) > PSNR_DB
    again, confidence = render_texture(frames.fragments, builtin_body, baked)
    assert psnr(again[confidence > 0.3], frames.pixels[confidence > 0.3]) > PSNR_DB


def test_only_what_a_ray_reaches_is_believed(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    """Against rays cast from the camera to places on the body, in double precision, through all triangles."""
    frames = turned_frames(builtin_body, patterned(atlas), (0.9,))
    baked = bake(frames, atlas)
    believed = atlas.gather(baked.confidence[..., None])[0, :, 0] > 0
    chosen = torch.arange(0, atlas.inside, 97)
    vertices = frames.vertices[0].double()
    point = (atlas.barycentric[chosen, :, None].double() * vertices[atlas.corners[chosen]]).sum(1)
    a, b, c = vertices[builtin_body.faces].unbind(1)
    along_1, along_2 = b - a, c - a
    free = torch.ones(len(chosen), dtype=torch.bool)
    clearance = torch.zeros(len(chosen), dtype=torch.float64)
    for n, target in enumerate(point):  # Möller and Trumbore, from the origin towards the place
        normal = target.expand_as(a).cross(along_2, dim=1)
        area = (along_1 * normal).sum(1)
        across = (-a).cross(along_1, dim=1)
        u, v, t = (-a * normal).sum(1) / area, across @ target / area, (across * along_2).sum(1) / area
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (area != 0)
        clearance[n] = (1 - t[hit].min()) * target[2] if bool(hit.any()) else 0.0
        free[n] = clearance[n] < 0.03
    normals = (b - a).cross(c - a, dim=1)[atlas.triangle[chosen]]
    cosine = -torch.nn.functional.cosine_similarity(normals, point)
    assert 0.2 < believed[chosen].float().mean() < 0.6
    assert free[believed[chosen]].all(), "what lies well behind another part must not be believed"
    clear = (clearance < 1e-4) & (cosine > 3 * GRAZING)
    assert believed[chosen][clear].float().mean() > 0.95
    assert not believed[chosen][cosine < -0.5].any()


def test_what_was_never_seen_has_neither_colour_nor_confidence(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    baked = bake(turned_frames(builtin_body, patterned(atlas)), atlas)
    empty = baked.filled == Fill.EMPTY
    assert 0.3 < empty.float().mean() < 0.9
    assert (baked.confidence[empty] == 0).all() and (baked.pixels[empty] == 0).all()
    assert (baked.confidence[~empty] > 0).all() and set(baked.filled.unique().tolist()) == {Fill.EMPTY, Fill.SEEN}


def test_several_frames_of_which_some_are_wrong_are_combined_robustly(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 0.1, -0.1, 0.2, -0.2, 0.05, -0.05))
    wrong = torch.cat((frames.pixels[:5], 1 - frames.pixels[5:]))  # two frames in other clothes
    baked = bake(replace(frames, pixels=wrong), atlas)
    sure = baked.confidence > 0.3
    assert psnr(baked.pixels[sure], worn.pixels[sure]) > 28
    alone = bake(replace(frames, pixels=wrong)[5:6], atlas)
    both = sure & (alone.confidence > 0.3)
    assert psnr(alone.pixels[both], worn.pixels[both]) < 15
    right = bake(frames, atlas)
    assert baked.confidence[sure].mean() < right.confidence[sure].mean(), "disagreement costs confidence"


def test_disturbed_frames_together_are_better_than_one(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    state = people(builtin_body, 6)
    state = replace(state, bodies=replace(state.bodies, shape=state.bodies.shape[:1].expand(6, -1)))
    photos = pictures(atlas, state)
    true = bake_textures(photos, as_estimate(builtin_body, state, "true"), atlas, person=[0] * 6, sigma_m=0.0)
    guess = as_estimate(builtin_body, disturb(builtin_body, state, "strong", range(6)), "strong")
    together = bake_textures(photos, guess, atlas, person=[0] * 6)
    apart = bake_textures(photos, guess, atlas)

    def error(baked: Texture) -> float:
        both = (baked.confidence > 0) & (true.confidence > 0.3)
        away = (baked.pixels - true.pixels).norm(dim=-1)[both]
        weight = baked.confidence[both]
        return float((weight * away).sum() / weight.sum())

    assert error(together) < 0.8 * np.mean([error(apart[k : k + 1]) for k in range(6)])
    assert together.confidence[true.confidence > 0.3].mean() < 0.7 * true.confidence[true.confidence > 0.3].mean()


def test_the_order_of_frames_does_not_matter_and_people_do_not_feel_each_other(
    builtin_body: SkinnedBody, atlas: Atlas
) -> None:
    frames = turned_frames(builtin_body, patterned(atlas), (0.0, 0.3, -0.4, 3.0))
    shuffled = bake(frames[[2, 0, 3, 1]], atlas)
    baked = bake(frames, atlas)
    assert torch.allclose(shuffled.pixels, baked.pixels, atol=1e-4)
    assert torch.allclose(shuffled.confidence, baked.confidence, atol=1e-4)
    two = bake(frames, atlas, torch.tensor([1, 0, 1, 0]))
    for person, rows in enumerate(([1, 3], [0, 2])):
        alone = bake(frames[rows], atlas)
        assert torch.allclose(two.pixels[person], alone.pixels[0], atol=1e-4)
        assert torch.allclose(two.confidence[person], alone.confidence[0], atol=1e-4)
    singly = bake(frames, atlas, torch.tensor([3, 1, 0, 2]))
    assert torch.allclose(singly.pixels[3], bake(frames[:1], atlas).pixels[0], atol=1e-4)


def test_the_combined_colour_is_the_geometric_median() -> None:
    color = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0))
    trust = 0.2 + 0.6 * torch.rand(5, 4, generator=torch.Generator().manual_seed(1))
    found, confidence = combine(color, trust, torch.zeros(5, dtype=torch.int64), 1)

    def cost(point: Tensor) -> Tensor:
        return (trust * (color - point).norm(dim=-1)).sum(0)

    draws = found + 0.1 * torch.randn(200, 1, 4, 3, generator=torch.Generator().manual_seed(2)).unbind(1)[0][:, None]
    for draw in draws:
        assert (cost(found) <= cost(draw) + 0.01).all()
    assert ((confidence > 0) & (confidence < 1)).all()
    same, agreed = combine(color[:1].expand(5, -1, -1), trust, torch.zeros(5, dtype=torch.int64), 1)
    assert torch.allclose(same[0], color[0], atol=1e-6)
    assert torch.allclose(agreed[0], 1 - (1 - trust).prod(0), atol=1e-4)


def test_uncertainty_blur_and_the_callers_mask_lower_the_confidence(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    frames = turned_frames(builtin_body, patterned(atlas))
    sure = bake(frames, atlas)
    unsure = bake(replace(frames, sigma_m=torch.full(frames.vertices.shape[:2], 0.04)), atlas)
    seen = sure.confidence > 0
    assert (unsure.confidence[seen] < 0.5 * sure.confidence[seen]).all()
    mask = torch.zeros(frames.pixels.shape[:3])
    mask[:, :, SIDE:] = 1  # the right half of the picture: the person's left
    half = bake(replace(frames, trust=mask), atlas)
    column = frames.camera.project((atlas.barycentric[..., None] * frames.vertices[0][atlas.corners]).sum(1)[None])[
        0, :, 0
    ]
    confidence = half.confidence.flatten()[atlas.index]
    assert (confidence[column < SIDE - 1] == 0).all()
    whole = sure.confidence.flatten()[atlas.index]
    assert torch.allclose(confidence[column > SIDE + 1], whole[column > SIDE + 1], atol=1e-6)
    assert (whole[column < SIDE - 1] > 0.3).sum() > 1000


def test_close_to_an_outline_an_uncertain_estimate_is_not_believed(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    frames = turned_frames(builtin_body, patterned(atlas))
    sigma = 0.04  # m; the pixels here are 3.9 mm wide
    unsure = bake(replace(frames, sigma_m=torch.full(frames.vertices.shape[:2], sigma)), atlas)
    outside = (frames.fragments.triangle < 0).float()[:, None]
    pixel = frames.camera.project((atlas.barycentric[..., None] * frames.vertices[0][atlas.corners]).sum(1)[None])[0]
    column, row = pixel.long().clamp(0, 2 * SIDE - 1).unbind(1)

    def near(pixels: int) -> Tensor:
        """Texels whose pixel has background within so many pixels."""
        return torch.nn.functional.max_pool2d(outside, 2 * pixels + 1, 1, pixels)[0, 0, row, column] > 0

    rim = near(int(CUT * sigma / 0.0039) - 1)
    believed, sure = (texture.confidence.flatten()[atlas.index] for texture in (unsure, bake(frames, atlas)))
    assert (believed[rim] == 0).all() and (sure[rim] > 0).sum() > 1000
    assert (believed[~near(10)] > 0).sum() > 1000
    assert sure[near(1)].max() < 0.5 < sure[~near(8)].max()
