"""What the network is shown: fifteen channels a pixel, photo and rendering side by side.

    photo, colours, texture <- (value - ½) / ¼      depth <- (depth - its mean over the body) / ½ m      background <- 0

Normals, mask and confidence go in as they are. The order and the numbers are stored with the weights; a file that was
trained with others is refused (`displacement_net.catalog`).

Source: Wehrbein et al., ICCVW 2023, sec. 3.2 (photo and rendering together); the choice of channels is ours.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

CHANNELS = (
    "photo_r", "photo_g", "photo_b",
    "normal_x", "normal_y", "normal_z", "depth",
    "rest_x", "rest_y", "rest_z", "mask",
    "texture_r", "texture_g", "texture_b", "confidence",
)  # fmt: skip
"""The order of the channels."""
PHOTO = slice(0, 3)
RENDERING = slice(3, len(CHANNELS))
MASK = CHANNELS.index("mask")

MEAN, SPREAD = 0.5, 0.25
"""Of colours in 0..1: the middle, and about the standard deviation of photos."""
DEPTH_M = 0.5
"""Depth that becomes 1: half of what a body standing across the view spans."""


def network_input(
    photo: Float[Tensor, "B S S 3"],
    normals: Float[Tensor, "B S S 3"],
    depth: Float[Tensor, "B S S"],
    rest: Float[Tensor, "B S S 3"],
    mask: Bool[Tensor, "B S S"],
    texture: Float[Tensor, "B S S 4"] | None = None,
) -> Float[Tensor, "B 15 S S"]:
    """Stack photo and rendering into the network's channels.

    Args:
        photo: (B, S, S, 3) RGB in 0..1, black outside the photo.
        normals: (B, S, S, 3) unit vectors, camera frame.
        depth: (B, S, S) m; what it is on the background does not matter.
        rest: (B, S, S, 3) the body's rest-pose colours, 0..1.
        mask: (B, S, S) where the body is rendered.
        texture: (B, S, S, 4) RGB in 0..1 and confidence in 0..1 of the textured rendering; None: no texture is known.

    Returns:
        (B, 15, S, S), channels-last in memory.
    """
    seen = mask[..., None]
    inside = torch.where(mask, depth, 0.0)
    pixels = mask.flatten(1).sum(1).clamp(min=1)[:, None, None]
    middle = inside.flatten(1).sum(1)[:, None, None] / pixels
    relative = torch.where(mask, (inside - middle) / DEPTH_M, 0.0)
    if texture is None:
        texture = photo.new_zeros(*photo.shape[:3], 4)
    known = seen & (texture[..., 3:] > 0)
    parts = (
        (photo - MEAN) / SPREAD,
        torch.where(seen, normals, 0.0),
        relative[..., None],
        torch.where(seen, (rest - MEAN) / SPREAD, 0.0),
        seen.to(photo),
        torch.where(known, (texture[..., :3] - MEAN) / SPREAD, 0.0),
        torch.where(known, texture[..., 3:], 0.0),
    )
    return torch.cat([part.to(photo) for part in parts], -1).permute(0, 3, 1, 2)


def description() -> dict[str, str]:
    """Return what a weights file says about its input: channels in order, and the numbers they are scaled with."""
    return {"channels": ",".join(CHANNELS), "mean": f"{MEAN:g}", "spread": f"{SPREAD:g}", "depth_m": f"{DEPTH_M:g}"}
