"""The recording of one person by four synchronised, calibrated cameras (`REFINE_REAL_DATA`, `four_cameras`).

    error[t, view, k] = seen - projection of the point triangulated from the other three views
    point             = argmin Σ_other |seen - projection|² / sigma²      (Gauss-Newton from the linear triangulation)
    sigma of the projection: J (Σ_other J_oᵀ J_o / sigma_o²)⁻¹ Jᵀ

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 12.2 (linear triangulation), 5.2 (covariance).
"""

import json
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ROOT = Path(__file__).parents[2]
VIEWS = 4
STEPS = 5
"""Of Gauss-Newton; the linear triangulation is already within millimetres."""


def recordings() -> Path:
    """Return the folder of real data."""
    return Path(os.environ.get("REFINE_REAL_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class View:
    """A calibrated camera: rotation (3, 3) and translation (3,) m into it, matrix (3, 3) px, distortion (4,)."""

    turn: Array
    place: Array
    matrix: Array
    lens: Array

    def normal(self, pixel: Array) -> Array:
        """Return undistorted normalised coordinates (..., 2) of px, counted from pixel centres; NaN stays NaN."""
        import cv2

        flat = np.ascontiguousarray(pixel.reshape(-1, 1, 2).astype(float))
        return np.asarray(cv2.undistortPoints(flat, self.matrix, self.lens)).reshape(pixel.shape)

    @property
    def focal(self) -> float:
        """px, the mean of both axes."""
        return float(self.matrix[[0, 1], [0, 1]].mean())


def views(folder: Path) -> list[View]:
    """Return the cameras of the calibration file (Qualisys)."""
    return [_view(each) for each in ElementTree.parse(folder / "calibration" / "Calib.qca.txt").iter("camera")]


def _view(element: ElementTree.Element) -> View:
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
    return View(turn, -turn @ center, np.array([[u, 0, across], [0, v, down], [0, 0, 1.0]]), lens)


def people(folder: Path) -> Array:
    """Return OpenPose's points (T, 4, 25, 3) of the person seen best in each frame, in BODY_25B's order."""
    return np.stack([_person(folder / "keypoints" / f"cam0{number + 1}") for number in range(VIEWS)], 1)


def _person(folder: Path) -> Array:
    """Return the points (T, 25, 3) of the person seen best in each frame, NaN where nobody is."""
    frames = []
    for path in sorted(folder.glob("*.json")):
        found = [np.array(each["pose_keypoints_2d"]).reshape(-1, 3) for each in json.loads(path.read_text())["people"]]
        tall = [person[:, 2].sum() * np.ptp(person[person[:, 2] > 0, 1]) for person in found]
        frames.append(found[int(np.argmax(tall))] if found else np.full((25, 3), np.nan))
    return np.stack(frames)


def errors(seen: Array, sigma: Array, cameras: list[View]) -> tuple[Array, Array]:
    """Hold each view against the other three.

    Args:
        seen: (T, 4, K, 2) px, counted from pixel centres; NaN: not seen.
        sigma: (T, 4, K) px, of a coordinate.
        cameras: The four.

    Returns:
        Error (T, 4, K, 2) px and its sigma by those of all four views (T, 4, K, 2), NaN where a view has no point.
    """
    normal = np.stack([camera.normal(seen[:, at]) for at, camera in enumerate(cameras)], 1)
    focal = np.array([camera.focal for camera in cameras])
    scaled = sigma / focal[:, None]
    error, total = np.full(seen.shape, np.nan), np.full(seen.shape, np.nan)
    known = np.isfinite(normal).all((1, 3)) & np.isfinite(scaled).all(1)  # (T, K)
    frame, point = known.nonzero()
    for at, camera in enumerate(cameras):
        others = [other for other in range(len(cameras)) if other != at]
        place = [normal[frame, other, point] for other in others]
        spread = [scaled[frame, other, point] for other in others]
        found, covariance = _triangulated(place, spread, [cameras[other] for other in others])
        shown, slope = _project(found, camera)
        error[frame, at, point] = (normal[frame, at, point] - shown) * camera.focal
        of_point = np.einsum("nij,njk,nik->ni", slope, covariance, slope)
        total[frame, at, point] = np.sqrt(of_point + scaled[frame, at, point, None] ** 2) * camera.focal
    return error, total


def _project(point: Array, camera: View) -> tuple[Array, Array]:
    """Return normalised coordinates (N, 2) of points (N, 3) m and their derivative (N, 2, 3)."""
    inside = point @ camera.turn.T + camera.place
    shown = inside[:, :2] / inside[:, 2:]
    by_inside = np.zeros((len(point), 2, 3))
    by_inside[:, [0, 1], [0, 1]] = 1 / inside[:, 2:]
    by_inside[:, :, 2] = -shown / inside[:, 2:]
    return shown, by_inside @ camera.turn


def _triangulated(place: list[Array], sigma: list[Array], cameras: list[View]) -> tuple[Array, Array]:
    """Return points (N, 3) m that lie nearest their places (N, 2) in the views, and their covariance (N, 3, 3)."""
    rows = [
        (xy[:, :, None] * matrix[2] - matrix[:2])
        for xy, camera in zip(place, cameras, strict=True)
        for matrix in [np.concatenate((camera.turn, camera.place[:, None]), 1)]
    ]
    right = np.linalg.svd(np.concatenate(rows, 1))[2][:, -1]
    point = right[:, :3] / right[:, 3:]
    covariance = np.zeros((len(point), 3, 3))
    for _ in range(STEPS):
        normal_matrix, slope_of_cost = np.zeros((len(point), 3, 3)), np.zeros((len(point), 3))
        for xy, spread, camera in zip(place, sigma, cameras, strict=True):
            shown, slope = _project(point, camera)
            slope, left = slope / spread[:, None, None], (xy - shown) / spread[:, None]
            normal_matrix += np.einsum("nij,nik->njk", slope, slope)
            slope_of_cost += np.einsum("nij,ni->nj", slope, left)
        covariance = np.linalg.inv(normal_matrix)
        point = point + np.einsum("nij,nj->ni", covariance, slope_of_cost)
    return point, covariance
