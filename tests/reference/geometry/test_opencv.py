"""OpenCV is the oracle: calibrated cameras with distortion, and photos and points without it.

OpenCV counts from pixel centres and this library from the image's corner; the half pixel between them is what these
tests hold.
"""

import cv2
import numpy as np
import pytest
import torch

from refine.geometry.camera import HALF_PIXEL, Camera
from refine.geometry.lens import Lens

MATRIX = np.array([[520.0, 0.0, 311.2], [0.0, 498.0, 236.9], [0.0, 0.0, 1.0]])
SIZE = (480, 640)
DISTORTIONS = {
    "none": np.zeros(4),
    "barrel": np.array([-0.28, 0.09, 0.0, 0.0, 0.0]),
    "pincushion": np.array([0.12, 0.02, 0.001, -0.002]),
    "rational": np.array([-0.3, 0.1, 0.0005, -0.0007, 0.01, 0.02, 0.01, 0.005]),
    "thin prism": np.array([-0.2, 0.05, 0.001, 0.001, 0.0, 0.0, 0.0, 0.0, 0.001, 0.0005, -0.001, 0.0002]),
}
"""OpenCV's model with 4, 5, 8 and 12 coefficients."""

EXACT_PX = 1e-9
SOLVED_PX = 1e-4
"""Undoing a distortion is an iteration."""

each_distortion = pytest.mark.parametrize("distortion", list(DISTORTIONS.values()), ids=list(DISTORTIONS))


def points_in_view(count: int = 200) -> np.ndarray:
    """Points whose projections cover most of the photo, in the camera frame."""
    draw = np.random.default_rng(0)
    depth = draw.uniform(1.0, 6.0, (count, 1))
    return np.concatenate((draw.uniform((-0.5, -0.4), (0.5, 0.4), (count, 2)) * depth, depth), 1)


@each_distortion
def test_a_lens_sees_points_where_opencv_projects_them(distortion: np.ndarray) -> None:
    point = points_in_view()
    theirs, _ = cv2.projectPoints(point[:, None], np.zeros(3), np.zeros(3), MATRIX, distortion)
    lens = Lens(MATRIX, distortion, SIZE)
    straight = Camera.from_opencv(torch.from_numpy(MATRIX), size=SIZE).project(torch.from_numpy(point)[None])
    ours = lens.distort_points(straight)[0]
    np.testing.assert_allclose(ours.numpy(), theirs[:, 0] + HALF_PIXEL, atol=EXACT_PX)
    np.testing.assert_allclose(lens.undistort_points(ours).numpy(), straight[0].numpy(), atol=SOLVED_PX)


def test_a_moved_camera_sees_points_where_opencv_projects_them() -> None:
    draw = np.random.default_rng(1)
    vector, shift = draw.normal(size=3), np.array([0.1, -0.2, 5.0])
    point = draw.normal(size=(50, 3))
    theirs, _ = cv2.projectPoints(point[:, None], vector, shift, MATRIX, None)
    turn, _ = cv2.Rodrigues(vector)
    still = Camera.from_opencv(torch.from_numpy(MATRIX), size=SIZE)
    world = torch.from_numpy(np.concatenate((turn, shift[:, None]), 1))[None]
    moved = Camera(still.focal, still.center, still.size, world)
    np.testing.assert_allclose(
        moved.project(torch.from_numpy(point)[None])[0], theirs[:, 0] + HALF_PIXEL, atol=EXACT_PX
    )


@each_distortion
def test_marks_of_an_undistorted_photo_lie_where_its_points_are_undistorted_to(distortion: np.ndarray) -> None:
    lens = Lens(MATRIX, distortion, SIZE)
    mark = torch.tensor([[120.5, 90.5], [320.5, 240.5], [560.5, 400.5], [500.5, 60.5]], dtype=torch.float64)
    # A smooth blob, drawn about each mark in this library's convention: the middle of pixel (row, column) is (column,
    # row) + 0.5.
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + HALF_PIXEL
    blobs = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2)) for x, y in mark.tolist())
    straight = lens.undistort((blobs * 250).astype(np.uint8)).astype(float)
    for x, y in lens.undistort_points(mark).tolist():
        near = straight * (np.hypot(columns - x, rows - y) < 12)
        center = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        assert center == pytest.approx((x, y), abs=0.15)  # the blob itself is bent a little


def test_half_a_pixel_is_added_once() -> None:
    camera = Camera.from_opencv(MATRIX, np.zeros(5), size=SIZE)
    assert camera.center[0].tolist() == pytest.approx([311.7, 237.4])
    assert camera.focal[0].tolist() == [520.0, 498.0]
    assert camera.size.tolist() == [list(SIZE)]
    two = Camera.from_opencv(torch.from_numpy(np.stack((MATRIX, MATRIX))), size=torch.tensor([SIZE, (10, 20)]))
    assert two.size.tolist() == [list(SIZE), [10, 20]] and two.focal.dtype == torch.float64


def test_no_points_are_no_trouble_and_dtypes_are_kept() -> None:
    lens = Lens(MATRIX, DISTORTIONS["barrel"], SIZE)
    assert lens.undistort_points(torch.zeros(0, 2)).shape == (0, 2)
    assert lens.distort_points(torch.full((2, 3, 2), 9.0)).dtype == torch.float32
