"""A user's own photos as backgrounds of synthetic people: upright, cut to their middle squares, few and small.

    square = middle min(H, W) x min(H, W) of the photo, reduced to side px

Photos should show places, not people: whoever is in the background is not told to the network and teaches it to look
past people.
"""

import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.errors import InputError
from refine.photo import read_photo

MOST = 400
"""Photos that are kept: 79 MB at 256 px, and more places than a sitting's training sees often."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
"""Of files that are taken for photos, in any case of letters."""
NAMED = 5
"""Unreadable files that are named in the log."""
log = logging.getLogger(__name__)


def read_backgrounds(
    folder: Path, size: int, *, most: int = MOST, seed: int = 0
) -> tuple[UInt8[np.ndarray, "_ _ 3"], ...]:
    """Read a folder of photos for `displacement_net.training.samples.Sampler(backgrounds=...)`.

    Args:
        folder: Photos of any size, in folders of any depth; EXIF orientation is applied. Other files are passed over.
        size: Side of the samples' crops, px: squares of twice that are kept, for crops to be cut from them.
        most: Photos to keep; of more, that many are drawn.
        seed: Of the draw.

    Returns:
        Squares (2 size, 2 size, 3) uint8 RGB. Photos that cannot be read are left out, and a line in the log says
        which.

    Raises:
        InputError: There is no such folder, no photo in it, or none that can be read.
    """
    import cv2

    if size < 1 or most < 1:
        raise InputError("backgrounds", "a size and a number of photos of at least 1", f"{size} and {most}")
    if not folder.is_dir():
        raise InputError("backgrounds", "a folder of photos", f"{folder}, which is none")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError("backgrounds", f"photos ({', '.join(SUFFIXES)})", f"none in {folder}")
    squares: list[np.ndarray] = []
    broken: list[str] = []
    for index in np.random.default_rng((seed, len(files))).permutation(len(files)):
        if len(squares) == most:
            break
        try:
            pixels = read_photo(files[index], "background").pixels
        except InputError as error:
            broken.append(f"{files[index].relative_to(folder)} ({error.got})")
            continue
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        way = cv2.INTER_AREA if side > 2 * size else cv2.INTER_LINEAR
        squares.append(np.asarray(cv2.resize(square, (2 * size, 2 * size), interpolation=way)))
    if broken:
        more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        log.warning("Backgrounds left out, they cannot be read: %s%s.", ", ".join(broken[:NAMED]), more)
    if not squares:
        raise InputError("backgrounds", "at least one photo that can be read", f"{len(broken)} that cannot in {folder}")
    return tuple(squares)


def squares(photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...], size: int) -> Float[Tensor, "M S S 3"]:
    """Return photos as squares in 0..1.

    Args:
        photos: (H, W, 3) RGB each, of any sizes; may be none.
        size: S, px.
    """
    import cv2

    cut = [cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA) for photo in photos]
    return torch.from_numpy(np.stack(cut)).float() / 255 if cut else torch.zeros(0, size, size, 3)
