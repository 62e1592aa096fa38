"""Correspondences: sampled points of the surface and where the photo says they are.

    target = photo_from_crop (pixel + offset),    sqrt_information = share * W_crop / scale,   scale px of photo per px of crop
    q(pixel) ~ sqrt(sharpness) / sqrt(pixels of its part),     share² = min(1, 1 / (N q correlation_px²))

N pixels are drawn with density q, which prefers pixels that are sure and parts that are small (an arm has a tenth of the trunk's
pixels, and its pose is as much in doubt), and each stands for 1 / (N q) pixels, so that all of them together say what the whole field
says: for an even field share² = independent / N with independent = information-carrying pixels / correlation_px². That is the
effective number of independent matches: a network's errors on neighbouring pixels hang together, so N matches do not tell N times
as much as one. It is applied here, once, and nowhere else.

Source: Wehrbein et al., ICCVW 2023, sec. 3.2 (barycentric transport); Bayley and Hammersley, Suppl. J. R. Stat. Soc. 8(2),
1946 (effective number of observations of an autocorrelated series); Kahn and Marshall, J. Oper. Res. Soc. Am. 1(5), 1953 (importance sampling).
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.displacement import Displacement
from refine.body import SkinnedBody, SurfacePoints, surface_points
from refine.check import check_positive, check_shape
from refine.errors import InputError
from refine.render import Fragments


@dataclass(frozen=True, eq=False)
class Correspondences:
    """N surface points a body and their targets in the photo.

    Attributes:
        triangle: (B, N) index into the body's faces.
        barycentric: (B, N, 3) weights of its corners.
        target: (B, N, 2) px of the photo; finite everywhere (zero where there is no information).
        sqrt_information: (B, N, 2, 2) 1/px, lower triangular, non-negative diagonal; zero silences a match.
        share: (B, N) root of how much of an independent observation each match is, already in `sqrt_information`: a robust kernel judges
            the match by what it says itself, not by its share. None: each is one.

    Raises:
        InputError: The parts disagree on the number of bodies or matches.
    """

    triangle: Int[Tensor, "B N"]
    barycentric: Float[Tensor, "B N 3"]
    target: Float[Tensor, "B N 2"]
    sqrt_information: Float[Tensor, "B N 2 2"]
    share: Float[Tensor, "B N"] | None = None
    _gathered: list[tuple[SkinnedBody, SurfacePoints]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        sizes = check_shape("matches.triangle", self.triangle, "B N")
        check_shape("matches.barycentric", self.barycentric, "B N 3", **sizes)
        check_shape("matches.target", self.target, "B N 2", **sizes)
        check_shape("matches.sqrt_information", self.sqrt_information, "B N 2 2", **sizes)
        if self.share is not None:
            check_shape("matches.share", self.share, "B N", **sizes)
            check_positive("matches.share", self.share, "unitless")

    def on(self, body: SkinnedBody) -> SurfacePoints:
        """Return the matches' points on a body, gathered at the first call and remembered: a solver asks at every step."""
        if not self._gathered or self._gathered[0][0] is not body:
            self._gathered[:] = [(body, surface_points(body, self.triangle, self.barycentric))]
        return self._gathered[0][1]


@dataclass(frozen=True)
class Matching:
    """How matches are taken from a displacement field."""

    count: int = 512
    """N, matches a body: enough that more change nothing (CamSMPLify uses 138 points, smplfitter 1,024)."""

    correlation_px: float = 8.0
    """Distance in the crop (px) over which errors hang together: 1/32 of a 256 crop, about a forearm's width. 1: independent."""

    said: float = 1.0
    """Share of a displacement the displacer says, 0..1: a network that is unsure says less than it sees. The gate goes by it where nothing else speaks."""

    def __post_init__(self) -> None:
        if self.count < 1 or not self.correlation_px >= 1 or not 0 < self.said <= 1:
            raise InputError("matching", "count >= 1, correlation_px >= 1 and said in 0..1", repr(self))


