"""Reads a photo from a file, an array, a tensor or a PIL image as upright (H, W, 3) uint8 RGB.

    shown = orient(decode(file))        8 bit = round(255 value)     over white: alpha colour + (1 - alpha) 255

Ambiguous input (channels first, numbers beyond 0..1, NaN) is refused with advice.

Source: OpenCV documentation, module imgcodecs.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from refine.batch import in_one_line
from refine.check import check_local
from refine.errors import InputError
from refine.photo.header import KINDS, header_of, orient, read_header, why_incomplete
from refine.photo.memory import as_array_of_photo, split_batch
from refine.photo.pixels import check_array, to_bytes, to_rgb

if TYPE_CHECKING:
    import PIL.Image

RESULTS = frozenset(".npz .npy .pkl .pk .pt .pth .json .joblib".split())
"""Suffixes of files that regressors write."""


@dataclass(frozen=True, eq=False)
class Undecoded:
    """Pixels that are decoded at the first access.

    Attributes:
        size: (height, width) px, upright, from the file's header.
        decode: Returns the photo with its pixels, of this size.
        kept: Whether pixels stay in memory once they were asked for; those of a long video must not.
    """

    size: tuple[int, int]
    decode: Callable[[], "Photo"]
    kept: bool = True


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo, upright.

    Attributes:
        content: (H, W, 3) uint8, RGB, not to be written to; or pixels to be decoded.
        path: The file, None for an array.
        notes: A sentence for each change made on reading.
        orientation: 1..8, Exif's number of the turn that was applied on reading; 1: none.
    """

    content: UInt8[np.ndarray, "H W 3"] | Undecoded
    path: Path | None = None
    notes: tuple[str, ...] = ()
    orientation: int = 1

    __repr__ = in_one_line

    @property
    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """(H, W, 3) uint8, RGB. Not to be written to.

        Raises:
            InputError: The file is not an image that can be decoded.
        """
        passing = isinstance(self.content, Undecoded) and not self.content.kept
        return self.decoded().pixels if passing else self._kept

    @cached_property
    def _kept(self) -> UInt8[np.ndarray, "H W 3"]:
        return self.content if isinstance(self.content, np.ndarray) else self.decoded().pixels

    def decoded(self) -> "Photo":
        """Return the photo with its pixels decoded, anew at every call, and the notes of what was done to them.

        Raises:
            InputError: The file is not an image that can be decoded.
        """
        return self.content.decode() if isinstance(self.content, Undecoded) else self

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px."""
        return self.content.size if isinstance(self.content, Undecoded) else self.content.shape[:2]

    @property
    def stored_size(self) -> tuple[int, int]:
        """(height, width) px of the file's pixels, before the turn."""
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
        InputError: There is no such file, it is no complete image, or the array is not a photo.
    """
    if isinstance(image, (str, Path)):
        return _read_file(Path(image), name)
    array, notes = as_array_of_photo(image, name)
    pixels, more = to_rgb(to_bytes(check_array(array, name), name), name)
    return Photo(pixels, None, notes + more)


def open_photo(path: Path, name: str = "photo") -> Photo:
    """Read the header of a photo file; its pixels are decoded at the first access.

    Args:
        path: The file.
        name: For messages.

    Raises:
        InputError: There is no such file, its size cannot be read, or it is too large.
    """
    header = header_of(path)
    notes = _note_on_turn(f"{name} {path}", header.size, header.orientation)
    return Photo(Undecoded(header.upright, lambda: read_photo(path, name)), path, notes, header.orientation)


def check_complete(path: Path, name: str = "photo") -> None:
    """Refuse a truncated photo file, without decoding it.

    Args:
        path: The file.
        name: For messages.

    Raises:
        InputError: It cannot be read, or its end is missing.
    """
    _complete(_bytes_of(path, name), f"{name} {path}")


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
    data = _bytes_of(path, name)
    formats = (
        "Give a JPEG, PNG, WebP or TIFF; convert other formats (AVIF, HEIC, raw, video frames) to one of these first, "
        "or open it with PIL and give the image."
    )
    header = read_header(io.BytesIO(data), where)
    _complete(data, where)
    if header is None and path.suffix.lower() in RESULTS:
        advice = "Is it the result? The photo comes first: refine.fit(PHOTO, RESULT)."
        raise InputError(where, f"a {KINDS} file", f"a {path.suffix} file", advice)
    if header is None:  # JPEG 2000, HDR and others may state any size, which was not checked
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
    bytes_, notes = to_rgb(to_bytes(check_array(pixels, where), where), where)
    notes += _note_on_turn(where, bytes_.shape[:2], header.orientation)
    bytes_ = orient(bytes_, header.orientation)
    return Photo(np.ascontiguousarray(bytes_), path, notes, header.orientation)


def _bytes_of(path: Path, name: str) -> bytes:
    """Return the content of an image file.

    Raises:
        InputError: It cannot be read, or is empty.
    """
    where = f"{name} {path}"
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise InputError(where, "an image file", "a folder", "Give the files in it, as a list of paths.") from error
    except OSError as error:
        check_local(name, path)
        raise InputError(where, "an image file", error.strerror or str(error), "Check the path.") from error
    if not data:
        raise InputError(where, "an image file", "an empty file (0 bytes)", "Fetch or export it again.")
    return data


def _complete(data: bytes, where: str) -> None:
    if missing := why_incomplete(data):
        raise InputError(where, "a complete image file", missing, "Fetch or export it again.")


def _note_on_turn(where: str, stored: tuple[int, ...], orientation: int) -> tuple[str, ...]:
    """Return the note on the turn of a photo of (height, width) px; empty where it was upright."""
    if orientation == 1:
        return ()
    height, width = stored
    upright = f"{height} x {width}" if orientation > 4 else f"{width} x {height}"
    sizes = f"{width} x {height} (w x h) as stored is {upright} upright."
    return (f"{where}: EXIF orientation {orientation} was applied; {sizes}",)
