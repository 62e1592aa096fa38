"""Light and background from one panorama: nine spherical harmonics, one sun, and a perspective cut.

    L_lm = sum_pixels radiance Y_lm(direction) solid angle
           sun: what shines brighter than `SUN_TIMES` the mean, around the brightest place
    albedo is multiplied by   E(n) / pi + shadow * sun / pi * max(0, n . towards the sun)

Source: Ramamoorthi and Hanrahan, SIGGRAPH 2001, eq. 3 and 8; Debevec, A Median Cut Algorithm for Light Probe Sampling,
2005 (one light of a probe).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.render import shade

COARSE = (64, 128)
"""Rows and columns of the panorama the light is summed over."""
SUN_TIMES, SUN_DEGREES = 8.0, 12.0
"""The sun is what is brighter than this many times the mean, within this angle of the brightest place."""
GREY = 1.0
"""Linear value a white surface lit from everywhere gets before exposure is drawn."""


@dataclass(frozen=True, eq=False)
class Places:
    """M panoramas ready for use.

    Attributes:
        picture: (M, H, W, 3) tone-mapped sRGB in 0..1, as float16.
        light: (M, 9, 3) harmonics of everything but the sun, panorama frame (x left, y up, z front), scaled to `GREY`.
        sun: (M, 3) irradiance of the sun on a surface that faces it, in the same scale.
        towards: (M, 3) unit vectors to it.
    """

    picture: Float[Tensor, "M H W 3"]
    light: Float[Tensor, "M 9 3"]
    sun: Float[Tensor, "M 3"]
    towards: Float[Tensor, "M 3"]

    def to(self, device: torch.device | str) -> "Places":
        """Return the same places on another device."""
        return Places(*(part.to(device) for part in (self.picture, self.light, self.sun, self.towards)))


def read_places(panoramas: tuple[np.ndarray, ...]) -> Places:
    """Measure the light of panoramas.

    Args:
        panoramas: (H, W, 3) linear radiance each.
    """
    measured = [_measured(torch.from_numpy(np.array(picture))) for picture in panoramas]
    picture, light, sun, towards = (torch.stack(each) for each in zip(*measured, strict=True))
    return Places(picture, light, sun, towards)


def _measured(radiance: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return picture, harmonics, sun and its direction of one panorama (H, W, 3)."""
    coarse = torch.nn.functional.interpolate(radiance.permute(2, 0, 1)[None], COARSE, mode="area")[0].permute(1, 2, 0)
    row = (torch.arange(COARSE[0]) + 0.5) / COARSE[0] * math.pi  # from the zenith
    column = ((torch.arange(COARSE[1]) + 0.5) / COARSE[1] - 0.5) * 2 * math.pi
    polar, around = torch.meshgrid(row, column, indexing="ij")
    direction = torch.stack((polar.sin() * around.sin(), polar.cos(), polar.sin() * around.cos()), -1)  # (H, W, 3)
    solid = polar.sin() * (math.pi / COARSE[0]) * (2 * math.pi / COARSE[1])
    bright = coarse.mean(-1)
    mean = float((bright * solid).sum() / solid.sum())
    peak = direction.reshape(-1, 3)[int(bright.argmax())]
    lamp = (direction @ peak > math.cos(math.radians(SUN_DEGREES))) & (bright > SUN_TIMES * mean)
    sun = (coarse * (solid * lamp)[..., None]).sum((0, 1))
    rest = torch.where(lamp[..., None], SUN_TIMES * mean * coarse / bright[..., None].clamp(min=1e-6), coarse)
    light = torch.einsum("hwk,hwc->kc", shade.harmonics(direction) * solid[..., None], rest)
    # A white surface under the mean of all this light, sun included, has the value GREY.
    # Its irradiance averaged over all directions is pi times the mean radiance: sqrt(pi) / 2 times the first
    # coefficient.
    total = (light[0] * math.sqrt(math.pi) / 2 + sun / 4).mean()
    scale = GREY * math.pi / float(total.clamp(min=1e-6))
    # Coloured lamps are toned down by two thirds: cameras balance white.
    tint = (light[0] / light[0].mean()).clamp(min=1e-3) ** -0.7
    seen = (radiance * (scale / math.pi) * tint).clamp(0, 8)
    picture = to_srgb(seen / (1 + 0.25 * seen)).clamp(0, 1).half()
    return picture, light * scale * tint, (sun * scale * tint).clamp(max=3 * math.pi), peak


def to_srgb(linear: Tensor) -> Tensor:
    """Return sRGB codes of linear light (IEC 61966-2-1)."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def to_linear(code: Tensor) -> Tensor:
    """Return linear light of sRGB codes."""
    return torch.where(code <= 0.04045, code / 12.92, ((code.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def background(places: Places, index: Int[Tensor, "B"], ray: Float[Tensor, "B H W 3"]) -> Float[Tensor, "B H W 3"]:
    """Return what cameras see of their panoramas.

    Args:
        places: M panoramas.
        index: (B,) which.
        ray: (B, H, W, 3) directions in the panorama's frame, any length.

    Returns:
        (B, H, W, 3) sRGB in 0..1, bilinear.
    """
    height, width = places.picture.shape[1:3]
    x, y, z = ray.unbind(-1)
    column = (torch.atan2(x, z) / (2 * math.pi) + 0.5) * width - 0.5
    row = (torch.atan2(torch.hypot(x, z), y) / math.pi * height - 0.5).clamp(0, height - 1.001)
    left, top = column.floor(), row.floor()
    along, down = (column - left)[..., None], (row - top)[..., None]
    left, top = left.long(), top.long()
    flat = places.picture.reshape(-1, 3)
    start = (index[:, None, None] * height + top) * width

    def texel(step_row: int, step_column: int) -> Tensor:
        return flat[start + step_row * width + (left + step_column) % width].to(ray)

    upper = texel(0, 0) * (1 - along) + texel(0, 1) * along
    lower = texel(1, 0) * (1 - along) + texel(1, 1) * along
    return upper * (1 - down) + lower * down


def shaded(
    albedo: Float[Tensor, "N 3"],
    normal: Float[Tensor, "N 3"],
    light: Float[Tensor, "N 9 3"] | Float[Tensor, "M 9 3"],
    sun: Float[Tensor, "M 3"],
    towards: Float[Tensor, "M 3"],
    lit: Float[Tensor, "N"],
    owner: Int[Tensor, "N"],
) -> Float[Tensor, "N 3"]:
    """Return the linear light N surface points send to the camera.

    Args:
        albedo: (N, 3) linear.
        normal: (N, 3) unit, panorama frame.
        light: (M, 9, 3) harmonics around each of M people.
        sun: (M, 3) irradiance of each one's sun.
        towards: (M, 3) direction to it.
        lit: (N,) one where the sun reaches the point.
        owner: (N,) which person each point belongs to.
    """
    cosine = normal.new_tensor((math.pi, *[2 * math.pi / 3] * 3, *[math.pi / 4] * 5))
    basis = shade.harmonics(normal) * cosine  # (N, 9)
    sky = (basis[..., None] * light[owner]).sum(1).clamp(min=0.0)
    facing = (normal * towards[owner]).sum(-1).clamp(min=0) * lit
    # Of the sky's light a tenth is kept everywhere, which nine harmonics lose on the dark side.
    floor = 0.1 * light[owner, 0] * math.sqrt(math.pi) / 2
    return albedo / math.pi * (sky.maximum(floor) + sun[owner] * facing[:, None])
