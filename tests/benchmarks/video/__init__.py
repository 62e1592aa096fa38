"""One person over time: refined tracks against the truth, and against what public code does with them.

    track      `refine.fit_video`, where the library has it          frames     `refine.fit`, each frame by itself
    gaussian, savgol, one_euro    filters on `frames`, each at its best setting for MPJPE (`video/filters.py`)
    adam       a penalty on velocity, at its best weight (`video/rivals.py`)

for estimates of medium (4D-Humans-like) and strong (GVHMR-like) size (`video/estimates.py`), with keypoints that are
lost, swapped and wrong in a way that hangs together in time (`video/keypoints.py`), on clips of recorded people
(`video/clips.py`). Figures: MPJPE and PA-MPJPE (mm), acceleration error (m/s²), peak speed kept (%), 2D error (px),
clips made worse than the estimate (%), with its interval by recording, and seconds a frame.

`REFINE_BENCHMARK_CLIPS` clips of each size; 9, one of each recording, where it says nothing, of the 61 that there are.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch

from refine.body import SkinnedBody, anny
from refine.state import State
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.video.clips import FPS, Clip, clips, recorded_motion
from tests.benchmarks.video.estimates import SIZES, estimate_of
from tests.benchmarks.video.figures import Figures, figures_of, interval, is_worse, mean_of
from tests.benchmarks.video.filters import grids
from tests.benchmarks.video.keypoints import keypoints_of
from tests.benchmarks.video.rivals import VELOCITY_WEIGHTS, as_a_track, by_adam, frame_by_frame, has_fit_video, track

CLIPS = int(os.environ.get("REFINE_BENCHMARK_CLIPS", "9"))
UNITS = {"mpjpe": "mm", "pa": "mm", "acceleration": "m/s²", "peak": "%", "px": "px"}
SEED = 16_000
ROWS = ("estimate", "frames", "gaussian", "savgol", "one_euro", "adam", "track")
TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Row:
    """What one way of refining made of the clips, at the setting named; seconds a frame, NaN where not timed."""

    figures: list[Figures]
    setting: str = ""
    seconds: float = float("nan")

    @property
    def mean(self) -> Figures:
        """Means over clips."""
        return mean_of(self.figures)


def measure() -> list[Measurement]:
    """Return video.SIZE.ROW.FIGURE, and video.SIZE.against.FIGURE: the track over the best of its rivals."""
    if not recorded_motion().is_file():
        return [
            Measurement(f"video.{size}.{row}.mpjpe", float("nan"), "mm", "report", note="assets are not here")
            for size in SIZES
            for row in ROWS
        ]
    body = anny.load()
    some = clips(body, recorded_motion(), CLIPS)
    return [one for size in SIZES for one in _measured(size, some, compare(body, some, size))]


def compare(body: SkinnedBody, some: Sequence[Clip], size: str) -> dict[str, Row]:
    """Refine clips in every way.

    Args:
        body: The model.
        some: The clips.
        size: "medium" or "strong".

    Returns:
        By name, in the order of `ROWS`; "track" only where the library solves tracks.
    """
    estimates = [estimate_of(body, clip, SIZES[size], SEED + at) for at, clip in enumerate(some)]
    seen = [keypoints_of(body, clip, SEED + at) for at, clip in enumerate(some)]
    frames = sum(map(len, some))

    def row(states: Sequence[State], setting: str = "", seconds: float = float("nan")) -> Row:
        of_clips = [figures_of(body, clip, state) for clip, state in zip(some, states, strict=True)]
        return Row(of_clips, setting, seconds / frames)

    rows = {"estimate": row(estimates)}
    start = time.perf_counter()
    refined = [frame_by_frame(track(body, state), points).state for state, points in zip(estimates, seen, strict=True)]
    rows["frames"] = row(refined, "", time.perf_counter() - start)
    for name, settings in grids(FPS).items():
        tried = [row([one(state) for state in refined], setting) for setting, one in settings.items()]
        rows[name] = best(tried)
    tried = [row(by_adam(body, estimates, seen, weight), f"weight {weight:g}") for weight in VELOCITY_WEIGHTS]
    rows["adam"] = best(tried)
    if has_fit_video():
        start = time.perf_counter()
        solved = [as_a_track(track(body, state), points).state for state, points in zip(estimates, seen, strict=True)]
        own = [state[torch.arange(len(clip))] for state, clip in zip(solved, some, strict=True)]
        rows["track"] = row(own, "", time.perf_counter() - start)
    return rows


def best(rows: Sequence[Row]) -> Row:
    """Return the setting of least MPJPE, over all clips."""
    return min(rows, key=lambda row: row.mean.mpjpe)


def _measured(size: str, some: Sequence[Clip], rows: dict[str, Row]) -> list[Measurement]:
    """Return the figures of all rows, and of the track over its rivals."""
    names, words = (
        [clip.recording for clip in some],
        f"{len(some)} clips of {len({c.recording for c in some})} recordings",
    )
    found = []
    before = rows["estimate"].figures
    for name, row in rows.items():
        for field in fields(Figures):
            low, high = interval([getattr(one, field.name) for one in row.figures], names)
            note = f"{low:.3g} to {high:.3g} by recording; {row.setting or words}"
            key = f"video.{size}.{name}.{field.name}"
            found.append(Measurement(key, getattr(row.mean, field.name), UNITS[field.name], "report", note=note))
        if name != "estimate":
            worse = [100.0 * is_worse(one, other) for one, other in zip(before, row.figures, strict=True)]
            low, high = interval(worse, names)
            share = sum(worse) / len(worse)
            found.append(
                Measurement(
                    f"video.{size}.{name}.worse", share, "%", "lower" if name == "track" else "report", TOLERANCE,
                    f"{low:.0f} to {high:.0f} by recording", 0.0 if name == "track" else None,
                )
            )  # fmt: skip
        if row.seconds == row.seconds:
            key = f"video.{size}.{name}.time"
            found.append(Measurement(key, 1e3 * row.seconds, "ms", "report", note="a frame, 17 keypoints"))
    return found + (_against(size, rows) if "track" in rows else [])


def _against(size: str, rows: dict[str, Row]) -> list[Measurement]:
    """Return the track's errors over the best filter's, and over those frame by frame."""
    track_, filters = rows["track"].mean, [rows[name].mean for name in ("gaussian", "savgol", "one_euro")]
    others = [*filters, rows["adam"].mean]
    pairs = {
        "mpjpe": (track_.mpjpe / min(one.mpjpe for one in filters), 0.85, "over the best filter's at its best"),
        "pa": (track_.pa / min(one.pa for one in filters), 0.85, "over the best filter's at its best"),
        "frames": (track_.acceleration / rows["frames"].mean.acceleration, 0.4, "acceleration error, over the frames'"),
        "rivals": (
            track_.acceleration / min(one.acceleration for one in others), 1.0, "acceleration error, over every rival's"
        ),
        "peak": (abs(track_.peak - 100) / 3, 1.0, "how far the peak speed kept is from 100 %, over 3 %"),
    }  # fmt: skip
    return [
        Measurement(f"video.{size}.against.{name}", value, "x", "lower", TOLERANCE, note, target)
        for name, (value, target, note) in pairs.items()
    ]
