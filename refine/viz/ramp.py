"""The colour ramp of lengths and shares, and its bar.

Source: Smith and van der Walt's perceptually uniform colour map viridis (2015).
"""

import numpy as np

from refine.viz import canvas
from refine.viz.canvas import Picture

DARKEST = 0.3
"""Position of zero in the map, whose dark end is hardly visible over a photo."""
BAR_HEIGHT = 14
"""px."""


def viridis(share: np.ndarray) -> np.ndarray:
    """Return (..., 3) uint8 RGB for shares (...) in 0..1."""
    import cv2

    table = np.asarray(cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS))[:, 0, ::-1]
    return np.asarray(table[np.rint(255 * (DARKEST + (1 - DARKEST) * share)).astype(np.uint8)])


def bar(strip_width: int, width: int, most: str, margin: int = 28) -> Picture:
    """Return a strip with the ramp from 0 to `most`.

    Args:
        strip_width: px of the strip.
        width: px of the ramp, at most a third of the strip's or what the strip leaves room for.
        most: The value of the bright end, with its unit.
        margin: px left of the zero.
    """
    strip = canvas.blank(36, strip_width)
    room = strip_width - margin - 24 - canvas.text_size(most, 16)[0]
    width = max(1, min(width, room))
    left = margin + 16
    strip[14 : 14 + BAR_HEIGHT, left : left + width] = viridis(np.linspace(0, 1, width))
    canvas.draw_text(strip, "0", (margin, 10), 16)
    canvas.draw_text(strip, most, (left + width + 8, 10), 16)
    return strip
