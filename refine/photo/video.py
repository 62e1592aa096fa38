"""Frames of a video in their order, read forward: seeking is not exact in every codec, counting is.

Source: OpenCV documentation, class VideoCapture.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from refine.errors import InputError
from refine.photo.header import MOST_PIXELS, MOST_SIDE
from refine.photo.photo import Photo, Undecoded

if TYPE_CHECKING:
    import cv2


class VideoFrames:
    """One open video; frames are asked for by number, best in ascending order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture = _open(path)
        self._next = 0

    def read(self, number: int) -> np.ndarray:
        """Return a frame, (H, W, 3) uint8 RGB.

        Raises:
            InputError: The video ends before it.
        """
        if number < self._next:
            self._capture.release()
            self._capture, self._next = _open(self._path), 0
        while self._next < number:
            self._skip()
        done, frame = self._capture.read()
        if not done:
            raise InputError(
                str(self._path), f"a frame {number}", f"a video that ends at {self._next}", "Copy it again."
            )
        self._next += 1
        return np.ascontiguousarray(frame[..., ::-1])

    def _skip(self) -> None:
        if not self._capture.grab():
            raise InputError(str(self._path), "a whole video", f"one that ends at frame {self._next}", "Copy it again.")
        self._next += 1


@lru_cache(maxsize=16)
def count_frames(path: Path) -> int:
    """Return how many frames a video has, by going through it: what its header says is often wrong."""
    capture, count = _open(path), 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def frame_size(path: Path) -> tuple[int, int]:
    """Return (height, width) px of a video's frames as they are read."""
    import cv2

    capture = _open(path)
    size = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    capture.release()
    return size


def opened(path: Path) -> tuple[tuple[Photo, ...], Tensor]:
    """Return a video's frames, decoded when asked for, best in their order, and their times (F,) s, evenly spaced."""
    import cv2

    count, size, frames = count_frames(path), frame_size(path), VideoFrames(path)
    capture = _open(path)
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if count < 2:
        raise InputError("video", "a video of several frames", f"{count} in {path}")

    def photo(number: int) -> Photo:
        return Photo(Undecoded(size, lambda: Photo(frames.read(number), path)), path)

    time_s = torch.arange(count, dtype=torch.float64) / (rate if rate > 0 else 30.0)
    return tuple(photo(number) for number in range(count)), time_s


def _open(path: Path) -> "cv2.VideoCapture":
    import cv2

    try:
        name = str(path).encode().decode()
    except UnicodeEncodeError as error:  # OpenCV 5 crashes on it
        shown = str(path).encode(errors="backslashreplace").decode()
        raise InputError("--images", "a video whose name is text", shown, "Rename it.") from error
    capture = cv2.VideoCapture(name)
    height, width = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    if not capture.isOpened():
        raise InputError(
            "--images", "a video OpenCV can read", str(path), "Write it as mp4 (H.264), or as single photos."
        )
    if max(height, width) > MOST_SIDE or height * width > MOST_PIXELS:
        raise InputError(str(path), f"frames of at most {MOST_SIDE} px a side", f"{width} x {height} px (w x h)")
    return capture
