"""Samples correspondences from a displacement field.

    target = photo_from_crop (pixel + offset)
    sqrt_information = share * W_crop / scale                    scale: px of the photo per px of the crop
    q(pixel) ~ sqrt(sharpness) / sqrt(pixels of its part)
    drawn: the N pixels of the smallest key / q, t that of the next one; key: 0..1, by the pixel's place in the crop
    pixels a match represents ~ f(key / (q t)) / mean of f over all keys
    share² = min(1, pixels it represents / correlation.pixels²)

Density q prefers pixels of small sigma and small parts (an arm has a tenth of the trunk's pixels, and its pose is as
uncertain). The matches' information adds up to that of the whole field: for an even field share² = independent / N with
independent = informed pixels / correlation.pixels², the effective number of independent matches, since a network's
errors on neighbouring pixels are correlated. That is accounted for here only.

Keys are independent of each other, and f falls to zero at one: a field that differs by rounding gives the same matches
but for one or two of almost no weight. (Drawing by steps of the cumulated density would shift all that follow.)

Source: Wehrbein et al., ICCVW 2023, sec. 3.2 (barycentric transport); Bayley and Hammersley, Suppl. J. R. Stat. Soc.
8(2), 1946 (effective number of observations of an autocorrelated series); Duffield, Lund and Thorup, J. ACM 54(6), 2007
(priority sampling: the smallest of key / weight, and what each represents; f is ours, one for theirs); Hájek, in
Foundations of Statistical Inference, 1971 (scaled to the known total); Roberts, The Unreasonable Effectiveness of
Quasirandom Sequences, 2018 (the keys).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from displacement_net.displacement import Displacement
from refine.check import check_type
from refine.errors import InputError
from refine.render import Fragments
from refine.terms.correlation import Correlation
from refine.terms.correspondences import Correspondences

PLASTIC = 0.7548776662466927
"""1 / p with p³ = p + 1: keys that grow by it along x and by its square along y spread small keys evenly."""
FADING = 0.5
"""Share of the drawn pixels whose weight falls to zero. Measured on 12 people over 6 shifts of the keys: joints are
spread by 0.84 mm with a quarter, 0.89 mm with a half, 0.98 mm with all; by steps of the cumulated density 1.19 mm, with
random keys 2.0 mm."""
FAINT = 1e-6
"""Least weight of a drawn pixel: a share is above zero."""


@dataclass(frozen=True)
class Matching:
    """Settings of the sampling of a displacement field.

    Raises:
        InputError: A setting is out of range.
    """

    count: int = 512
    """N, matches a body: more change nothing (CamSMPLify uses 138 points, smplfitter 1,024)."""

    correlation: Correlation = Correlation(pixels=8.0)
    """How far the errors hang together: over 1/32 of a 256 crop, about a forearm's width."""

    reported: float = 1.0
    """Share of a displacement that the displacer reports, 0..1: an unsure network reports less than the displacement.
    The gate uses it where the displacer is the only evidence."""

    def __post_init__(self) -> None:
        check_type("matching.correlation", self.correlation, Correlation, "Correlation(pixels=8.0)")
        if self.count < 1 or not 0 < self.reported <= 1:
            raise InputError("matching", "count >= 1 and reported in 0..1", repr(self))


