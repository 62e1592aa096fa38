"""The frames of a video as `refine.fit_video` takes them: a video file, a folder of frames, images, or none.

The one place that knows how frames are read: `frames_of`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.photo import ImageLike, Photo, read_photos
from refine.photo.clip import IMAGES, open_clip
from refine.photo.photo import Undecoded

USUAL_RATE = 30.0
"""Frames a second where nobody says."""

VideoLike = ImageLike | Sequence[ImageLike] | None
"""A video's file, a folder of frames in the order of the numbers in their names, images in their order, or None."""


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a clip.

    Attributes:
        photos: F frames, decoded when they are first asked for.
        time_s: (F,) s, rising; None: nobody knows.
        seen: Whether there are pixels; false: only their sizes are known.
        place: (F,) number of each frame where some are missing, from 0; None: they follow each other.
        notes: A sentence for each thing that was decided or is missing.
    """

    photos: tuple[Photo, ...]
    time_s: Float[Tensor, "F"] | None = None
    seen: bool = True
    place: Float[Tensor, "F"] | None = None
    notes: tuple[str, ...] = ()


def frames_of(video: VideoLike) -> Frames | None:
    """Open the frames of a video.

    Args:
        video: As `VideoLike`.

    Returns:
        The frames; None where there are none to look at.

    Raises:
        InputError: There is no such file or folder, no frame in it, or a single one.
    """
    if video is None:
        return None
    if not isinstance(video, str | Path):
        photos = read_photos(video)
        if len(photos) == 1:
            raise InputError("video", "several frames", "one photo", "Use refine.fit.")
        return Frames(photos)
    path = Path(video)
    if path.suffix.lower() in IMAGES and not path.is_dir():
        raise InputError("video", "a video, a folder of frames, or images", f"one photo, {path}", "Use refine.fit.")
    if path.is_dir():
        clip = open_clip(path, fps=1.0)
        return Frames(clip.photos, place=torch.from_numpy(clip.time_s), notes=clip.notes)
    clip = open_clip(path)
    if len(clip) < 2:
        raise InputError("video", "a video of several frames", f"{len(clip)} in {path}")
    return Frames(clip.photos, torch.from_numpy(clip.time_s), notes=clip.notes)


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
    place = torch.arange(count, dtype=torch.float64) if frames.place is None else frames.place.double()
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
        return place / fps, ()
    if frames.time_s is not None:
        return frames.time_s.double(), ()
    note = f"The frame rate is not known: {USUAL_RATE:g} frames a second are taken (fps=..., or times=...)."
    return place / USUAL_RATE, (note,)
