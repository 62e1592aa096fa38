r"""Image headers, read by Pillow: size, orientation, and whether the file is complete.

    header = PIL.Image.open (nothing decoded, seven formats)      upright = orient(decode(file), header.orientation)

An image too large to be a photo is refused before anything is decoded: by a side of `MOST_SIDE`, and by Pillow's own
bound on pixels (`PIL.Image.MAX_IMAGE_PIXELS`, twice of which is an error), which a program may raise for itself.

Source: Pillow's documentation, `Image.open` and `Image.getexif`; CIPA DC-008 (Exif 2.32), sec. 4.6.4 tag 0x0112; ITU-T
T.81 annex B (JPEG markers); PNG specification, 3rd ed., sec. 5.6 and 11.2.5.
"""

import io
import struct
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

MOST_SIDE = 2**15
"""px; the longest side of a camera's photo is below 20,000, of a stitched panorama seldom above this."""

MOST_PIXELS = 2**28
"""Most pixels of frames and images without a header; phones' largest have 200 million, 2^28 take 0.8 GB decoded."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""Formats Pillow may try on a file; other files are refused unread."""

KINDS = "JPEG, PNG, WebP, TIFF, BMP, GIF or PNM"

ORIENTATION_TAG = 0x0112
"""The tag in the image file directory (Exif 2.32, table 4)."""

_QUIET = threading.Lock()
"""Guards Python's warning filters, which all threads share."""


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image file.

    Attributes:
        size: (height, width) px, as OpenCV decodes it.
        orientation: 1..8, Exif's number of the turn that brings the decoded image upright.
    """

    size: tuple[int, int]
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) px of the upright image."""
        return self.size[::-1] if self.orientation > 4 else self.size


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the image upright.

    Args:
        pixels: (H, W, ...) as stored.
        orientation: 1..8, Exif's number.

    Returns:
        (H, W, ...) or (W, H, ...), a view.
    """
    if orientation in (5, 6, 7, 8):  # stored rows are columns of the upright image
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def read_header(file: io.BytesIO | io.BufferedReader, name: str) -> Header | None:
    """Read a file's header, and refuse an image that is too large.

    Args:
        file: The file, open; only the header is read.
        name: For the message.

    Returns:
        The header, None where the file is broken or of an unknown kind.

    Raises:
        InputError: The image is larger than `MOST_SIDE` or than Pillow's bound.
    """
    from PIL import Image

    with _QUIET, warnings.catch_warnings():  # of damaged tags, and of images half as large as is refused
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as image:
                width, height = image.size
                if not 0 < min(image.size) or max(image.size) > MOST_SIDE:
                    raise _too_large(name, f"at most {MOST_SIDE} px a side", f"{width} x {height} px (w x h)")
                return Header((height, width), _orientation(image))
        except Image.DecompressionBombError as error:
            bound = f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million px"
            advice = " If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
            raise _too_large(name, bound, str(error).partition(" exceeds")[0], advice) from error
        except InputError:
            raise
        except Exception:  # Pillow's readers raise a dozen types for a truncated or foreign file
            return None


def upright_size(path: Path) -> tuple[int, int]:
    """Return (height, width) px of an image file after its EXIF orientation, from its header.

    Args:
        path: The file.

    Raises:
        InputError: As `header_of`.
    """
    return header_of(path).upright


def header_of(path: Path) -> Header:
    """Return size and orientation of an image file.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing, its size cannot be read, or it is too large.
    """
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
            file.seek(0)
            header = read_header(file, f"photo {path}")
    except OSError as error:
        raise InputError(f"photo {path}", f"a {KINDS} file", error.strerror or str(error), "Check the path.") from error
    if empty:
        raise InputError(f"photo {path}", f"a {KINDS} file", "an empty file (0 bytes)", "Fetch or export it again.")
    if header is None:
        got = "a file whose size in px cannot be read"
        raise InputError(f"photo {path}", f"a {KINDS} file", got, "Convert it first, or fetch it again.")
    return header


def why_incomplete(data: bytes) -> str:
    """Return what is missing at the end of a JPEG or PNG file; "" where it is complete or of another kind.

    Decoders fill missing rows with gray and only warn; a fit to gray would fail silently.

    Args:
        data: The file's bytes.
    """
    if data.startswith(b"\xff\xd8\xff"):
        scan = _first_scan(data)
        if scan is None or data.find(b"\xff\xd9", scan) < 0:
            return f"a JPEG that breaks off after {len(data)} bytes"
    elif data.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND\xaeB`\x82" not in data:  # the last chunk, always the same
        return f"a PNG that breaks off after {len(data)} bytes"
    return ""


def _first_scan(data: bytes) -> int | None:
    """Return the position of a JPEG's first scan, behind the thumbnails in its tags."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0xDA:
            return position
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        position += 1 if data[position + 1] == 0xFF else 2 + length  # a fill byte, or a segment
    return None


def _orientation(image: "PIL.Image.Image") -> int:
    """Return the orientation of a decoded image, 1 (upright) where its tag is invalid."""
    if image.format == "TIFF":  # OpenCV turns it as it decodes it, and Pillow gives its size upright
        return 1
    if image.format == "PNG" and "exif" not in image.info:
        _take_late_exif(image)
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # `getexif` would decode the whole image to see whether there is any
    try:
        found = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged tags do not spoil the photo
        return 1
    return found if found in range(1, 9) else 1


def _take_late_exif(image: "PIL.Image.Image") -> None:
    """Read the tags of a PNG that stores them behind its pixels."""
    file: Any = getattr(image, "fp", None)
    if file is None:
        return
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            image.info["exif"] = b"Exif\0\0" + file.read(length)
            return
        file.seek(length + 4, io.SEEK_CUR)  # content and checksum


def _too_large(name: str, bound: str, got: str, more: str = "") -> InputError:
    return InputError(name, f"an image of {bound}", got, f"It was not decoded. Scale it down, or cut it.{more}")
