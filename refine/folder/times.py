"""When the frames of a track were taken: a video's own times, or the numbers in the names of photos.

time = the video's         time = number / rate         of a frame whose photo is not there: between those around it
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.folder.photos import PhotoFile
from refine.inputs.frames import USUAL_RATE
from refine.photo.clip import frame_places
from refine.photo.video import open_video


def times_of_files(
    files: Sequence[PhotoFile | None], place: Sequence[int | float], fps: float | None
) -> tuple[Float[Tensor, "F"], tuple[str, ...]]:
    """Return the times of frames, s, and what was decided.

    Args:
        files: F photos in their order; None: not there.
        place: F numbers that rise, of the frames in their result.
        fps: Frames a second; None: the video's own, else the usual rate.
    """
    known = [number for number, file in enumerate(files) if file is not None]
    there = [file for file in files if file is not None]
    frames = [file.frame for file in there]
    notes: tuple[str, ...] = ()
    if there and None not in frames and len({file.path for file in there}) == 1:
        number = np.array(frames, dtype=np.float64)
        time = open_video(there[0].path).time_s[number.astype(np.int64)] if fps is None else number / fps
    else:
        number = frame_places([file.name for file in there])[0] if len(there) == len(files) else np.array([])
        if len(number) != len(files):  # some are not there: the result's own numbers say how far they are apart
            known, number = list(range(len(files))), np.array(place, dtype=np.float64)
        time = (number - number[:1]) / (fps or USUAL_RATE)
        if fps is None:
            notes = (f"The frame rate is not known: {USUAL_RATE:g} frames a second are taken (--fps).",)
    return torch.from_numpy(_between(np.array(place, dtype=np.float64), np.array(known), time)), notes


def _between(place: np.ndarray, known: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the times (F,) of all places: between and beyond those that are known, in proportion."""
    if len(known) == len(place):
        return time
    if len(known) < 2:
        return (place - place[0]) / USUAL_RATE
    at = place[known]
    rate = float(np.median(np.diff(time) / np.diff(at)))
    found = np.interp(place, at, time)
    found[place < at[0]] = time[0] - (at[0] - place[place < at[0]]) * rate
    found[place > at[-1]] = time[-1] + (place[place > at[-1]] - at[-1]) * rate
    return found