def correspond(
    fragments: Fragments,
    displacement: Displacement,
    photo_from_crop: Float[Tensor, "B 2 3"],
    matching: Matching,
    parts: Int[Tensor, "F"] | None = None,
) -> Correspondences:
    """Carry a displacement field to points of the surface, spread over the body's parts and over the pixels that carry information.

    Args:
        fragments: (B, H, W) what each pixel of the crops sees.
        displacement: (B, H, W) offsets in px of the crops.
        photo_from_crop: (B, 2, 3) the similarity from pixels of each crop to pixels of its photo.
        matching: How many, and how far errors hang together.
        parts: (F,) the body part of each triangle, from 0; None: the body is one part.

    Returns:
        N matches a body. A body with fewer informed pixels repeats them with the information shared out, one with none has
        silent matches.
    """
    informed = displacement.sqrt_information.diagonal(dim1=-2, dim2=-1).gt(0).any(-1) & (fragments.triangle >= 0)
    informed &= displacement.offset.isfinite().all(-1) & displacement.sqrt_information.isfinite().all(-1).all(-1)
    count, height, width = informed.shape
    density = _density(informed, displacement.sqrt_information, fragments.triangle, parts)  # (B, H W)
    order = density.cumsum(1)
    # Systematic sampling: the pixel in which (n + ½) / N of the whole density is reached.
    places = (torch.arange(matching.count, device=order.device) + 0.5) / matching.count
    pixel = torch.searchsorted(order, places * order[:, -1:], right=True).clamp(max=height * width - 1)  # (B, N)
    rows = torch.arange(count, device=order.device)[:, None]
    found = informed.flatten(1)[rows, pixel]  # (B, N)

    offset = displacement.offset.flatten(1, 2)[rows, pixel]
    center = torch.stack((pixel % width, pixel // width), -1).to(offset) + 0.5  # (B, N, 2) px of the crop
    target = (center + offset) @ photo_from_crop[..., :2].mT + photo_from_crop[:, None, :, 2]
    scale = photo_from_crop[:, 0, :2].norm(dim=-1)[:, None, None, None]
    stands_for = 1 / (matching.count * density[rows, pixel]).clamp(min=1e-12)  # (B, N) pixels
    # At most one: nothing counts more than it says, and with fewer pixels than matches nothing counts twice.
    share = (stands_for / matching.correlation_px**2).clamp(max=1).sqrt().to(offset)
    information = displacement.sqrt_information.flatten(1, 2)[rows, pixel] * share[..., None, None] / scale
    return Correspondences(
        fragments.triangle.flatten(1)[rows, pixel].clamp(min=0).long(),
        fragments.barycentric.flatten(1, 2)[rows, pixel],
        target.masked_fill(~found[..., None], 0.0),
        information.masked_fill(~found[..., None, None], 0.0),
        share.masked_fill(~found, 1.0),
    )


def _density(
    informed: Tensor, sqrt_information: Tensor, triangle: Tensor, parts: Int[Tensor, "F"] | None
) -> Float[Tensor, "B S"]:
    """Return how likely each pixel (B, H W) is to be drawn, float64, summing to one where there is any information."""
    sharpness = sqrt_information.diagonal(dim1=-2, dim2=-1).double().clamp(min=0).prod(-1).sqrt()  # (B, H, W) 1/px
    sharpness = torch.where(informed, sharpness.sqrt().clamp(min=1e-6), 0.0).flatten(1)
    if parts is not None:
        part = parts[triangle.clamp(min=0).long()].flatten(1)
        pixels = sharpness.new_zeros(len(part), int(parts.max()) + 1).scatter_add(1, part, informed.flatten(1).double())
        sharpness = sharpness / pixels.gather(1, part).clamp(min=1).sqrt()
    return sharpness / sharpness.sum(1, keepdim=True).clamp(min=1e-30)
