"""Draws on pictures: colours, text, lines visible on dark and bright ground, legends, pages.

Pictures are (H, W, 3) uint8 RGB arrays; functions here draw in place on a picture their caller has just made.
Positions follow the corner convention of `refine.geometry.camera`; `draw_line` subtracts the half pixel that OpenCV's
drawing counts from.

Source: Okabe and Ito, Color Universal Design, 2008 (the palette); the text is OpenCV's.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Picture = np.ndarray
Color = tuple[int, int, int]

BEFORE_COLOR: Color = (255, 149, 0)
"""Outline of the estimate: Okabe-Ito's orange, more saturated; always dashed, to be distinct without colour too."""
AFTER_COLOR: Color = (60, 190, 255)
"""Outline of the result: Okabe-Ito's sky blue, more saturated; always solid."""
PERSON_COLORS: tuple[Color, ...] = (
    (205, 172, 250),  # violet
    (247, 233, 150),  # yellow
    (140, 226, 190),  # bluish green
    (244, 160, 190),  # pink
    (214, 214, 214),  # grey
    (186, 150, 110),  # brown
)
"""Mesh of person 1, 2, ...: tints of Okabe-Ito colours, none near the outlines' orange and blue; repeated after the
last."""
INK: Color = (28, 30, 34)
SOFT_INK: Color = (96, 100, 108)
PAPER: Color = (250, 250, 248)
RULE: Color = (214, 214, 210)
HALO: Color = (16, 16, 18)
"""Drawn under each line, a pixel wider on both sides, so that it is visible on bright ground too."""
FAR_PX = 1e5
"""Largest coordinate of a line's end: OpenCV counts in 32-bit integers."""
SUBPIXEL_BITS = 4
"""OpenCV draws to 1/16 px."""


@dataclass(frozen=True)
class LegendEntry:
    """One entry of a legend.

    Attributes:
        text: Its text.
        color: Its colour.
        kind: "solid" or "dashed" line, "patch", "cross", or "text" (no symbol).
    """

    text: str
    color: Color = INK
    kind: str = "text"


@cache
def _face() -> Any:
    """Return OpenCV 5's scalable font, or None on OpenCV 4, which has Hershey fonts only."""
    import cv2

    return cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None


def text_size(text: str, height: int, bold: bool = False) -> tuple[int, int]:
    """Return (width, line height) in px of one line of text.

    Args:
        text: One line.
        height: Font size, px.
        bold: Heavy instead of regular.
    """
    import cv2

    face = _face()
    if face is not None:
        left, _, width, _ = cv2.getTextSize((1, 1), _letters(text), (0, 0), face, height, 700 if bold else 400)
        return int(left + width), round(1.3 * height)
    (width, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_DUPLEX, height / 30, 2 if bold else 1)
    return int(width), round(1.3 * height)


def draw_text(
    picture: Picture, text: str, at: tuple[int, int], height: int, *, color: Color = INK, bold: bool = False
) -> None:
    """Draw one line of text.

    Args:
        picture: (H, W, 3) uint8 RGB, changed.
        text: One line; without a scalable font (OpenCV 4) its characters are brought to ASCII.
        at: (x, y) px of the line box's top-left corner.
        height: Font size, px.
        color: RGB.
        bold: Heavy instead of regular.
    """
    import cv2

    baseline = (int(at[0]), int(at[1]) + height)
    face = _face()
    if face is not None:
        cv2.putText(
            picture,
            _letters(text),
            baseline,
            color,
            face,
            height,
            700 if bold else 400,
            cv2.PUT_TEXT_ALIGN_LEFT,
            (0, 1 << 20),
        )
    else:
        cv2.putText(
            picture, _ascii(text), baseline, cv2.FONT_HERSHEY_DUPLEX, height / 30, color, 2 if bold else 1, cv2.LINE_AA
        )


