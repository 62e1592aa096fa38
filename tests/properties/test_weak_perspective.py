"""Weak perspective and full perspective: they agree at the body's origin, and the way there leads back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.geometry.weak_perspective import (
    WeakPerspective,
    from_box,
    from_padded_square,
    from_perspective,
    from_whole_image,
)

EXACT = 1e-9
"""float64, a dozen roundings."""

scales = st.floats(0.2, 3.0)
shifts = st.floats(-1.0, 1.0)


@st.composite
def crops(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """A crop camera (s, tx, ty) and its box."""
    weak = [draw(scales), draw(shifts), draw(shifts)]
    center = [draw(st.floats(-100, 2000)), draw(st.floats(-100, 1000))]
    return tuple(torch.tensor([one], dtype=torch.float64) for one in (weak, center, draw(st.floats(20, 900))))  # type: ignore[return-value]


def camera_of(fx: float, fy: float, cx: float = 960.0, cy: float = 540.0) -> Camera:
    """One camera of a photo of 1920 x 1080."""
    return Camera(*(torch.tensor([pair], dtype=torch.float64) for pair in ((fx, fy), (cx, cy), (1080.0, 1920.0))))


@given(crops(), st.floats(300, 9000))
def test_the_formula_of_cliff_and_hmr2_comes_out(crop: tuple[Tensor, Tensor, Tensor], focal: float) -> None:
    (s, tx, ty), (cx, cy), b = crop[0][0], crop[1][0], crop[2][0]
    translation = from_box(*crop).to_translation(camera_of(focal, focal))
    expected = torch.stack((tx + 2 * (cx - 960) / (b * s), ty + 2 * (cy - 540) / (b * s), 2 * focal / (b * s)))
    assert ((translation[0] - expected) / expected.abs().clamp(min=1)).abs().max() < EXACT


@given(scales, shifts, shifts)
def test_the_camera_of_spin_comes_out(s: float, tx: float, ty: float) -> None:
    crop = Camera(*(torch.tensor([pair], dtype=torch.float64) for pair in ((5000.0,) * 2, (112.0,) * 2, (224.0,) * 2)))
    box = torch.tensor([[112.0, 112.0]], dtype=torch.float64), torch.tensor([224.0], dtype=torch.float64)
    translation = from_box(torch.tensor([[s, tx, ty]], dtype=torch.float64), *box).to_translation(crop)
    assert translation[0].tolist() == pytest.approx([tx, ty, 2 * 5000 / (224 * s)], rel=1e-12, abs=1e-12)


@given(crops(), st.floats(300, 9000), st.floats(0.5, 2.0))
def test_full_perspective_leads_back_to_the_crop_camera(
    crop: tuple[Tensor, Tensor, Tensor], focal: float, ratio: float
) -> None:
    camera = camera_of(focal, focal * ratio, 700.0, 610.0)
    back = from_perspective(from_box(*crop).to_translation(camera), camera).in_box(crop[1], crop[2])
    assert (back - crop[0]).abs().max() < 1e-8


@given(crops(), st.floats(300, 9000), st.floats(0.5, 2.0))
def test_the_origin_is_seen_in_the_same_pixel_also_when_fx_is_not_fy(
    crop: tuple[Tensor, Tensor, Tensor], focal: float, ratio: float
) -> None:
    camera, weak = camera_of(focal, focal * ratio, 700.0, 610.0), from_box(*crop)
    seen = camera.project(weak.to_translation(camera)[:, None])
    assert (seen[:, 0] - weak.origin).abs().max() < 1e-7


@given(crops())
def test_a_distant_camera_sees_what_weak_perspective_sees(crop: tuple[Tensor, Tensor, Tensor]) -> None:
    camera, weak = camera_of(1e8, 1e8), from_box(*crop)
    point = torch.tensor([[[0.3, -0.9, 0.4], [-0.5, 0.8, -0.3], [0.0, 0.0, 0.2]]], dtype=torch.float64)
    seen = camera.project(point + weak.to_translation(camera)[:, None])
    assert (seen - weak.project(point)).abs().max() < 0.02


def test_romp_means_the_padded_square() -> None:
    size = torch.tensor([[720.0, 1280.0], [1280.0, 720.0]], dtype=torch.float64)
    weak = torch.tensor([[0.8, 0.1, -0.2]] * 2, dtype=torch.float64)
    point = torch.tensor([[[0.3, -0.5, 9.0]]] * 2, dtype=torch.float64)
    expected = [[(0.8 * 0.3 + 0.1 + 1) * 640, (0.8 * -0.5 - 0.2 + 1) * 640 - 280]]
    expected += [[(0.8 * 0.3 + 0.1 + 1) * 640 - 280, (0.8 * -0.5 - 0.2 + 1) * 640]]
    seen = from_padded_square(weak, size).project(point)[:, 0]
    assert (seen - torch.tensor(expected, dtype=torch.float64)).abs().max() < EXACT


def test_pymaf_means_the_whole_photo() -> None:
    weak = torch.tensor([[0.4, 0.7, 0.1, -0.2]], dtype=torch.float64)
    point = torch.tensor([[[0.3, -0.5, 9.0]]], dtype=torch.float64)
    seen = from_whole_image(weak, torch.tensor([[1080.0, 1920.0]], dtype=torch.float64)).project(point)
    expected = [(0.4 * (0.3 + 0.1) + 1) * 960, (0.7 * (-0.5 - 0.2) + 1) * 540]
    assert seen[0, 0].tolist() == pytest.approx(expected, abs=EXACT)


def test_another_focal_length_moves_the_body_along_its_ray_only() -> None:
    weak = WeakPerspective(torch.tensor([[200.0, 200.0]]), torch.tensor([[300.0, 100.0]]))
    near = weak.to_translation(camera_from_rule("fov60", (480, 640)))
    far = weak.to_translation(camera_from_rule("spin", (480, 640)))
    assert torch.allclose(near[:, :2], far[:, :2])
    assert float(far[0, 2] / near[0, 2]) == pytest.approx(5000 / (320 * 3**0.5), rel=1e-5)
