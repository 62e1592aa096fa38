"""Photos of a cast: everybody posed, dressed, lit by the panorama, shadowed by the sun, laid over each other by depth.

    photo = nearest of ( albedo(look) * (sky + shadow * sun) )  over  panorama,
            outlines covered by `OVERSAMPLED`² samples a pixel

A pixel is shaded once, and covered by the share of its samples that hit (multisampling).

Source: the parts' own modules; shadow map: Williams, Casting Curved Shadows on Curved Surfaces, SIGGRAPH 1978;
multisampling: Akeley, RealityEngine Graphics, SIGGRAPH 1993, sec. 3.3.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.colors import Bank, Colors, albedo
from displacement_net.training.layers import Layer
from displacement_net.training.lighting import Places, shaded, to_srgb
from displacement_net.training.training_body import Piece, posed_pieces, some_of
from displacement_net.training.wardrobe import CLOTH, HAIR, Look
from refine.body import PosedBody
from refine.geometry.camera import Camera
from refine.render import Rasterizer
from refine.render.rasterize import fragments_of, rasterize

OVERSAMPLED = 2
"""Samples per pixel along each axis."""
SHADOW_PX, SHADOW_M, SUN_M = 96, 2.6, 40.0
"""Side of the shadow map in texels and metres, and how far away the sun's camera stands, m."""
SHADOW_SLACK_M = 0.035
"""Depth behind the shadow map's that still counts as lit, m."""
OPAQUE = 0.12
"""Hair of this opacity or more is drawn; a single strand covers a part of a texel."""
WEAK_SUN = 0.35
"""Irradiance (of about 2.5 all in all) below which nobody looks for shadows."""
LOOSE_M, WIDE, WIDE_M = 0.006, 0.2, (0.015, 0.05)
"""Scale of the exponential distribution of how far cloth hangs off, m; share of people in wide clothes, and how far
those hang off."""
WRINKLE = 0.28
"""Scale of what wrinkles turn normals by, rad."""


@dataclass(frozen=True, eq=False)
class Light:
    """Of B photos.

    Attributes:
        places: Panoramas, and `index` (B,) which.
        pano_from_camera: (B, 3, 3).
        flash: (B,) irradiance the camera's own lamp gives what faces it at `flash_m` (B,) m; it falls with the square
            of the distance. Zero: none.
        dimmed: (B,) what is left of the place's light, one where there is no flash.
    """

    places: Places
    index: Int[Tensor, "B"]
    pano_from_camera: Float[Tensor, "B 3 3"]
    flash: Float[Tensor, "B"]
    flash_m: Float[Tensor, "B"]
    dimmed: Float[Tensor, "B"]


def render_people(
    looks: tuple[Look, ...],
    worn: np.ndarray,
    posed: PosedBody,
    colors: Colors,
    bank: Bank,
    light: Light,
    photo: Int[Tensor, "A"],
    camera: Camera,
    size: int,
    rasterizer: Rasterizer,
    rng: np.random.Generator,
) -> Layer:
    """Render A dressed people, each into the crop of its photo.

    Args:
        looks: What can be worn.
        worn: (A,) which look each wears.
        posed: A bodies, camera frame.
        colors: Their colours.
        bank: Textures.
        light: Around B photos.
        photo: (A,) which photo each is in.
        camera: B cameras of the crops at `size` pixels.
        size: S.
        rasterizer: Finds the triangles.
        rng: Draws folds.
    """
    like = posed.joints
    count = len(like)
    color = like.new_zeros(count, size, size, 3)
    depth = like.new_full((count, size, size), torch.inf)
    layer = Layer(color, torch.zeros_like(depth), depth)
    fold = torch.from_numpy(_folds(count, rng)).to(like)
    for index in np.unique(worn):
        rows = torch.from_numpy(np.flatnonzero(worn == index)).to(like.device)
        look = looks[index]
        part = some_of(posed, rows)
        field = _field(look.piece.template, fold[rows]) * look.cloth
        cameras = camera[photo[rows]]
        textures = torch.tensor((-1, *look.textures), device=like.device)
        skin = _Surface(look.piece, look.material, textures, *posed_pieces(look.piece, part, field))
        _paint(skin, rows, layer, colors, bank, light, photo, cameras, rasterizer, fold)
        if look.hair is not None:
            material = torch.full((len(look.hair.faces),), HAIR, device=like.device)
            hair = _Surface(look.hair, material, textures, *posed_pieces(look.hair, part), casts=False)
            _paint(hair, rows, layer, colors, bank, light, photo, cameras, rasterizer, fold)
    return layer


