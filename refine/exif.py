r"""What an image file says beside its pixels: which way is up, and whether the file is whole.

    JPEG: segments FF xx length ...; "Exif\0\0" + TIFF in APP1; ends with FF D9      PNG: chunks length type ...; TIFF in eXIf; ends with IEND

Orientations 1-8 name the eight symmetries of a rectangle; `orient` brings the stored pixels upright.

Source: CIPA DC-008 (Exif 2.32), sec. 4.6.4 tag 0x0112; ITU-T T.81 annex B (JPEG markers); PNG specification, 3rd ed., sec. 5 and 11.3.4.5;
WebP container specification (RIFF).
"""

import struct

import numpy as np

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
"""What the files begin with."""

APP1, START_OF_SCAN = 0xE1, 0xDA
"""Markers of a JPEG's segments (ITU-T T.81, table B.1)."""

ORIENTATION_TAG = 0x0112
"""The tag in the image file directory (Exif 2.32, table 4)."""


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the image upright.

    Args:
        pixels: (H, W, ...) as stored.
        orientation: 1..8, as Exif counts them.

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


def read_orientation(data: bytes) -> int:
    """Return the Exif orientation of a JPEG, PNG or WebP file, 1 (upright) where it says none or nonsense.

    Args:
        data: The file's bytes.

    Returns:
        1..8.
    """
    try:
        tiff = _exif(data)
        if not tiff:
            return 1
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == ORIENTATION_TAG:
                return int(value) if 1 <= value <= 8 else 1
    except (struct.error, KeyError):  # a damaged Exif block does not spoil the photo
        pass
    return 1


def why_incomplete(data: bytes) -> str:
    """Return what is missing at the end of a JPEG or PNG file, or an empty string if it is whole or of another kind.

    Decoders fill what is missing with gray and only warn; a fit to gray would go wrong silently.

    Args:
        data: The file's bytes.
    """
    if data.startswith(JPEG):
        *_, (marker, scan, _) = [(0, 0, b""), *_segments(data)]
        if marker != START_OF_SCAN or data.find(b"\xff\xd9", scan) < 0:
            return f"a JPEG that breaks off after {len(data)} bytes"
    elif data.startswith(PNG) and not any(kind == b"IEND" for kind, _ in _chunks(data, 8, ">")):
        return f"a PNG that breaks off after {len(data)} bytes"
    return ""


def _exif(data: bytes) -> bytes:
    """Return the TIFF block with the Exif tags, empty if there is none."""
    if data.startswith(JPEG):
        for marker, _, body in _segments(data):
            if marker == APP1 and body.startswith(b"Exif\0\0"):
                return body[6:]
    elif data.startswith(PNG):
        return next((body for kind, body in _chunks(data, 8, ">") if kind == b"eXIf"), b"")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        block = next((body for kind, body in _chunks(data, 12, "<") if kind == b"EXIF"), b"")
        return block.removeprefix(b"Exif\0\0")
    return b""


def _segments(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return marker, position and body of a JPEG's segments up to the header of the first scan."""
    found, position = [], 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        found.append((marker, position, data[position + 4 : position + 2 + length]))
        if marker == START_OF_SCAN:
            break
        position += 2 + length
    return found


def _chunks(data: bytes, position: int, order: str) -> list[tuple[bytes, bytes]]:
    """Return name and body of a PNG's (order ">") or a WebP's ("<") complete chunks."""
    found = []
    while position + 8 <= len(data):
        first, second = data[position : position + 4], data[position + 4 : position + 8]
        kind, length = (
            (second, int.from_bytes(first, "big")) if order == ">" else (first, int.from_bytes(second, "little"))
        )
        if position + 8 + length > len(data):
            break
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 8 + length + (4 if order == ">" else length % 2)  # PNG: checksum; WebP: padded to even
    return found
