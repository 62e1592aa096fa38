"""A view: a square crop of the photo around each body, with the body rendered into it.

    crop       <- square around the body's projected vertices, cut to the photo, on a grid
    fragments  <- the body, rasterised with the crop's camera

A body that has moved a little keeps its crop, so that features of the photo there stay valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from refine.body import pose_body
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M, Camera
from refine.geometry.crop import MARGIN, Crop, crop_around, on_grid, sample_opencv, square_around
from refine.photo import Photo
from refine.render import Fragments, Rasterizer
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import State

ROOM = 1.25
"""Largest side of a kept crop over that of a new one."""


@dataclass(frozen=True, eq=False)
class View:
    """B crops of photos with the bodies rendered into them.

    Attributes:
        estimate: The bodies that were rendered.
        crop: The crops' maps from their photos.
        camera: The crops' B cameras, with the photos' distortion.
        vertices: (B, V, 3) m, camera frame.
        fragments: (B, S, S) the visible surface at each pixel of the crops.
        photos: I photos, (H, W, 3) RGB.
    """

    estimate: Estimate
    crop: Crop
    camera: Camera
    vertices: Float[torch.Tensor, "B V 3"]
    fragments: Fragments
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]

    def pixels(self) -> UInt8[np.ndarray, "B S S 3"]:
        """Return the crops' pixels (B, S, S, 3) RGB, black outside the photos."""
        return sample_opencv(self.photos, self.crop)

    def moved_px(self, state: State) -> Float[torch.Tensor, "B"]:
        """Return the largest displacement of a joint since the view was rendered.

        Args:
            state: The same bodies, moved.

        Returns:
            (B,) px of the crops; 0 for a body that did not move, wherever it stands.
        """
        was, now = (
            self.crop.to_crop(each.camera.project(pose_body(self.estimate.body, each.bodies).joints))
            for each in (self.estimate.state, state)
        )
        return torch.where(now == was, 0.0, (now - was).nan_to_num(torch.inf)).norm(dim=-1).amax(1)


def render_view(
    photos: Sequence[Photo],
    estimate: Estimate,
    rasterizer: Rasterizer | None = None,
    crop_px: int = 256,
    *,
    before: View | None = None,
) -> View:
    """Render every body into a crop of its own.

    Args:
        photos: I photos, indexed by `estimate.image_index`.
        estimate: B bodies and cameras.
        rasterizer: Finds the visible triangles; None: the fastest one installed.
        crop_px: Side of the crops, px.
        before: An earlier view of the same bodies: a body that still lies inside its crop and fills it (`ROOM`) keeps
            it.

    Returns:
        The view. A body behind the camera has an empty rendering.

    Raises:
        InputError: `before` is of other bodies or of crops of another side.
    """
    vertices = estimate.vertices.detach()
    seen = vertices[..., 2] > NEAR_M
    own = estimate.camera.local  # vertices are in the camera frame
    center, side = on_grid(*square_around(own.project(vertices), seen=seen, within=own.size))
    crop = crop_around(center, side, side=crop_px, image_index=estimate.image_index)
    if before is not None:
        crop = _kept(before.crop, crop)
    camera = crop.camera(own)
    fragments = rasterize(rasterizer or default_rasterizer(), vertices, estimate.body.faces, camera, crop_px, crop_px)
    return View(estimate, crop, camera, vertices, fragments, tuple(photo.pixels for photo in photos))


def _kept(before: Crop, wanted: Crop) -> Crop:
    """Return the crops of an earlier view where they fit, the wanted ones elsewhere.

    Raises:
        InputError: They are of other bodies or of another side.
    """
    if before.side != wanted.side or not torch.equal(before.image_index, wanted.image_index):
        raise InputError("before", "a view of the same bodies in crops of the same side", "another one")
    inner = wanted.side * (1 - 1 / MARGIN) / 2  # the body's own extent lies this far inside the crop around it
    ends = wanted.crop_from_image.new_tensor(((inner, inner), (wanted.side - inner,) * 2))
    ends = before.to_crop(
        wanted.to_image(ends.expand(len(wanted), -1, -1))
    )  # (B, 2, 2) the body's box in the crop before
    inside = (ends >= 0).flatten(1).all(1) & (ends <= wanted.side).flatten(1).all(1)
    filled = (ends[:, 1] - ends[:, 0]).amax(1) * MARGIN / wanted.side
    stays = inside & (filled > 1 / ROOM) & (filled < MARGIN)
    return Crop(
        torch.where(stays[:, None, None], before.crop_from_image, wanted.crop_from_image),
        wanted.side,
        wanted.image_index,
    )
