"""How far errors hang together over time, measured on real recordings (`REFINE_REAL_DATA`; absent: NaN).

    detections   four synchronised, calibrated cameras at 60 frames/s: each view's OpenPose points against the
                 triangulation of the other three (`four_cameras`)
    estimates    a regressor's projected joints against a detector's, 203 frames of running at 30 frames/s (`glamr`)

All over the root of the area of the person's box. The constant part is a point's median over time; of detections less
what all points of a camera have in common, which is the calibration's. Medians throughout: outliers are the robust
kernels' business.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 12.2 (linear triangulation).
"""

import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.files.pickled import read_pickled
from tests.benchmarks.measurement import Measurement

Array = NDArray[Any]
ROOT = Path(__file__).parents[2]
KEYS = tuple(f"correlation.{what}.{figure}" for what in ("detections", "estimates") for figure in ("constant", "time"))
NORMAL = 0.6745
"""Median of the size of a Gaussian of variance one."""
LEAST_CONFIDENCE, LEAST_FRAMES = 0.3, 60
LONGEST_S = 0.25
"""Lags beyond are of the motion, not of the errors."""


def measure() -> list[Measurement]:
    """Return correlation.detections.* and correlation.estimates.*."""
    folder = Path(os.environ.get("REFINE_REAL_DATA", ROOT.parent / "shared" / "data"))
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
    import cv2

    cameras = [_camera(each) for each in ElementTree.parse(folder / "calibration" / "Calib.qca.txt").iter("camera")]
    seen = np.stack([_person(folder / "keypoints" / f"cam0{number}") for number in (1, 2, 3, 4)], 1)  # (T, 4, K, 3)
    seen[seen[..., 2] <= LEAST_CONFIDENCE] = np.nan
    error = np.full((*seen.shape[:3], 2), np.nan)
    normal = np.stack(
        [
            cv2.undistortPoints(seen[:, number, :, :2].reshape(-1, 1, 2), K, lens).reshape(len(seen), -1, 2)
            for number, (_, _, K, lens) in enumerate(cameras)
        ],
        1,
    )
    for frame, point in zip(*np.isfinite(normal).all((1, 3)).nonzero(), strict=True):
        for number, (turn, place, K, lens) in enumerate(cameras):
            others = [other for other in range(len(cameras)) if other != number]
            rows = np.concatenate([_rays(normal[frame, other, point], *cameras[other][:2]) for other in others])
            found = np.linalg.svd(rows)[2][-1]
            pixel, _ = cv2.projectPoints(found[:3] / found[3], cv2.Rodrigues(turn)[0], place, K, lens)
            error[frame, number, point] = seen[frame, number, point, :2] - pixel[0, 0]
    error[:, :, np.isfinite(error).all(-1).sum(0).min(0) < LEAST_FRAMES] = np.nan
    kept = np.isfinite(error).all(-1).any((0, 1))
    return error[:, :, kept] / _size(seen)[..., None, None]


def _camera(element: ElementTree.Element) -> tuple[Array, Array, Array, Array]:
    """Return rotation and translation into a camera, its matrix in px and its distortion; Qualisys' file."""
    place, inner = element.find("transform"), element.find("intrinsic")
    assert place is not None and inner is not None
    turn = np.array([[float(place.attrib[f"r{row}{column}"]) for column in (1, 2, 3)] for row in (1, 2, 3)])
    turn = np.diag([1.0, -1.0, -1.0]) @ turn
    center = np.array([float(place.attrib[axis]) for axis in "xyz"]) / 1000
    u, v, across, down = (
        float(inner.attrib[name]) / 64 for name in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    )
    names = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
    lens = np.array([float(inner.attrib[name]) for name in names])
    return turn, -turn @ center, np.array([[u, 0, across], [0, v, down], [0, 0, 1.0]]), lens


def _rays(normal: Array, turn: Array, place: Array) -> Array:
    """Return the two equations (2, 4) of a point in space seen at a place of the normalised image."""
    matrix = np.concatenate((turn, place[:, None]), 1)
    return normal[:, None] * matrix[2] - matrix[:2]


def _person(folder: Path) -> Array:
    """Return the points (T, 25, 3) of the person seen best in each frame, NaN where nobody is."""
    frames = []
    for path in sorted(folder.glob("*.json")):
        people = [np.array(each["pose_keypoints_2d"]).reshape(-1, 3) for each in json.loads(path.read_text())["people"]]
        tall = [person[:, 2].sum() * np.ptp(person[person[:, 2] > 0, 1]) for person in people]
        frames.append(people[int(np.argmax(tall))] if people else np.full((25, 3), np.nan))
    return np.stack(frames)


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
