"""Writes pictures as a video that browsers play: H.264 in mp4 by PyAV, or VP9 in WebM by OpenCV where PyAV is absent.

    pixels -> 4:2:0, even sides (the last row or column is doubled), the index before the frames; each frame at its time

OpenCV's wheels cannot write H.264, and write one rate throughout: a name in .mp4 then asks for PyAV.

Source: PyAV's documentation, "Generating video"; ISO/IEC 14496-10 (H.264); OpenCV's, class VideoWriter.
"""

import importlib.util
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refine.errors import InputError, MissingExtra

if TYPE_CHECKING:
    pass

TICKS = 90_000
"""Of a second: MPEG's clock, in which the usual rates are whole numbers."""
QUALITY = "20"
"""libx264's constant rate factor: thin lines stay sharp, a minute takes some MB."""
WEBM = {"crf": "30", "b": "0", "cpu-used": "5"}
"""Of libvpx-vp9: constant quality, and five of nine steps towards speed."""
SUFFIXES = (".mp4", ".webm")


def write_video(path: str | Path, pictures: Iterable[np.ndarray], time_s: Sequence[float]) -> None:
    """Write a video, one picture at a time; it appears whole or not at all.

    Args:
        path: The file, whose suffix is the format: .mp4 (H.264, needs PyAV) or .webm (VP9, by PyAV or OpenCV).
        pictures: N pictures (H, W, 3) uint8 RGB of one size, made as they are asked for.
        time_s: (N,) s of each, ascending. OpenCV takes their mean step for all.

    Raises:
        InputError: The suffix is another, the folder does not exist, times do not ascend, there is no picture, or there
            are not as many as times or not of one size.
        MissingExtra: PyAV is needed and not installed.
    """
    path, times = Path(path), [float(time) for time in time_s]
    if path.suffix.lower() not in SUFFIXES:
        raise InputError("path", f"a name ending in {' or '.join(SUFFIXES)}", path.name)
    if not path.parent.is_dir():
        raise InputError("path", "a name in a folder that exists", str(path), "Make the folder first.")
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise InputError("time_s", "times that ascend", "a frame at or before the one before it")
    by_av = importlib.util.find_spec("av") is not None
    if not by_av and path.suffix.lower() == ".mp4":
        raise MissingExtra("av", "to write H.264", "pip install 'refine[video]'  (or give a name in .webm)")
    half = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        (_by_av if by_av else _by_opencv)(half, _checked(pictures, len(times)), times)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _checked(pictures: Iterable[np.ndarray], count: int) -> Iterable[np.ndarray]:
    """Yield pictures with even sides; refuse too few, too many, and other sizes."""
    shape, number = None, 0
    for number, picture in enumerate(pictures, 1):
        if (
            picture.dtype != np.uint8
            or picture.ndim != 3
            or picture.shape[2] != 3
            or picture.shape != (shape or picture.shape)
        ):
            got = f"{picture.dtype} of shape {picture.shape} as number {number}"
            raise InputError("pictures", "(H, W, 3) uint8 RGB of one size", got)
        shape = picture.shape
        if number > count:
            break
        yield np.pad(picture, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), "edge")
    if number != count or not count:
        raise InputError("pictures", f"{max(count, 1)}, one a time", "more" if number > count else str(number))


def _by_av(path: Path, pictures: Iterable[np.ndarray], times: Sequence[float]) -> None:
    import av

    webm = path.suffix.lower() == ".webm"
    codec = "libvpx-vp9" if webm else "libx264"
    options = {} if webm else {"movflags": "+faststart"}
    with av.open(str(path), "w", options=options) as container:
        stream = None
        for picture, time in zip(pictures, times, strict=False):
            if stream is None:
                stream = container.add_stream(codec, rate=_rate(times))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, TICKS)
                stream.options = (
                    {"crf": "30", "b": "0", "cpu-used": "5"} if webm else {"crf": QUALITY, "preset": "fast"}
                )
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round((time - times[0]) * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        for _ in pictures:  # one too many is refused there
            pass
        if stream is not None:
            container.mux(stream.encode())


def _by_opencv(path: Path, pictures: Iterable[np.ndarray], times: Sequence[float]) -> None:
    import cv2

    found = iter(pictures)
    first = next(found)
    size = (first.shape[1], first.shape[0])
    writer: cv2.VideoWriter = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP90"), float(_rate(times)), size)
    if not writer.isOpened():
        raise MissingExtra("av", "to write videos, which this OpenCV cannot", "pip install 'refine[video]'")
    try:
        for picture in chain((first,), found):
            writer.write(np.ascontiguousarray(picture[..., ::-1]))
    finally:
        writer.release()


def _rate(times: Sequence[float]) -> Fraction:
    """Return the mean rate, frames per second."""
    if len(times) < 2:
        return Fraction(30)
    return Fraction((len(times) - 1) / (times[-1] - times[0])).limit_denominator(1001)
