"""Share of the photo's variation that a body rendered in the person's own texture does not explain.

    unexplained = min over a, b of  Σ c |photo - (a texture + b)|² / Σ c |photo - mean(photo)|²

over the pixels whose texture is known, c its confidence, per channel, then their mean; gain a >= 0 and offset b take up
light and exposure. Zero: the rendering equals the photo; one: it explains nothing of it.

Source: the coefficient of determination (Wright, J. Agric. Res. 20, 1921), with gain and offset as in Baker et al.,
Lucas-Kanade 20 Years On: part 3, 2003.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.estimate import Estimate
from refine.photo import Photo
from refine.render import Rasterizer, shade
from refine.render.view import render_view
from refine.state import State

LEAST_PIXELS = 50.0
"""Least number of confident pixels: a patch of 7 x 7."""


def unexplained(
    photos: Sequence[Photo],
    estimate: Estimate,
    texture: Float[Tensor, "B Y X 4"],
    rasterizer: Rasterizer | None = None,
    crop_px: int = 128,
) -> Float[Tensor, "B"]:
    """Return the share of the photos' variation that the textures do not explain.

    Args:
        photos: The images `estimate.image_index` points into.
        estimate: B bodies.
        texture: (B, Y, X, 4) RGB in 0..1 and confidence.
        rasterizer: Finds the visible triangles; None: the fastest one.
        crop_px: Side of the crops that are compared.

    Returns:
        (B,) 0 to 1; NaN where too little of the texture is known.
    """
    view = render_view(photos, estimate, rasterizer, crop_px)
    like, body = view.fragments.barycentric, estimate.body
    painted = shade.texture_colors(view.fragments, body.uv.to(like), body.uv_faces, texture.to(like)).flatten(1, 2)
    seen = (torch.from_numpy(view.pixels()).to(like) / 255).flatten(1, 2)  # (B, N, 3)
    sure, color = painted[..., 3:], painted[..., :3]  # (B, N, 1), (B, N, 3)
    total = sure.sum(1).clamp(min=1e-9)
    off, away = (part - ((sure * part).sum(1) / total)[:, None] for part in (seen, color))
    spread, own = (sure * off * off).sum(1), (sure * away * away).sum(1)  # (B, 3)
    both = (sure * off * away).sum(1).clamp(min=0)  # a negative gain is no light
    explained = both * both / (own * spread).clamp(min=1e-12)
    return torch.where(total[:, 0] >= LEAST_PIXELS, 1 - explained.mean(1), torch.nan).to(estimate.bodies.translation)


def unexplained_before_and_after(
    photos: Sequence[Photo], estimate: Estimate, state: State, displacer: object, rasterizer: Rasterizer | None = None
) -> Float[Tensor, "B 2"] | None:
    """Return `unexplained` (B, 2) of a displacer's texture before and after; None where it has none.

    Args:
        photos: The images.
        estimate: B bodies before refining.
        state: The same bodies, refined.
        displacer: May hold a `texture` (B, Y, X, 4).
        rasterizer: Finds the visible triangles.
    """
    texture = getattr(displacer, "texture", None)
    if not isinstance(texture, Tensor) or not len(estimate):
        return None
    both = (estimate, replace(estimate, state=state))
    return torch.stack([unexplained(photos, each, texture, rasterizer) for each in both], 1)
