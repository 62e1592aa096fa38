"""ROMP's `video_results.npz`: a dictionary of frames, one of them without anybody, and the same by track."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.layouts.romp import PIXELS as PIXELS
from tests.layouts.romp import romp_results

SUFFIX = ".npz"
FRAMES = 3


def frames(people: int = 2) -> dict[str, Any]:
    """Frames by the names of the pictures ROMP wrote; nobody is in the second."""
    return {
        f"{n:08d}.png": {}
        if n == 1
        else romp_results(people, seed=n) | {"somebody_elses": np.arange(3 * people).reshape(people, 3)}
        for n in range(FRAMES)
    }


def by_track(results: dict[str, Any]) -> dict[int, dict[str, list[Any]]]:
    """The same as lists of each person, as `save_video_results` gathers them."""
    tracks: dict[int, dict[str, list[Any]]] = {}
    for number, frame in enumerate(results.values()):
        for row, track in enumerate(frame.get("track_ids", ())):
            lists = tracks.setdefault(int(track), {"frame_id": []})
            lists["frame_id"].append(number)
            for name, value in frame.items():
                lists.setdefault(name, []).append(value[row])
    return tracks


def write(path: Path, people: int = 2) -> Path:
    """A video's file."""
    results = frames(people)
    np.savez(path, results=np.array(results, object), sequence_results=np.array(by_track(results), object))
    return path
