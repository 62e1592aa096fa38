"""Videos by OpenCV, for where PyAV is not installed: frames are counted, since seeking is not exact in every codec.

Its library decodes what it skips, so that the index costs as much as the frames; a video that breaks off ends there.

Source: OpenCV documentation, class VideoCapture and VideoCaptureProperties.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refine.errors import InputError
from refine.photo.video import WRITE_IT, Index, check_frame_size

if TYPE_CHECKING:
    import cv2

LATE = 2.5
"""Steps between frames by which a video may end before its stated end: the last frame's own, one of rounding."""


def index(path: Path) -> Index:
    """Go through a video.

    Raises:
        InputError: It is no video.
    """
    import cv2

    capture = _open(path)
    rate, stated = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    height, width = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    times = []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    if not times:
        raise InputError(f"video {path}", "frames that can be decoded", "none", WRITE_IT)
    time_s, notes = np.asarray(times) - times[0], []
    if len(times) > 1 and not (np.diff(time_s) > 0).all():
        rate = rate if rate > 0 else 30.0
        time_s = np.arange(len(times)) / rate
        notes.append(f"{path.name}: frames have no times of their own; {rate:.6g} per second was taken.")
    # The number of frames that OpenCV states is, in some containers, the duration times the rate.
    if rate > 0 and stated / rate > time_s[-1] + LATE / rate:
        seconds = f"{time_s[-1]:.1f} s of {stated / rate:.1f}"
        notes.append(
            f"{path.name}: the file is damaged; it holds {len(times)} frames, {seconds}. "
            "What lies behind the damage may be read with PyAV: pip install 'refine[video]'."
        )
    return Index((height, width), time_s, tuple(notes))


def frames(path: Path, index: Index, first: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode frames from number `first` on: number and (H, W, 3) uint8 RGB, upright."""
    capture = _open(path)
    try:
        for _ in range(first):
            if not capture.grab():
                return
        for number in range(first, len(index.time_s)):
            done, frame = capture.read()
            if not done:
                return
            yield number, np.ascontiguousarray(frame[..., ::-1])
    finally:
        capture.release()


def _open(path: Path) -> "cv2.VideoCapture":
    import cv2

    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        advice = f"{WRITE_IT} A file of sound alone is none."
        raise InputError(f"video {path}", "a video OpenCV can read", "a file it cannot", advice)
    check_frame_size(path, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    return capture
