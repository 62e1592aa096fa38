"""Draws a displacer's prediction for one person: displacement, standard deviation, and residuals before and after.

    arrow at pixel x: x -> x + offset(x)
    colour of a pixel: sigma in px of the photo, or |root offset| in standard deviations

The quantities are those of `refine.dense.prediction.Prediction`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refine.dense.prediction import Prediction
from refine.geometry.crop import Crop, sample_opencv
from refine.viz import canvas
from refine.viz.arrows import draw_arrows
from refine.viz.canvas import AFTER_COLOR, BEFORE_COLOR, SOFT_INK, Picture
from refine.viz.overlay import BEFORE_DASH_PX, draw_outline
from refine.viz.ramp import bar, viridis

GAP_PX = 14
"""Between the pictures."""
GRID_PX = 15
"""Distance of arrows in the picture: most are short here, and limbs are thin."""
DIM = 0.4
"""The photo is darkened to this share below arrows and colours."""
OPACITY = 0.75
"""Share of the colours over the darkened photo."""
SILENT = (150, 150, 150)
"""Colour of rendered pixels without information: hidden, outside the photo."""
MOST_SIGMAS = 4.0
"""Bright end of the residuals' colours: one in 3,000 pixels of correct bodies lies beyond."""
TYPICAL = 0.95
"""The bright end of lengths in px is this quantile, so that a few outliers do not darken the rest."""
TITLE, FIGURES = 18, 16
"""Sizes of text, px."""


@dataclass(frozen=True, eq=False)
class _BodyField:
    """One body of a prediction in numpy.

    Attributes:
        crop: The body's crop.
        informed: (S, S) pixels with information.
        rendered: (S, S) pixels of the body.
        offset: (S, S, 2) px of the crop.
        length: (S, S) px of the photo, of the displacement.
        sigma: (S, S) px of the photo.
        residual: (S, S) standard deviations.
    """

    crop: Crop
    informed: np.ndarray
    rendered: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray

    @property
    def side(self) -> int:
        """S px."""
        return int(self.rendered.shape[0])

    def mean(self, values: np.ndarray) -> float:
        """Return the mean of values (S, S) over the informed pixels, NaN without any."""
        return float(values[self.informed].mean()) if self.informed.any() else float("nan")


def field_row(photo: Picture, before: Prediction, after: Prediction, body: int, width: int) -> Picture:
    """Draw the predictions for a person at the estimate and at the result.

    Args:
        photo: (H, W, 3) uint8 RGB, the photo the person is in.
        before: The prediction for the estimates.
        after: The prediction for the results, in the same order.
        body: Index of the person.
        width: px of the row.

    Returns:
        (H', width, 3) uint8 RGB: four pictures with titles, colour bars and figures.
    """
    side = (width - 3 * GAP_PX) // 4
    first, last = _body_field(before, body), _body_field(after, body)
    longest, widest = _most(first.length, first), _most(first.sigma, first)
    left = f"{first.mean(first.length):.1f} → {last.mean(last.length):.1f} px"
    panels = [
        _panel(
            "Predicted displacement", _arrows(photo, first, longest, side),
            f"{longest:.1f} px", f"mean {first.mean(first.length):.1f} px of the photo; arrows to scale",
        ),
        _panel(
            "Its uncertainty, 1 sigma", _heat(photo, first, first.sigma / widest, side, _before),
            f"{widest:.1f} px", f"mean {first.mean(first.sigma):.1f} px of the photo; grey: no information",
        ),
        _panel(
            "Residual before", _heat(photo, first, first.residual / MOST_SIGMAS, side, _before),
            f"{MOST_SIGMAS:g} sigma", f"mean {first.mean(first.residual):.1f} sigma",
        ),
        _panel(
            "Residual after", _heat(photo, last, last.residual / MOST_SIGMAS, side, _after),
            f"{MOST_SIGMAS:g} sigma", f"mean {last.mean(last.residual):.1f} sigma; displacement {left}",
        ),
    ]  # fmt: skip
    row = canvas.blank(panels[0].shape[0], width)
    for number, panel in enumerate(panels):
        row[:, number * (side + GAP_PX) : number * (side + GAP_PX) + side] = panel
    return row


