"""Photos as they come: a file, an array, a tensor or a PIL image, turned into (H, W, 3) uint8 RGB, upright, with notes of what was done.

    shown = orient(decode(file))        8 bit = round(255 value)     over white: alpha colour + (1 - alpha) 255

What cannot be read as one photo without a guess (channels first, numbers beyond 0..1, NaN) is refused with what to do
about it.

Source: OpenCV documentation, module imgcodecs.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from refine.batch import in_one_line
from refine.check import check_local
from refine.errors import InputError
from refine.photo.header import KINDS, orient, read_header, why_incomplete
from refine.photo.memory import CHANNELS, as_array_of_photo, split_batch

if TYPE_CHECKING:
    import PIL.Image

UNIT_TOLERANCE = 1e-3
"""How far beyond 0..1 a float photo may reach, as resampling and rounding leave it; a quarter of an 8-bit step."""

RESULTS = frozenset(".npz .npy .pkl .pk .pt .pth .json .joblib".split())
"""Endings of files that regressors write."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo, upright.

    Attributes:
        pixels: (H, W, 3) uint8, RGB. Not to be written to.
        path: The file it came from, None for an array.
        notes: What was done to it on reading, a sentence each.
        orientation: 1..8, as Exif counts them: the turn that was undone on reading; 1: none.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    path: Path | None = None
    notes: tuple[str, ...] = ()
    orientation: int = 1

    __repr__ = in_one_line

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) px of the file's pixels, before the turn that was undone."""
        return self.size[::-1] if self.orientation > 4 else self.size


ImageLike = Union[str, Path, np.ndarray, Tensor, "PIL.Image.Image"]  # Pillow is not imported here
"""A file, an array, a tensor or a PIL image: see `read_photo`."""


def read_photo(image: ImageLike, name: str = "image") -> Photo:
    """Read one photo.

    Args:
        image: A file OpenCV can decode (JPEG, PNG, WebP, TIFF, BMP ...; its EXIF orientation is applied), or an array
            (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGB and alpha: uint8, other integers in 0..255, uint16, bool,
            or floats in 0..1; a tensor of the same, or with channels first, (3, H, W); or a PIL image, whose pixels are
            taken as they are.
        name: The argument's name, for messages.

    Returns:
        The photo; the array itself, uncopied, where it was uint8 RGB already.

    Raises:
        InputError: There is no such file, it is no complete image, or the array is not a photo; the message says what
            to do.
    """
    if isinstance(image, (str, Path)):
        return _read_file(Path(image), name)
    array, said = as_array_of_photo(image, name)
    pixels, notes = _to_rgb(_to_bytes(_check_array(array, name), name), name)
    return Photo(pixels, None, said + notes)


def read_photos(image: ImageLike | Sequence[ImageLike]) -> tuple[Photo, ...]:
    """Read one photo or several, in the order an estimate's `image_index` counts them.

    Args:
        image: What `read_photo` takes, a list or tuple of that, or an array (N, H, W, C) or tensor (N, C, H, W) of N
            photos.

    Returns:
        The photos, one for a single image.

    Raises:
        InputError: As `read_photo`, naming the photo by its place; or the sequence is empty.
    """
    several = split_batch(image)
    image = image if several is None else several
    if not isinstance(image, (list, tuple)):
        return (read_photo(image),)  # type: ignore[arg-type]  # anything else is refused there
    if not image:
        raise InputError(
            "image", "at least one photo", "an empty sequence", "Give a path or an RGB array, or a list of them."
        )
    return tuple(read_photo(one, f"image[{index}]") for index, one in enumerate(image))


def _read_file(path: Path, name: str) -> Photo:
    """Decode a file and turn it upright."""
    import cv2

    where = f"{name} {path}"
    formats = "Give a JPEG, PNG, WebP or TIFF; convert other formats (AVIF, HEIC, raw, video frames) to one of these first, or open it with PIL and give the image."
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise InputError(where, "an image file", "a folder", "Give the files in it, as a list of paths.") from error
    except OSError as error:
        check_local(name, path)
        raise InputError(where, "an image file", error.strerror or str(error), "Check the path.") from error
    if not data:
        raise InputError(where, "an image file", "an empty file (0 bytes)", "Fetch or export it again.")
    header = read_header(io.BytesIO(data), where)
    if missing := why_incomplete(data):
        raise InputError(where, "a complete image file", missing, "Fetch or export it again.")
    if header is None and path.suffix.lower() in RESULTS:
        advice = "Is it the result? The photo comes first: refine.fit(PHOTO, RESULT)."
        raise InputError(where, f"a {KINDS} file", f"a {path.suffix} file", advice)
    if header is None:  # JPEG 2000, HDR and their like may state any size, which nobody looked at
        raise InputError(
            where, f"a {KINDS} file", f"{len(data)} bytes of a kind whose size cannot be told, not decoded", formats
        )
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise InputError(where, "an image file OpenCV can decode", f"its error: {error}", formats) from error
    if decoded is None or decoded.size == 0:
        raise InputError(where, "an image file OpenCV can decode", f"{len(data)} bytes it cannot", formats)
    pixels: np.ndarray = np.asarray(decoded)
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[..., (2, 1, 0, 3)[: pixels.shape[2]]]  # OpenCV decodes to BGR(A)
    bytes_, notes = _to_rgb(_to_bytes(_check_array(pixels, where), where), where)
    if header.orientation != 1:
        turned = orient(bytes_, header.orientation)
        before, after = (f"{one.shape[1]} x {one.shape[0]}" for one in (bytes_, turned))
        notes += (
            f"{where}: EXIF orientation {header.orientation} was applied; {before} (w x h) as stored is {after} upright.",
        )
        bytes_ = turned
    return Photo(np.ascontiguousarray(bytes_), path, notes, header.orientation)


def _check_array(image: np.ndarray, name: str) -> np.ndarray:
    """Return the image as (H, W, C), or say what its shape looks like."""
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


def _to_bytes(image: np.ndarray, name: str) -> tuple[UInt8[np.ndarray, "H W C"], tuple[str, ...]]:
    """Return the image in 8 bit, and what was done."""
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


def _to_rgb(
    converted: tuple[np.ndarray, tuple[str, ...]], name: str
) -> tuple[UInt8[np.ndarray, "H W 3"], tuple[str, ...]]:
    """Return the 8-bit image with three channels, and what was done so far."""
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