@dataclass(frozen=True, eq=False)
class _Surface:
    """A posed piece: material by face, texture by material, vertices (G, N, 3) m, normals; does it cast shadows."""

    piece: Piece
    material: Tensor
    textures: Tensor
    vertices: Tensor
    normals: Tensor
    casts: bool = True


def _paint(
    surface: _Surface, rows: Tensor, layer: Layer, colors: Colors, bank: Bank, light: Light, photo: Tensor,
    camera: Camera,
    rasterizer: Rasterizer, fold: Tensor,
) -> None:  # fmt: skip
    """Add a surface of some people to their pictures, where it is nearest; the layer is changed."""
    piece = surface.piece
    triangle, covered = _covered(surface, camera, layer.depth.shape[1], rasterizer)
    share, seen = _inside_triangle(triangle, surface.vertices, piece.faces, camera)
    body, row, column = (triangle >= 0).nonzero(as_tuple=True)  # (N,) each
    triangle = triangle[body, row, column]
    corner = piece.faces[triangle]
    normal = _blend(share, surface.normals.flatten(0, 1), corner + body[:, None] * len(piece.template))
    normal = torch.nn.functional.normalize(normal, dim=1)
    uv, place = _blend(share, torch.cat((piece.uv, piece.template), 1), corner).split((2, 3), 1)
    material, who = surface.material[triangle], rows[body]
    paint, opacity = albedo(bank, colors, who, material, surface.textures[material], uv, place)
    pixel = torch.stack((column, row), 1).to(seen) + 0.5
    ray = torch.cat(((pixel - camera.center[body]) / camera.focal[body], torch.ones_like(seen)[:, None]), 1)
    point = ray * seen[:, None]
    normal = torch.where(((normal * point).sum(1) > 0)[:, None], -normal, normal)  # both sides of cloth and hair
    soft = (material >= CLOTH) & (material != HAIR)
    normal = torch.nn.functional.normalize(normal + soft[:, None] * _wrinkles(place, fold[who]), dim=1)
    at = photo[rows]  # (G,) photos
    turn, index = light.pano_from_camera[at], light.index[at]
    towards, sun = light.places.towards[index], light.places.sun[index]  # (G, 3)
    lit = torch.ones_like(seen)
    if surface.casts and bool((sun > WEAK_SUN).any()):
        lit = _sunlit(surface, (turn.mT @ towards[..., None])[..., 0], body, point, rasterizer)
    world = (turn[body] @ normal[..., None])[..., 0]
    linear = shaded(paint, world, light.places.light[index], sun, towards, lit, body) * light.dimmed[at][body, None]
    facing = -(normal * torch.nn.functional.normalize(point, dim=1)).sum(1).clamp(max=0)
    near = (light.flash_m[at][body] / seen.clamp(min=0.1)).square().clamp(max=4)
    linear = linear + paint * (light.flash[at][body] * facing * near / torch.pi)[:, None]
    code = to_srgb(linear / (1 + 0.25 * linear)).clamp(0, 1)
    nearest = (seen < layer.depth[who, row, column]) & (opacity > OPAQUE)
    where = (who[nearest], row[nearest], column[nearest])
    layer.color[where] = code[nearest]
    layer.depth[where] = seen[nearest]
    layer.covered[where] = torch.maximum(layer.covered[where], covered[body, row, column][nearest])


def _covered(surface: _Surface, camera: Camera, size: int, rasterizer: Rasterizer) -> tuple[Tensor, Tensor]:
    """Return a triangle a pixel (G, S, S) of those its samples hit, -1 for none, and the share of samples that hit."""
    fine = Camera(OVERSAMPLED * camera.focal, OVERSAMPLED * camera.center, OVERSAMPLED * camera.size)
    side = OVERSAMPLED * size
    hit = rasterizer.triangles(surface.vertices, surface.piece.faces, fine, side, side)
    sample = hit.float()[:, None]  # indices below 2^24 are exact
    pooled = torch.nn.functional.max_pool2d(sample, OVERSAMPLED)[:, 0].long()
    return pooled, torch.nn.functional.avg_pool2d((sample >= 0).to(surface.vertices), OVERSAMPLED)[:, 0]