def _body_field(prediction: Prediction, body: int) -> _BodyField:
    """Return one body of a prediction in numpy."""
    part = Crop(
        prediction.crop.crop_from_image[[body]].cpu(),
        prediction.crop.side,
        prediction.crop.image_index[[body]].cpu() * 0,
    )
    names = (
        prediction.informed,
        prediction.rendered,
        prediction.displacement.offset,
        prediction.offset_px,
        prediction.sigma_px,
        prediction.residual,
    )
    informed, rendered, offset, moved, sigma, residual = (value[body].cpu().numpy() for value in names)
    return _BodyField(part, informed, rendered, offset, np.linalg.norm(moved, axis=-1), sigma, residual)


def _most(values: np.ndarray, field: _BodyField) -> float:
    """Return the value (px) of the colours' bright end, at least a tenth of a pixel."""
    return max(0.1, float(np.quantile(values[field.informed], TYPICAL)) if field.informed.any() else 0.0)


def _ground(photo: Picture, field: _BodyField, side: int) -> Picture:
    """Return the darkened photo in the crop, at the picture's size."""
    scale = side / field.side
    crop = Crop(field.crop.crop_from_image * scale, side, field.crop.image_index)
    return (DIM * sample_opencv([np.ascontiguousarray(photo)], crop)[0]).astype(np.uint8)


def _enlarged(values: np.ndarray, side: int) -> np.ndarray:
    """Return values (S, S, ...) enlarged to (side, side, ...) by the nearest ones."""
    index = ((np.arange(side) + 0.5) * len(values) / side).astype(int)
    return values[index][:, index]


def _before(picture: Picture, mask: np.ndarray) -> None:
    """Draw the estimate's outline."""
    draw_outline(picture, mask, BEFORE_COLOR, BEFORE_DASH_PX, thickness=1)


def _after(picture: Picture, mask: np.ndarray) -> None:
    """Draw the result's outline."""
    draw_outline(picture, mask, AFTER_COLOR, 0.0, thickness=1)


def _arrows(photo: Picture, field: _BodyField, longest: float, side: int) -> Picture:
    """Draw arrows at a grid of informed pixels."""
    picture = _ground(photo, field, side)
    _before(picture, _enlarged(field.rendered, side))
    scale = side / field.side
    step = max(1, round(GRID_PX / scale))
    y, x = np.nonzero(field.informed[step // 2 :: step, step // 2 :: step])
    row, column = y * step + step // 2, x * step + step // 2
    start = (np.stack((column, row), 1) + 0.5) * scale
    length = field.length[row, column]
    colors = viridis((length / longest).clip(0, 1))
    draw_arrows(picture, start, start + field.offset[row, column] * scale, colors, np.argsort(length))
    return picture


def _heat(
    photo: Picture, field: _BodyField, share: np.ndarray, side: int, outline: Callable[[Picture, np.ndarray], None]
) -> Picture:
    """Colour the informed pixels by shares (S, S) of the bright end, the other rendered ones grey."""
    picture = _ground(photo, field, side)
    informed, rendered = _enlarged(field.informed, side), _enlarged(field.rendered, side)
    color = np.empty((side, side, 3))
    color[:] = SILENT
    color[informed] = viridis(_enlarged(share, side)[informed].clip(0, 1))
    picture[rendered] = ((1 - OPACITY) * picture[rendered] + OPACITY * color[rendered]).astype(np.uint8)
    outline(picture, rendered)
    return picture


def _panel(title: str, picture: Picture, most: str, figures: str) -> Picture:
    """Return a picture with a title above it, a colour bar and figures below."""
    side = picture.shape[1]
    head, foot = canvas.blank(30, side), canvas.blank(26, side)
    canvas.draw_text(head, canvas.shorten(title, side, TITLE, bold=True), (0, 2), TITLE, bold=True)
    canvas.draw_text(foot, canvas.shorten(figures.replace("nan", "–"), side, FIGURES), (0, 2), FIGURES, color=SOFT_INK)
    return canvas.stack([head, picture, bar(side, side // 2, most, margin=0), foot])
