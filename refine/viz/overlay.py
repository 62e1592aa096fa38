"""Draws estimate and result over the photo side by side, with the outlines of both in each half.

    pixel = (1 - OPACITY) photo + OPACITY light * colour of the nearest person

Source: Porter and Duff, Compositing digital images, SIGGRAPH 1984 (over).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from refine.check import check_shape
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M
from refine.keypoints.detections import Detections
from refine.render import Rasterizer
from refine.viz import canvas
from refine.viz.canvas import AFTER_COLOR, BEFORE_COLOR, PERSON_COLORS, LegendEntry, Picture
from refine.viz.layers import Layers, Meshes, View, check_photo, layers, meshes_of, whole_view

OPACITY = 0.62
"""Share of the mesh in a covered pixel: both the photo's limbs and the mesh's shading stay visible."""
BEFORE_DASH_PX = 9.0
"""Length of the dashes of the estimate's outline."""
MIN_SIDE = 640
"""Smaller photos are enlarged to this longer side (px), since lines and text would cover them."""
MAX_SIDE = 1280
"""Larger photos are reduced to this longer side (px): two halves fit a 2560 px screen."""
FAINT_CONFIDENCE = 0.5
"""Detections below are drawn small, grey and without a line: most detectors' own drawings hide them at about this
value."""
SPECK_PX = 12
"""Least number of points (px of the picture) of an outline: one-pixel holes between fingers are noise."""
SMOOTH_PX = 5
"""Outlines are averaged along this many points, which removes the steps of the pixel grid and keeps fingers."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Detected and projected keypoints of the people of one photo, in numpy.

    Attributes:
        observed: (B, K, 2) px of the photo.
        confidence: (B, K) 0..1.
        projected: (B, K, 2) px of the photo, NaN behind the camera.
    """

    observed: np.ndarray
    confidence: np.ndarray
    projected: np.ndarray


@dataclass(frozen=True)
class Side:
    """The people of one half of the picture: their meshes, and their keypoints where there are detections."""

    meshes: Meshes
    marks: Marks | None


def overlay(
    photo: Picture,
    before: Estimate,
    after: Estimate,
    *,
    image: int = 0,
    detections: Detections | None = None,
    titles: tuple[str, str] = ("Before", "After"),
    caption: str = "",
    max_side: int = MAX_SIDE,
    rasterizer: Rasterizer | None = None,
) -> Picture:
    """Draw estimate and result side by side over the photo.

    Args:
        photo: (H, W, 3) uint8 RGB.
        before: The estimate.
        after: The result: the same people in the same order.
        image: Which image of the estimate the photo is; the other people are left out.
        detections: Keypoints to draw, with lines from the bodies' own to them.
        titles: Above the left and the right half.
        caption: A line of text below.
        max_side: Longer side of each half, px; smaller photos keep theirs but are at least `MIN_SIDE`.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        (H', W', 3) uint8 RGB. Parts outside the photo and behind the camera are not drawn; people of whom nothing is
        visible are named in the legend.

    Raises:
        InputError: The photo is no RGB array or has another size than the cameras, or before and after hold different
            people.
    """
    check_photo(photo)
    check_same_people(before, after)
    view = whole_view(photo, min(MIN_SIDE, max_side), max_side)
    left, right = (side_of(estimate, photo, image, detections) for estimate in (before, after))
    halves, unseen = pair(photo, left, right, view, rasterizer=rasterizer)
    heads = [_head(title, view.width) for title in titles]
    gap = 6
    joined = [np.concatenate((one, canvas.blank(len(one), gap), other), 1) for one, other in (heads, halves)]
    entries = legend_entries(len(left.meshes), unseen, detections is not None)
    if caption:
        entries = [*entries, LegendEntry(caption, canvas.SOFT_INK)]
    return canvas.stack([*joined, canvas.legend(entries, joined[0].shape[1])])


def side_of(estimate: Estimate, photo: Picture, image: int, detections: Detections | None) -> Side:
    """Pose an estimate for one half of the picture, once a picture."""
    marks = None if detections is None else marks_of(estimate, detections, image)
    return Side(meshes_of(estimate, photo, image), marks)


def pair(
    photo: Picture,
    before: Side,
    after: Side,
    view: View,
    *,
    subject: int | None = None,
    rasterizer: Rasterizer | None = None,
) -> tuple[tuple[Picture, Picture], tuple[int, ...]]:
    """Draw one view twice, with the estimate's and with the result's meshes; no text.

    Args:
        photo: (H, W, 3) uint8 RGB.
        before: The estimate's people.
        after: The result's people.
        view: The window of the photo.
        subject: The one person whose outlines and keypoints are drawn; all of them where None.
        rasterizer: Finds the triangles; the default one where None.

    Returns:
        Both pictures, and the people neither of whose bodies is visible in the view.
    """
    ground = view.photo(photo)
    rendered = [layers(side.meshes, view, rasterizer) for side in (before, after)]
    drawn = range(len(before.meshes)) if subject is None else (subject,)
    halves = []
    for side, layer, own in zip((before, after), rendered, (BEFORE_COLOR, AFTER_COLOR), strict=True):
        half = tint(ground, layer)
        draw_outlines(half, rendered[0], drawn, BEFORE_COLOR, BEFORE_DASH_PX)
        draw_outlines(half, rendered[1], drawn, AFTER_COLOR, 0.0)
        if side.marks is not None:
            draw_marks(half, side.marks, drawn, view, own)
        halves.append(half)
    visible = {int(body) for layer in rendered for body in np.unique(layer.person)}
    return (halves[0], halves[1]), tuple(body for body in range(len(before.meshes)) if body not in visible)


