"""A calibrated lens: gives the camera of its photos, and undistorts photos and points where somebody wants that.

    distorted = K bend(K⁻¹ undistorted),   bend: OpenCV's radial, tangential, rational, thin-prism and tilt model

Nothing here is needed to refine a photo as it was taken: its camera holds the distortion (`Lens.taken_by`). The
undistorted photo keeps the matrix K and the size of the photo taken, so one pixel stays one pixel near the centre;
pixels beyond that camera's frame are cut, pixels the lens did not record are black. Fisheye lenses (another model) are
not supported.

K counts from pixel centres, as OpenCV's calibration does; points and cameras here count from the image's corner
(`refine.geometry.camera`).

Points go by kornia, on their own device and with a gradient; the photo by OpenCV, ten times faster on 8 bit and equal
to a level.

Source: OpenCV documentation, module calib3d, "Detailed description"; Brown, Decentering distortion of lenses, 1966.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from refine.errors import InputError
from refine.geometry.camera import HALF_PIXEL, Camera

POINT_STEPS = 100
"""Steps of the iteration that undistorts points; a wide-angle lens needs about twenty for a millionth of a pixel."""

COMES_BACK_PX = 1e-3
"""Largest error of an undistorted point that is distorted again; detectors resolve a hundred times less."""


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
        self.taken_by()

    def taken_by(self) -> Camera:
        """Return the camera of the photo as it was taken, with its distortion; one body, torch's default dtype."""
        return Camera.from_opencv(self.matrix, self.distortion, size=self.size)

    def camera(self) -> Camera:
        """Return the pinhole camera of the undistorted photo, one body, torch's default dtype."""
        return Camera.from_opencv(self.matrix, size=self.size)

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
        """Map points of the photo to the undistorted photo.

        Args:
            pixel: (..., 2) px, corner convention.

        Returns:
            (..., 2) px, corner convention. A point outside the image of the distortion (far outside the frame of a
            barrel lens) is returned unchanged.
        """
        if pixel.numel() == 0:
            return pixel
        from kornia.geometry.calibration import distort_points, undistort_points

        matrix, distortion = self._on(pixel)
        flat = pixel.double().reshape(1, -1, 2) - HALF_PIXEL
        straight = undistort_points(flat, matrix, distortion, num_iters=POINT_STEPS)
        missed = (distort_points(straight, matrix, distortion) - flat).norm(dim=-1, keepdim=True)
        straight = torch.where(missed < COMES_BACK_PX, straight, flat)  # NaN is not smaller than anything
        return (straight + HALF_PIXEL).reshape(pixel.shape).to(pixel.dtype)

    def distort_points(self, pixel: Float[Tensor, "*N 2"]) -> Float[Tensor, "*N 2"]:
        """Map points of the undistorted photo to the photo that was taken.

        Args:
            pixel: (..., 2) px, corner convention.

        Returns:
            (..., 2) px, corner convention.
        """
        if pixel.numel() == 0:
            return pixel
        from kornia.geometry.calibration import distort_points

        flat = pixel.double().reshape(1, -1, 2) - HALF_PIXEL
        return (distort_points(flat, *self._on(pixel)) + HALF_PIXEL).reshape(pixel.shape).to(pixel.dtype)

    def _on(self, pixel: Tensor) -> tuple[Float64[Tensor, "1 3 3"], Float64[Tensor, "1 K"]]:
        """Return the matrix and the coefficients on the points' device."""
        matrix, distortion = (
            torch.from_numpy(np.array(part, np.float64))[None] for part in (self.matrix, self.distortion)
        )
        return matrix.to(pixel.device), distortion.to(pixel.device)
