"""Figures of refined clips against the truth, and their means with intervals by recording.

MPJPE and acceleration error are from the middle of the hips, in the conventions of `refine.evaluate.track_metrics`. The
peak speed is that of wrists and ankles, where the true one is fast. A clip is worse where its MPJPE grew by more than
1 mm, its 2D error or its acceleration error by more than 5 %.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from refine.body import SkinnedBody
from refine.evaluate import metrics, track_metrics
from refine.state import State
from tests.benchmarks.video.clips import FPS, Clip, joints_of
from tests.benchmarks.video.keypoints import misfit

ENDS = (7, 8, 20, 21)
"""Ankles and wrists."""
FAST_M_S = 2.5
"""Where the true peak is above, a limb counts as fast; seen from the hips."""
WORSE_MM, WORSE_SHARE = 1.0, 0.05
DRAWS = 2000


@dataclass(frozen=True)
class Figures:
    """Of one clip: mm, mm, m/s², %, px; `peak` is the mean over fast limbs, NaN where there is none."""

    mpjpe: float
    pa: float
    acceleration: float
    peak: float
    px: float


def figures_of(body: SkinnedBody, clip: Clip, state: State) -> Figures:
    """Measure a track."""
    joints, true = joints_of(body, state), joints_of(body, clip.true)
    own, real = (track_metrics.from_hips(each)[:, list(ENDS)] for each in (joints, true))
    peaks = (real.diff(dim=0).norm(dim=-1) * FPS).amax(0)
    kept = track_metrics.peak_speed_kept(own, real, clip.time_s)[peaks > FAST_M_S]
    return Figures(
        float(metrics.mpjpe_from_hips(joints, true).mean()),
        float(metrics.pa_mpjpe(joints, true).mean()),
        float(track_metrics.acceleration_error_gvhmr(joints, true, FPS).mean()),
        100 * float(kept.mean()) if len(kept) else float("nan"),
        float(misfit(body, clip, state).mean()),
    )


def is_worse(before: Figures, after: Figures) -> bool:
    """Say whether a clip got worse in any of the three."""
    return not (
        after.mpjpe <= before.mpjpe + WORSE_MM
        and after.px <= before.px * (1 + WORSE_SHARE)
        and after.acceleration <= before.acceleration * (1 + WORSE_SHARE)
    )


def mean_of(many: Sequence[Figures]) -> Figures:
    """Return the mean over clips; of the peak, over those that have one."""
    table = np.array([astuple(each) for each in many])
    return Figures(*(float(np.nanmean(column)) if np.isfinite(column).any() else float("nan") for column in table.T))


def interval(values: Sequence[float], recordings: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean over clips, drawn by recording: clips of one are one witness.

    Args:
        values: One a clip.
        recordings: The recording of each.
        seed: Of the draws.
    """
    number, sign = np.asarray(values, float), np.asarray(recordings)
    names = np.unique(sign)
    groups = [number[sign == name] for name in names]
    rng = np.random.default_rng(seed)
    sums, counts = np.array([each.sum() for each in groups]), np.array([len(each) for each in groups])
    drawn = rng.integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
