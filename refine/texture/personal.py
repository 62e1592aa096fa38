"""Bakes people's textures from photos and estimates: crops, occlusion between people, and the estimate's error.

    frames = crops around each body;   trust(pixel) = inside the photo and no other body of that photo in front

Source: see `refine.texture.bake`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import Camera
from refine.geometry.crop import Crop
from refine.photo import Photo
from refine.render import Rasterizer
from refine.render.rasterize import default_rasterizer, rasterize
from refine.render.view import View, render_view
from refine.texture.atlas import Atlas, uv_atlas
from refine.texture.bake import Frames, bake
from refine.texture.fill import filled_by_part_means, filled_by_symmetry
from refine.texture.texture import Texture

CROP_PX = 512
"""Side of the crops, px: a person 430 px tall has 4 mm a pixel, about a texel of a 512 map."""

SIGMA_M = 0.02
"""Default standard deviation of an estimate across the view, m: that after refinement with keypoints."""


def bake_textures(
    photos: Sequence[Photo],
    estimate: Estimate,
    atlas: Atlas,
    *,
    person: Sequence[int] | None = None,
    sigma_m: float | Float[Tensor, "B"] | Float[Tensor, "B V"] = SIGMA_M,
    crop_px: int = CROP_PX,
    rasterizer: Rasterizer | None = None,
) -> Texture:
    """Bake people's textures from photos in which their bodies are estimated.

    Args:
        photos: I photos, indexed by `estimate.image_index`.
        estimate: B bodies (`Result.refined`, for one); those of one photo hide each other.
        atlas: The grid of texels, `uv_atlas(estimate.body)`.
        person: B numbers 0..N-1, the person of each body. None: every body is a person of its own.
        sigma_m: Standard deviation of the body across the view, m: one for all, (B,), or (B, V) by vertex.
        crop_px: Side of the crops, px.
        rasterizer: Finds visible triangles; None: the fastest one installed.

    Returns:
        N textures.

    Raises:
        InputError: There is no body, a photo is missing, or the persons are not as many as the bodies.
    """
    bodies = len(estimate)
    if not bodies:
        raise InputError("estimate", "at least one body", "none")
    index = estimate.image_index
    if int(index.min()) < 0 or int(index.max()) >= len(photos):
        raise InputError("photos", f"{int(index.max()) + 1} photos, as image_index says", str(len(photos)))
    who = torch.arange(bodies) if person is None else torch.as_tensor(person)
    view = render_view(photos, estimate, rasterizer, crop_px)
    return bake(frames_of(view, sigma_m, rasterizer), atlas, who.to(index.device))


def filled_textures(photos: Sequence[Photo], estimate: Estimate, *, person: Sequence[int] | None = None) -> Texture:
    """Bake people's textures, and fill what no photo shows: from the body's other side, then by its parts' colours.

    Args:
        photos: As for `bake_textures`.
        estimate: As for `bake_textures`.
        person: As for `bake_textures`.

    Returns:
        N textures without an empty texel.
    """
    atlas = uv_atlas(estimate.body)
    baked = bake_textures(photos, estimate, atlas, person=person)
    return filled_by_part_means(filled_by_symmetry(baked, atlas), atlas)


def frames_of(
    view: View,
    sigma_m: float | Float[Tensor, "B"] | Float[Tensor, "B V"] = SIGMA_M,
    rasterizer: Rasterizer | None = None,
) -> Frames:
    """Return a view's crops as frames to bake from.

    Args:
        view: B crops with their bodies.
        sigma_m: m, one number, (B,) or (B, V); see `bake_textures`.
        rasterizer: Finds the bodies in front; None: the fastest one installed.

    Returns:
        B frames, whose trust is zero beyond the photo's border and behind another body of the photo.
    """
    vertices = view.vertices
    pixels = torch.from_numpy(view.pixels()).to(vertices) / 255
    sigma = torch.as_tensor(sigma_m).to(vertices)
    if sigma.dim() == 1:
        sigma = sigma[:, None]
    trust = _inside(view.crop, view.estimate.camera) & ~_hidden(view, rasterizer or default_rasterizer())
    return Frames(
        pixels,
        vertices,
        view.camera,
        view.fragments,
        trust.to(vertices),
        sigma.expand(vertices.shape[:2]),
    )


def _inside(crop: Crop, photo: Camera) -> Tensor:
    """Return which pixels (B, S, S) of the crops lie in their photos."""
    places = torch.arange(crop.side).to(photo.size) + 0.5
    center = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1)
    pixel = crop.to_image(center.expand(len(crop), -1, -1, -1))
    limit = photo.size.flip(1)[:, None, None]
    return ((pixel >= 0) & (pixel <= limit)).all(-1)


def _hidden(view: View, rasterizer: Rasterizer) -> Tensor:
    """Return the pixels (B, S, S) where another body of the same photo is nearer than the crop's own."""
    side = view.crop.side
    index = view.estimate.image_index
    own, other = (
        ((index[:, None] == index) & ~torch.eye(len(index), dtype=torch.bool, device=index.device)).nonzero().unbind(1)
    )
    hidden = torch.zeros_like(view.fragments.triangle, dtype=torch.bool)
    for body, neighbour in zip(own.tolist(), other.tolist(), strict=True):
        faces = view.estimate.body.faces
        rows = slice(neighbour, neighbour + 1)
        seen = rasterize(rasterizer, view.vertices[rows], faces, view.camera[body : body + 1], side, side)
        own_depth = view.fragments.depth[body]
        hidden[body] |= (seen.depth[0] < own_depth) & own_depth.isfinite()
    return hidden
