"""Maps, frames and photos for tests of textures."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.photo import Photo
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State
from refine.texture.atlas import Atlas
from refine.texture.bake import Frames
from refine.texture.texture import Texture, render_texture, texture_of

SIDE = 256
"""Of maps and pictures here."""

PSNR_DB = 32.0
"""Promised of a texture baked from pictures of itself, where it is believed: two bilinear look-ups at about one texel a
pixel."""


def patterned(atlas: Atlas, wave_m: float = 0.1) -> Texture:
    """Waves through the resting body: continuous over the seams of the charts, as clothes are."""
    point = (atlas.barycentric[..., None] * atlas.body.template[atlas.corners]).sum(1)[: atlas.inside]  # (T', 3) m
    turned = point @ torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    return texture_of(atlas.body, atlas.spread(0.5 + 0.4 * torch.sin(2 * math.pi / wave_m * turned)[None]))


def turned_frames(body: SkinnedBody, texture: Texture, turns: tuple[float, ...] = (0.0,)) -> Frames:
    """The resting body seen from several sides (rad about the vertical; 0 from the front), wearing a texture before
    grey."""
    count = len(turns)
    bodies = body.rest_bodies(count)
    about_y = torch.tensor([[0.0, angle, 0.0] for angle in turns])
    upright = rotation.exp(torch.tensor([math.pi, 0.0, 0.0]))
    pose = bodies.pose.clone()
    pose[:, 0] = upright @ rotation.exp(about_y)
    vertices = pose_body(
        body, replace(bodies, pose=pose, translation=torch.tensor([0.0, 0.1, 2.6]).repeat(count, 1))
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
    vertices = pose_body(atlas.body, state.bodies).vertices
    fragments = rasterize(default_rasterizer(), vertices, atlas.body.faces, state.camera, height, width)
    shown, _ = render_texture(fragments, atlas.body, patterned(atlas, 0.4))
    wall = torch.rand(len(state), 1, 1, 3, generator=torch.Generator().manual_seed(0))
    lit = torch.where((fragments.triangle >= 0)[..., None], shown, wall)
    return [Photo(picture) for picture in (255 * lit + 0.5).to(torch.uint8).numpy()]


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))
