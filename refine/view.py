"""A view: what the photo and the estimate look like through a square crop around each body.

crop <- square around the body's projected vertices, cut to the photo;  fragments <- the body, rasterised with the crop's camera
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from refine.bodies import State
from refine.camera import NEAR_M, Camera
from refine.crop import Crop, crop_around, sample_opencv, square_around
from refine.estimate import Estimate
from refine.photo import Photo
from refine.render import Fragments, Rasterizer
from refine.render.rasterize import default_rasterizer, rasterize


@dataclass(frozen=True, eq=False)
class View:
    """B crops of photos with the bodies rendered into them.

    Attributes:
        estimate: The bodies as they were rendered.
        crop: Where the crops lie in their photos.
        camera: (B) the crops' cameras.
        vertices: (B, V, 3) m, camera frame.
        fragments: (B, S, S) what each pixel of the crops sees.
        photos: I photos, (H, W, 3) RGB.
    """

    estimate: Estimate
    crop: Crop
    camera: Camera
    vertices: Float[torch.Tensor, "B V 3"]
    fragments: Fragments
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]

    def pixels(self) -> UInt8[np.ndarray, "B S S 3"]:
        """Cut the crops out of the photos: (B, S, S, 3) RGB, black outside."""
        return sample_opencv(self.photos, self.crop)

    def moved_px(self, state: State) -> Float[torch.Tensor, "B"]:
        """Return how far the joint that moved farthest is from where it was when the view was rendered.

        Args:
            state: The same bodies, moved.

        Returns:
            (B,) px of the crops; 0 for a body that did not move, wherever it stands.
        """
        was, now = (
            self.crop.to_crop(each.camera.project(self.estimate.body.posed(each.bodies).joints))
            for each in (self.estimate.state, state)
        )
        return torch.where(now == was, 0.0, (now - was).nan_to_num(torch.inf)).norm(dim=-1).amax(1)


def render_view(
    photos: Sequence[Photo], estimate: Estimate, rasterizer: Rasterizer | None = None, crop_px: int = 256
) -> View:
    """Render every body into a crop of its own.

    Args:
        photos: I photos, indexed by `estimate.image_index`.
        estimate: B bodies and cameras.
        rasterizer: What finds the visible triangles; None: the fastest one installed.
        crop_px: Side of the crops, px.

    Returns:
        The view. A body behind the camera has an empty rendering.
    """
    vertices = estimate.vertices.detach()
    seen = vertices[..., 2] > NEAR_M
    own = Camera(
        estimate.camera.focal, estimate.camera.center, estimate.camera.size
    )  # vertices are in the camera frame
    center, side = square_around(own.project(vertices), seen=seen, within=own.size)
    crop = crop_around(center, side, side=crop_px, image_index=estimate.image_index)
    camera = crop.camera(own)
    fragments = rasterize(rasterizer or default_rasterizer(), vertices, estimate.body.faces, camera, crop_px, crop_px)
    return View(estimate, crop, camera, vertices, fragments, tuple(photo.pixels for photo in photos))
