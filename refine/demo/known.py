"""A displacement that is known because the scene is: what a perfect network would say, and what a poor one might.

    offset(pixel) = crop_from_photo( project(true surface point the pixel's estimate shows) ) + noise - pixel

Outliers point anywhere into the crop; the hidden half is what lies below the middle of the true person in the photo (a
table in front).

Source: Wehrbein et al., ICCVW 2023, sec. 3.2 (displacements from a rendered estimate to the photo).
"""

from dataclasses import dataclass

import torch

from displacement_net.displacement import Displacement
from refine.errors import InputError
from refine.estimate import Estimate
from refine.render import shade
from refine.render.view import View

EXACT_SIGMA_PX = 1.0
"""Standard deviation stated for exact matches, px of the photo; also the floor under noise that is added."""


@dataclass(frozen=True)
class KnownDisplacement:
    """Stands in for the displacement network: a `refine.refiner.Displacer`.

    Attributes:
        true: The people as they are, in the order of the estimates to come.

    Raises:
        InputError: A setting is out of range.
    """

    true: Estimate
    noise_px: float = 0.0
    """Standard deviation of independent noise on every pixel's target, px of the photo."""
    outliers: float = 0.0
    """Share of pixels whose target is anywhere in the crop."""
    hidden: bool = False
    """Whether the lower half of the person, as seen in the photo, says nothing."""
    seed: int = 0
    """Of noise and outliers."""

    def __post_init__(self) -> None:
        if self.noise_px < 0 or not 0 <= self.outliers < 1:
            raise InputError(
                "displacement",
                "noise_px >= 0 and outliers in 0..1, 1 excluded",
                f"{self.noise_px:g}, {self.outliers:g}",
            )

    def displace(self, view: View) -> Displacement:
        """Return offsets (B, S, S, 2) in px of the crops with the square root of their information in 1/px."""
        like = view.fragments.barycentric
        point = shade.interpolate(view.fragments, self.true.body.faces, self.true.vertices)  # (B, S, S, 3) m
        pixel = self.true.camera.project(point)  # (B, S, S, 2) px of the photo
        silent = torch.zeros_like(like[..., 0], dtype=torch.bool)
        if self.hidden:
            row = self.true.camera.project(self.true.vertices)[..., 1]
            silent = pixel[..., 1] > ((row.amin(1) + row.amax(1)) / 2)[:, None, None]
        target = view.crop.to_crop(pixel)
        scale = view.crop.scale[:, :1, None]  # (B, 1, 1) px of the crop per px of the photo
        side = target.shape[1]
        noise, wild, where = _draw(self.seed, len(target), side)
        target = target + (self.noise_px * scale)[..., None] * noise.to(target)
        target = torch.where((wild < self.outliers).to(target.device)[..., None], side * where.to(target), target)
        places = torch.arange(side, device=target.device, dtype=target.dtype) + 0.5
        center = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1)
        sigma = max(self.noise_px, EXACT_SIGMA_PX) * scale
        known = (view.fragments.triangle >= 0) & ~silent
        root = torch.eye(2).to(target) * (known / sigma)[..., None, None]
        return Displacement(torch.where(known[..., None], target - center, 0.0), root)


def _draw(seed: int, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise (B, S, S, 2), a number that picks outliers (B, S, S), their places (B, S, S, 2) in 0..1, body by body."""
    drawn = []
    for body in range(count):
        generator = torch.Generator().manual_seed(7919 * seed + body)
        drawn.append(
            (
                torch.randn(side, side, 2, generator=generator),
                torch.rand(side, side, generator=generator),
                torch.rand(side, side, 2, generator=generator),
            )
        )
    noise, wild, where = (torch.stack(each) for each in zip(*drawn, strict=True))
    return noise, wild, where
