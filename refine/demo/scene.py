"""A scene that is known exactly: people in rooms, their photos, and what a regressor might have said about them.

    photo = gamma( paint(rest point) * light(normal)  over  room )

Source: the parts' own modules; gamma: IEC 61966-2-1 (sRGB).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.demo.clothes import OUTFITS, albedo
from refine.demo.room import ROOMS, SUN, background
from refine.estimate import Estimate, Source
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import camera_from_level, people
from refine.geometry.camera import Camera
from refine.photo import Photo
from refine.render import Rasterizer, shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State

SAMPLES = 2
"""Samples per pixel along each axis."""
SKY, LAMP = 0.62, 0.85
"""Radiance of the light from everywhere (stronger from above) and of the lamp, relative to white."""
LEAN = 0.45
"""How much brighter the sky is above than at the horizon."""


@dataclass(frozen=True)
class Scene:
    """B people, one photo each.

    Attributes:
        photos: B photos.
        true: The people as they are.
        estimate: The people as a regressor might see them.
    """

    photos: tuple[Photo, ...]
    true: Estimate
    estimate: Estimate


def make_scene(
    body: SkinnedBody, count: int = 8, seed: int = 0, strength: str = "medium", rasterizer: Rasterizer | None = None
) -> Scene:
    """Make people, photograph them and disturb them.

    Args:
        body: The built-in body, or one with the same joints.
        count: B, at most 64.
        seed: Of shapes, directions and disturbances.
        strength: Of the estimate: "weak", "medium", "strong", "near" or "perfect".
        rasterizer: What renders the photos; None: the fastest one installed.

    Returns:
        The scene, the same for the same arguments.
    """
    true = people(body, count, seed)
    estimate = disturb(body, true, strength, [1000 * seed + person for person in range(count)])
    photos = tuple(
        Photo(
            photograph(body, true[person : person + 1], person, rasterizer),
            notes=("A rendered person in a painted room.",),
        )
        for person in range(count)
    )
    return Scene(photos, as_estimate(body, true, "truth"), as_estimate(body, estimate, f"{strength} estimate"))


def as_estimate(body: SkinnedBody, state: State, name: str) -> Estimate:
    """Return a state as an estimate of its own photos, one body each."""
    bodies = state.bodies
    source = Source(
        "demo",
        body.model,
        bodies.pose,
        bodies.shape,
        bodies.expression,
        bodies.translation,
        focal_rule=f"{name}: the scene's own camera",
    )
    return Estimate(body, state, torch.arange(len(state), device=bodies.pose.device), source)


def photograph(body: SkinnedBody, state: State, look: int, rasterizer: Rasterizer | None = None) -> np.ndarray:
    """Render one person in a room.

    Args:
        body: The model.
        state: One body with its camera.
        look: Which outfit and room.
        rasterizer: See `make_scene`.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = (int(side) * SAMPLES for side in state.camera.size[0])
    still = state.camera
    camera = replace(still, focal=still.focal * SAMPLES, center=still.center * SAMPLES, size=still.size * SAMPLES)
    vertices = pose_body(body, state.bodies).vertices.detach()
    fragments = rasterize(rasterizer or default_rasterizer(), vertices, body.faces, camera, height, width)
    seen = fragments.triangle >= 0
    rest = shade.interpolate(fragments, body.faces, body.template[None])
    color = torch.zeros_like(rest)
    color[seen] = albedo(body, rest[seen], OUTFITS[look % len(OUTFITS)])
    normals = shade.pixel_normals(fragments, body.faces, vertices)
    lit = shade.lit(color, normals, light(vertices))[0]

    upright = camera_from_level().to(vertices)
    ground = background(
        ROOMS[look % len(ROOMS)], _rays(camera, height, width, upright), (vertices[0] @ upright).double().cpu().numpy()
    )
    picture = torch.where(seen[0][..., None], lit, torch.from_numpy(ground).to(lit))
    picture = picture.reshape(height // SAMPLES, SAMPLES, width // SAMPLES, SAMPLES, 3).mean((1, 3))
    return (255 * _gamma(picture.clamp(0, 1)) + 0.5).to(torch.uint8).cpu().numpy()


def light(like: Tensor) -> Float[Tensor, "1 9 3"]:
    """Return the room's light around the person: (1, 9, 3) coefficients, camera frame, for `shade.irradiance`."""
    upright = camera_from_level()
    up, lamp = upright[:, 1], upright @ torch.from_numpy(SUN)
    sky = torch.zeros(9, dtype=torch.float64)
    sky[0] = SKY * math.sqrt(4 * math.pi)
    towards = shade.harmonics(up)
    sky[1:4] = SKY * LEAN * (4 * math.pi / 3) * towards[1:4]
    # A lamp far away: all its light from one direction; a matt surface that faces it shows LAMP times its albedo.
    direct = LAMP * math.pi * shade.harmonics(lamp)
    coefficients = sky[:, None] * torch.tensor([0.90, 0.97, 1.06]) + direct[:, None] * torch.tensor([1.05, 0.98, 0.86])
    return coefficients[None].to(like)


def _rays(camera: Camera, height: int, width: int, upright: Tensor) -> np.ndarray:
    """Return (H, W, 3) directions of the pixels in the level frame, float64."""
    focal, center = (part[0].double().cpu().numpy() for part in (camera.focal, camera.center))
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ray = np.stack(((column - center[0]) / focal[0], (row - center[1]) / focal[1], np.ones_like(row)), -1)
    return np.asarray(ray @ upright.double().cpu().numpy())


def _gamma(linear: Tensor) -> Tensor:
    """Return the sRGB code of linear light, both 0..1."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
