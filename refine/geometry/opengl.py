"""Converts points and cameras between OpenCV's axes, used here, and those of OpenGL and PyTorch3D.

    here (OpenCV)  +x right, +y down, +z forward
    OpenGL         +x right, +y up,   +z backward   = diag(1, -1, -1) here    (Blender, NeRF, trimesh, pyrender too)
    PyTorch3D      +x left,  +y up,   +z forward    = diag(-1, -1, 1) here

These matrices are pinholes': where a lens distorts, camera-frame points go through `Camera.as_pinhole_sees` first.

OpenGL's clip coordinates: (x, y, z)_clip / w_clip in -1..1, y up, -1 at the near plane; the image's outer borders are
at +-1.

Source: OpenGL 4.6 core specification, sec. 13.7-13.8; PyTorch3D documentation, "Cameras" and
`cameras_from_opencv_projection`; Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.geometry.camera import Camera

OPENGL_SIGNS = (1.0, -1.0, -1.0)
"""Factors of the axes between OpenCV and OpenGL, in both directions."""

PYTORCH3D_SIGNS = (-1.0, -1.0, 1.0)
"""Factors of the axes between OpenCV and PyTorch3D, in both directions."""


def opengl_from_opencv(point: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return camera-frame points (..., 3) m in OpenGL's axes."""
    return point * point.new_tensor(OPENGL_SIGNS)


