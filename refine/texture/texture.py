"""A person's texture map, colours with their confidence, and its rendering.

    colour(pixel) = (sum_i b_i k_i c_i) / (sum_i b_i k_i),    confidence(pixel) = sum_i b_i confidence_i

over the four texels around the pixel's UV coordinates, with bilinear weights b_i and k_i = 1 where a texel has a
colour, so that empty texels do not darken their neighbours. Colours are code values of the photos they came from (sRGB,
0..1), illumination included.

Source: Williams, Pyramidal Parametrics, SIGGRAPH 1983 (bilinear look-up); weighting by coverage as in Porter and Duff,
Compositing Digital Images, SIGGRAPH 1984 (premultiplied colour).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from refine import batch
from refine.batch import Index
from refine.body import SkinnedBody
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.render import Fragments
from refine.render.shade import texture_colors
from refine.texture.atlas import uv_layout


class Fill(IntEnum):
    """The origin of a texel's colour."""

    EMPTY = 0
    """None: the colour is unknown, and stored as zero."""
    SEEN = 1
    """A photo."""
    MIRRORED = 2
    """The opposite side of the body."""
    PART_MEAN = 3
    """The mean colour of its body part, or of the whole body where nothing of the part was seen."""


@dataclass(frozen=True, eq=False)
class Texture:
    """Texture maps of B people; one person is B = 1.

    Attributes:
        pixels: (B, H, W, 3) RGB, code values of the photos, 0..1; zero where empty.
        confidence: (B, H, W) 0..1, confidence of the colour; 0 where it was neither seen nor filled.
        filled: (B, H, W) `Fill` of each texel.
        layout: Fingerprint of the UV layout the maps belong to (`refine.texture.atlas.uv_layout`).

    Raises:
        InputError: The parts disagree on the number of people or the size of the map.
    """

    pixels: Float[Tensor, "B H W 3"]
    confidence: Float[Tensor, "B H W"]
    filled: UInt8[Tensor, "B H W"]
    layout: str

    def __post_init__(self) -> None:
        sizes = check_shape("texture.pixels", self.pixels, "B H W 3")
        check_shape("texture.confidence", self.confidence, "B H W", **sizes)
        check_shape("texture.filled", self.filled, "B H W", **sizes)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __getitem__(self, index: Index) -> "Texture":
        """Return some people's maps, in the order of index; one map may be repeated for several bodies."""
        return batch.rows(self, index)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the maps, texels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Texture":
        """Return the same maps on another device or in another floating-point type (the marks keep theirs)."""
        pixels, confidence = (part.to(device=device, dtype=dtype) for part in (self.pixels, self.confidence))
        return replace(self, pixels=pixels, confidence=confidence, filled=self.filled.to(device=device))

    def checked(self) -> "Texture":
        """Return the maps after a check of their values, which synchronises a device.

        Raises:
            InputError: A value is not finite or not in 0..1, or a mark is unknown.
        """
        for name, part in (("texture.pixels", self.pixels), ("texture.confidence", self.confidence)):
            check_finite(name, part)
            if part.numel() and not (float(part.min()) >= 0 and float(part.max()) <= 1):
                advice = "Divide 8-bit colours by 255."
                raise InputError(name, "values in 0..1", f"{float(part.min()):g} to {float(part.max()):g}", advice)
        if self.filled.numel() and int(self.filled.max()) > max(Fill):
            raise InputError("texture.filled", f"marks 0 to {max(Fill)}", str(int(self.filled.max())))
        return self


def texture_of(body: SkinnedBody, pixels: Float[Tensor, "B H W 3"]) -> Texture:
    """Return pictures in the body's UV layout as textures of full confidence.

    Args:
        body: The model they were made for.
        pixels: (B, H, W, 3) RGB, 0..1.

    Raises:
        InputError: The body has no texture coordinates, or a value is not in 0..1.
    """
    check_shape("pixels", pixels, "B H W 3")
    seen = torch.full(pixels.shape[:3], Fill.SEEN, dtype=torch.uint8, device=pixels.device)
    return Texture(pixels, torch.ones_like(pixels[..., 0]), seen, uv_layout(body)).checked()


def concatenate(textures: Sequence[Texture]) -> Texture:
    """Return several people's maps as one batch.

    Args:
        textures: At least one.

    Raises:
        InputError: There is none, or sizes or UV layouts differ.
    """
    if not textures:
        raise InputError("textures", "at least one texture", "an empty sequence")
    first = textures[0]
    for number, texture in enumerate(textures):
        if texture.size != first.size or texture.layout != first.layout:
            expected = f"{first.size[0]} x {first.size[1]} texels in the UV layout of the first"
            got = f"{texture.size[0]} x {texture.size[1]} in layout {texture.layout[:8]}"
            raise InputError(f"textures[{number}]", expected, got, "Bake them on one atlas.")
    pixels, confidence, filled = (
        torch.cat([getattr(texture, part) for texture in textures]) for part in ("pixels", "confidence", "filled")
    )
    return Texture(pixels, confidence, filled, first.layout)


def check_layout(texture: Texture, body: SkinnedBody) -> None:
    """Refuse a texture that was made for another UV layout.

    Raises:
        InputError: Its fingerprint is not that of the body, or the body has no texture coordinates.
    """
    if texture.layout != (wanted := uv_layout(body)):
        expected = f"a texture in the UV layout of {body.name} ({wanted[:8]})"
        raise InputError("texture", expected, f"layout {texture.layout[:8]}", "Bake it again on this body.")


def render_texture(
    fragments: Fragments, body: SkinnedBody, texture: Texture
) -> tuple[Float[Tensor, "B H W 3"], Float[Tensor, "B H W"]]:
    """Render bodies in their textures.

    Args:
        fragments: (B, H, W) the visible surface (`View.fragments`, `rasterize`).
        body: The model.
        texture: One map a body, or one for all.

    Returns:
        rgb (B, H, W, 3), code values as in the maps, and confidence (B, H, W); zero on the background and where the map
        is empty. Differentiable in the maps and, through the fragments, in the vertices.

    Raises:
        InputError: The texture belongs to another UV layout, or there are not as many maps as bodies.
    """
    bodies = len(fragments.triangle)
    check_layout(texture, body)
    if len(texture) not in (1, bodies):
        raise InputError("texture", f"1 map or {bodies}, one a body", f"{len(texture)} maps")
    known = (texture.filled != Fill.EMPTY).to(texture.pixels)[..., None]
    channels = torch.cat((texture.pixels * known, known, texture.confidence[..., None]), -1)
    shown = texture_colors(fragments, body.uv, body.uv_faces, channels.expand(bodies, -1, -1, -1).to(body.uv))
    color, known, confidence = shown.split((3, 1, 1), -1)
    return torch.where(known > 0, color / torch.where(known > 0, known, 1), 0), confidence[..., 0]
