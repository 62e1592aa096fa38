"""Frames of a video with the time of each: an index of the file, and frames decoded once, in order, one at a time.

    video = open_video(path)           size, time_s of every frame; nothing but the first frame is decoded
    for number, pixels in video.reading(): ...          ascending; a frame that cannot be decoded is left out and noted

PyAV reads it where it is installed, OpenCV else. Frames come upright: the rotation tag of phones is applied.

Source: PyAV's documentation, Container.demux and VideoFrame; OpenCV's, class VideoCapture.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float64, UInt8

from refine.check import check_local
from refine.errors import InputError
from refine.photo.header import MOST_PIXELS, MOST_SIDE, read_header
from refine.photo.photo import RESULTS, Photo, Undecoded

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
"""Suffixes by which a video is known in a folder."""

JUMP = 64
"""Frames further ahead than this are sought, nearer ones are decoded on the way: key frames are that far apart."""

WRITE_IT = "Write it as mp4 (H.264), or give a folder of photos."


@dataclass(frozen=True, eq=False)
class Index:
    """What of a video is known before its frames are decoded.

    Attributes:
        size: (height, width) px, upright.
        time_s: (N,) s of every frame, ascending from 0.
        notes: A sentence for each thing that was decided or is missing.
        ticks: (N,) the same in the file's own unit, by which a decoder knows its frames; empty: it counts them.
    """

    size: tuple[int, int]
    time_s: Float64[np.ndarray, "N"]
    notes: tuple[str, ...] = ()
    ticks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


@runtime_checkable
class Decoder(Protocol):
    """Reads videos: `refine.photo.video_av`, `refine.photo.video_opencv`."""

    def index(self, path: Path) -> Index:
        """Go through a video without decoding it, if the library can.

        Raises:
            InputError: It is no video.
        """
        ...

    def frames(self, path: Path, index: Index, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Decode frames in ascending order, from a number at or before `first` on; those that are broken are left out.

        Returns:
            Number and (H, W, 3) uint8 RGB, upright.
        """
        ...


@dataclass(frozen=True, eq=False)
class Video:
    """A video that was gone through.

    Attributes:
        path: The file.
        index: Size, times and notes.
        decoder: What decodes it.
    """

    path: Path
    index: Index
    decoder: Decoder

    def __len__(self) -> int:
        return len(self.index.time_s)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px, upright."""
        return self.index.size

    @property
    def time_s(self) -> Float64[np.ndarray, "N"]:
        """(N,) s of every frame, ascending from 0; unequal steps where the rate varies."""
        return self.index.time_s

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was decided or is missing."""
        return self.index.notes

    def reading(self) -> "Reading":
        """Return what decodes the frames, at the first one."""
        return Reading(self)

    def photos(self) -> tuple[Photo, ...]:
        """Return the frames as photos; one is decoded when its pixels are asked for, best in ascending order.

        No more than one frame is in memory: pixels that are asked for twice may be decoded twice.
        """
        reading = self.reading()

        def photo(number: int) -> Photo:
            return Photo(Undecoded(self.size, lambda: Photo(reading.read(number), self.path), kept=False), self.path)

        return tuple(photo(number) for number in range(len(self)))


