"""OpenGL's and PyTorch3D's cameras see every point where ours does."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from refine.geometry import opengl
from refine.geometry.camera import Camera
from tests.properties.test_camera import draw_camera, draw_points, seeds

EXACT_PX = 1e-7
"""float64 through two matrices."""


def with_row(points: torch.Tensor) -> torch.Tensor:
    """Points (B, N, 3) as homogeneous columns (B, 4, N)."""
    return torch.cat((points, torch.ones_like(points[..., :1])), -1).mT


@given(seeds, st.booleans())
def test_opengl_sees_a_point_in_the_same_pixel(seed: int, world: bool) -> None:
    camera = draw_camera(seed, world=world)
    point = draw_points(seed, camera)
    clip = opengl.opengl_projection(camera) @ opengl.opengl_view(camera) @ with_row(point)  # (B, 4, N)
    ndc = (clip[:, :3] / clip[:, 3:]).mT
    height, width = camera.size[:, None].unbind(-1)
    pixel = torch.stack(((ndc[..., 0] + 1) / 2 * width, (1 - ndc[..., 1]) / 2 * height), -1)
    assert (pixel - camera.project(point)).abs().max() < EXACT_PX
    assert (ndc[..., 2].abs() < 1).all()


def test_the_near_and_far_planes_are_minus_one_and_one() -> None:
    camera = draw_camera(3)
    eye = torch.tensor([[0.0, 0.0, -0.2], [0.0, 0.0, -7.0]], dtype=torch.float64).expand(3, 2, 3)
    clip = opengl.opengl_projection(camera, near_m=0.2, far_m=7.0) @ with_row(eye)
    depth = clip[:, 2] / clip[:, 3]
    assert torch.allclose(depth, torch.tensor([-1.0, 1.0], dtype=torch.float64).expand(3, 2))


@given(seeds, st.booleans())
def test_the_way_to_opengl_leads_back(seed: int, world: bool) -> None:
    camera = draw_camera(seed, world=world)
    back = opengl.camera_of_opengl(opengl.opengl_projection(camera), camera.size, opengl.opengl_view(camera))
    same(camera, back)


@given(seeds, st.booleans())
def test_pytorch3d_sees_a_point_in_the_same_pixel_and_leads_back(seed: int, world: bool) -> None:
    camera = draw_camera(seed, world=world)
    point = draw_points(seed, camera)
    theirs = opengl.pytorch3d_camera(camera)
    seen = point @ theirs.R + theirs.T[:, None]  # rows, as PyTorch3D multiplies
    ndc = theirs.focal_length[:, None] * seen[..., :2] / seen[..., 2:] + theirs.principal_point[:, None]
    half = camera.size.amin(-1)[:, None, None] / 2
    pixel = camera.size.flip(-1)[:, None] / 2 - ndc * half  # +x left, +y up
    assert (pixel - camera.project(point)).abs().max() < EXACT_PX
    same(camera, opengl.camera_of_pytorch3d(theirs))


@given(seeds)
def test_points_change_axes_without_changing_hands(seed: int) -> None:
    point = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(opengl.opencv_from_opengl(opengl.opengl_from_opencv(point)), point)
    assert torch.equal(opengl.opencv_from_pytorch3d(opengl.pytorch3d_from_opencv(point)), point)
    for signs in (opengl.OPENGL_SIGNS, opengl.PYTORCH3D_SIGNS):
        assert np.prod(signs) == 1  # a rotation: a mirror would turn bodies inside out


def same(camera: Camera, back: Camera) -> None:
    """Two cameras are the same one to rounding."""
    assert (back.focal - camera.focal).abs().max() < EXACT_PX
    assert (back.center - camera.center).abs().max() < EXACT_PX
    assert back.camera_from_world is not None
    if camera.camera_from_world is None:
        assert torch.equal(back.camera_from_world, torch.eye(3, 4, dtype=torch.float64).expand(3, 3, 4))
    else:
        assert (back.camera_from_world - camera.camera_from_world).abs().max() < 1e-12