def _inside_triangle(triangle: Tensor, vertices: Tensor, faces: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Return barycentrics (N, 3) and depth (N,) m of pixels' centres on their triangles, or on the nearest borders."""
    where = (triangle >= 0).nonzero(as_tuple=True)
    share = fragments_of(triangle, vertices, faces, camera).barycentric[where].nan_to_num(1 / 3).clamp(0, 1)
    share = share / share.sum(1, keepdim=True).clamp(min=1e-6)
    corner = faces[triangle[where]] + where[0][:, None] * vertices.shape[1]
    return share, _blend(share, vertices[..., 2:].reshape(-1, 1), corner)[:, 0]


def _blend(share: Tensor, values: Tensor, corner: Tensor) -> Tensor:
    """Return (N, C): shares (N, 3) of values (V, C) at corners (N, 3)."""
    a, b, c = (values[corner[:, each]] * share[:, each : each + 1] for each in range(3))
    return a + b + c


def _sunlit(surface: _Surface, towards: Tensor, body: Tensor, point: Tensor, rasterizer: Rasterizer) -> Tensor:
    """Return how much of the sun (N,) reaches points (N, 3) of people; `towards` (G, 3) in the camera frame."""
    middle = surface.vertices.mean(1)  # (G, 3)
    other = torch.where(towards[:, :1].abs() < 0.7, towards.new_tensor((1.0, 0, 0)), towards.new_tensor((0, 1.0, 0)))
    across = torch.nn.functional.normalize(towards.cross(other, dim=1), dim=1)
    axes = torch.stack((across, across.cross(towards, dim=1), -towards), 1)  # (G, 3, 3) light from camera
    away = towards.new_tensor((0.0, 0.0, SUN_M))
    seen = (surface.vertices - middle[:, None]) @ axes.mT + away
    focal = towards.new_full((len(towards), 2), SHADOW_PX / SHADOW_M * SUN_M)
    half = torch.full_like(focal, SHADOW_PX / 2)
    camera = Camera(focal, half, 2 * half)
    shadow = rasterize(rasterizer, seen, surface.piece.faces, camera, SHADOW_PX, SHADOW_PX).depth
    local = (axes[body] @ (point - middle[body])[..., None])[..., 0] + away
    pixel = focal[0] * local[:, :2] / local[:, 2:] + SHADOW_PX / 2 - 0.5
    near = pixel.floor()
    share = pixel - near
    lit = torch.zeros_like(local[:, 0])
    for step_row in (0, 1):  # four texels, weighted: a soft edge
        for step_column in (0, 1):
            at = (near + near.new_tensor((step_column, step_row))).long().clamp(0, SHADOW_PX - 1)
            weight_x = share[:, 0] if step_column else 1 - share[:, 0]
            weight_y = share[:, 1] if step_row else 1 - share[:, 1]
            lit = lit + weight_x * weight_y * (local[:, 2] < shadow[body, at[:, 1], at[:, 0]] + SHADOW_SLACK_M)
    return lit


def _folds(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw six waves (A, 6, 8): wave vector (3), phase, direction (3), strength; three loose, three of wrinkles."""
    waves = np.zeros((count, 6, 8), np.float32)
    waves[:, :3, :3] = rng.normal(0, 6, (count, 3, 3))
    waves[:, 3:, :3] = rng.normal(0, 1, (count, 3, 3)) * (45.0, 25.0, 45.0)
    waves[..., 3] = rng.uniform(0, 2 * np.pi, (count, 6))
    waves[..., 4:7] = rng.normal(0, 1, (count, 6, 3))
    loose = rng.exponential(LOOSE_M, (count, 1)).clip(0, 0.02)
    waves[:, :3, 7] = np.where(rng.random((count, 1)) < WIDE, rng.uniform(*WIDE_M, (count, 1)), loose)
    waves[:, 3:, 7] = rng.exponential(WRINKLE / 2, (count, 1)).clip(0, 0.4)
    return waves


def _field(place: Tensor, waves: Tensor) -> Tensor:
    """Return how far cloth hangs off, (G, N) m, at places (N, 3) of the resting person."""
    phase = torch.einsum("nc,gkc->gnk", place, waves[:, :3, :3]) + waves[:, None, :3, 3]
    return waves[:, None, 0, 7] * (1 + 0.4 * phase.sin().sum(-1)).clamp(min=0)


def _wrinkles(place: Tensor, waves: Tensor) -> Tensor:
    """Return what is added to normals (N, 3) at places (N, 3) of people with their own waves (N, 6, 8)."""
    waves = waves[:, 3:]
    phase = (place[:, None] * waves[..., :3]).sum(-1) + waves[..., 3]
    phase = phase + 1.5 * phase.flip(1).sin()  # crossed waves bend each other
    return (waves[..., 7] * phase.cos())[..., None].mul(waves[..., 4:7]).sum(1)
