"""Converts arrays of pixels to (H, W, 3) uint8 RGB, with notes on the conversion.

8 bit = round(255 value)     over white: alpha colour + (1 - alpha) 255
"""

import numpy as np
from jaxtyping import UInt8

from refine.errors import InputError
from refine.photo.memory import CHANNELS

UNIT_TOLERANCE = 1e-3
"""Largest excess of a float photo over 0..1, from resampling and rounding; a quarter of an 8-bit step."""


def check_array(image: np.ndarray, name: str) -> np.ndarray:
    """Return the image as (H, W, C).

    Raises:
        InputError: Its shape is not that of one image with its channels last.
    """
    got = f"shape {image.shape}"
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3:
        advice = {
            1: "Decode the file's bytes first, or give its path.",
            4: "Give several photos as a list of arrays.",
        }.get(image.ndim, "")
        raise InputError(name, "an array (H, W, 3)", got, advice)
    if 0 in image.shape:
        raise InputError(
            name, "an array (H, W, 3)", f"an empty image, {got}", "Check the crop or the reader it came from."
        )
    if image.shape[2] not in CHANNELS:
        first = image.shape[0] in CHANNELS
        advice = "Channels come last: image.transpose(1, 2, 0)." if first else "Give RGB, RGBA or gray."
        raise InputError(name, "an array (H, W, 3)", got, advice)
    return image


def to_bytes(image: np.ndarray, name: str) -> tuple[UInt8[np.ndarray, "H W C"], tuple[str, ...]]:
    """Return the image (H, W, C) in 8 bit, and notes on its conversion.

    Raises:
        InputError: Its numbers are not an image's: NaN, negative, beyond 0..255 or 0..1.
    """
    kind = image.dtype
    if kind == np.uint8:
        return image, ()
    if kind == np.bool_:
        return image.astype(np.uint8) * np.uint8(255), (f"{name}: false and true became black and white.",)
    if kind == np.uint16:
        scaled = np.rint(image / 257.0).astype(np.uint8)  # 65535 = 255 * 257
        return scaled, (f"{name}: 16 bit a channel were scaled to 8, full range 0..65535.",)
    if np.issubdtype(kind, np.integer):
        low, high = int(image.min()), int(image.max())
        if low < 0 or high > 255:
            raise InputError(
                name, "integers in 0..255", f"{kind} from {low} to {high}", "Scale them to 0..255 and give uint8."
            )
        return image.astype(np.uint8), (f"{name}: {kind} values in 0..255 became uint8.",)
    if np.issubdtype(kind, np.floating):
        if not np.isfinite(image).all():
            bad = int((~np.isfinite(image)).sum())
            raise InputError(
                name, "finite values", f"{bad} NaN or infinite value(s)", "Repair the image before the call."
            )
        least, most = float(image.min()), float(image.max())
        if least < -UNIT_TOLERANCE or most > 1 + UNIT_TOLERANCE:
            advice = "Undo a network's normalisation, or give 0..255 as uint8: image.astype(numpy.uint8)."
            raise InputError(name, "floats in 0..1", f"{kind} from {least:g} to {most:g}", advice)
        bytes_ = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
        return bytes_, (f"{name}: {kind} values in 0..1 were scaled to 0..255.",)
    raise InputError(name, "numbers", f"dtype {kind}", "Give an RGB array of uint8.")


def to_rgb(
    converted: tuple[np.ndarray, tuple[str, ...]], name: str
) -> tuple[UInt8[np.ndarray, "H W 3"], tuple[str, ...]]:
    """Return the 8-bit image (H, W, 3), and all notes."""
    image, notes = converted
    if image.shape[2] == 1:
        return image.repeat(3, axis=2), (*notes, f"{name}: gray became RGB, the same value in each channel.")
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / 255
        if alpha.min() == 1:
            return np.ascontiguousarray(image[..., :3]), (
                *notes,
                f"{name}: an alpha channel, opaque everywhere, was dropped.",
            )
        over_white = np.rint(alpha * image[..., :3] + (1 - alpha) * 255).astype(np.uint8)
        return over_white, (*notes, f"{name}: transparent parts were laid over white.")
    return np.ascontiguousarray(image), notes
