"""The camera in OpenCV's axes, a pinhole with or without a lens' distortion, into which every other one is converted.

    (x, y, z) = camera_from_world (X, Y, Z, 1);    pixel = focal * bend(x / z, y / z) + center

`bend` is OpenCV's lens model (`refine.geometry.distortion`), the identity without coefficients. Pixels are those of the
photo as it was taken.

Convention, stated here for the whole library: +x right, +y down, +z forward; metres, radians, pixels. Pixel (0, 0) is
the top-left *corner* of the image, the first pixel's centre is (0.5, 0.5), so an image of width W spans [0, W].

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.batch import Index, in_one_line
from refine.check import check_finite, check_positive, check_rigid, check_shape
from refine.errors import InputError
from refine.geometry.distortion import bend, bend_with_derivative, check_length, coefficients, unbend

NEAR_M = 0.05
"""Least depth (m) of a projection: a nearer point is projected as if it lay there, finite and without a derivative
along z."""

HALF_PIXEL = 0.5
"""Offset (px) from coordinates counted from pixel centres (OpenCV, heatmaps) to those counted from the corner."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera a body (several bodies of one photo repeat it).

    Attributes:
        focal: (B, 2) px, (fx, fy).
        center: (B, 2) px, (cx, cy), corner convention.
        size: (B, 2) px, (height, width) of the image.
        camera_from_world: (B, 3, 4) m, or None where the bodies are in the camera frame.
        distortion: (B, K) OpenCV's k1, k2, p1, p2, k3, ..., K one of `refine.geometry.distortion.LENGTHS`; None: the
            lens does not distort.

    Raises:
        InputError: Shapes disagree. (Values are checked by `checked`.)
    """

    focal: Float[Tensor, "B 2"]
    center: Float[Tensor, "B 2"]
    size: Float[Tensor, "B 2"]
    camera_from_world: Float[Tensor, "B 3 4"] | None = None
    distortion: Float[Tensor, "B K"] | None = None

    def __post_init__(self) -> None:
        sizes = check_shape("camera.focal", self.focal, "B 2")
        check_shape("camera.center", self.center, "B 2", **sizes)
        check_shape("camera.size", self.size, "B 2", **sizes)
        if self.camera_from_world is not None:
            check_shape("camera.camera_from_world", self.camera_from_world, "B 3 4", **sizes)
        if self.distortion is not None:
            check_shape("camera.distortion", self.distortion, "B K", **sizes)
            check_length("camera.distortion", self.distortion)

    __repr__ = in_one_line

    @staticmethod
    def from_opencv(
        matrix: Tensor | np.ndarray,
        distortion: Tensor | np.ndarray | None = None,
        *,
        size: tuple[int, int] | Tensor,
    ) -> "Camera":
        """Return the cameras of OpenCV's intrinsics, which count from pixel centres: half a pixel is added.

        With coefficients this is the camera of the photo as it was taken. That of the undistorted photo, and the photo
        itself, gives `refine.geometry.lens.Lens`.

        Args:
            matrix: (3, 3) or (B, 3, 3) px, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].
            distortion: (K,), (1, K) or (B, K) coefficients, unitless, K one of `refine.geometry.distortion.LENGTHS`;
                None, no numbers, or all zero: the lens does not distort.
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
        if not matrix.is_floating_point():
            matrix = matrix.to(torch.get_default_dtype())
        if matrix.dim() == 2:
            matrix = matrix[None]
        check_shape("matrix", matrix, "B 3 3")
        advice = "Give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in px."
        check_finite("matrix", matrix, advice)
        zeros = matrix[:, (0, 1, 2, 2), (1, 0, 0, 1)]
        if bool((zeros != 0).any()) or bool((matrix[:, 2, 2] != 1).any()):
            turned = bool((matrix[:, 2, :2] != 0).any())
            got = "a transposed one" if turned else f"{matrix[0].tolist()}"
            raise InputError("matrix", "a pinhole matrix without skew", got, advice)
        pixels = _sizes(size, matrix)
        focal = matrix[:, (0, 1), (0, 1)]
        bent = coefficients(distortion, matrix)
        return Camera(focal, matrix[:, :2, 2] + HALF_PIXEL, pixels, distortion=bent).checked()

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
            check_rigid("camera.camera_from_world", self.camera_from_world)
        if self.distortion is not None:
            check_finite("camera.distortion", self.distortion)
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
        parts = (self.focal, self.center, self.size, self.camera_from_world, self.distortion)
        return Camera(*(None if part is None else part.to(device=device, dtype=dtype) for part in parts))  # type: ignore[arg-type]

    @property
    def local(self) -> "Camera":
        """The same cameras for points in their own frame: without `camera_from_world`."""
        return self if self.camera_from_world is None else replace(self, camera_from_world=None)

    def transformed(self, new_from_old: Float[Tensor, "B 2 3"], size: Float[Tensor, "B 2"]) -> "Camera":
        """Return the cameras of the same photo after it was scaled and shifted: cropped, resized or padded.

        Args:
            new_from_old: (B, 2, 3) px, [[sx, 0, tx], [0, sy, ty]] in the corner convention; a turned or sheared photo
                has no pinhole camera of this kind, so the off-diagonal entries are ignored.
            size: (B, 2) px, (height, width) of the new image.

        Returns:
            B cameras of the new image; the bodies do not move, and the lens distorts as it did.
        """
        scale = torch.stack((new_from_old[:, 0, 0], new_from_old[:, 1, 1]), -1)  # (B, 2)
        center = self.center * scale + new_from_old[:, :, 2]
        return replace(self, focal=self.focal * scale, center=center, size=size)

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
            wrong. Points beyond a lens' valid radius keep the shift they have there (`refine.geometry.distortion`).
        """
        seen = self.transform(point)
        lift = (slice(None), *[None] * (point.dim() - 2))
        if self.distortion is not None:
            slope = seen[..., :2] / seen[..., 2:].clamp(min=NEAR_M)
            bent = bend(slope.flatten(1, -2), self.distortion).reshape(slope.shape)
            return self.focal[lift] * bent + self.center[lift]
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
        if self.distortion is not None:
            return self._project_bent(seen, depth, self.distortion)
        per_depth = self.focal[:, None] / depth  # (B, N, 2) px/m
        ray = per_depth * seen[..., :2]  # (B, N, 2) px from the principal point
        # d pixel = per_depth * (d xy - xy / depth * dz); dz does not act where the depth is clamped.
        slope = torch.where(seen[..., 2:] > NEAR_M, -ray / depth, torch.zeros_like(ray))
        pixel_by_point = torch.cat((torch.diag_embed(per_depth), slope[..., None]), -1)
        if self.camera_from_world is not None:
            pixel_by_point = pixel_by_point @ self.camera_from_world[:, None, :, :3]
        return ray + self.center[:, None], pixel_by_point

    def _project_bent(self, seen: Tensor, depth: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
        """Return pixels and their derivatives of camera-frame points (B, N, 3) through a lens that distorts."""
        slope = seen[..., :2] / depth
        bent, bent_by_slope = bend_with_derivative(slope, distortion)
        pixel_by_slope = self.focal[:, None, :, None] * bent_by_slope / depth[..., None]  # (B, N, 2, 2) px/m
        along = torch.where(seen[..., 2:] > NEAR_M, -slope, torch.zeros_like(slope))
        pixel_by_point = torch.cat((pixel_by_slope, (pixel_by_slope * along[..., None, :]).sum(-1, keepdim=True)), -1)
        if self.camera_from_world is not None:
            pixel_by_point = pixel_by_point @ self.camera_from_world[:, None, :, :3]
        return self.focal[:, None] * bent + self.center[:, None], pixel_by_point

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

    def slopes(self, pixel: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
        """Return the lines of sight of pixels, the inverse of `project` but for the depth.

        Args:
            pixel: (B, ..., 2) px of the photo.

        Returns:
            (B, ..., 2) x / z and y / z of the points seen there, camera frame.
        """
        lift = (slice(None), *[None] * (pixel.dim() - 2))
        slope = (pixel - self.center[lift]) / self.focal[lift]
        if self.distortion is None:
            return slope
        return unbend(slope.flatten(1, -2), self.distortion).reshape(slope.shape)

    def as_pinhole_sees(self, seen: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """Move points so that a pinhole camera without distortion shows them at the pixels where this one does.

        Rasterisers are pinholes: what goes through here first lies where the photo shows it. Only the points given (a
        mesh's vertices) are exact; between them a triangle stays flat.

        Args:
            seen: (B, N, 3) m, camera frame.

        Returns:
            (B, N, 3) m, camera frame, at the same depths; the points themselves without distortion.
        """
        if self.distortion is None:
            return seen
        depth = seen[..., 2:].clamp(min=NEAR_M)
        slope = seen[..., :2] / depth
        shift = (bend(slope, self.distortion) - slope) * depth
        return torch.cat((seen[..., :2] + shift, seen[..., 2:]), -1)


def _sizes(size: object, matrix: Tensor) -> Tensor:
    """Return photos' (height, width) px (B, 2) of a pair or a tensor, as the matrices (B, 3, 3) are."""
    try:
        pixels = torch.as_tensor(size).to(matrix).expand(len(matrix), 2)
    except (TypeError, ValueError, RuntimeError):
        pixels = matrix.new_zeros(0)
    if pixels.dim() != 2 or not bool((pixels > 0).all()) or torch.as_tensor(size).dim() == 0:
        raise InputError("size", f"(height, width) in px, or ({len(matrix)}, 2)", str(size), "size=photo.shape[:2]")
    return pixels
