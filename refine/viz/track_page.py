"""Draws a person over time on one page: chosen frames before and after, and figures of every frame as curves.

Nothing is measured here: `refine.result` fills a `TrackPage`, this module draws it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from refine.errors import InputError
from refine.viz import canvas
from refine.viz.canvas import AFTER_COLOR, BEFORE_COLOR, INK, PAPER, RULE, SOFT_INK, Color, LegendEntry, Picture
from refine.viz.report import MARGIN, PAGE_WIDTH

CURVE_HEIGHT = 204
"""px of one diagram."""
STRIP_HEIGHT = 620
"""px of the chosen frames at most."""
AXIS = 92
"""px to the left of a diagram, for its numbers."""
OFF_COLOR: Color = (240, 224, 214)
"""Ground of frames whose update was rejected."""
GAP_COLOR: Color = (228, 231, 236)
"""Ground of frames without the person, which were filled in."""
HIGHEST = 99.0
"""Percentile of the values that a diagram shows; a single leap must not flatten the rest, and is drawn at the edge."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One figure of every frame.

    Attributes:
        title: What it is, with its unit.
        after: (N,) of the result; NaN where it is not known.
        before: (N,) of the estimate, or None.
    """

    title: str
    after: np.ndarray
    before: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class TrackPage:
    """What is on the page of one person.

    Attributes:
        title: Its name.
        summary: A sentence.
        time_s: (N,) s of its frames, ascending.
        curves: Their figures.
        rejected: (N,) frames whose update was rejected.
        filled: (N,) frames without the person.
        shown: Pictures of chosen frames, with a caption each.
    """

    title: str
    summary: str
    time_s: np.ndarray
    curves: tuple[Curve, ...]
    rejected: np.ndarray
    filled: np.ndarray
    shown: tuple[tuple[Picture, str], ...] = ()


def track_page(page: TrackPage) -> Picture:
    """Draw the page.

    Args:
        page: Its content.

    Returns:
        (H, 1600, 3) uint8 RGB.

    Raises:
        InputError: The parts disagree on the number of frames.
    """
    count = len(page.time_s)
    parts_of = {"rejected": page.rejected, "filled": page.filled}
    parts_of |= {f"{curve.title} ({at})": part for curve in page.curves for at, part in _sides(curve)}
    for name, values in parts_of.items():
        if len(values) != count:
            raise InputError(f"page: {name}", f"one a frame, {count}", str(len(values)))
    head = canvas.blank(86, PAGE_WIDTH, PAPER)
    canvas.draw_text(head, page.title, (MARGIN, 14), 26, bold=True)
    canvas.draw_text(head, canvas.shorten(page.summary, PAGE_WIDTH - 2 * MARGIN, 17), (MARGIN, 54), 17, color=SOFT_INK)
    parts = [head]
    if page.shown:
        parts.append(_strip(page.shown))
    parts += [_diagram(curve, page) for curve in page.curves]
    entries = [LegendEntry("before", BEFORE_COLOR, "dashed"), LegendEntry("after", AFTER_COLOR, "solid")]
    if page.rejected.any():
        entries.append(LegendEntry("update rejected", OFF_COLOR, "patch"))
    if page.filled.any():
        entries.append(LegendEntry("person not found, filled in", GAP_COLOR, "patch"))
    return canvas.stack([*parts, canvas.legend(entries, PAGE_WIDTH, margin=MARGIN), canvas.blank(MARGIN, PAGE_WIDTH)])


def _sides(curve: Curve) -> list[tuple[str, np.ndarray]]:
    """Return the two series of a curve that are there, by name."""
    return [("after", curve.after)] + ([] if curve.before is None else [("before", curve.before)])


def _strip(shown: Sequence[tuple[Picture, str]]) -> Picture:
    """Return pictures side by side at one height, a caption below each."""
    import cv2

    gap = 10
    room = PAGE_WIDTH - 2 * MARGIN - gap * (len(shown) - 1)
    height = int(min(STRIP_HEIGHT, room / sum(picture.shape[1] / picture.shape[0] for picture, _ in shown)))
    row = canvas.blank(height + 54, PAGE_WIDTH, PAPER)
    x = MARGIN
    for picture, caption in shown:
        width = max(1, int(picture.shape[1] * height / picture.shape[0]))
        row[:height, x : x + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        for line, text in enumerate(canvas.wrap_text(caption, width, 15)[:2]):
            canvas.draw_text(row, text, (x, height + 6 + 20 * line), 15, color=SOFT_INK)
        x += width + gap
    return row


def _diagram(curve: Curve, page: TrackPage) -> Picture:
    """Return one figure over time."""
    picture = canvas.blank(CURVE_HEIGHT, PAGE_WIDTH, PAPER)
    left, right, top, bottom = MARGIN + AXIS, PAGE_WIDTH - MARGIN, 48, CURVE_HEIGHT - 30
    canvas.draw_text(picture, curve.title, (MARGIN, 6), 17, bold=True)
    time_s = page.time_s
    span = max(float(time_s[-1] - time_s[0]), 1e-9) if len(time_s) else 1.0

    def across(time: np.ndarray | float) -> np.ndarray:
        return np.asarray(left + (right - left) * (np.asarray(time) - (time_s[0] if len(time_s) else 0)) / span)

    for mask, color in ((page.filled, GAP_COLOR), (page.rejected & ~page.filled, OFF_COLOR)):
        for first, last in _runs(mask):
            half = 0.5 * span / max(len(time_s) - 1, 1)
            low, high = (np.clip(across(t), left, right) for t in (time_s[first] - half, time_s[last] + half))
            picture[top:bottom, int(low) : max(int(high), int(low) + 1)] = color
    lines = [(curve.after, AFTER_COLOR, 0.0)]
    if curve.before is not None:
        lines.insert(0, (curve.before, BEFORE_COLOR, 8.0))
    known = np.concatenate([values[np.isfinite(values)] for values, _, _ in lines])
    most = _round_up(float(np.percentile(known, HIGHEST))) if len(known) else 1.0
    for share in (0.0, 0.5, 1.0):
        y = round(bottom - (bottom - top) * share)
        picture[y : y + 1, left:right] = RULE
        label = f"{share * most:,.0f}" if most >= 10 else f"{share * most:.3g}"
        canvas.draw_text(picture, label, (left - 10 - canvas.text_size(label, 14)[0], y - 10), 14, color=SOFT_INK)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        label = f"{(time_s[0] if len(time_s) else 0) + share * span:.2f} s"
        width = canvas.text_size(label, 14)[0]
        x = left + (right - left) * share - width / 2
        canvas.draw_text(picture, label, (int(min(max(x, left), right - width)), bottom + 6), 14, color=SOFT_INK)
    if not len(known):
        canvas.draw_text(picture, "not known", (left + 12, (top + bottom) // 2 - 10), 16, color=INK)
    for values, color, dash in lines:
        for first, last in _runs(np.isfinite(values)):
            y_of = bottom - (bottom - top) * np.clip(values[first : last + 1] / most, 0, 1)
            points = np.stack((across(time_s[first : last + 1]), y_of), 1)
            points = points if len(points) > 1 else points + np.array([[-1.0, 0.0], [1.0, 0.0]])
            canvas.draw_line(picture, points, color, thickness=2, dash=dash, halo=False)
    return picture


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and the last place of each stretch."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _round_up(value: float) -> float:
    """Return the next number of the form 1, 2, 5 or 10 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if value <= step * power * (1 + 1e-9))