def tint(ground: Picture, layer: Layers) -> Picture:
    """Return the ground with the lit people over it."""
    picture, covered = ground.copy(), layer.person >= 0
    color = np.array(PERSON_COLORS, np.float32)[layer.person[covered] % len(PERSON_COLORS)]
    mixed = (1 - OPACITY) * ground[covered] + OPACITY * layer.light[covered][:, None] * color
    picture[covered] = (mixed + 0.5).astype(np.uint8)
    return picture


def draw_outlines(picture: Picture, layer: Layers, people: Sequence[int], color: canvas.Color, dash: float) -> None:
    """Draw the outlines of some people's visible parts, except along the picture's border."""
    for body in people:
        draw_outline(picture, layer.person == body, color, dash)


def draw_outline(picture: Picture, mask: np.ndarray, color: canvas.Color, dash: float, *, thickness: int = 2) -> None:
    """Draw the outline of a mask (H, W), except along the picture's border."""
    import cv2

    height, width = picture.shape[:2]
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0].astype(float)
        if len(points) < SPECK_PX:
            continue
        inner = np.asarray((points > 0).all(1) & (points < np.array([width - 1, height - 1])).all(1))
        for run in _runs(_smooth(points) + 0.5, inner):
            canvas.draw_line(picture, run, color, thickness=thickness, dash=dash)


def marks_of(estimate: Estimate, detections: Detections, image: int) -> Marks:
    """Return the detections of one image with the bodies' own keypoints; NaN behind the camera."""
    chosen = (estimate.image_index == image).nonzero()[:, 0].cpu()
    points = estimate.posed.keypoints(estimate.body.keypoint_set(detections.name)).detach()  # (B, K, 3) m
    check_shape("detections.pixel", detections.pixel, "B K 2", B=len(estimate), K=points.shape[1])
    in_front = estimate.camera.transform(points)[..., 2:] > NEAR_M
    projected = torch.where(in_front, estimate.camera.project(points), torch.nan).cpu()[chosen]
    observed, confidence = detections.pixel.detach().cpu()[chosen], detections.confidence.detach().cpu()[chosen]
    return Marks(observed.numpy(), confidence.numpy(), projected.numpy())


def draw_marks(picture: Picture, marks: Marks, people: Sequence[int], view: View, color: canvas.Color) -> None:
    """Draw crosses at some people's detected keypoints, and lines to them from the bodies' own."""
    observed, projected = view.pixels(marks.observed), view.pixels(marks.projected)
    drawable = np.isin(np.arange(len(observed)), people)[:, None] & (marks.confidence > 0)
    drawable &= np.isfinite(observed).all(-1) & np.isfinite(projected).all(-1)
    for body, point in zip(*np.nonzero(drawable), strict=True):
        seen, own = observed[body, point], projected[body, point]
        if marks.confidence[body, point] < FAINT_CONFIDENCE:
            canvas.draw_cross(picture, seen, (170, 170, 170), radius=3, thickness=1)
            continue
        canvas.draw_line(picture, np.stack((own, seen)), color)
        canvas.draw_cross(picture, seen, (255, 255, 255))


def legend_entries(people: int, unseen: Sequence[int], keypoints: bool) -> list[LegendEntry]:
    """Return the entries of an overlay's legend."""
    entries = [
        LegendEntry("outline before", BEFORE_COLOR, "dashed"),
        LegendEntry("outline after", AFTER_COLOR, "solid"),
    ]
    if keypoints:
        entries.append(LegendEntry("detected keypoint, line from the body's own", (255, 255, 255), "cross"))
    if people > 1:
        shown = range(min(people, len(PERSON_COLORS)))
        entries += [LegendEntry(f"person {body + 1}", PERSON_COLORS[body], "patch") for body in shown]
    if unseen:
        names = ", ".join(str(body + 1) for body in unseen)
        entries.append(LegendEntry(f"not visible: person {names}"))
    return entries


def check_same_people(before: Estimate, after: Estimate) -> None:
    """Refuse estimates of different people.

    Raises:
        InputError: Another number of bodies, or another image of one of them.
    """
    if len(before) != len(after) or before.image_index.tolist() != after.image_index.tolist():
        got = f"{len(after)} bodies in images {sorted(set(after.image_index.tolist()))}"
        wanted = f"the {len(before)} bodies of `before`, in images {sorted(set(before.image_index.tolist()))}"
        raise InputError("after", wanted, got, "Draw the result of refining exactly this estimate.")


def _head(title: str, width: int) -> Picture:
    """Return a title bar."""
    bar = canvas.blank(40, width)
    canvas.draw_text(bar, canvas.shorten(title, width - 24, 22, bold=True), (12, 6), 22, bold=True)
    return bar


def _smooth(points: np.ndarray) -> np.ndarray:
    """Return a closed contour averaged along itself."""
    half = SMOOTH_PX // 2
    return np.mean([np.roll(points, shift, 0) for shift in range(-half, half + 1)], 0)


def _runs(points: np.ndarray, keep: np.ndarray) -> list[np.ndarray]:
    """Return the runs of kept points of a closed contour; a contour kept whole is returned closed."""
    if keep.all():
        return [np.concatenate((points, points[:1]))]
    start = int(np.argmin(keep))  # begin at a dropped point, so that no run goes over the end
    points, keep = np.roll(points, -start, 0), np.roll(keep, -start)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], keep.astype(np.int8), [0]))))
    return [points[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
