"""A result's figures over time: of each person, its frames in their order, with jitter, misfit and sigma in each.

    jitter[t]   mean over joints of | x'''(t) |, of the four frames from the one before t on        m/s³
    moved[t]    mean over joints of the distance between estimate and result, from the pelvis       mm
    sigma[t]    median over joints of the mean standard deviation of a coordinate                   mm

Source: `refine.geometry.differences` (derivatives at unequal times).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.files.atomic import write_bytes
from refine.geometry.differences import derivative
from refine.result.known import Known
from refine.state import Tracks

USUAL_FPS = 30.0
"""Frames per second where nobody says."""
MM_PER_M = 1000.0
COLUMNS = (
    "person", "frame", "time_s", "observed", "accepted", "misfit_before_px", "misfit_px", "jitter_before_m_s3",
    "jitter_m_s3", "moved_mm", "sigma_mm", "pelvis_x_m", "pelvis_y_m", "pelvis_z_m", "verdict",
)  # fmt: skip
"""Of the CSV file."""


@dataclass(frozen=True, eq=False)
class OverTime:
    """One person in its N frames, in the order of their times; NaN where a figure is not known.

    Attributes:
        person: Its label.
        row: (N,) its rows in the result.
        frame: (N,) image indices.
        time_s: (N,) s.
        observed: (N,) whether the estimate has the person there.
        accepted: (N,) whether the update was accepted.
        misfit_before: (N,) px, of the estimate.
        misfit: (N,) px, of the result.
        jitter_before: (N,) m/s³, of the estimate.
        jitter: (N,) m/s³, of the result.
        moved: (N,) mm.
        sigma: (N,) mm.
        pelvis: (N, 3) m, of the result.
    """

    person: str
    row: np.ndarray
    frame: np.ndarray
    time_s: np.ndarray
    observed: np.ndarray
    accepted: np.ndarray
    misfit_before: np.ndarray
    misfit: np.ndarray
    jitter_before: np.ndarray
    jitter: np.ndarray
    moved: np.ndarray
    sigma: np.ndarray
    pelvis: np.ndarray


def people_over_time(result: Known, *, tracks: Tracks | None = None, fps: float | None = None) -> tuple[OverTime, ...]:
    """Return the people of a result over time, in the order in which they come first.

    Args:
        result: The result.
        tracks: Person and time of each body; None: the result's own, else the file's labels (`source.persons`), else
            the order of the people in each photo.
        fps: Photos per second, where no tracks are known; None: `USUAL_FPS`.

    Raises:
        InputError: The tracks are of others, `fps` is not positive or is given beside tracks, or a person is twice at
            one time.
    """
    tracks = _tracks(result, tracks, fps)
    labels, time_s = _labels(result, tracks), row_times(result, tracks, fps)
    before, after = (each[:, :BODY_JOINTS].detach().cpu().double() for each in (result.estimate.joints, result.joints))
    moved = ((before - before[:, :1]) - (after - after[:, :1])).norm(dim=-1).mean(1) * MM_PER_M
    sigma = result.sigma_mm[:, 1:BODY_JOINTS].mean(2).median(1).values.cpu()
    observed = result.observed
    there = torch.ones(len(result), dtype=torch.bool) if observed is None else observed.cpu()
    found = []
    for label in dict.fromkeys(labels):
        row = np.array([number for number, own in enumerate(labels) if own == label])
        row = row[np.argsort(time_s[row], kind="stable")]
        if (np.diff(time_s[row]) <= 0).any():
            frame = int(result.image_index[row[int(np.argmin(np.diff(time_s[row])))]])
            raise InputError("result", "a person once at each time", f"person {label} twice at that of photo {frame}")
        at = torch.from_numpy(row)

        def of(values: Tensor, at: Tensor = at) -> np.ndarray:
            return np.asarray(values.detach().cpu()[at].double().numpy())

        when = torch.from_numpy(time_s[row])
        found.append(
            OverTime(
                label, row, result.image_index.cpu().numpy()[row], time_s[row], there.numpy()[row],
                result.accepted.cpu().numpy()[row], of(result.misfit_before), of(result.misfit),
                _jitter(before[at], when), _jitter(after[at], when), of(moved), of(sigma), of(after[:, 0]),
            )
        )  # fmt: skip
    return tuple(found)


def row_times(result: Known, tracks: Tracks | None, fps: float | None) -> np.ndarray:
    """Return the time of each row, (B,) s."""
    if tracks is not None:
        return np.asarray(tracks.time_s.cpu().double().numpy())
    return np.asarray(result.image_index.cpu().numpy() / (fps or USUAL_FPS), dtype=np.float64)


def times_of_frames(
    result: Known,
    *,
    tracks: Tracks | None = None,
    fps: float | None = None,
    frames: Sequence[int] | None = None,
) -> tuple[list[int], list[float]]:
    """Return the frames to draw and their times; between people's own times those of frames without people are linear.

    Args:
        result: The result.
        tracks: As `people_over_time`.
        fps: As `people_over_time`.
        frames: Which, ascending; None: from the first that has a person to the last.

    Raises:
        InputError: As `people_over_time`; or nobody is there, or frames do not ascend.
    """
    tracks = _tracks(result, tracks, fps)
    time_s, index = row_times(result, tracks, fps), result.image_index.cpu().numpy()
    if not len(index):
        raise InputError("result", "people to draw", "nobody")
    chosen = list(range(int(index.min()), int(index.max()) + 1)) if frames is None else [int(one) for one in frames]
    if not chosen or any(later <= earlier for earlier, later in pairwise(chosen)):
        raise InputError("frames", "numbers of frames that ascend", str(chosen[:8]))
    places, first = np.unique(index, return_index=True)
    own = time_s[first]
    step = (own[-1] - own[0]) / (places[-1] - places[0]) if len(places) > 1 else 1 / (fps or USUAL_FPS)
    there = np.asarray(chosen)
    drawn = np.interp(there, places, own)
    drawn += step * (np.minimum(there - places[0], 0) + np.maximum(there - places[-1], 0))
    return chosen, drawn.tolist()


def write_table(people: Sequence[OverTime], verdicts: Sequence[str], path: str | Path) -> None:
    """Write a CSV file with a line for each person and frame.

    Args:
        people: Of one result.
        verdicts: B sentences by row; none where there are no verdicts.
        path: The file; written whole or not at all.

    Raises:
        InputError: The folder does not exist or cannot be written to.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in people:
        figures = (one.misfit_before, one.misfit, one.jitter_before, one.jitter, one.moved, one.sigma, *one.pelvis.T)
        for at, row in enumerate(one.row.tolist()):
            numbers = ["" if np.isnan(values[at]) else f"{values[at]:.6g}" for values in figures]
            said = [int(one.observed[at]), int(one.accepted[at])]
            verdict = verdicts[row] if verdicts else ""
            table.writerow([one.person, one.frame[at], f"{one.time_s[at]:.6f}", *said, *numbers, verdict])
    write_bytes(path, text.getvalue().encode())


