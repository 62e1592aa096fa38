"""A camera with a lens that distorts: OpenCV says the pixels, autograd the derivatives."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from refine.errors import InputError
from refine.geometry.alike import alike
from refine.geometry.camera import HALF_PIXEL, NEAR_M, Camera
from refine.geometry.crop import crop_around
from refine.geometry.distortion import LENGTHS, bend, unbend, valid_radius
from refine.geometry.lens import Lens
from refine.geometry.weak_perspective import from_perspective

MATRIX = np.array([[520.0, 0.0, 311.2], [0.0, 498.0, 236.9], [0.0, 0.0, 1.0]])
SIZE = (480, 640)
WHOLE = (-0.3, 0.1, 0.0005, -0.0007, 0.01, 0.02, 0.01, 0.005, 0.001, 0.0005, -0.001, 0.0002, 0.02, -0.03)
FOLDS = (-0.3, 0.0, 0.0, 0.0)
"""x (1 - 0.3 x²) grows up to the root of 1 / 0.9."""
POLE = (0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0)
"""The denominator 1 - 0.5 x² is zero at the root of 2."""
FOLD = (1 / 0.9) ** 0.5

EXACT_PX = 1e-9
EXACT = 1e-12
"""Between an analytic derivative and autograd's, of numbers about one."""
FOUND = 1e-4
"""Of the fold, by the secant between two samples."""

each_length = pytest.mark.parametrize("length", LENGTHS)


def camera(distortion: tuple[float, ...] = WHOLE, count: int = 1) -> Camera:
    bent = torch.tensor(distortion, dtype=torch.float64)
    return Camera.from_opencv(torch.from_numpy(MATRIX).expand(count, 3, 3), bent, size=SIZE)


def placed(distortion: tuple[float, ...] = WHOLE, count: int = 2) -> Camera:
    turn, _ = cv2.Rodrigues(np.array([0.2, -0.4, 0.1]))
    world = torch.from_numpy(np.concatenate((turn, [[0.1], [-0.2], [0.3]]), 1))
    return replace(camera(distortion, count), camera_from_world=world.expand(count, 3, 4))


def points(count: int = 200, width: float = 0.6) -> Tensor:
    """Points within `width` times their depth of the axis, (1, N, 3) m."""
    draw = np.random.default_rng(0)
    depth = draw.uniform(1.0, 6.0, (count, 1))
    return torch.from_numpy(np.concatenate((draw.uniform(-width, width, (count, 2)) * depth, depth), 1))[None]


