"""The frames of a video as `refine.fit_video` takes them: a video file, a folder of frames, images, or none.

The one place that knows how frames are read: `frames_of`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.photo import ImageLike, Photo, open_photo, read_photos
from refine.photo.photo import Undecoded

USUAL_RATE = 30.0
"""Frames a second where nobody says."""
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Suffixes of a folder's frames."""

VideoLike = ImageLike | Sequence[ImageLike] | None
"""A video's file, a folder of frames in the order of their names, images in their order, or None."""
OpenVideo = Callable[[Path], tuple[tuple[Photo, ...], Float[Tensor, "F"]]]
"""Opens a video's file: its frames, decoded when asked for, and their times, s."""


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a clip.

    Attributes:
        photos: F frames, decoded when they are first asked for.
        time_s: (F,) s, rising; None: nobody knows.
        seen: Whether there are pixels; false: only their sizes are known.
    """

    photos: tuple[Photo, ...]
    time_s: Float[Tensor, "F"] | None = None
    seen: bool = True


def frames_of(video: VideoLike, open_video: OpenVideo) -> Frames | None:
    """Open the frames of a video.

    Args:
        video: As `VideoLike`.
        open_video: Opens a video's file.

    Returns:
        The frames; None where there are none to look at.

    Raises:
        InputError: There is no such file or folder, or no frame in it.
    """
    if video is None:
        return None
    if isinstance(video, str | Path):
        path = Path(video)
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES)
            if not files:
                raise InputError("video", f"frames in the folder ({', '.join(PICTURES)})", f"none in {path}")
            return Frames(tuple(open_photo(each) for each in files))
        if path.suffix.lower() in PICTURES:
            raise InputError("video", "a video, a folder of frames, or images", f"one photo, {path}", "Use refine.fit.")
        if not path.is_file():
            raise InputError("video", "a video's file or a folder of frames", f"nothing at {path}")
        return Frames(*open_video(path))
    photos = read_photos(video)
    if len(photos) == 1:
        raise InputError("video", "several frames", "one photo", "Use refine.fit.")
    return Frames(photos)


def sizes_only(estimate: Estimate) -> Frames:
    """Return frames of which only the sizes are known: those of the cameras of an estimate's bodies."""

    def none() -> Photo:
        raise InputError("video", "the frames, to look at them", "none", "Give the video.")

    size, photos = estimate.camera.size.cpu().round().int(), []
    index = estimate.image_index.cpu()
    first = {int(image): row for row, image in reversed(list(enumerate(index.tolist())))}
    last = 0
    for image in range(int(index.max()) + 1 if len(index) else 0):
        last = first.get(image, last)
        height, width = size[last].tolist()
        photos.append(Photo(Undecoded((height, width), none)))
    return Frames(tuple(photos), None, False)


def times_of(frames: Frames, times: object, fps: object) -> tuple[Float[Tensor, "F"], tuple[str, ...]]:
    """Return the times of frames, s, and what was decided.

    Args:
        frames: F of them.
        times: F seconds the caller gave, or None.
        fps: Frames a second the caller gave, or None.

    Raises:
        InputError: Both are given, or they are no times of these frames.
    """
    count = len(frames.photos)
    if times is not None and fps is not None:
        raise InputError("times, fps", "one of them", "both")
    if times is not None:
        found = torch.as_tensor(times, dtype=torch.float64).flatten()
        if len(found) < count:
            raise InputError("times", f"one a frame, {count}", str(len(found)))
        return found, ()
    if fps is not None:
        if not isinstance(fps, int | float) or not math.isfinite(fps) or fps <= 0:
            raise InputError("fps", "frames a second, above zero", repr(fps))
        return torch.arange(count, dtype=torch.float64) / fps, ()
    if frames.time_s is not None:
        return frames.time_s.double(), ()
    note = f"The frame rate is not known: {USUAL_RATE:g} frames a second are taken (fps=..., or times=...)."
    return torch.arange(count, dtype=torch.float64) / USUAL_RATE, (note,)