def wrap_text(text: str, width: int, height: int, bold: bool = False) -> list[str]:
    """Break a text into lines at most `width` px wide; a longer word is cut with an ellipsis."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            trial = f"{line} {word}" if line else word
            if line and text_size(trial, height, bold)[0] > width:
                lines.append(line)
                trial = word
            line = trial
        lines.append(line)
    return [shorten(line, width, height, bold) for line in lines]


def shorten(text: str, width: int, height: int, bold: bool = False) -> str:
    """Return one line that fits into `width` px, its end replaced by an ellipsis where it does not."""
    if text_size(text, height, bold)[0] <= width:
        return text
    while text and text_size(text + "…", height, bold)[0] > width:
        text = text[:-1]
    return text + "…"


def draw_line(
    picture: Picture, points: np.ndarray, color: Color, *, thickness: int = 2, dash: float = 0.0, halo: bool = True
) -> None:
    """Draw a polyline with a dark halo.

    Args:
        picture: (H, W, 3) uint8 RGB, changed.
        points: (N, 2) px, corner convention.
        color: RGB.
        thickness: px.
        dash: Length of dashes, px, with gaps of two thirds of it; 0: a solid line.
        halo: Whether to draw the dark line below it.
    """
    import cv2

    points = np.clip(points, -FAR_PX, FAR_PX)
    pieces = _dashes(points, dash) if dash > 0 else [points]
    fixed = [
        np.rint((piece - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)[:, None] for piece in pieces if len(piece) > 1
    ]
    if halo:
        cv2.polylines(picture, fixed, False, HALO, thickness + 2, cv2.LINE_AA, SUBPIXEL_BITS)
    cv2.polylines(picture, fixed, False, color, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def draw_cross(picture: Picture, at: np.ndarray, color: Color, *, radius: float = 5.0, thickness: int = 2) -> None:
    """Draw an upright cross with a dark halo at (x, y) px."""
    arms = [np.array([[-radius, 0], [radius, 0]]), np.array([[0, -radius], [0, radius]])]
    for arm in arms:
        draw_line(picture, at + arm, HALO, thickness=thickness + 2, halo=False)
    for arm in arms:
        draw_line(picture, at + arm, color, thickness=thickness, halo=False)


def legend(entries: Sequence[LegendEntry], width: int, *, text_height: int = 16, margin: int = 12) -> Picture:
    """Return a legend `width` px wide, its entries from left to right on as many rows as they need."""
    sign, gap, row = 2 * text_height, round(1.5 * text_height), round(1.8 * text_height)
    places: list[tuple[int, int, str]] = []
    x, y = margin, 0
    for entry in entries:
        before_text = 0 if entry.kind == "text" else sign + 8
        text = shorten(entry.text, width - 2 * margin - before_text, text_height)
        needed = before_text + text_size(text, text_height)[0]
        if x > margin and x + needed > width - margin:
            x, y = margin, y + row
        places.append((x, y, text))
        x += needed + gap
    strip = blank(y + row + margin // 2, width)
    for entry, (x, y, text) in zip(entries, places, strict=True):
        middle = y + row / 2 + 0.5
        ends = np.array([[x, middle], [x + sign, middle]])
        if entry.kind in ("solid", "dashed"):
            draw_line(strip, ends, entry.color, thickness=3, dash=8.0 if entry.kind == "dashed" else 0.0)
        elif entry.kind == "patch":
            half = text_height // 2
            strip[int(middle) - half : int(middle) + half, x : x + sign] = HALO
            strip[int(middle) - half + 1 : int(middle) + half - 1, x + 1 : x + sign - 1] = entry.color
        elif entry.kind == "cross":
            draw_cross(strip, ends.mean(0), entry.color)
        x += 0 if entry.kind == "text" else sign + 8
        draw_text(strip, text, (x, y + (row - round(1.2 * text_height)) // 2), text_height, color=INK)
    return strip


def blank(height: int, width: int, color: Color = PAPER) -> Picture:
    """Return a picture of one colour."""
    return np.full((max(height, 1), width, 3), color, np.uint8)


def stack(pictures: Sequence[Picture]) -> Picture:
    """Return pictures below each other, left-aligned on paper."""
    width = max(picture.shape[1] for picture in pictures)
    page = blank(sum(picture.shape[0] for picture in pictures), width)
    y = 0
    for picture in pictures:
        page[y : y + picture.shape[0], : picture.shape[1]] = picture
        y += picture.shape[0]
    return page


def _dashes(points: np.ndarray, dash: float) -> list[np.ndarray]:
    """Return the dashes of a polyline, of one length along its arc."""
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))
    pieces = []
    for start in np.arange(0.0, along[-1], dash * 5 / 3):
        stop = min(start + dash, along[-1])
        inner = along[(along > start) & (along < stop)]
        at = np.concatenate(([start], inner, [stop]))
        pieces.append(np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], 1))
    return pieces


def _letters(text: str) -> str:
    """Return the text without characters that cannot be encoded (in names of files), which crash OpenCV 5."""
    return text.encode("utf-8", "replace").decode()


def _ascii(text: str) -> str:
    """Return the text in ASCII, the characters of Hershey fonts."""
    for sign, replacement in (
        ("°", " deg"),
        ("→", "->"),
        ("–", "-"),
        ("…", "..."),
        ("±", "+-"),
        ("×", "x"),
        ("≤", "<="),
        ("≥", ">="),
    ):
        text = text.replace(sign, replacement)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
