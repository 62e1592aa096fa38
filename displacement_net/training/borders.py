"""Borders of photos in crops: what lies outside is black, or repeats the border's colours."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.geometry.crop import Crop

REPLICATED = 0.25
"""Share of photos whose border's colours go on outside; the others are black there."""


def within(crop: Crop, photo: Float[Tensor, "B 2"]) -> Int[Tensor, "B 4"]:
    """Return the first and last column and row of each crop that lie inside the photo: left, top, right, bottom.

    Args:
        crop: B crops.
        photo: (B, 2) px, height and width of their photos.
    """
    corners = torch.stack((torch.zeros_like(photo), photo.flip(1)), 1)  # (B, 2, 2)
    low, high = crop.to_crop(corners).unbind(1)
    size = crop.side
    return torch.cat((low.ceil().clamp(0, size - 1), (high.floor() - 1).clamp(0, size - 1)), 1).long()


def bordered(
    image: Float[Tensor, "B 3 S S"], inside: Int[Tensor, "B 4"], rng: np.random.Generator
) -> tuple[Float[Tensor, "B 3 S S"], Bool[Tensor, "B S S"]]:
    """Return images as crops of photos that end, and where they are inside.

    Args:
        image: (B, 3, S, S).
        inside: (B, 4), see `within`.
        rng: Draws which are black outside, and which repeat their border.
    """
    size = image.shape[-1]
    line = torch.arange(size, device=image.device).expand(len(image), -1)
    column = torch.maximum(torch.minimum(line, inside[:, 2:3]), inside[:, 0:1])
    row = torch.maximum(torch.minimum(line, inside[:, 3:4]), inside[:, 1:2])
    index = torch.arange(len(image), device=image.device)[:, None, None]
    repeated = image.permute(0, 2, 3, 1)[index, row[:, :, None], column[:, None, :]].permute(0, 3, 1, 2)
    there = (column == line)[:, None, :] & (row == line)[:, :, None]
    keep = torch.from_numpy(rng.random(len(image)) < REPLICATED).to(image.device)[:, None, None]
    return repeated * (there | keep)[:, None], there
