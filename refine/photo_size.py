"""How large an image file says it is, read from its first bytes: an image too large to be a photo is refused before anything is decoded.

    JPEG  FF Cn length 8 height width      PNG  IHDR width height     WebP  VP8X | VP8L | VP8      BMP  width height
    TIFF  tags 256 and 257                 GIF  width height          PNM   P1..P6 width height

Source: ITU-T T.81 B.2.2; PNG specification sec. 11.2.1; WebP container specification (RIFF); TIFF 6.0 sec. 2; BITMAPINFOHEADER (Windows GDI);
GIF89a sec. 18; netpbm's ppm(5).
"""

import re
import struct
from pathlib import Path

from refine.errors import InputError
from refine.exif import JPEG, PNG, read_orientation

MOST_SIDE = 2**15
"""px; the longest side of a camera's photo is below 20,000, of a stitched panorama seldom above this."""

MOST_PIXELS = 2**28
"""Phones' largest photos have 200 million pixels; 2^28 take 0.8 GB decoded."""

KINDS = "JPEG, PNG, WebP, TIFF, BMP, GIF or PNM"

HEAD_BYTES = 2**18
"""Read for an image's size: an EXIF thumbnail (at most 64 KiB) and a colour profile may lie in front of it."""

FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header: all of SOF0..SOF15, which DHT, JPG and DAC lie between (T.81, table B.1)."""


def stored_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) px as a file states them, before EXIF turns the image; None where the file is of no known kind.

    Args:
        data: The file's bytes; a part of some thousand at its beginning is enough for all but TIFF.
    """
    try:
        if data.startswith(JPEG):
            return _jpeg(data)
        if data.startswith(PNG):
            width, height = struct.unpack_from(">II", data, 16)
            return height, width
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:2] == b"BM":
            width, height = struct.unpack_from("<ii", data, 18)
            return abs(height), width
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", data, 6)
            return height, width
    except struct.error:
        return None
    stated = re.match(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d+)\s+(\d+)\s", data[:512])
    return (int(stated[2]), int(stated[1])) if stated else None


def check_size(data: bytes, name: str, *, must_know: bool = False) -> tuple[int, int] | None:
    """Refuse an image that is too large, from what its header says.

    Args:
        data: The file's bytes.
        name: For the message.
        must_know: Refuse also a file whose size cannot be told.

    Returns:
        (height, width) px as stored, or None where it cannot be told.

    Raises:
        InputError: The image is larger than `MOST_SIDE` or `MOST_PIXELS`, empty, or of unknown size where it must be known.
    """
    size = stored_size(data)
    if size is None:
        if must_know:
            raise InputError(name, f"a {KINDS} file", "a file whose size in px cannot be read", "Convert it first.")
        return None
    height, width = size
    if not 0 < min(size) or max(size) > MOST_SIDE or height * width > MOST_PIXELS:
        wanted = f"an image of at most {MOST_SIDE} px a side and {MOST_PIXELS // 10**6} million px"
        raise InputError(
            name, wanted, f"{width} x {height} px (w x h)", "It was not decoded. Scale it down, or cut it."
        )
    return size


def upright_size(path: Path) -> tuple[int, int]:
    """Return (height, width) px of an image file after its EXIF orientation, from its header.

    Raises:
        InputError: The file is missing, its size cannot be told, or it is too large.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if head[:4] in (b"II*\0", b"MM\0*"):  # TIFF's directory may lie at the end
                head += file.read()
    except OSError as error:
        raise InputError(f"photo {path}", f"a {KINDS} file", error.strerror or str(error), "Check the path.") from error
    if not head:
        raise InputError(f"photo {path}", f"a {KINDS} file", "an empty file (0 bytes)", "Fetch or export it again.")
    size = check_size(head, f"photo {path}", must_know=True)
    assert size is not None
    turned = read_orientation(head) in (5, 6, 7, 8)
    return size[::-1] if turned else size


def _jpeg(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return height, width
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    found: dict[int, int] = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (256, 257):
            (found[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    return (found[257], found[256]) if len(found) == 2 else None
