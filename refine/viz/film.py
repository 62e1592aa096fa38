"""Draws a clip before and after, frame by frame, as the pictures of a video: one is in memory at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from refine.errors import InputError
from refine.estimate import Estimate
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.render import Rasterizer
from refine.viz import canvas
from refine.viz.canvas import Picture
from refine.viz.overlay import overlay
from refine.viz.seen import grey_photo

FILM_SIDE = 640
"""Longer side of each half, px: a minute of it is drawn in minutes and plays anywhere."""


def film(
    photos: Sequence[Photo],
    before: Estimate,
    after: Estimate,
    images: Sequence[int],
    time_s: Sequence[float],
    *,
    detections: Detections | None = None,
    max_side: int = FILM_SIDE,
    rasterizer: Rasterizer | None = None,
) -> Iterator[Picture]:
    """Yield one picture a frame: estimate | result over the photo, with the frame's number and time.

    Args:
        photos: The clip's photos by image index; empty: a grey ground of the cameras' size.
        before: The estimate.
        after: The result: the same people in the same order.
        images: N image indices, the frames to draw.
        time_s: (N,) s of each.
        detections: Keypoints to draw.
        max_side: Longer side of each half, px.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        N pictures (H, W, 3) uint8 RGB of one size. A frame that cannot be decoded has a grey ground, and says so.

    Raises:
        InputError: As `overlay`.
    """
    shape = None
    for image, time in zip(images, time_s, strict=True):
        ground, words = ground_of(photos, after, image)
        caption = f"frame {image}   {time:.2f} s{words}"
        picture = overlay(
            ground, before, after, image=image, detections=detections, caption=caption, max_side=max_side,
            rasterizer=rasterizer,
        )  # fmt: skip
        shape = shape or picture.shape
        yield _of_shape(picture, shape)


def ground_of(photos: Sequence[Photo], estimate: Estimate, image: int) -> tuple[Picture, str]:
    """Return what a frame is drawn on, and what is to be said of it.

    Args:
        photos: By image index; empty: there are none.
        estimate: Whose cameras have the size of a frame without a photo.
        image: Which frame.

    Raises:
        InputError: There are photos, but not so many.
    """
    if photos and not 0 <= image < len(photos):
        raise InputError("images", f"indices below {len(photos)}, the number of photos", str(image))
    if photos:
        try:
            return photos[image].pixels, ""
        except InputError:
            height, width = photos[image].size
            return grey_photo(height, width), "   this frame is not there or cannot be decoded"
    rows = (estimate.image_index.cpu() == image).nonzero()[:, 0]
    size = estimate.camera.size.cpu()
    height, width = size[rows[0] if len(rows) else 0].round().to(torch.int64).tolist()
    return grey_photo(height, width), ""


def _of_shape(picture: Picture, shape: tuple[int, ...]) -> Picture:
    """Return a picture cut or continued at its lower and right end: legends differ in length from frame to frame."""
    height, width = shape[:2]
    page = canvas.blank(height, width)
    part = picture[:height, :width]
    page[: part.shape[0], : part.shape[1]] = part
    return np.ascontiguousarray(page)
