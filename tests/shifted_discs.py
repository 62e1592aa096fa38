"""Samples a small network learns: spotted discs, moved by a few pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from displacement_net.model import Settings
from displacement_net.training.shown import Crops

SIDE = 32
SETTINGS = Settings(widths=(8, 12, 16, 24), crop_px=SIDE)


@dataclass(frozen=True)
class Shifted:
    """Spotted discs: the rendering is the photo's disc moved by a few pixels, its left quarter behind a black wall."""

    mean_px: tuple[float, float] = (0.0, 0.0)
    spread_px: float = 2.0

    def batch(self, seed: int, count: int) -> Crops:
        """Return samples, each by a seed of its own."""
        parts = [self._one(seed + number) for number in range(count)]
        photo, known, offset, mask, visible = (torch.stack(each) for each in zip(*parts, strict=True))
        disc = mask[:, None].float()
        return Crops(
            image=photo, normals=disc * torch.tensor([0.0, 0.0, -1.0])[:, None, None], depth=0 * disc,
            colors=disc.expand(-1, 3, -1, -1), texture=known * disc, confidence=disc,
            offset=offset, foreground=mask, visible=visible, person=None,
        )  # fmt: skip

    def _one(self, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        draw = torch.Generator().manual_seed(seed)
        shift = (torch.tensor(self.mean_px) + self.spread_px * torch.randn(2, generator=draw)).round().clamp(-5, 5)
        spots = torch.rand(1, 3, SIDE // 4, SIDE // 4, generator=draw)
        looks = torch.nn.functional.interpolate(spots, size=(SIDE, SIDE), mode="bilinear")[0]
        line = torch.arange(SIDE) + 0.5 - SIDE / 2
        mask = line[:, None] ** 2 + line**2 < (SIDE / 3) ** 2
        photo = torch.roll(looks, (int(shift[1]), int(shift[0])), (1, 2)) * (line > -SIDE / 6)
        visible = mask & (line > -SIDE / 6)
        return photo, looks, shift.expand(SIDE, SIDE, 2) * mask[..., None], mask, visible