def opencv_from_opengl(point: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return OpenGL's camera-frame points (..., 3) m in the axes used here.

    It also converts the OBJ files of 4D-Humans' demo.
    """
    return point * point.new_tensor(OPENGL_SIGNS)


def pytorch3d_from_opencv(point: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return camera-frame points (..., 3) m in PyTorch3D's axes."""
    return point * point.new_tensor(PYTORCH3D_SIGNS)


def opencv_from_pytorch3d(point: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Return PyTorch3D's camera-frame points (..., 3) m in the axes used here."""
    return point * point.new_tensor(PYTORCH3D_SIGNS)


def opengl_view(camera: Camera) -> Float[Tensor, "B 4 4"]:
    """Return OpenGL's view matrices, eye_from_world.

    Args:
        camera: B cameras; without `camera_from_world` the world is the camera frame (OpenCV axes).

    Returns:
        (B, 4, 4), acting on columns.
    """
    return _four_by_four(_rows(camera) * camera.focal.new_tensor(OPENGL_SIGNS)[:, None])


def camera_from_world_of_opengl(view: Float[Tensor, "B 4 4"]) -> Float[Tensor, "B 3 4"]:
    """Return `camera_from_world` of OpenGL's view matrices.

    Args:
        view: (B, 4, 4) eye_from_world, acting on columns. NeRF's and Blender's "camera to world" is its inverse: invert
            it first.

    Returns:
        (B, 3, 4) m, OpenCV axes.
    """
    return view[:, :3] * view.new_tensor(OPENGL_SIGNS)[:, None]


def opengl_projection(camera: Camera, *, near_m: float = 0.05, far_m: float = 100.0) -> Float[Tensor, "B 4 4"]:
    """Return OpenGL's projection matrices, clip_from_eye.

    Args:
        camera: B cameras.
        near_m: Distance of the near plane, m.
        far_m: Distance of the far plane, m.

    Returns:
        (B, 4, 4), acting on columns.

    Raises:
        InputError: Not 0 < near < far.
    """
    if not 0 < near_m < far_m:
        raise InputError("near_m, far_m", "0 < near_m < far_m", f"{near_m:g} and {far_m:g}")
    (fx, fy), (cx, cy), (height, width) = (part.unbind(-1) for part in (camera.focal, camera.center, camera.size))
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = (
        (2 * fx / width, zero, 1 - 2 * cx / width, zero),
        (zero, 2 * fy / height, 2 * cy / height - 1, zero),
        (zero, zero, one * (near_m + far_m) / (near_m - far_m), one * 2 * near_m * far_m / (near_m - far_m)),
        (zero, zero, -one, zero),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def camera_of_opengl(
    projection: Float[Tensor, "B 4 4"], size: Float[Tensor, "B 2"], view: Float[Tensor, "B 4 4"] | None = None
) -> Camera:
    """Return the cameras of OpenGL's matrices.

    Args:
        projection: (B, 4, 4) clip_from_eye of a perspective camera, acting on columns.
        size: (B, 2) px, (height, width) of the image.
        view: (B, 4, 4) eye_from_world; None where the bodies are in the camera frame.

    Returns:
        B cameras.

    Raises:
        InputError: The matrix is orthographic, or transposed.
    """
    bottom = projection[:, 3]
    if bool((bottom != bottom.new_tensor([0.0, 0.0, -1.0, 0.0])).any()):
        advice = "Transpose it if it acts on rows; orthographic cameras have no focal length."
        raise InputError("projection", "last row (0, 0, -1, 0)", str(bottom[0].tolist()), advice)
    half = size.flip(-1) / 2
    focal = projection[:, (0, 1), (0, 1)] * half
    center = (1 + projection[:, :2, 2] * projection.new_tensor([-1.0, 1.0])) * half
    return Camera(focal, center, size, None if view is None else camera_from_world_of_opengl(view))


@dataclass(frozen=True, eq=False)
class PyTorch3DCamera:
    """The arguments of PyTorch3D's `PerspectiveCameras` (normalised device coordinates, `in_ndc=True`).

    Attributes:
        R: (B, 3, 3), acting on rows: X_camera = X_world R + T.
        T: (B, 3) m.
        focal_length: (B, 2), in halves of the shorter side.
        principal_point: (B, 2), in halves of the shorter side from the image's middle, +x left, +y up.
        image_size: (B, 2) px, (height, width).
    """

    R: Float[Tensor, "B 3 3"]
    T: Float[Tensor, "B 3"]
    focal_length: Float[Tensor, "B 2"]
    principal_point: Float[Tensor, "B 2"]
    image_size: Float[Tensor, "B 2"]


def pytorch3d_camera(camera: Camera) -> PyTorch3DCamera:
    """Return the cameras as arguments of PyTorch3D; the world keeps its axes, R and T contain the change.

    Args:
        camera: B cameras.

    Returns:
        The arguments of `PerspectiveCameras`.
    """
    moved = _rows(camera) * camera.focal.new_tensor(PYTORCH3D_SIGNS)[:, None]
    half = camera.size.amin(-1, keepdim=True) / 2
    principal = (camera.size.flip(-1) / 2 - camera.center) / half
    return PyTorch3DCamera(moved[:, :, :3].mT, moved[:, :, 3], camera.focal / half, principal, camera.size)


def camera_of_pytorch3d(other: PyTorch3DCamera) -> Camera:
    """Return the cameras of PyTorch3D's `PerspectiveCameras` arguments, the inverse of `pytorch3d_camera`.

    Args:
        other: The arguments, in normalised device coordinates.

    Returns:
        B cameras with `camera_from_world`.
    """
    signs = other.R.new_tensor(PYTORCH3D_SIGNS)[:, None]
    half = other.image_size.amin(-1, keepdim=True) / 2
    center = other.image_size.flip(-1) / 2 - other.principal_point * half
    moved = torch.cat((other.R.mT, other.T[..., None]), 2) * signs
    return Camera(other.focal_length * half, center, other.image_size, moved)


def _rows(camera: Camera) -> Tensor:
    """Return `camera_from_world` (B, 3, 4), the identity where there is none."""
    if camera.camera_from_world is not None:
        return camera.camera_from_world
    return torch.eye(3, 4, dtype=camera.focal.dtype, device=camera.focal.device).expand(len(camera), 3, 4)


def _four_by_four(rows: Tensor) -> Tensor:
    """Return (B, 3, 4) with the row (0, 0, 0, 1) below."""
    last = rows.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(rows), 1, 4)
    return torch.cat((rows, last), 1)
