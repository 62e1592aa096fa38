"""Pictures to look at: the estimate over the photo, what the network says of it, the refined bodies.

    arrow: from a rendered pixel's place in the photo to where the network says its surface point lies, to the picture's
           scale

Bright arrows are those the network is sure of; places where it says nothing have none.

Source: overlays, arrows and colours are `refine.viz`'s.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from displacement_net.displacement import Displacement
from refine.dense.displacer import Displacer
from refine.estimate import Estimate
from refine.export.files import write_image
from refine.geometry.crop import apply_affine
from refine.photo import Photo
from refine.render.view import View, render_view
from refine.viz import canvas
from refine.viz.arrows import draw_arrows
from refine.viz.canvas import LegendEntry, Picture
from refine.viz.layers import whole_view
from refine.viz.overlay import pair, side_of
from refine.viz.ramp import viridis

PICTURE_PX = (640, 900)
"""Least and largest longer side of a panel, px."""
STEP_PX = 11
"""Distance of arrows in the picture, px."""
DIM = 0.5
"""The photo under arrows is darkened to this share."""
SURE_PX, UNSURE_PX = 3.0, 24.0
"""Standard deviations, px of a 256 crop, of the brightest and the darkest arrows."""


def write_triptych(
    path: Path, photos: Sequence[Photo], before: Estimate, after: Estimate, displacer: Displacer, title: str
) -> None:
    """Write one picture a photo: before, arrows, after.

    Args:
        path: The file; with several photos their numbers are put before its suffix.
        photos: I photos.
        before: The estimate.
        after: The same people, refined.
        displacer: Says the arrows of `before`.
        title: Above the first panel.
    """
    for image, photo in enumerate(photos):
        own = (before.image_index == image).nonzero()[:, 0]
        if not len(own):
            continue
        one, other = (_of(estimate, own) for estimate in (before, after))
        view = render_view([photo], replace(one, image_index=torch.zeros(len(own), dtype=torch.long)))
        picture = triptych(photo, one, other, view, displacer.displace(view), image, title)
        write_image(path if len(photos) == 1 else path.with_stem(f"{path.stem}_{image}"), picture)


def triptych(
    photo: Photo, before: Estimate, after: Estimate, view: View, said: Displacement, image: int, title: str
) -> Picture:
    """Draw before, arrows and after side by side.

    Args:
        photo: The photo.
        before: B bodies in it.
        after: The same, refined.
        view: How `before` looks.
        said: What the network says of it.
        image: The photo's number in the estimates.
        title: Above the first panel.
    """
    whole = whole_view(photo.pixels, *PICTURE_PX)
    sides = [side_of(estimate, photo.pixels, image, None) for estimate in (before, after)]
    (left, right), _ = pair(photo.pixels, sides[0], sides[1], whole)
    middle = (DIM * whole.photo(photo.pixels)).astype(np.uint8)
    draw_field(middle, view, said, np.array(whole.scale))
    panels = []
    for words, picture in ((title, left), ("What the network says", middle), ("Refined", right)):
        head = canvas.blank(34, picture.shape[1])
        canvas.draw_text(head, canvas.shorten(words, picture.shape[1] - 20, 18, bold=True), (10, 6), 18, bold=True)
        panels.append(canvas.stack([head, picture]))
    joined = np.concatenate(panels, 1)
    words = f"arrows to scale; bright: sure to {SURE_PX:g} px of a 256 px crop, dark: {UNSURE_PX:g} px and more"
    return canvas.stack([joined, canvas.legend([LegendEntry(words)], joined.shape[1])])


def draw_field(picture: Picture, view: View, said: Displacement, scale: np.ndarray) -> None:
    """Draw a field into a picture, which is changed.

    Args:
        picture: (H', W', 3) the photo at another scale.
        view: B crops.
        said: (B, S, S) what is said of them.
        scale: (2,) picture px per photo px.
    """
    side = said.offset.shape[1]
    step = (STEP_PX * view.crop.scale[:, 0].cpu().numpy() / scale[0]).clip(1)  # px of the crop
    for body in range(len(said.offset)):
        at = np.arange(step[body] / 2, side, step[body]).astype(int)
        column, row = (each.ravel() for each in np.meshgrid(at, at))
        root = said.sqrt_information[body].cpu().numpy()[row, column].astype(float)
        area = root[:, 0, 0] * root[:, 1, 1]
        known = area > 0
        sigma = area[known] ** -0.5 * 256 / side
        offset = said.offset[body].cpu()[row[known], column[known]]
        start = torch.from_numpy(np.stack((column[known], row[known]), 1)).to(offset) + 0.5
        back = view.crop.image_from_crop[body : body + 1].cpu()
        tail, tip = (apply_affine(back, point[None])[0].numpy() * scale for point in (start, start + offset))
        doubt = np.log(sigma / SURE_PX) / np.log(UNSURE_PX / SURE_PX)
        draw_arrows(picture, tail, tip, viridis(1 - doubt.clip(0, 1)), np.argsort(-sigma))


def _of(estimate: Estimate, rows: torch.Tensor) -> Estimate:
    return replace(estimate, state=estimate.state[rows], image_index=estimate.image_index[rows])