def _tracks(result: Known, tracks: Tracks | None, fps: float | None) -> Tracks | None:
    """Return the tracks that count; a result of frames by themselves has none of its own."""
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise InputError("fps", "a positive number of frames per second", repr(fps))
    if tracks is not None and fps is not None:
        raise InputError("tracks, fps", "one of them", "both", "Tracks have times of their own.")
    if tracks is None and fps is None:
        tracks = result.tracks
    if tracks is not None and len(tracks.person) != len(result):
        raise InputError("tracks", f"person and time of each body, {len(result)}", str(len(tracks.person)))
    return tracks


def _labels(result: Known, tracks: Tracks | None) -> list[str]:
    """Return of each row who it is."""
    if tracks is not None:
        return [str(label) for label in tracks.person.tolist()]
    if len(result.source.persons) == len(result):
        return [str(name) for name in result.source.persons]
    seen: dict[int, int] = {}
    labels = []
    for image in result.image_index.tolist():
        seen[image] = seen.get(image, 0) + 1
        labels.append(str(seen[image]))
    return labels


def _jitter(points: Tensor, time_s: Tensor) -> np.ndarray:
    """Return the mean jerk of the four frames from the one before each on (N,); NaN at the ends."""
    found = np.full(len(points), np.nan)
    if len(points) > 3:
        found[1:-2] = derivative(points, time_s, 3).norm(dim=-1).mean(1).numpy()
    return found
