"""The frames of a video or of a folder of photos, in their order, with their times; decoded when they are asked for.

    clip = open_clip("walk.mp4")        clip = open_clip("frames/", fps=25)
    for photo, time_s in zip(clip.photos, clip.time_s): ...                   one frame in memory at a time

Photos of a folder are frames in the order of the numbers in their names: frame_2 before frame_10, and a number that is
missing is a gap in time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from refine.check import check_local
from refine.errors import InputError
from refine.photo.photo import Photo, Undecoded, open_photo
from refine.photo.video import open_video

IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes by which a photo is known in a folder."""

USUAL_FPS = 30.0
"""Frames per second of a folder where the caller says nothing; most phones' and all regressors' default."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in their order.

    Attributes:
        path: The video or the folder.
        photos: N frames of one size, upright; pixels are decoded at each access and not kept.
        time_s: (N,) s of every frame, ascending from 0.
        notes: A sentence for each thing that was decided or is missing.
    """

    path: Path
    photos: tuple[Photo, ...]
    time_s: Float64[np.ndarray, "N"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px, upright."""
        return self.photos[0].size

    @property
    def fps(self) -> float:
        """Frames per second, by the median step; 0 for a single frame."""
        return 1 / float(np.median(np.diff(self.time_s))) if len(self) > 1 else 0.0


def open_clip(source: str | Path, *, fps: float | None = None) -> Clip:
    """Open a video, or a folder of photos.

    Args:
        source: The video file, or the folder; photos in its subfolders are not looked at.
        fps: Frames per second of a folder; None: `USUAL_FPS`, with a note. A video has times of its own.

    Raises:
        InputError: There is no such file or folder, it holds no frames, frames differ in size, or `fps` is not positive
            or was given for a video.
    """
    path = Path(source).expanduser()
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise InputError("fps", "a positive number of frames per second", repr(fps))
    if path.is_dir():
        return _folder(path, fps)
    if fps is not None:
        raise InputError("fps", "nothing for a video, which has times of its own", repr(fps), "Leave it out.")
    video = open_video(path)
    return Clip(path, video.photos(), video.time_s, video.notes)


def _folder(folder: Path, fps: float | None) -> Clip:
    names = [one.name for one in folder.iterdir() if one.suffix.lower() in IMAGES and one.is_file()]
    if not names:
        check_local("video", folder)
        raise InputError(f"video {folder}", f"photos ({', '.join(IMAGES)})", "a folder without any", "Check the path.")
    names.sort(key=by_numbers)
    photos = tuple(_passing(open_photo(folder / name, "frame")) for name in names)
    other = next((photo for photo in photos if photo.size != photos[0].size), None)
    if other is not None:
        (height, width), (first_height, first_width) = other.size, photos[0].size
        got = (
            f"{width} x {height} px (w x h) in {other.path and other.path.name}, {first_width} x {first_height} before"
        )
        raise InputError(f"video {folder}", "frames of one size", got, "Refine photos of several sizes one by one.")
    notes = list(dict.fromkeys(note for photo in photos for note in photo.notes))[:1]
    place, missing = frame_places(names)
    if missing:
        notes.append(f"{folder.name}: {missing} number(s) between the first photo's and the last one's are missing.")
    if fps is None:
        notes.append(f"{folder.name}: photos have no times; {USUAL_FPS:g} frames per second were taken. Say fps=.")
    return Clip(folder, photos, place / (fps or USUAL_FPS), tuple(notes))


def _passing(photo: Photo) -> Photo:
    """Return a photo whose pixels are not kept."""
    assert isinstance(photo.content, Undecoded)
    return replace(photo, content=replace(photo.content, kept=False))


def by_numbers(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return what names are sorted by: numbers by their value, the rest as text."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts], name


def frame_places(names: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return the place of each photo in time (N,), from 0, in steps of one, and how many are missing in between.

    The last number of each name tells; where names have none, or two the same, they follow each other.
    """
    numbers = [re.findall(r"\d+", Path(name).stem)[-1:] for name in names]
    if len(names) > 1 and all(numbers):
        found = np.array([int(number[0]) for number in numbers], dtype=object)
        steps = np.diff(found)
        if (steps > 0).all():
            place = ((found - found[0]) // np.gcd.reduce(steps)).astype(np.float64)
            missing = int(place[-1]) + 1 - len(names)
            if missing < len(names):  # else the numbers are something else, as times or hashes
                return place, missing
    return np.arange(len(names), dtype=np.float64), 0
