"""ROMP's and BEV's `video_results.npz`: one dictionary of each frame's people, and the same by track.

    results = {frame: {cam, joints, pj2d_org, ...}}
    sequence_results = {track: {frame_id: [...], cam: [...], joints: [...], ...}}

Every frame is what `romp` or `bev` read of a photo. Frames are named after the pictures that were written, in the
video's order; a frame without people is an empty dictionary or None, and stays. Entry n of a track is the person of
that track in frame `frame_id[n]`.

Source: Arthur151/ROMP@a8558ae `simple_romp/romp/utils.py` lines 43-109 (ResultSaver, save_video_results).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.files.npz import member_names, read_object, write_arrays
from refine.formats import Sizes
from refine.formats._own_source import own_source
from refine.formats._romp_photos import joined, photo_of, system_of
from refine.formats._simple_romp import results_of
from refine.geometry.camera import Camera
from refine.transfer import to_body, with_camera

ADVICE = "Run ROMP or BEV on the video again: each frame's dictionary must be as it writes it."

OVER_TIME = True
"""`persons` say who is who over the frames of a video."""


def recognises(path: Path) -> bool:
    """Say whether a file has a dictionary `results` of ROMP's or BEV's dictionaries, one a frame."""
    frames = results_of(path)
    if not frames or not all(frame is None or isinstance(frame, dict) for frame in frames.values()):
        return False
    filled = [frame for frame in frames.values() if frame]
    return bool(filled) and system_of(filled[0]) is not None


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of all frames.

    `image_index` counts the frames as the file does, `persons` are its tracks.

    Raises:
        InputError: The file is broken or holds something else.
    """
    path = Path(path)
    content = {name: read_object(path, name) for name in member_names(path)}
    frames = content.get("results")
    if not isinstance(frames, dict):
        raise InputError(str(path), "a dictionary `results` of frames", "none", ADVICE)
    parts, index, persons = [], [], []
    for place, (name, frame) in enumerate(frames.items()):
        if not frame:
            continue
        system = system_of(frame) if isinstance(frame, dict) else None
        if system is None:
            raise InputError(f"{path}: results[{name!r}]", "ROMP's or BEV's names", _names(frame), ADVICE)
        source, own = system.source_of(path, frame)
        parts.append((source, own))
        index += [place] * len(source)
        tracks = np.asarray(frame.get("track_ids", ())).reshape(-1)
        persons += [str(track) for track in tracks] if len(tracks) == len(source) else []
    if not parts:
        raise InputError(str(path), "a frame with people", "none", ADVICE)
    source, own = joined("romp_video", path, parts, content)
    source = replace(
        source, images=tuple(map(str, frames)), persons=tuple(persons) if len(persons) == len(source) else ()
    )
    estimate = to_body(source, own, body, torch.tensor(index))
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back: each frame as `romp` or `bev` refine a photo, and the tracks made of the frames again.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "romp_video", "ROMP's or BEV's video")
    content: dict[str, Any] = dict(source.arrays)
    stored: dict[str, Any] = content["results"]
    frames = dict(stored)
    for place, (name, frame) in enumerate(stored.items()):
        rows = (refined.image_index.cpu() == place).nonzero()[:, 0]
        if frame and len(rows):
            frames[name] = photo_of(refined, rows, frame)
    if isinstance(content.get("sequence_results"), dict):
        content["sequence_results"] = _tracks(content["sequence_results"], list(stored.values()), list(frames.values()))
    write_arrays(Path(path), content | {"results": frames})


def _names(frame: object) -> str:
    return ", ".join(map(str, frame)) if isinstance(frame, dict) else type(frame).__name__


def _tracks(tracks: dict[Any, Any], before: list[Any], after: list[Any]) -> dict[Any, Any]:
    """Return the tracks with what their frames say now; names a refined frame leaves out go from its tracks too."""
    result: dict[Any, Any] = {}
    for track, lists in tracks.items():
        fresh = dict(lists) if isinstance(lists, dict) else lists
        result[track] = fresh
        if not isinstance(lists, dict) or "frame_id" not in lists:
            continue
        places = [_place(before, int(frame), track) for frame in lists["frame_id"]]
        for name in list(lists):
            values = [
                after[int(frame)].get(name) if place is not None else None
                for frame, place in zip(lists["frame_id"], places, strict=True)
            ]
            changed = [
                value is not before[int(frame)].get(name)
                for frame, value, place in zip(lists["frame_id"], values, places, strict=True)
                if place is not None
            ]
            if name == "frame_id" or not any(changed):
                continue
            if any(value is None for value in values):
                fresh.pop(name)
                continue
            rows = [np.asarray(value)[place] for value, place in zip(values, places, strict=True)]
            fresh[name] = np.stack(rows) if isinstance(lists[name], np.ndarray) else rows
    return result


def _place(frames: list[Any], frame: int, track: object) -> int | None:
    """Return which of a frame's people a track is, None where it is none of them."""
    if not 0 <= frame < len(frames) or not isinstance(frames[frame], dict):
        return None
    ids = np.asarray(frames[frame].get("track_ids", ())).reshape(-1).tolist()
    return ids.index(track) if track in ids else None
