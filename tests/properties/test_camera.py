"""The camera: projection, its Jacobian, and what must not change when the photo is cropped or the world is moved."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import NEAR_M, Camera
from refine.geometry.crop import apply_affine, crop_around, square_around
from refine.state import Unknowns

EXACT_PX = 1e-9
"""float64: pixels of a few thousand, a dozen roundings."""

EXACT_JACOBIAN = 1e-8
"""What the analytic Jacobian may differ from autograd's by."""

seeds = st.integers(0, 2**31)


def draw_camera(seed: int, count: int = 3, *, world: bool = False) -> Camera:
    """Cameras with fx != fy and an off-centre principal point."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=draw, dtype=torch.float64)

    size = uniform(200, 4000, count, 2).round()
    camera_from_world = None
    if world:
        turn = rotation.exp(uniform(-2, 2, count, 3))
        camera_from_world = torch.cat((turn, uniform(-1, 1, count, 3, 1)), 2)
    return Camera(uniform(300, 5000, count, 2), size.flip(-1) * uniform(0.2, 0.8, count, 2), size, camera_from_world)


def draw_points(seed: int, camera: Camera, number: int = 7) -> Tensor:
    """Points in front of the cameras, in the world frame."""
    draw = torch.Generator().manual_seed(seed + 1)
    seen = torch.randn(len(camera), number, 3, generator=draw, dtype=torch.float64) * 0.5
    seen[..., 2] = seen[..., 2].abs() + 1.5
    if camera.camera_from_world is None:
        return seen
    turn, shift = camera.camera_from_world[:, :, :3], camera.camera_from_world[:, None, :, 3]
    return (seen - shift) @ turn


@given(seeds, st.booleans())
def test_a_point_on_the_axis_is_seen_at_the_principal_point(seed: int, world: bool) -> None:
    camera = draw_camera(seed, world=world)
    origin = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64).expand(3, 1, 3)
    if camera.camera_from_world is not None:
        origin = (origin - camera.camera_from_world[:, None, :, 3]) @ camera.camera_from_world[:, :, :3]
    assert (camera.project(origin)[:, 0] - camera.center).abs().max() < EXACT_PX


@given(seeds, st.floats(20.0, 2000.0), st.integers(16, 512))
def test_project_then_crop_is_crop_then_project(seed: int, box: float, side: int) -> None:
    camera = draw_camera(seed)
    point = draw_points(seed, camera)
    crop = crop_around(camera.center + 13.7, torch.full((3,), box, dtype=torch.float64), side=side)
    there = crop.to_crop(camera.project(point))
    assert (crop.camera(camera).project(point) - there).abs().max() < 1e-7
    assert (crop.to_image(there) - camera.project(point)).abs().max() < 1e-7


@given(seeds)
def test_moving_camera_and_world_together_changes_nothing(seed: int) -> None:
    camera = draw_camera(seed, world=True)
    point = draw_points(seed, camera)
    draw = torch.Generator().manual_seed(seed + 2)
    turn = rotation.exp(torch.randn(3, 3, generator=draw, dtype=torch.float64))
    shift = torch.randn(3, 3, generator=draw, dtype=torch.float64)
    moved_point = point @ turn.mT + shift[:, None]
    assert camera.camera_from_world is not None
    turned = camera.camera_from_world[:, :, :3] @ turn.mT
    moved = torch.cat((turned, camera.camera_from_world[:, :, 3:] - turned @ shift[..., None]), 2)
    elsewhere = Camera(camera.focal, camera.center, camera.size, moved)
    assert (elsewhere.project(moved_point) - camera.project(point)).abs().max() < 1e-7


@pytest.mark.parametrize("world", [False, True])
@pytest.mark.parametrize("focal", [0, 1])
def test_the_jacobian_is_what_autograd_says(world: bool, focal: int) -> None:
    camera = draw_camera(5, world=world)
    point = draw_points(5, camera)
    unknowns = Unknowns((0,), shape=2, focal=focal)
    draw = torch.Generator().manual_seed(0)
    by_step = torch.randn(3, 7, 3, unknowns.size, generator=draw, dtype=torch.float64)
    by_step[..., unknowns.focal_column] = 0

    def walk(step: Tensor) -> Tensor:
        zoom = step[:, unknowns.focal_column].exp() if focal else 1.0
        zoomed = Camera(camera.focal * zoom, camera.center, camera.size, camera.camera_from_world)
        return zoomed.project(point + (by_step * step[:, None, None]).sum(-1))

    pixel, pixel_by_step = camera.project_with_jacobian(point, by_step, unknowns.focal_column)
    zero = torch.zeros(3, unknowns.size, dtype=torch.float64)
    full = torch.autograd.functional.jacobian(walk, zero)  # (B, N, 2, B, P)
    expected = torch.stack([full[body, :, :, body] for body in range(3)])
    assert (pixel - walk(zero)).abs().max() < EXACT_PX
    assert (pixel_by_step - expected).abs().max() < EXACT_JACOBIAN


def test_projection_and_gradient_are_finite_behind_the_camera() -> None:
    camera = draw_camera(1, count=1)
    depths = [-3.0, -NEAR_M, 0.0, 1e-9, NEAR_M / 2]
    point = torch.tensor([[[0.4, -0.3, z] for z in depths]], dtype=torch.float64, requires_grad=True)
    pixel = camera.project(point)
    pixel.sum().backward()
    assert pixel.isfinite().all()
    assert point.grad is not None and point.grad.isfinite().all()
    assert (point.grad[..., 2] == 0).all()
    by_step = torch.eye(3, dtype=torch.float64).expand(1, len(depths), 3, 3)
    _, jacobian = camera.project_with_jacobian(point.detach(), by_step, Unknowns((), translation=3).focal_column)
    assert torch.equal(jacobian.sum(2), point.grad)


@given(seeds)
def test_a_camera_does_not_feel_its_batch(seed: int) -> None:
    camera = draw_camera(seed, world=True)
    point = draw_points(seed, camera)
    for body in range(3):
        alone = camera[[body]].project(point[[body]])
        assert (alone[0] - camera.project(point)[body]).abs().max() < EXACT_PX


@given(seeds, st.floats(1.0, 2.0))
def test_a_square_holds_its_points_and_is_as_tight_as_the_margin(seed: int, margin: float) -> None:
    camera = draw_camera(seed)
    pixel = camera.project(draw_points(seed, camera))
    center, side = square_around(pixel, margin=margin)
    reach = (pixel - center[:, None]).abs().amax((1, 2)) * 2
    assert (reach * margin - side).abs().max() < 1e-6


def test_what_is_not_seen_does_not_widen_a_square_and_nothing_seen_still_has_one() -> None:
    pixel = torch.tensor([[[10.0, 10.0], [110.0, 60.0], [math.nan, 5.0], [900.0, 900.0]]]).repeat(2, 1, 1)
    seen = torch.tensor([[True, True, True, False], [False] * 4])
    center, side = square_around(pixel, seen=seen, margin=1.0)
    assert center.tolist() == [[60.0, 35.0], [0.0, 0.0]]
    assert side.tolist() == [100.0, 16.0]


def test_a_body_cut_off_by_the_border_fills_its_crop_and_one_outside_keeps_its_own() -> None:
    pixel = torch.tensor([[[10.0, 10.0], [60.0, 300.0]], [[500.0, 20.0], [600.0, 50.0]]])
    center, side = square_around(pixel, within=torch.tensor([[100.0, 200.0]] * 2), margin=1.0)
    assert center.tolist() == [[35.0, 55.0], [550.0, 35.0]]
    assert side.tolist() == [90.0, 100.0]


def test_affine_maps_act_on_any_number_of_axes() -> None:
    matrix = torch.tensor([[[2.0, 1.0, 3.0], [0.0, 4.0, -1.0]]])
    pixel = torch.tensor([[[[1.0, 1.0], [0.0, 2.0]]]])
    assert apply_affine(matrix, pixel).tolist() == [[[[6.0, 3.0], [5.0, 7.0]]]]


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.5])
def test_a_place_that_scales_or_mirrors_is_refused(factor: float) -> None:
    world = torch.eye(3, 4).repeat(2, 1, 1)
    world[1] *= factor
    camera = Camera(torch.full((2, 2), 900.0), torch.full((2, 2), 300.0), torch.full((2, 2), 600.0), world)
    with pytest.raises(InputError, match="rotation and a translation"):
        camera.checked()
    assert Camera(camera.focal, camera.center, camera.size, torch.eye(3, 4).repeat(2, 1, 1)).checked()
