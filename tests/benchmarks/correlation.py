"""How far errors hang together over time, measured on real recordings (`REFINE_REAL_DATA`; absent: NaN).

    detections   four synchronised, calibrated cameras at 60 frames/s: each view's OpenPose points against the
                 triangulation of the other three (`four_cameras`)
    estimates    a regressor's projected joints against a detector's, 203 frames of running at 30 frames/s (`glamr`)

All over the root of the area of the person's box. The constant part is a point's median over time; of detections less
what all points of a camera have in common, which is the calibration's. Medians throughout: outliers are the robust
kernels' business.
"""

from pathlib import Path

import numpy as np

from refine.files.pickled import read_pickled
from tests.benchmarks._four_cameras import Array, errors, people, recordings, views
from tests.benchmarks.measurement import Measurement

KEYS = tuple(f"correlation.{what}.{figure}" for what in ("detections", "estimates") for figure in ("constant", "time"))
NORMAL = 0.6745
"""Median of the size of a Gaussian of variance one."""
LEAST_CONFIDENCE, LEAST_FRAMES = 0.3, 60
LONGEST_S = 0.25
"""Lags beyond are of the motion, not of the errors."""


def measure() -> list[Measurement]:
    """Return correlation.detections.* and correlation.estimates.*."""
    folder = recordings()
    if not (folder / "four_cameras").is_dir() or not (folder / "glamr").is_dir():
        return [Measurement(key, float("nan"), "", "report", note=f"no recordings at {folder}") for key in KEYS]
    return [
        *_figures("detections", _between_cameras(folder / "four_cameras"), 60.0, "OpenPose, 4 cameras, 100 frames"),
        *_figures("estimates", _of_a_track(folder / "glamr"), 30.0, "GLAMR against its detections, 203 frames"),
    ]


def _figures(name: str, error: Array, rate: float, words: str) -> list[Measurement]:
    """Return the constant share and the fading time of errors (T, cameras, K, 2), NaN where not known."""
    constant = np.nanmedian(error, 0)  # (cameras, K, 2)
    rest = error - constant
    of_camera = np.nanmedian(constant, 1, keepdims=True) if error.shape[1] > 1 else 0.0
    spread = (np.nanmedian(np.abs(part)) / NORMAL for part in (constant - of_camera, rest))
    still, moving = (float(each) ** 2 for each in spread)
    series = rest.reshape(len(rest), -1)
    scaled = np.clip(series / (np.nanmedian(np.abs(series), 0) / NORMAL), -3, 3)
    scaled -= np.nanmean(scaled, 0)
    lags = range(1, int(LONGEST_S * rate) + 1)
    fading = [np.nanmean(np.nanmean(scaled[:-n] * scaled[n:], 0) / np.nanmean(scaled**2, 0)) for n in lags]
    share = 1 / (1 + 2 * sum(fading))  # of an independent frame: (1 - rho) / (1 + rho)
    time = -1 / (rate * np.log((1 - share) / (1 + share)))
    return [
        Measurement(f"correlation.{name}.constant", still / (still + moving), "", "report", note=words),
        Measurement(f"correlation.{name}.time", float(time), "s", "report", note=words),
    ]


def _between_cameras(folder: Path) -> Array:
    """Return errors (T, 4, K, 2) over the box's size: of each view against the others' triangulation."""
    seen = people(folder)  # (T, 4, K, 3)
    seen[seen[..., 2] <= LEAST_CONFIDENCE] = np.nan
    error, _ = errors(seen[..., :2], np.ones(seen.shape[:3]), views(folder))
    error[:, :, np.isfinite(error).all(-1).sum(0).min(0) < LEAST_FRAMES] = np.nan
    kept = np.isfinite(error).all(-1).any((0, 1))
    return np.asarray(error[:, :, kept] / _size(seen)[..., None, None])


def _size(points: Array) -> Array:
    """Return the root of the area of the box around points (..., K, 2 or 3)."""
    extent = np.nanmax(points[..., :2], -2) - np.nanmin(points[..., :2], -2)
    return np.asarray(np.sqrt(extent.prod(-1)))


def _of_a_track(folder: Path) -> Array:
    """Return errors (T, 1, K, 2) over the box's size of GLAMR's projected joints."""
    person = read_pickled(next(folder.glob("*.pkl")))["person_data"][0]
    detected = np.array(person["kp_2d"], float)
    detected[np.asarray(person["kp_2d_score"]) <= LEAST_CONFIDENCE] = np.nan
    said = np.asarray(person["kp_2d_pred"], float)
    kept = np.isfinite(detected).all(-1).sum(0) >= LEAST_FRAMES
    return ((said - detected)[:, kept] / _size(said)[:, None, None])[:, None]
