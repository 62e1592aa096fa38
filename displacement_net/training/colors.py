"""Colours of synthetic people: textures recoloured, prints, stripes and checks, one bank for all.

    albedo = linear(texture recoloured) * (1 + print),    recoloured = mix(texture, brightness(texture) * colour, share)

Source: solid textures: Peachey, SIGGRAPH 1985; the prints are noise, stripes, checks, dots and blots of our own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.assets import Assets
from displacement_net.training.lighting import to_linear

MATERIALS = 5
"""Skin, cloth, shoes, extra, hair: `wardrobe`'s order."""
PRINT_PX, PRINTS = 64, 96
"""Side and number of prints."""
PRINTED = (0.0, 0.55, 0.15, 0.45, 0.0)
"""Share of each material that carries a print."""
RECOLORED = (0.0, 0.75, 0.5, 1.0, 0.8)
"""Share of each material that is recoloured."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Textures as sRGB codes (uint8): `skins` (K, T, T, 3), `worn` (M, T, T, 4); and `prints` (P, Q, Q), -1..1."""

    skins: Tensor
    worn: Tensor
    prints: Float[Tensor, "P Q Q"]

    def to(self, device: torch.device | str) -> "Bank":
        """Return the same bank on another device."""
        return Bank(self.skins.to(device), self.worn.to(device), self.prints.to(device))


@dataclass(frozen=True, eq=False)
class Colors:
    """What A people look like, by material.

    Attributes:
        skin: (A,) index of the skin.
        tone: (A, 3) factor on the skin's linear colour.
        color: (A, 5, 3) linear colour of each material, `share` (A, 5) how much of it replaces the texture's own.
        prints: (A, 5) index of the print, `strength` (A, 5) and `tint` (A, 5, 3) how it changes the colour, `scale` (A,
            5) repeats per m.
        angle: (A, 5) rad, how the print is turned.
    """

    skin: Int[Tensor, "A"]
    tone: Float[Tensor, "A 3"]
    color: Float[Tensor, "A 5 3"]
    share: Float[Tensor, "A 5"]
    prints: Int[Tensor, "A 5"]
    strength: Float[Tensor, "A 5"]
    tint: Float[Tensor, "A 5 3"]
    scale: Float[Tensor, "A 5"]
    angle: Float[Tensor, "A 5"]


def make_bank(assets: Assets, seed: int = 0) -> Bank:
    """Gather textures and draw prints."""
    worn = [garment.texture for garment in (*assets.outfits, *assets.shoes, *assets.hair)]
    size = assets.skins[0].shape[0]
    return Bank(
        torch.from_numpy(np.stack(assets.skins)),
        torch.from_numpy(np.stack(worn)) if worn else torch.full((1, size, size, 4), 255, dtype=torch.uint8),
        torch.from_numpy(np.stack([_print(np.random.default_rng((seed, index))) for index in range(PRINTS)])).float(),
    )


def _print(rng: np.random.Generator) -> np.ndarray:
    """Draw one print (Q, Q) in -1..1 that repeats at its borders."""
    row, column = np.meshgrid(np.arange(PRINT_PX), np.arange(PRINT_PX), indexing="ij")
    kind = rng.integers(5)
    if kind == 0:  # stripes
        return np.sign(np.sin(2 * np.pi * rng.integers(2, 5) * row / PRINT_PX) + rng.uniform(-0.7, 0.7))
    if kind == 1:  # checks
        cells = rng.integers(2, 5)
        along, up = (
            np.sign(np.sin(2 * np.pi * cells * each / PRINT_PX) + rng.uniform(-0.4, 0.4)) for each in (row, column)
        )
        return np.asarray(0.5 * (along + up))
    if kind == 2:  # dots
        cells = rng.integers(2, 6)
        wave = np.cos(2 * np.pi * cells * row / PRINT_PX) + np.cos(2 * np.pi * cells * column / PRINT_PX)
        return np.where(wave > rng.uniform(0.6, 1.4), 1.0, -1.0)
    spectrum = np.fft.fft2(rng.standard_normal((PRINT_PX, PRINT_PX)))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(PRINT_PX), np.fft.fftfreq(PRINT_PX))) * PRINT_PX
    noise = np.fft.ifft2(spectrum * np.exp(-((radius / rng.uniform(2, 9)) ** 2))).real
    noise /= noise.std()
    return np.tanh(noise if kind == 3 else 8 * (noise - rng.uniform(0, 1)))  # clouds, or blots and camouflage


