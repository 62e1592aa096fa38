"""Points as shares of an image, and points of an image of another size: into pixels of the photo.

    pixel = share · (W, H)          pixel = point · (W, H) / (canvas W, canvas H)

Both count from the image's corner on both sides.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.formats import Wanted

SMALLEST = 2.0
"""px. No person's points all lie within this of the corner: they are shares. Points outside of a photo have shares
below 0 and above 1."""

SHAPE = 0.15
"""By what share two images' width over height may differ before one is taken for a crop of the other, not a resized
copy: programs round sides to multiples of 64 px, which is 12 % of 512."""


def are_shares(points: np.ndarray) -> bool:
    """Say whether points (..., 3) of x, y and confidence are shares of an image, judged by those that are there."""
    there = points[np.isfinite(points).all(-1) & (points[..., 2] > 0), :2]
    there = there[(there != 0).any(-1)]
    return len(there) > 1 and float(np.abs(there).max()) <= SMALLEST


def known_size(wanted: Wanted, why: str) -> tuple[int, int]:
    """Return the photo's (height, width).

    Raises:
        InputError: It is not known.
    """
    if wanted.size is None:
        advice = "Give it: refine.read_keypoints(..., size=(height, width)), or call refine.fit with the photo."
        raise InputError(f"keypoints of {wanted.origin}", f"the photo's size, for {why}", "none", advice)
    return wanted.size


def from_shares(points: np.ndarray, wanted: Wanted, why: str) -> np.ndarray:
    """Return points (..., 3) of shares in pixels of the photo.

    Raises:
        InputError: The photo's size is not known.
    """
    height, width = known_size(wanted, why)
    return points * np.array([width, height, 1.0])


def from_canvas(points: np.ndarray, canvas: tuple[int, int], wanted: Wanted) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return points (..., 3) in pixels of an image of another size in pixels of the photo.

    Args:
        points: Counted from the image's corner.
        canvas: (height, width) of that image, px.
        wanted: The photo; where its size is not known, points stay as they are.

    Returns:
        The points, and what is to be said.
    """
    height, width = canvas
    said = f"Keypoints of {wanted.origin} are of an image of {width} x {height} px"
    if wanted.size is None:
        return points, (f"{said}: give the photo's size if it is another.",)
    if wanted.size == canvas:
        return points, ()
    tall, wide = wanted.size
    notes: tuple[str, ...] = (f"{said}, the photo has {wide} x {tall}: they were scaled to it.",)
    ratio = (width / height) / (wide / tall)
    if max(ratio, 1 / ratio) > 1 + SHAPE:
        notes = (f"{notes[0]} Their shapes differ: if the image was a crop of the photo, the points lie wrong.",)
    return points * np.array([wide / width, tall / height, 1.0]), notes