class Reading:
    """A place in a video, going forward: each frame on the way is decoded once."""

    def __init__(self, video: Video) -> None:
        self.video = video
        self.lost: list[int] = []
        """Numbers of the frames passed so far that could not be decoded."""
        self._frames: Iterator[tuple[int, np.ndarray]] = iter(())
        self._next = 0  # the first number that `_frames` has not passed
        self._last: tuple[int, np.ndarray] | None = None
        self._open = False

    def __iter__(self) -> Iterator[tuple[int, UInt8[np.ndarray, "H W 3"]]]:
        """Return number and pixels (H, W, 3) uint8 RGB of each frame that can be decoded."""
        number = 0
        while number < len(self.video):
            found = self._at_or_after(number)
            if found is None:
                return
            yield found
            number = found[0] + 1

    def read(self, number: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return a frame, (H, W, 3) uint8 RGB.

        Raises:
            InputError: The video ends before it, or it cannot be decoded.
        """
        path, count = str(self.video.path), len(self.video)
        if not 0 <= number < count:
            raise InputError(path, f"a frame {number}", f"a video of {count} frames", "Copy it again.")
        found = self._at_or_after(number)
        if found is None or found[0] != number:
            raise InputError(path, f"a frame {number}", "one that cannot be decoded", "Copy it again, or leave it out.")
        return found[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """The video's notes, and which of the frames passed so far could not be decoded."""
        if not self.lost:
            return self.video.notes
        advice = "Those up to the next key frame may be smeared."
        return (*self.video.notes, f"{self.video.path.name}: {ranges(self.lost)} could not be decoded. {advice}")

    def _at_or_after(self, number: int) -> tuple[int, np.ndarray] | None:
        """Return the first frame from a number on that can be decoded, None where there is none."""
        if self._last is not None and self._last[0] == number:
            return self._last
        if not self._open or number < self._next or number > self._next + JUMP:
            self._frames = self.video.decoder.frames(self.video.path, self.video.index, number)
            self._next, self._open = number, True
        for found, pixels in self._frames:
            if found >= number:
                self._pass(number, found)
                self._last = (found, self._of_size(found, pixels))
                return self._last
        self._pass(number, len(self.video))
        return None

    def _pass(self, wanted: int, found: int) -> None:
        """Note that between the wanted frame and the one found nothing could be decoded."""
        self.lost += [number for number in range(wanted, found) if number not in self.lost]
        self._next = found + 1

    def _of_size(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Refuse a frame of another size than the first one: a camera has one."""
        if pixels.shape[:2] != self.video.size:
            (height, width), (first_height, first_width) = pixels.shape[:2], self.video.size
            got = f"{width} x {height} px (w x h) in frame {number} after {first_width} x {first_height} in the first"
            raise InputError(str(self.video.path), "frames of one size", got, "Cut the video where the size changes.")
        return pixels


def open_video(path: str | Path, decoder: Decoder | None = None) -> Video:
    """Go through a video: size, number and times of its frames.

    Args:
        path: The file.
        decoder: What reads it; None: PyAV where it is installed, else OpenCV.

    Raises:
        InputError: There is no such file, or it is a photo, has no picture, or is no video that can be read.
    """
    path = Path(path).expanduser()
    _check_file(path)
    stat = path.stat()
    decoder = usual_decoder() if decoder is None else decoder
    return Video(path, _index(path, cast(Any, decoder), stat.st_mtime_ns, stat.st_size), decoder)


def usual_decoder() -> Decoder:
    """Return what reads videos here: PyAV where it is installed, else OpenCV."""
    name = "video_av" if importlib.util.find_spec("av") else "video_opencv"
    module: ModuleType = importlib.import_module(f"refine.photo.{name}")
    return cast(Decoder, module)


def check_frame_size(path: Path, height: int, width: int) -> None:
    """Refuse frames that are too large to be a video's.

    Raises:
        InputError: They are.
    """
    if max(height, width) > MOST_SIDE or height * width > MOST_PIXELS:
        raise InputError(str(path), f"frames of at most {MOST_SIDE} px a side", f"{width} x {height} px (w x h)")


def ranges(numbers: list[int]) -> str:
    """Return numbers of frames in words: "frame 7", "frames 3-5, 9"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs[:8])
    more = f" and {len(runs) - 8} more stretches" if len(runs) > 8 else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {words}{more}"


@lru_cache(maxsize=16)
def _index(path: Path, decoder: Any, changed: int, length: int) -> Index:
    """Return the index of a file as it was last changed."""
    return decoder.index(path)


def _check_file(path: Path) -> None:
    """Refuse what is no file, a photo, or a regressor's result."""
    name = f"video {path}"
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # OpenCV 5 crashes on it
        shown = str(path).encode(errors="backslashreplace").decode()
        raise InputError("video", "a file whose name is text", shown, "Rename it.") from error
    try:
        with path.open("rb") as file:
            start = file.read(16)
            file.seek(0)
            photo = start and not start.startswith(b"GIF8") and read_header(file, name) is not None
    except IsADirectoryError as error:
        raise InputError(name, "a video file", "a folder", "refine.photo.clip.open_clip takes both.") from error
    except OSError as error:
        check_local("video", path)
        raise InputError(name, "a video file", error.strerror or str(error), "Check the path.") from error
    if not start:
        raise InputError(name, "a video file", "an empty file (0 bytes)", "Fetch or export it again.")
    if photo:
        raise InputError(name, "a video", "a still photo", "For one photo there is refine.fit(PHOTO, RESULT).")
    if path.suffix.lower() in RESULTS:
        raise InputError(name, "a video", f"a {path.suffix} file", "Is it the result? The video comes first.")
