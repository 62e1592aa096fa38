"""Textures: what is baked from pictures is what the pictures were made with, and nothing is believed that was not seen."""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

import refine
from refine import rotation
from refine.bodies import State
from refine.body import SkinnedBody
from refine.camera import Camera
from refine.demo.people import people
from refine.demo.scene import as_estimate, photograph
from refine.disturbance import disturb
from refine.errors import InputError
from refine.personal_texture import bake_textures, frames_of
from refine.photo import Photo, read_photos
from refine.render.atlas import Atlas, uv_atlas, uv_layout
from refine.render.bake import CUT, GRAZING, Frames, bake, combine
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import default_rasterizer, rasterize
from refine.render.texture import Fill, Texture, concatenate, render_texture, texture_of
from refine.render.texture_file import load_texture, save_texture
from refine.render.texture_fill import (
    MEAN_TRUST,
    MIRROR_TRUST,
    filled_by_part_means,
    filled_by_symmetry,
    mean_texture,
    part_mean_texture,
)
from refine.view import render_view

SIDE = 256
"""Of maps and pictures here."""

PSNR_DB = 32.0
"""Promised of a texture baked from pictures of itself, where it is believed: two bilinear look-ups at about one texel a pixel."""


@pytest.fixture
def unchecked() -> Iterator[None]:
    """As users have it: without the tests' checks of signatures."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def atlas(builtin_body: SkinnedBody) -> Atlas:
    return uv_atlas(builtin_body, (SIDE, SIDE))


def patterned(atlas: Atlas, wave_m: float = 0.1) -> Texture:
    """Waves through the resting body: continuous over the seams of the charts, as clothes are."""
    point = (atlas.barycentric[..., None] * atlas.body.template[atlas.corners]).sum(1)[: atlas.inside]  # (T', 3) m
    turned = point @ torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    return texture_of(atlas.body, atlas.spread(0.5 + 0.4 * torch.sin(2 * math.pi / wave_m * turned)[None]))


def turned_frames(body: SkinnedBody, texture: Texture, turns: tuple[float, ...] = (0.0,)) -> Frames:
    """The resting body seen from several sides (rad about the vertical; 0 from the front), wearing a texture before grey."""
    count = len(turns)
    bodies = body.rest_bodies(count)
    about_y = torch.tensor([[0.0, angle, 0.0] for angle in turns])
    upright = rotation.exp(torch.tensor([math.pi, 0.0, 0.0]))
    pose = bodies.pose.clone()
    pose[:, 0] = upright @ rotation.exp(about_y)
    vertices = body.posed(
        replace(bodies, pose=pose, translation=torch.tensor([0.0, 0.1, 2.6]).repeat(count, 1))
    ).vertices
    side = 2 * SIDE
    camera = Camera(*(torch.full((count, 2), size) for size in (1.3 * side, side / 2, float(side))))
    fragments = rasterize(default_rasterizer(), vertices, body.faces, camera, side, side)
    shown, _ = render_texture(fragments, body, texture)
    pixels = torch.where((fragments.triangle >= 0)[..., None], shown, 0.5)
    return Frames(pixels, vertices, camera, fragments)


def pictures(atlas: Atlas, state: State) -> list[Photo]:
    """People in broad stripes, each before a wall of a colour of its own."""
    height, width = (int(side) for side in state.camera.size[0])
    vertices = atlas.body.posed(state.bodies).vertices
    fragments = rasterize(default_rasterizer(), vertices, atlas.body.faces, state.camera, height, width)
    shown, _ = render_texture(fragments, atlas.body, patterned(atlas, 0.4))
    wall = torch.rand(len(state), 1, 1, 3, generator=torch.Generator().manual_seed(0))
    lit = torch.where((fragments.triangle >= 0)[..., None], shown, wall)
    return [Photo(picture) for picture in (255 * lit + 0.5).to(torch.uint8).numpy()]


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


def test_every_texel_inside_lies_on_its_triangle(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    corners = builtin_body.uv[builtin_body.uv_faces[atlas.triangle[: atlas.inside]]]  # (T', 3, 2)
    uv = (atlas.barycentric[: atlas.inside, :, None] * corners).sum(1) * SIDE
    index = atlas.index[: atlas.inside]
    assert torch.allclose(uv, torch.stack((index % SIDE, index // SIDE), 1) + 0.5, atol=0.01)
    assert len(atlas.index.unique()) == len(atlas.index)
    slow = uv_atlas(builtin_body, (64, 48), PlainRasterizer())
    fast = uv_atlas(builtin_body, (64, 48))
    assert torch.equal(slow.index, fast.index) and torch.equal(slow.triangle, fast.triangle)


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
    assert torch.equal(singly.pixels[3], bake(frames[:1], atlas).pixels[0])


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
    flat = part_mean_texture(baked, atlas)
    assert set(flat.filled.unique().tolist()) == {Fill.EMPTY, Fill.PART_MEAN}
    chest = atlas.index[atlas.part == builtin_body.part_names.index("chest")]
    assert len(flat.pixels.flatten(0, 2)[chest].unique(dim=0)) == 1


def test_nothing_seen_stays_nothing(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    frames = turned_frames(builtin_body, patterned(atlas))
    nothing = bake(replace(frames, trust=torch.zeros(frames.pixels.shape[:3])), atlas)
    assert (nothing.confidence == 0).all() and (nothing.filled == Fill.EMPTY).all()
    full = filled_by_part_means(filled_by_symmetry(nothing, atlas), atlas)
    assert (full.filled == Fill.EMPTY).all() and (full.pixels == 0).all()
    shown, confidence = render_texture(frames.fragments, builtin_body, full)
    assert (shown == 0).all() and (confidence == 0).all()


def test_the_mean_of_people_weighs_by_confidence(builtin_body: SkinnedBody) -> None:
    black, white = (texture_of(builtin_body, torch.full((1, 8, 8, 3), value)) for value in (0.0, 1.0))
    unsure = replace(white, confidence=torch.full((1, 8, 8), 0.25))
    mean = mean_texture(concatenate([black, unsure]))
    assert torch.allclose(mean.pixels, torch.tensor(0.2)) and torch.allclose(mean.confidence, torch.tensor(0.625))
    assert (mean.filled == Fill.SEEN).all()
    empty = replace(white, confidence=torch.zeros(1, 8, 8), filled=torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert (mean_texture(empty).filled == Fill.EMPTY).all()
    with pytest.raises(InputError, match="texture"):
        mean_texture(white[:0])


def test_one_map_can_dress_everybody(builtin_body: SkinnedBody, atlas: Atlas) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 1.0))
    each, _ = render_texture(frames.fragments, builtin_body, worn[[0, 0]])
    one, _ = render_texture(frames.fragments, builtin_body, worn)
    assert torch.equal(one, each)
    with pytest.raises(InputError, match="1 map or 2"):
        render_texture(frames.fragments, builtin_body, worn[[0, 0, 0]])


def test_a_saved_texture_comes_back_as_it_was(builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path) -> None:
    baked = bake(turned_frames(builtin_body, patterned(atlas)), atlas)
    full = filled_by_symmetry(baked, atlas)
    files = save_texture(full, tmp_path / "someone.npz")
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for name in ("someone.npz", "someone.png", "someone"):
        again = load_texture(tmp_path / name, builtin_body)
        for part in ("pixels", "confidence", "filled"):
            assert torch.equal(getattr(again, part), getattr(full, part))
        assert again.layout == full.layout
    picture = cv2.imread(str(files[1]))[..., ::-1].astype(np.float32) / 255
    assert np.abs(picture - full.pixels[0].numpy()).max() <= 0.5 / 255 + 1e-6


def test_a_texture_of_another_layout_is_refused(builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path) -> None:
    other = replace(builtin_body, uv=1 - builtin_body.uv)
    assert uv_layout(other) != uv_layout(builtin_body)
    assert uv_layout(builtin_body.to(dtype=torch.float64)) == uv_layout(builtin_body)
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn)
    with pytest.raises(InputError, match="UV layout"):
        render_texture(frames.fragments, other, worn)
    save_texture(worn, tmp_path / "worn.npz")
    with pytest.raises(InputError, match="UV layout"):
        load_texture(tmp_path / "worn.npz", other)
    with pytest.raises(InputError, match="atlas"):
        filled_by_symmetry(worn, uv_atlas(other, (SIDE, SIDE)))
    with pytest.raises(InputError, match="atlas"):
        filled_by_part_means(worn, uv_atlas(builtin_body, (64, 64)))
    with pytest.raises(InputError, match=r"textures\[1\]"):
        concatenate([worn, replace(worn, layout="other")])
    bare = replace(builtin_body, uv=builtin_body.uv[:0], uv_faces=builtin_body.uv_faces[:0])
    with pytest.raises(InputError, match="texture coordinates"):
        uv_atlas(bare)


def test_files_that_are_no_textures_are_refused(
    builtin_body: SkinnedBody, atlas: Atlas, tmp_path: Path, unchecked: None
) -> None:
    with pytest.raises(InputError, match="path"):
        load_texture(tmp_path / "none.npz", builtin_body)
    (files, _) = save_texture(patterned(atlas), tmp_path / "worn")
    content = files.read_bytes()
    for broken in (b"", content[: len(content) // 2], b"no zip at all"):
        files.write_bytes(broken)
        with pytest.raises(InputError, match="texture npz"):
            load_texture(files, builtin_body)
    with np.load(io.BytesIO(content)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for changed, match in (
        ({"version": np.array(99)}, "version"),
        ({"pixels": arrays["pixels"] + 2}, "0..1"),
        ({"pixels": (255 * arrays["pixels"]).astype(np.uint8)}, "floating-point"),
        ({"pixels": arrays["pixels"] * np.nan}, "finite"),
        ({"confidence": arrays["confidence"][:-1]}, "shape"),
        ({"filled": arrays["filled"] + np.uint8(9)}, "marks"),
        ({"layout": arrays["pixels"]}, "layout"),
    ):
        np.savez(files, **{**arrays, **changed})
        with pytest.raises(InputError, match=match):
            load_texture(files, builtin_body)
    with pytest.raises(InputError, match="one map"):
        save_texture(patterned(atlas)[[0, 0]], tmp_path / "two")
    with pytest.raises(InputError, match="folder"):
        save_texture(patterned(atlas), tmp_path / "nowhere" / "worn")


def test_bad_frames_and_maps_are_refused(builtin_body: SkinnedBody, atlas: Atlas, unchecked: None) -> None:
    worn = patterned(atlas)
    frames = turned_frames(builtin_body, worn, (0.0, 1.0))
    with pytest.raises(InputError, match="at least one frame"):
        frames[:0]
    with pytest.raises(InputError, match=r"frames\.fragments"):
        replace(frames, pixels=frames.pixels[:, ::2])
    with pytest.raises(InputError, match=r"frames\.vertices"):
        replace(frames, vertices=frames.vertices[:1])
    with pytest.raises(InputError, match=r"frames\.trust"):
        replace(frames, trust=torch.ones(2, 4, 4))
    with pytest.raises(InputError, match=r"frames\.sigma_m"):
        replace(frames, sigma_m=torch.ones(2, 4))
    with pytest.raises(InputError, match=r"frames\.vertices"):
        bake(replace(frames, vertices=frames.vertices[:, :-1]), atlas)
    with pytest.raises(InputError, match=r"frames\.pixels"):
        bake(replace(frames, pixels=frames.pixels * math.nan), atlas)
    with pytest.raises(InputError, match=r"frames\.vertices"):
        bake(replace(frames, vertices=frames.vertices * math.nan), atlas)
    for person in ([0], [0, 2], [-1, 0]):
        with pytest.raises(InputError, match="person"):
            bake(frames, atlas, torch.tensor(person))
    for size in ((4, 64), (64, 9000)):
        with pytest.raises(InputError, match="size"):
            uv_atlas(builtin_body, size)
    with pytest.raises(InputError, match=r"texture\.confidence"):
        replace(worn, confidence=worn.confidence[:, 1:])
    with pytest.raises(InputError, match=r"0\.\.1"):
        texture_of(builtin_body, torch.full((1, 8, 8, 3), 255.0))
    with pytest.raises(InputError, match="at least one texture"):
        concatenate([])


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
