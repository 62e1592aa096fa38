"""Photos as files of every kind, with the tags cameras write."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

UPRIGHT = np.zeros((24, 40, 3), np.uint8)
UPRIGHT[:12, :20], UPRIGHT[:12, 20:], UPRIGHT[12:, :20], UPRIGHT[12:, 20:] = (
    (230, 20, 20),
    (20, 230, 20),
    (20, 20, 230),
    (240, 240, 240),
)
"""Red, green, blue and white quarters: no two of the eight orientations look the same."""

JPEG_ERROR = 25
"""What JPEG may change in the middle of a quarter."""

STORED = {
    1: lambda photo: photo,
    2: lambda photo: np.fliplr(photo),
    3: lambda photo: np.rot90(photo, 2),
    4: lambda photo: np.flipud(photo),
    5: lambda photo: photo.transpose(1, 0, 2),
    6: lambda photo: np.rot90(photo, 1),
    7: lambda photo: np.rot90(photo, 2).transpose(1, 0, 2),
    8: lambda photo: np.rot90(photo, -1),
}
"""How a camera that writes the orientation stores the upright photo (6: to be turned clockwise, so stored
counter-clockwise)."""


def encode(pixels: np.ndarray, kind: str) -> bytes:
    """An RGB(A) or gray array as the bytes of a file."""
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(kind, np.ascontiguousarray(pixels))
    assert done
    return bytes(data)


JPEG_BYTES, PNG_BYTES = encode(UPRIGHT, ".jpg"), encode(UPRIGHT, ".png")


def tiff_block(orientation: int, order: str) -> bytes:
    """The Exif tags of a file: a maker's name and the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    maker = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"abc\0")
    turn = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(f"{order}H", 2) + maker + turn + struct.pack(f"{order}I", 0)


def with_exif(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    """The JPEG with an APP1 segment behind its first marker."""
    body = b"Exif\0\0" + tiff_block(orientation, order)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_with_exif(png: bytes, orientation: int) -> bytes:
    """The PNG with an eXIf chunk behind its header."""
    body = tiff_block(orientation, ">")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    return png[:33] + chunk + png[33:]


def save(folder: Path, data: bytes, name: str = "photo.jpg") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(data)
    return path
