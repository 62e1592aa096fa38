"""Fills unseen texels from the mirrored texel or the mean colour of their body part, and marks them.

    mirrored   colour(texel) = colour(mirror(texel)),   confidence = MIRROR_TRUST confidence(mirror(texel))
    part mean  colour(part)  = sum_t w_t colour_t / sum_t w_t,   confidence = MEAN_TRUST sum_t w_t / T_part

over the part's T_part texels, w being their confidence. Only empty texels are filled.

Source: Alldieck et al., Video Based Reconstruction of 3D People Models, CVPR 2018, sec. 3.4 (texture completion); the
rest is arithmetic.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.texture.atlas import Atlas
from refine.texture.texture import Fill, Texture

MIRROR_TRUST = 0.5
"""Confidence of a mirrored colour over that of the seen one: clothes are mostly symmetric; prints, light and hair are
not."""

MEAN_TRUST = 0.1
"""Confidence of a mean colour over that of its colours: enough to distinguish skin from trousers, no detail."""


def filled_by_symmetry(texture: Texture, atlas: Atlas) -> Texture:
    """Fill empty texels from the opposite side of the body.

    Args:
        texture: B maps of the atlas.
        atlas: The grid of texels.

    Returns:
        The maps, filled texels marked `Fill.MIRRORED`.

    Raises:
        InputError: The texture is not of this atlas.
    """
    pixels, confidence, filled = _gathered(texture, atlas)
    mirror = atlas.mirror[: atlas.inside]
    opposite = mirror.clamp(min=0)
    take = (filled == Fill.EMPTY) & (filled[:, opposite] == Fill.SEEN) & (mirror >= 0)
    pixels = torch.where(take[..., None], pixels[:, opposite], pixels)
    confidence = torch.where(take, MIRROR_TRUST * confidence[:, opposite], confidence)
    return _spread(texture, atlas, pixels, confidence, filled.masked_fill(take, int(Fill.MIRRORED)))


def filled_by_part_means(texture: Texture, atlas: Atlas) -> Texture:
    """Fill empty texels with the mean colour of the seen texels of their body part, or of the whole body.

    Args:
        texture: B maps of the atlas.
        atlas: The grid of texels.

    Returns:
        The maps, filled texels marked `Fill.PART_MEAN`; a map without seen texels stays empty.

    Raises:
        InputError: The texture is not of this atlas.
    """
    pixels, confidence, filled = _gathered(texture, atlas)
    mean, sure, known = _part_means(pixels, confidence, filled, atlas)
    take = (filled == Fill.EMPTY) & known
    pixels = torch.where(take[..., None], mean, pixels)
    confidence = torch.where(take, sure, confidence)
    return _spread(texture, atlas, pixels, confidence, filled.masked_fill(take, int(Fill.PART_MEAN)))


def _part_means(
    pixels: Float[Tensor, "B T 3"], confidence: Float[Tensor, "B T"], filled: Tensor, atlas: Atlas
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean colour (B, T, 3) of each texel's part, its confidence (B, T), and whether there is one (B, 1)."""
    part = atlas.part[: atlas.inside]
    weight = confidence * (filled == Fill.SEEN)
    summed = torch.cat((pixels * weight[..., None], weight[..., None], torch.ones_like(weight[..., None])), -1)
    total = summed.new_zeros(len(pixels), len(atlas.body.part_names), 5).index_add(1, part, summed)
    whole = total.sum(1, keepdim=True)
    total = torch.where(total[..., 3:4] > 0, total, whole)
    mean = total[..., :3] / torch.where(total[..., 3:4] > 0, total[..., 3:4], 1)
    sure = MEAN_TRUST * total[..., 3] / total[..., 4].clamp(min=1)
    return mean[:, part], sure[:, part], whole[..., 3] > 0


def _gathered(texture: Texture, atlas: Atlas) -> tuple[Tensor, Tensor, Tensor]:
    """Return colours (B, T', 3), confidence (B, T') and marks (B, T') of the texels inside the charts."""
    if texture.layout != atlas.layout or texture.size != (atlas.height, atlas.width):
        expected = f"maps of {atlas.height} x {atlas.width} texels in layout {atlas.layout[:8]}, as the atlas"
        got = f"{texture.size[0]} x {texture.size[1]} in layout {texture.layout[:8]}"
        raise InputError("texture", expected, got, "Use the atlas it was baked on.")
    confidence, filled = (atlas.gather(part[..., None])[..., 0] for part in (texture.confidence, texture.filled))
    return atlas.gather(texture.pixels), confidence, filled


def _spread(texture: Texture, atlas: Atlas, pixels: Tensor, confidence: Tensor, filled: Tensor) -> Texture:
    """Return maps of the texels inside the charts."""
    return replace(
        texture,
        pixels=atlas.spread(pixels),
        confidence=atlas.spread(confidence[..., None])[..., 0],
        filled=atlas.spread(filled[..., None])[..., 0],
    )
