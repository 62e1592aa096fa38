"""Draws one estimate over its photo: half transparent meshes with outlines, and the file's keypoints as crosses.

It is one half of `refine.viz.overlay`.
"""

import numpy as np

from refine.estimate import Estimate
from refine.render import Rasterizer
from refine.viz import canvas
from refine.viz.canvas import AFTER_COLOR, PERSON_COLORS, LegendEntry, Picture
from refine.viz.layers import check_photo, layers, meshes_of, whole_view
from refine.viz.overlay import MAX_SIDE, MIN_SIDE, draw_outlines, tint

GREY = 150
"""Grey level of the ground without a photo, on which the palette's light and dark colours are visible."""

STORED_COLOR: canvas.Color = (255, 80, 80)
"""Colour of the crosses at a file's keypoints."""


def grey_photo(height: int, width: int) -> Picture:
    """Return the ground (H, W, 3) uint8 for people without a photo."""
    return canvas.blank(height, width, (GREY, GREY, GREY))


def seen(
    photo: Picture, estimate: Estimate, *, image: int = 0, caption: str = "", rasterizer: Rasterizer | None = None
) -> Picture:
    """Draw the people of one image of an estimate.

    Args:
        photo: (H, W, 3) uint8 RGB, of the cameras' size.
        estimate: Bodies of one or several images.
        image: Which image.
        caption: A line of text below.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        (H', W', 3) uint8 RGB with a legend: person 1, 2, ... in the estimate's order; `source.keypoints_2d` as crosses.

    Raises:
        InputError: The photo is no RGB array, or of another size than the cameras'.
    """
    check_photo(photo)
    view = whole_view(photo, MIN_SIDE, MAX_SIDE)
    meshes = meshes_of(estimate, photo, image)
    layer = layers(meshes, view, rasterizer)
    picture = tint(view.photo(photo), layer)
    draw_outlines(picture, layer, range(len(meshes)), AFTER_COLOR, 0.0)
    stored = estimate.source.keypoints_2d
    rows = (estimate.image_index.cpu() == image).nonzero()[:, 0]
    if stored is not None:
        for point in view.pixels(stored[rows].reshape(-1, 2).double().numpy()):
            if np.isfinite(point).all() and (point > 0).all() and (point < (view.width, view.height)).all():
                canvas.draw_cross(picture, point, STORED_COLOR, radius=3.0, thickness=1)
    shown = set(np.unique(layer.person).tolist())
    entries = [
        LegendEntry(
            f"person {row + 1}" + ("" if number in shown else " (not visible)"),
            PERSON_COLORS[number % len(PERSON_COLORS)],
            "patch",
        )
        for number, row in enumerate(rows.tolist())
    ]
    if stored is not None:
        entries.append(LegendEntry("stored 2D", STORED_COLOR, "cross"))
    if caption:
        entries.append(LegendEntry(caption, canvas.SOFT_INK))
    return canvas.stack([picture, canvas.legend(entries, picture.shape[1])])
