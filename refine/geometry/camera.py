"""The pinhole camera in OpenCV's axes, into which every other camera is converted.

    (x, y, z) = camera_from_world (X, Y, Z, 1);    pixel = focal * (x, y) / z + center

Convention, stated here for the whole library: +x right, +y down, +z forward; metres, radians, pixels. Pixel (0, 0) is
the top-left *corner* of the image, the first pixel's centre is (0.5, 0.5), so an image of width W spans [0, W].

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.batch import Index, in_one_line
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError

NEAR_M = 0.05
"""Least depth (m) of a projection: a nearer point is projected as if it lay there, finite and without a derivative
along z."""

HALF_PIXEL = 0.5
"""Offset (px) from coordinates counted from pixel centres (OpenCV, heatmaps) to those counted from the corner."""

DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)
"""Numbers of coefficients of OpenCV's lens model."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera a body (several bodies of one photo repeat it).

    Attributes:
        focal: (B, 2) px, (fx, fy).
        center: (B, 2) px, (cx, cy), corner convention.
        size: (B, 2) px, (height, width) of the image.
        camera_from_world: (B, 3, 4) m, or None where the bodies are in the camera frame.

    Raises:
        InputError: Shapes disagree. (Values are checked by `checked`.)
    """

    focal: Float[Tensor, "B 2"]
    center: Float[Tensor, "B 2"]
    size: Float[Tensor, "B 2"]
    camera_from_world: Float[Tensor, "B 3 4"] | None = None

    def __post_init__(self) -> None:
        sizes = check_shape("camera.focal", self.focal, "B 2")
        check_shape("camera.center", self.center, "B 2", **sizes)
        check_shape("camera.size", self.size, "B 2", **sizes)
        if self.camera_from_world is not None:
            check_shape("camera.camera_from_world", self.camera_from_world, "B 3 4", **sizes)

    __repr__ = in_one_line

    @staticmethod
    def from_opencv(
        matrix: Tensor | np.ndarray,
        distortion: Tensor | np.ndarray | None = None,
        *,
        size: tuple[int, int] | Tensor,
    ) -> "Camera":
        """Return the cameras of OpenCV's intrinsics, which count from pixel centres: half a pixel is added.

        A pinhole camera has no distortion. With coefficients given this is the camera of the *undistorted* photo:
        undistort the photo and everything detected in it with `refine.geometry.lens.Lens`.

        Args:
            matrix: (3, 3) or (B, 3, 3) px, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].
            distortion: (K,) or (B, K), K one of `DISTORTION_LENGTHS`, unitless; only its shape and finiteness matter.
            size: (height, width) px of the photo, or (B, 2).

        Returns:
            B cameras (one for a single matrix), device and dtype of a tensor `matrix`, torch's default dtype for an
            array.

        Raises:
            InputError: The matrix is no pinhole matrix (transposed, with skew, focal length not above zero), the number
                of coefficients is not one of OpenCV's, or a value is not finite.
        """
        if not isinstance(matrix, Tensor):
            matrix = torch.as_tensor(np.asarray(matrix, dtype=np.float64)).to(torch.get_default_dtype())
        if matrix.dim() == 2:
            matrix = matrix[None]
        count = check_shape("matrix", matrix, "B 3 3")["B"]
        advice = "Give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in px."
        check_finite("matrix", matrix, advice)
        zeros = matrix[:, (0, 1, 2, 2), (1, 0, 0, 1)]
        if bool((zeros != 0).any()) or bool((matrix[:, 2, 2] != 1).any()):
            turned = bool((matrix[:, 2, :2] != 0).any())
            got = "a transposed one" if turned else f"{matrix[0].tolist()}"
            raise InputError("matrix", "a pinhole matrix without skew", got, advice)
        if distortion is not None:
            bent = torch.as_tensor(distortion)
            check_finite("distortion", bent)
            if bent.dim() not in (1, 2) or bent.shape[-1] not in DISTORTION_LENGTHS:
                raise InputError(
                    "distortion",
                    f"one of {DISTORTION_LENGTHS} coefficients",
                    f"shape {tuple(bent.shape)}",
                    "Give OpenCV's k1, k2, p1, p2, k3, ... in its order.",
                )
        pixels = size.to(matrix) if isinstance(size, Tensor) else matrix.new_tensor([size]).expand(count, 2)
        focal = matrix[:, (0, 1), (0, 1)]
        return Camera(focal, matrix[:, :2, 2] + HALF_PIXEL, pixels).checked()

    def checked(self) -> "Camera":
        """Return the cameras after a check of their values, which synchronises a device.

        Raises:
            InputError: A focal length or size is not above zero, or a value is not finite.
        """
        check_finite("camera.focal", self.focal)
        check_finite("camera.center", self.center)
        check_finite("camera.size", self.size)
        if self.camera_from_world is not None:
            check_finite("camera.camera_from_world", self.camera_from_world)
        check_positive(
            "camera.focal",
            self.focal,
            "px",
            "Give the focal length in pixels of the photo, not in millimetres or normalised.",
        )
        check_positive("camera.size", self.size, "px", "Give (height, width) of the photo.")
        return self

    def __len__(self) -> int:
        return self.focal.shape[0]

    def __getitem__(self, index: Index) -> "Camera":
        """Return some of the cameras, in the order of index."""
        return batch.rows(self, index)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Camera":
        """Return the same cameras on another device or in another floating-point type."""
        world = None if self.camera_from_world is None else self.camera_from_world.to(device=device, dtype=dtype)
        focal, center, size = (part.to(device=device, dtype=dtype) for part in (self.focal, self.center, self.size))
        return Camera(focal, center, size, world)

    def transformed(self, new_from_old: Float[Tensor, "B 2 3"], size: Float[Tensor, "B 2"]) -> "Camera":
        """Return the cameras of the same photo after it was scaled and shifted: cropped, resized or padded.

        Args:
            new_from_old: (B, 2, 3) px, [[sx, 0, tx], [0, sy, ty]] in the corner convention; a turned or sheared photo
                has no pinhole camera of this kind, so the off-diagonal entries are ignored.
            size: (B, 2) px, (height, width) of the new image.

        Returns:
            B cameras of the new image; the bodies do not move.
        """
        scale = torch.stack((new_from_old[:, 0, 0], new_from_old[:, 1, 1]), -1)  # (B, 2)
        center = self.center * scale + new_from_old[:, :, 2]
        return Camera(self.focal * scale, center, size, self.camera_from_world)

    def transform(self, point: Float[Tensor, "B *N 3"]) -> Float[Tensor, "B *N 3"]:
        """Return points of the world in the camera frame.

        Args:
            point: (B, ..., 3) m, world frame.

        Returns:
            (B, ..., 3) m, camera frame.
        """
        if self.camera_from_world is None:
            return point
        flat = point.reshape(point.shape[0], -1, 3)
        moved = flat @ self.camera_from_world[:, :, :3].mT + self.camera_from_world[:, None, :, 3]
        return moved.reshape(point.shape)

    def project(self, point: Float[Tensor, "B *N 3"]) -> Float[Tensor, "B *N 2"]:
        """Project points into the photo.

        Args:
            point: (B, ..., 3) m, world frame (the camera frame where there is no `camera_from_world`).

        Returns:
            (B, ..., 2) px. Points nearer than `NEAR_M` or behind the camera are projected at that depth: finite, but
            wrong.
        """
        seen = self.transform(point)
        lift = (slice(None), *[None] * (point.dim() - 2))
        return self.focal[lift] * seen[..., :2] / seen[..., 2:].clamp(min=NEAR_M) + self.center[lift]

    def project_with_derivative(
        self, point: Float[Tensor, "B N 3"]
    ) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 2 3"]]:
        """Project points, with the derivative of each pixel by its point.

        Args:
            point: (B, N, 3) m, world frame.

        Returns:
            pixel (B, N, 2) px and pixel_by_point (B, N, 2, 3) px/m. By log-focal a pixel moves by `pixel - center`.
        """
        seen = self.transform(point)
        depth = seen[..., 2:].clamp(min=NEAR_M)
        per_depth = self.focal[:, None] / depth  # (B, N, 2) px/m
        ray = per_depth * seen[..., :2]  # (B, N, 2) px from the principal point
        # d pixel = per_depth * (d xy - xy / depth * dz); dz does not act where the depth is clamped.
        slope = torch.where(seen[..., 2:] > NEAR_M, -ray / depth, torch.zeros_like(ray))
        pixel_by_point = torch.cat((torch.diag_embed(per_depth), slope[..., None]), -1)
        if self.camera_from_world is not None:
            pixel_by_point = pixel_by_point @ self.camera_from_world[:, None, :, :3]
        return ray + self.center[:, None], pixel_by_point

    def project_with_jacobian(
        self, point: Float[Tensor, "B N 3"], point_by_step: Float[Tensor, "B N 3 P"], focal_column: slice
    ) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N 2 P"]]:
        """Project points, with the Jacobian of each pixel by the step.

        Args:
            point: (B, N, 3) m, world frame.
            point_by_step: (B, N, 3, P), m per unit step; its log-focal column is zero.
            focal_column: The column of log-focal (`Unknowns.focal_column`); empty where it is not free.

        Returns:
            pixel (B, N, 2) px and pixel_by_step (B, N, 2, P), px per unit step.
        """
        pixel, pixel_by_point = self.project_with_derivative(point)
        pixel_by_step = pixel_by_point @ point_by_step
        if focal_column.stop > focal_column.start:
            pixel_by_step[..., focal_column] = (pixel - self.center[:, None])[..., None]
        return pixel, pixel_by_step