def everywhere(count: int) -> Tensor:
    """Points near and far off the axis, beyond the fold of any lens, nearer than `NEAR_M` and behind, (B, N, 3) m."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 60, 3, generator=draw, dtype=torch.float64) * torch.tensor([3.0, 3.0, 1.5])


@each_length
def test_a_camera_sees_points_where_opencv_projects_them(length: int) -> None:
    point = points()
    theirs, _ = cv2.projectPoints(point[0].numpy()[:, None], np.zeros(3), np.zeros(3), MATRIX, np.array(WHOLE[:length]))
    ours = camera(WHOLE[:length]).project(point)[0]
    np.testing.assert_allclose(ours.numpy(), theirs[:, 0] + HALF_PIXEL, atol=EXACT_PX)


def test_a_placed_camera_sees_points_where_opencv_projects_them() -> None:
    one, point = placed(count=1), points(50)
    world = one.camera_from_world[0].numpy()  # type: ignore[index]
    turn, _ = cv2.Rodrigues(world[:, :3])
    theirs, _ = cv2.projectPoints(point[0].numpy()[:, None], turn, world[:, 3].copy(), MATRIX, np.array(WHOLE))
    np.testing.assert_allclose(one.project(point)[0].numpy(), theirs[:, 0] + HALF_PIXEL, atol=EXACT_PX)


@pytest.mark.parametrize("distortion", [WHOLE, WHOLE[:5], FOLDS, POLE], ids=["whole", "five", "folds", "pole"])
def test_derivatives_are_autograds_everywhere(distortion: tuple[float, ...]) -> None:
    cameras = placed(distortion)
    point = everywhere(2).requires_grad_()
    pixel = cameras.project(point)
    found, derivative = cameras.project_with_derivative(point.detach())
    assert torch.allclose(found, pixel.detach(), atol=EXACT_PX, rtol=0)
    for axis in range(2):
        (slow,) = torch.autograd.grad(pixel[..., axis].sum(), point, retain_graph=True)
        assert ((derivative[..., axis, :] - slow).abs() < EXACT * derivative.abs().amax().clamp(min=1)).all()


def test_the_jacobian_has_the_derivative_by_the_focal_length() -> None:
    cameras, point, columns = placed(), everywhere(2), slice(3, 4)
    by_step = torch.randn(2, 60, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    by_step[..., 3] = 0
    pixel, jacobian = cameras.project_with_jacobian(point, by_step, columns)
    grown = replace(cameras, focal=cameras.focal * 1e-6 * 1 + cameras.focal)
    slope = (grown.project(point) - pixel) / np.log1p(1e-6)
    assert ((jacobian[..., 3] - slope).abs() < 1e-5 * (1 + slope.abs())).all()
    _, derivative = cameras.project_with_derivative(point)
    assert torch.equal(jacobian[..., :3], (derivative @ by_step)[..., :3])


def test_beyond_the_fold_points_stay_outside_and_move_outwards() -> None:
    line = torch.linspace(0, 50, 2000, dtype=torch.float64)
    for distortion, radius in ((FOLDS, FOLD), (POLE, None)):
        bent = torch.tensor([distortion], dtype=torch.float64)
        edge = valid_radius(bent)[0]
        if radius is not None:
            assert abs(edge / radius - 1) < FOUND
        for way in ((1.0, 0.0), (0.6, -0.8)):
            there = bend(line[None, :, None] * torch.tensor(way, dtype=torch.float64), bent)[0].norm(dim=1)
            assert there.isfinite().all() and (there.diff() > -1e-6).all()
            assert (there[line > edge].diff() - line.diff()[0]).abs().max() < 1e-9, "as a pinhole's"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_at_and_behind_the_camera_are_finite(dtype: torch.dtype) -> None:
    point = torch.tensor([[[0.0, 0.0, 0.0], [1e4, -3e4, 1e-3], [5.0, 2.0, -8.0], [0.0, 0.0, NEAR_M]]], dtype=dtype)
    for distortion in (WHOLE, FOLDS, POLE, (5.0, 80.0, 0.1, 0.1, 900.0)):
        one = camera(distortion).to(dtype=dtype)
        pixel, derivative = one.project_with_derivative(point)
        assert pixel.isfinite().all() and derivative.isfinite().all()


@pytest.mark.parametrize("distortion", [WHOLE, FOLDS, POLE, (0.12, 0.02, 0.001, -0.002)])
def test_the_line_of_sight_of_a_pixel_is_where_its_point_is(distortion: tuple[float, ...]) -> None:
    one, point = camera(distortion), points(width=1.0)
    slope = point[..., :2] / point[..., 2:]
    assert (one.slopes(one.project(point)) - slope).abs().max() < 1e-6  # at the fold itself the inverse is steep
    wild = torch.tensor([[[-900.0, 40.0], [5000.0, 5000.0]]], dtype=torch.float64)
    assert (one.project(torch.cat((one.slopes(wild), torch.ones(1, 2, 1).double()), 2)) - wild).abs().max() < 1e-6
    straight = replace(one, distortion=None)
    assert (straight.slopes(straight.project(point)) - slope).abs().max() < EXACT
    assert unbend(slope[:, :0], one.distortion).shape == (1, 0, 2)  # type: ignore[arg-type]


def test_a_crops_camera_sees_the_crop_of_what_the_camera_sees() -> None:
    one, point = placed(), points().expand(2, -1, -1)
    crop = crop_around(torch.tensor([[200.0, 150.0], [400.0, 300.0]]).double(), torch.tensor([120.0, 300.0]).double())
    assert (crop.camera(one).project(point) - crop.to_crop(one.project(point))).abs().max() < EXACT_PX


def test_a_pinhole_sees_moved_points_where_the_lens_shows_them() -> None:
    one, point = camera(), everywhere(1)
    point = point[:, point[0, :, 2] > 2 * NEAR_M]
    moved = one.as_pinhole_sees(point)
    assert torch.equal(moved[..., 2], point[..., 2])
    assert (replace(one, distortion=None).project(moved) - one.project(point)).abs().max() < 1e-6
    straight = replace(one, distortion=None)
    assert straight.as_pinhole_sees(point) is point


def test_a_lens_gives_both_cameras() -> None:
    lens, point = Lens(MATRIX, np.array(WHOLE[:5]), SIZE), points().float()
    taken, straight = lens.taken_by(), lens.camera()
    assert straight.distortion is None and taken.distortion is not None
    assert (lens.distort_points(straight.project(point)) - taken.project(point)).abs().max() < 1e-3  # single precision


def test_no_coefficients_and_zeros_are_no_distortion() -> None:
    for none in (None, np.zeros(0), np.zeros(5), np.zeros((1, 4))):
        assert Camera.from_opencv(MATRIX, none, size=SIZE).distortion is None
    one_each = Camera.from_opencv(np.stack((MATRIX, MATRIX)), np.array([WHOLE[:4], (0.0,) * 4]), size=SIZE)
    assert one_each.distortion is not None and one_each.distortion.shape == (2, 4)
    assert one_each.to(dtype=torch.float64).distortion.dtype == torch.float64  # type: ignore[union-attr]
    with pytest.raises(InputError, match="one a camera"):
        Camera.from_opencv(MATRIX, np.array([WHOLE[:4]] * 3), size=SIZE)
    with pytest.raises(InputError, match="coefficients"):
        replace(camera(), distortion=torch.zeros(1, 6))


def test_cameras_are_made_alike() -> None:
    first, second = alike((camera(WHOLE[:4]).local, placed(WHOLE[:8])))
    assert first.distortion is not None and first.distortion.shape == (1, 8)
    point = points(20)
    assert (first.project(point) - camera(WHOLE[:4]).project(point)).abs().max() < EXACT_PX
    assert torch.equal(second.project(point.expand(2, -1, -1)), placed(WHOLE[:8]).project(point.expand(2, -1, -1)))
    plain = replace(camera(), distortion=None)
    assert alike((plain, plain))[0].distortion is None


def test_weak_perspective_goes_through_the_lens() -> None:
    one, place = camera(count=1), torch.tensor([[0.8, -0.5, 3.0]], dtype=torch.float64)
    weak = from_perspective(place, one)
    assert (weak.origin - one.project(place[:, None])[:, 0]).abs().max() < EXACT_PX
    assert (weak.to_translation(one) - place).abs().max() < 1e-9
