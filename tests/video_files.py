"""Videos made for tests: a number in every frame's brightness, a red mark in its top left corner."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

MILLI = Fraction(1, 1000)
STEP = 8
"""Grey levels between neighbouring frames; lossy codecs change a level by one or two."""


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Return the frame of a number (below 30), (H, W, 3) uint8 RGB."""
    pixels = np.full((height, width, 3), STEP * number, np.uint8)
    pixels[:8, :8] = (250, 0, 0)
    return pixels


def number_of(pixels: np.ndarray) -> int:
    """Return the number that a frame shows."""
    height, width = pixels.shape[:2]
    return round(float(pixels[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].mean()) / STEP)


def corner_of(pixels: np.ndarray) -> str:
    """Return in which corner the red mark is."""
    low, high = pixels[:8], pixels[-8:]
    corners = {"top left": low[:, :8], "top right": low[:, -8:], "bottom left": high[:, :8]}
    corners["bottom right"] = high[:, -8:]
    return max(corners, key=lambda name: float(corners[name][..., 0].mean() - corners[name][..., 1].mean()))


def write_video(
    path: Path, times: Sequence[float], *, codec: str = "libx264", options: dict[str, str] | None = None
) -> Path:
    """Write a video whose frames have these times in seconds, to the millisecond."""
    av = pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = MILLI
        stream.options = options or {}
        for number, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), MILLI
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """Write a tenth of a second of silence."""
    av = pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        for start in range(0, 4096, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> None:
    """Give an mp4 the tag of a phone that was turned, clockwise (ISO 14496-12, sec. 8.3.2: the matrix of `tkhd`)."""
    content = bytearray(path.read_bytes())
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    at = content.find(b"tkhd")
    start = at + 8 + (32 if content[at + 4] == 1 else 20) + 16
    one = 1 << 16
    content[start : start + 36] = struct.pack(
        ">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)


def damage(path: Path, frames: Sequence[int], *, empty: bool = False) -> None:
    """Overwrite the packets of frames of a video without reordered frames, all but their first bytes."""
    av = pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in frames:
        start, size = places[number]
        begin = start + (0 if empty else 5)
        content[begin : start + size] = b"\xff" * (start + size - begin)
    path.write_bytes(content)