def correspond(
    fragments: Fragments,
    displacement: Displacement,
    photo_from_crop: Float[Tensor, "B 2 3"],
    matching: Matching,
    parts: Int[Tensor, "F"] | None = None,
) -> Correspondences:
    """Sample surface points and their targets in the photo from a displacement field.

    Args:
        fragments: (B, H, W) the triangle and barycentrics at each pixel of the crops.
        displacement: (B, H, W, 2) offsets in px of the crops, with their information.
        photo_from_crop: (B, 2, 3) the similarity from pixels of each crop to pixels of its photo.
        matching: Number of matches and correlation length of their errors.
        parts: (F,) the body part of each triangle, from 0; None: the body is one part.

    Returns:
        N matches a body, in the order of the pixels. Of a body with fewer informed pixels the rest are silent.
    """
    informed = displacement.sqrt_information.diagonal(dim1=-2, dim2=-1).gt(0).any(-1) & (fragments.triangle >= 0)
    informed &= displacement.offset.isfinite().all(-1) & displacement.sqrt_information.isfinite().all(-1).all(-1)
    density = _density(informed, displacement.sqrt_information, fragments.triangle, parts)  # (B, H W)
    _, height, width = informed.shape
    pixel, represented = draw(density, _keys(height, width, density), matching.count)  # (B, N) each
    rows = torch.arange(len(informed), device=density.device)[:, None]
    found = represented > 0  # (B, N)

    offset = displacement.offset.flatten(1, 2)[rows, pixel]
    center = torch.stack((pixel % width, pixel // width), -1).to(offset) + 0.5  # (B, N, 2) px of the crop
    target = (center + offset) @ photo_from_crop[..., :2].mT + photo_from_crop[:, None, :, 2]
    scale = photo_from_crop[:, 0, :2].norm(dim=-1)[:, None, None, None]
    # At most one: no match has more information than its pixel.
    share = matching.correlation.of_pixels(represented).sqrt().to(offset)
    information = displacement.sqrt_information.flatten(1, 2)[rows, pixel] * share[..., None, None] / scale
    return Correspondences(
        fragments.triangle.flatten(1)[rows, pixel].clamp(min=0).long(),
        fragments.barycentric.flatten(1, 2)[rows, pixel],
        target.masked_fill(~found[..., None], 0.0),
        information.masked_fill(~found[..., None, None], 0.0),
        share.masked_fill(~found, 1.0),
        _person(displacement, informed),
    )


def _person(displacement: Displacement, informed: Bool[Tensor, "B H W"]) -> Float[Tensor, "B"] | None:
    """Return the probability (B,) that the photo shows the person, a mean over informed pixels; NaN without any."""
    if displacement.person is None:
        return None
    seen = informed.to(displacement.person)
    return (displacement.person * seen).sum((1, 2)) / seen.sum((1, 2))


def draw(
    density: Float[Tensor, "B S"], key: Float[Tensor, "S"], count: int
) -> tuple[Int[Tensor, "B N"], Float[Tensor, "B N"]]:
    """Draw pixels with a density, each by a key of its own.

    Args:
        density: (B, S) of S pixels, any unit; zero is never drawn.
        key: (S,) above 0, below 1, spread evenly.
        count: N.

    Returns:
        The pixels (B, N) in ascending order, and the number of pixels (B, N) each represents; together as many as have
        a density. Zero: fewer than N have one, and this place is empty. Both are stable under small changes of the
        density.
    """
    informed = density > 0
    ratio = torch.where(informed, key / density.clamp(min=torch.finfo(density.dtype).tiny), torch.inf)
    spare = max(0, count + 1 - density.shape[1])  # a crop of fewer pixels than matches
    ratio, pixel = torch.nn.functional.pad(ratio, (0, spare), value=torch.inf).topk(count + 1, dim=1, largest=False)
    limit = ratio[:, count:]  # (B, 1) of the first that is not drawn; infinite: all are
    pixel, order = pixel[:, :count].sort(dim=1)
    ratio = ratio[:, :count].gather(1, order)
    found = ratio.isfinite()
    pixel = torch.where(found, pixel, 0)
    weight = _weight(torch.where(found, ratio, 0.0) / limit)
    reach = torch.where(found, limit * density.gather(1, pixel), 1.0)  # the key up to which a pixel is drawn
    represented = torch.where(found, weight / _mean_weight(reach), 0.0)
    total = represented.sum(1, keepdim=True)
    return pixel, represented * informed.sum(1, keepdim=True) / torch.where(total > 0, total, 1.0)


def _weight(ratio: Tensor) -> Tensor:
    """Return the weight f by a pixel's ratio over the limit, 0..1: one, falling to zero along the last `FADING`."""
    return ((1 - ratio) / FADING).clamp(FAINT, 1)


def _mean_weight(reach: Tensor) -> Tensor:
    """Return the mean weight over all keys 0..1 of a pixel that is drawn up to key `reach` (above one: always)."""
    most = reach.clamp(max=1e3)  # infinite: all are drawn
    beyond = ((1 / most).clamp(max=1) - (1 - FADING)).clamp(min=0)  # how far the ratios reach into the fading
    return most.clamp(max=1) - most * beyond**2 / (2 * FADING)


def _keys(height: int, width: int, like: Tensor) -> Float[Tensor, "S"]:
    """Return a key (S,) for each pixel of a crop."""
    row, column = torch.arange(height).double()[:, None], torch.arange(width).double()
    return ((0.5 + column * PLASTIC + row * PLASTIC**2) % 1).clamp(min=1e-12).flatten().to(like)


def _density(
    informed: Tensor, sqrt_information: Tensor, triangle: Tensor, parts: Int[Tensor, "F"] | None
) -> Float[Tensor, "B S"]:
    """Return the sampling density (B, H W) of the pixels, float64; its sum is one where there is any information."""
    sharpness = sqrt_information.diagonal(dim1=-2, dim2=-1).double().clamp(min=0).prod(-1).sqrt()  # (B, H, W) 1/px
    sharpness = torch.where(informed, sharpness.sqrt().clamp(min=1e-6), 0.0).flatten(1)
    if parts is not None:
        part = parts[triangle.clamp(min=0).long()].flatten(1)
        pixels = sharpness.new_zeros(len(part), int(parts.max()) + 1).scatter_add(1, part, informed.flatten(1).double())
        sharpness = sharpness / pixels.gather(1, part).clamp(min=1).sqrt()
    return sharpness / sharpness.sum(1, keepdim=True).clamp(min=1e-30)