def draw_colors(bank: Bank, count: int, rng: np.random.Generator) -> Colors:
    """Draw the looks of `count` people."""
    value = rng.beta(0.9, 1.4, (count, MATERIALS, 1)) * 0.85 + 0.01
    hue = rng.dirichlet((1.0, 1.0, 1.0), (count, MATERIALS)) * 3
    color = (value * (1 + rng.beta(0.8, 1.6, (count, MATERIALS, 1)) * (hue - 1))).clip(0.004, 0.9)
    hair = np.array((0.30, 0.17, 0.08)) * np.exp(rng.normal(-1.4, 0.9, (count, 1)))
    grey = rng.random((count, 1)) < 0.15
    color[:, 4] = np.where(grey, rng.uniform(0.2, 0.6, (count, 1)), hair.clip(0.003, 0.7))
    strength = rng.uniform(0.2, 1.0, (count, MATERIALS)) * (rng.random((count, MATERIALS)) < PRINTED)
    parts = dict(
        tone=np.exp(0.15 * rng.standard_normal((count, 1)) + 0.04 * rng.standard_normal((count, 3))),
        color=color,
        share=(rng.random((count, MATERIALS)) < RECOLORED) * rng.uniform(0.6, 1.0, (count, MATERIALS)),
        strength=strength,
        tint=rng.uniform(0.0, 0.9, (count, MATERIALS, 3)) ** 1.5,
        scale=np.exp(rng.uniform(np.log(1.0), np.log(4.0), (count, MATERIALS))),
        angle=rng.choice((0.0, 0.0, np.pi / 2, np.pi / 4), (count, MATERIALS)),
    )
    f = {name: torch.from_numpy(np.asarray(array, np.float32)).to(bank.prints) for name, array in parts.items()}
    skin = torch.from_numpy(rng.integers(len(bank.skins), size=count)).to(bank.skins.device)
    prints = torch.from_numpy(rng.integers(len(bank.prints), size=(count, MATERIALS))).to(bank.skins.device)
    return Colors(skin, f["tone"], f["color"], f["share"], prints, f["strength"], f["tint"], f["scale"], f["angle"])


def albedo(
    bank: Bank,
    colors: Colors,
    owner: Int[Tensor, "N"],
    material: Int[Tensor, "N"],
    texture: Int[Tensor, "N"],
    uv: Float[Tensor, "N 2"],
    place: Float[Tensor, "N 3"],
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N"]]:
    """Return the colour of N surface points.

    Args:
        bank: The textures.
        colors: Looks of A people.
        owner: (N,) which person.
        material: (N,) of which material.
        texture: (N,) index into `bank.worn`, -1: plain.
        uv: (N, 2).
        place: (N, 3) m, where the point lies on the resting person; prints live there.

    Returns:
        Linear colour (N, 3) and opacity (N,), 0..1.
    """
    skin = material == 0
    size = bank.skins.shape[1]
    column, row = (((uv % 1.0) * size).long().clamp(0, size - 1)).unbind(-1)
    worn = bank.worn[texture.clamp(min=0), row, column].to(uv) / 255  # (N, 4)
    worn = torch.where((texture < 0)[:, None], worn.new_tensor((0.9, 0.9, 0.9, 1.0)), worn)
    own = torch.where(skin[:, None], bank.skins[colors.skin[owner], row, column].to(uv) / 255, worn[:, :3])
    linear = to_linear(own)
    bright = linear @ linear.new_full((3, 1), 1 / 3)
    share = colors.share[owner, material][:, None]
    # The texture's light and shade stay, around the colour that is wanted.
    plain = colors.color[owner, material] * (0.35 + 0.65 * bright / 0.35).clamp(0.25, 2.0)
    linear = linear * (1 - share) + plain * share
    linear = torch.where(skin[:, None], linear * colors.tone[owner], linear)
    value = _printed(bank.prints, colors, owner, material, place)
    mix = (colors.strength[owner, material] * (0.5 + 0.5 * value))[:, None]
    linear = linear * (1 - mix) + colors.tint[owner, material] * mix
    opacity = torch.where(material == MATERIALS - 1, worn[:, 3], torch.ones_like(value))
    return linear.clamp(0, 0.95), opacity


def _printed(prints: Tensor, colors: Colors, owner: Tensor, material: Tensor, place: Tensor) -> Tensor:
    """Return the print's value (N,) in -1..1, nearest texel."""
    side = prints.shape[1]
    angle, scale = colors.angle[owner, material], colors.scale[owner, material]
    across, up = place[:, 0] + 0.6 * place[:, 2], place[:, 1]
    column = (across * angle.cos() - up * angle.sin()) * scale
    row = (across * angle.sin() + up * angle.cos()) * scale
    texel = ((torch.stack((row, column), -1) % 1.0) * side).long().clamp(0, side - 1)
    return prints[colors.prints[owner, material], texel[:, 0], texel[:, 1]]
