"""A lens that bends: photos and points without its distortion, and the pinhole camera that belongs to them.

    distorted = K bend(K⁻¹ undistorted),   bend: OpenCV's radial, tangential, rational, thin-prism and tilt model

The undistorted photo keeps the matrix K and the size of the photo taken, so one pixel stays one pixel near the centre; what the lens
saw beyond the frame of that camera is cut, and what it did not see is black. Fisheye lenses (another model) are not covered.

K counts from pixel centres, as OpenCV's calibration does; points and cameras here count from the image's corner (`refine.camera`).

Source: OpenCV documentation, module calib3d, "Detailed description"; Brown, Decentering distortion of lenses, 1966.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from refine.camera import HALF_PIXEL, Camera
from refine.errors import InputError

POINT_TOLERANCE_PX = 1e-6
"""Where the iteration that undoes the distortion of points stops; a thousandth of what a detector resolves is 1e-3."""

POINT_STEPS = 100
"""Its largest number of steps; a wide-angle lens needs about twenty."""


@dataclass(frozen=True, eq=False)
class Lens:
    """The intrinsics of one photo as OpenCV's calibration gives them.

    Attributes:
        matrix: (3, 3) px, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], counted from pixel centres.
        distortion: (4 | 5 | 8 | 12 | 14,) OpenCV's k1, k2, p1, p2, k3, ..., unitless.
        size: (height, width) of the photo, px.

    Raises:
        InputError: The matrix is no pinhole matrix, or the number of coefficients is not one of OpenCV's.
    """

    matrix: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, "K"]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        self.camera()

    def camera(self) -> Camera:
        """Return the pinhole camera of the undistorted photo, one body, torch's default dtype."""
        return Camera.from_opencv(self.matrix, self.distortion, size=self.size)

    def undistort(self, photo: UInt8[np.ndarray, "H W *C"]) -> UInt8[np.ndarray, "H W *C"]:
        """Return the photo as the pinhole camera would have taken it.

        Args:
            photo: (H, W, 3) or (H, W), of the size of this lens.

        Returns:
            An array of the same shape, interpolated linearly; black where the lens saw nothing.

        Raises:
            InputError: The photo has another size than the lens was calibrated for.
        """
        import cv2

        if photo.shape[:2] != self.size:
            advice = "Scale the intrinsics with the photo, or calibrate at its size."
            raise InputError("photo", f"the lens's size {self.size} (h, w)", f"{photo.shape[:2]}", advice)
        straight = np.eye(3)
        map_x, map_y = cv2.initUndistortRectifyMap(
            self.matrix, self.distortion, straight, self.matrix, self.size[::-1], cv2.CV_32FC1
        )
        return np.asarray(
            cv2.remap(photo, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), dtype=np.uint8
        )

    def undistort_points(self, pixel: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N 2"]:
        """Return where points of the photo lie in the undistorted photo.

        Args:
            pixel: (..., 2) px, corner convention.

        Returns:
            (..., 2) px, corner convention; no gradient.
        """
        import cv2

        if pixel.numel() == 0:
            return pixel
        flat = self._centred(pixel)
        until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, POINT_STEPS, POINT_TOLERANCE_PX)
        straight = cv2.undistortPoints(flat, self.matrix, self.distortion, R=np.eye(3), P=self.matrix, criteria=until)
        return _cornered(straight, pixel)

    def distort_points(self, pixel: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N 2"]:
        """Return where points of the undistorted photo lie in the photo that was taken.

        Args:
            pixel: (..., 2) px, corner convention.

        Returns:
            (..., 2) px, corner convention; no gradient.
        """
        import cv2

        if pixel.numel() == 0:
            return pixel
        flat = self._centred(pixel)[:, 0]
        rays = np.concatenate((flat, np.ones((len(flat), 1))), 1) @ np.linalg.inv(self.matrix).T
        none = np.zeros(3)
        bent, _ = cv2.projectPoints(rays[:, None], none, none, self.matrix, self.distortion)
        return _cornered(bent, pixel)

    def _centred(self, pixel: Tensor) -> Float64[np.ndarray, "N 1 2"]:
        """Return points as OpenCV wants them: (N, 1, 2), counted from pixel centres."""
        return pixel.detach().cpu().double().numpy().reshape(-1, 1, 2) - HALF_PIXEL


def _cornered(points: object, like: Tensor) -> Tensor:
    """Return OpenCV's points in the corner convention, shape, dtype and device of `like`."""
    array = np.asarray(points, dtype=np.float64).reshape(like.shape) + HALF_PIXEL
    return torch.from_numpy(array).to(like)
