"""Draws the displacement of visible surface points from estimate to result as arrows.

    arrow n: project(before[triangle_n, barycentric_n]) -> project(after[triangle_n, barycentric_n])

for the points seen in the pixels of a regular grid; drawn to the scale of the picture, coloured by their length.

The colours are `refine.viz.ramp`'s.
"""

from dataclasses import dataclass

import numpy as np
import torch

from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M
from refine.render import Rasterizer
from refine.viz import canvas
from refine.viz.canvas import BEFORE_COLOR, LegendEntry, Picture
from refine.viz.layers import Layers, Meshes, check_photo, layers, meshes_of, whole_view
from refine.viz.overlay import BEFORE_DASH_PX, MAX_SIDE, MIN_SIDE, check_same_people, draw_outlines
from refine.viz.ramp import bar, viridis

GRID_PX = 24
"""Distance of arrows in the picture: closer ones overlap."""
STILL_PX = 1.5
"""Shorter arrows (px of the picture) are drawn as dots; a head would be longer than the arrow."""
HEAD_PX = 7.0
"""Length of an arrow's head, px of the picture, at most half of the arrow."""
DIM = 0.45
"""The photo is darkened to this share, so that the bright end of the colour map is visible on a white shirt."""


@dataclass(frozen=True, eq=False)
class Moves:
    """Visible surface points before and after, in numpy, px of the photo.

    Attributes:
        person: (N,) index of the body within the image.
        start: (N, 2) px, the point on the estimate.
        stop: (N, 2) px, the point on the result.
    """

    person: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def arrows(
    photo: Picture,
    before: Estimate,
    after: Estimate,
    *,
    image: int = 0,
    max_side: int = MAX_SIDE,
    rasterizer: Rasterizer | None = None,
) -> Picture:
    """Draw the displacement of visible surface points.

    Args:
        photo: (H, W, 3) uint8 RGB.
        before: The estimate.
        after: The result: the same people in the same order, on a body of the same mesh.
        image: Which image of the estimate the photo is.
        max_side: Longer side of the picture, px.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        (H', W', 3) uint8 RGB: the darkened photo, the estimate's outline, arrows, and a colour scale.

    Raises:
        InputError: The photo is no RGB array or has another size than the cameras, before and after hold different
            people or have different meshes.
    """
    check_photo(photo)
    check_same_people(before, after)
    view = whole_view(photo, min(MIN_SIDE, max_side), max_side)
    start_meshes, stop_meshes = (meshes_of(estimate, photo, image) for estimate in (before, after))
    layer = layers(start_meshes, view, rasterizer)
    moves = surface_moves(start_meshes, stop_meshes, layer)
    picture = (DIM * view.photo(photo)).astype(np.uint8)
    draw_outlines(picture, layer, range(len(start_meshes)), BEFORE_COLOR, BEFORE_DASH_PX)
    length = np.linalg.norm(moves.stop - moves.start, axis=1)
    longest = max(float(length.max(initial=0.0)), 1.0)
    colors = viridis(length / longest)
    start, stop = view.pixels(moves.start), view.pixels(moves.stop)
    draw_arrows(picture, start, stop, colors, np.argsort(length))  # the long ones on top
    return canvas.stack([picture, _scale_strip(picture.shape[1], longest, length)])


def surface_moves(before: Meshes, after: Meshes, layer: Layers) -> Moves:
    """Return the displacement of the estimate's visible surface points on a grid of `GRID_PX` in the picture.

    Args:
        before: The people as estimated.
        after: The same people as refined.
        layer: `before`, rendered.

    Returns:
        Starts and stops; points that moved behind the camera are left out.

    Raises:
        InputError: The two have different meshes.
    """
    if not torch.equal(before.faces, after.faces):
        raise InputError(
            "after",
            "a body with the mesh of `before`",
            "another mesh",
            "Draw the result against the estimate it started from.",
        )
    grid = np.zeros(layer.person.shape, bool)
    grid[GRID_PX // 2 :: GRID_PX, GRID_PX // 2 :: GRID_PX] = True
    y, x = np.nonzero(grid & (layer.person >= 0))
    person, corners = layer.person[y, x].astype(int), before.faces.numpy()[layer.triangle[y, x]]
    weights = torch.as_tensor(layer.barycentric[y, x])
    ends, drawable = [], np.ones(len(person), bool)
    for people in (before, after):
        point = (people.vertices[person[:, None], corners] * weights[..., None]).sum(1)  # (N, 3) m
        drawable &= (point.isfinite().all(1) & (point[:, 2] > NEAR_M)).numpy()
        ends.append(people.camera[person.tolist()].project(point[:, None])[:, 0].numpy())
    return Moves(person[drawable], ends[0][drawable], ends[1][drawable])


def draw_arrows(picture: Picture, start: np.ndarray, stop: np.ndarray, colors: np.ndarray, order: np.ndarray) -> None:
    """Draw arrows on a picture; those too short for a head as dots.

    Args:
        picture: (H, W, 3) uint8 RGB, changed.
        start: (N, 2) px of the picture.
        stop: (N, 2) px of the picture.
        colors: (N, 3) RGB.
        order: (N,) indices, the last one on top.
    """
    import cv2

    for n in order.tolist():
        color = (int(colors[n, 0]), int(colors[n, 1]), int(colors[n, 2]))
        shaft = stop[n] - start[n]
        pixels = float(np.linalg.norm(shaft))
        if pixels < STILL_PX:
            cv2.circle(picture, (round(start[n, 0] - 0.5), round(start[n, 1] - 0.5)), 2, color, -1, cv2.LINE_AA)
            continue
        along = shaft / pixels * min(HEAD_PX, pixels / 2)
        across = 0.6 * np.array([-along[1], along[0]])
        canvas.draw_line(picture, np.stack((start[n], stop[n])), color)
        head = np.stack((stop[n] - along + across, stop[n], stop[n] - along - across))
        canvas.draw_line(picture, head, color, halo=False)


def _scale_strip(width: int, longest: float, length: np.ndarray) -> Picture:
    """Return the colour scale of lengths with a legend."""
    middle = float(np.median(length)) if len(length) else 0.0
    entries = [
        LegendEntry("outline before", BEFORE_COLOR, "dashed"),
        LegendEntry(f"arrows are to scale; median {middle:.1f} px, longest {longest:.1f} px of the photo"),
    ]
    ramp = bar(width, min(220, width // 3), f"{longest:.0f} px")
    return canvas.stack([ramp, canvas.legend(entries, width)])
