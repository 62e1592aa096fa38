"""Correspondences: pixels of a crop become points of the surface with targets in the photo."""

import torch

from displacement_net.displacement import Displacement
from refine.correspondence import Matching, correspond
from refine.render import Fragments

PHOTO_FROM_CROP = torch.tensor([[[2.0, 0.0, 100.0], [0.0, 2.0, 50.0]]], dtype=torch.float64)


def field(foreground: torch.Tensor, offset: tuple[float, float] = (3.0, -1.0)) -> tuple[Fragments, Displacement]:
    """A crop whose foreground sees triangles numbered by pixel, and a constant displacement of information 1/px²."""
    height, width = foreground.shape[1:]
    number = torch.arange(height * width).reshape(1, height, width).expand(len(foreground), -1, -1)
    triangle = torch.where(foreground, number, -1)
    barycentric = torch.full((*foreground.shape, 3), 1 / 3, dtype=torch.float64) * foreground[..., None]
    offsets = torch.tensor(offset, dtype=torch.float64).expand(*foreground.shape, 2)
    root = torch.eye(2, dtype=torch.float64) * foreground[..., None, None]
    return Fragments(triangle, barycentric, torch.ones(foreground.shape, dtype=torch.float64)), Displacement(
        offsets, root
    )


def test_a_target_is_the_pixel_centre_plus_the_offset_in_pixels_of_the_photo() -> None:
    foreground = torch.zeros(1, 8, 8, dtype=torch.bool)
    foreground[0, 2, 5] = True
    matches = correspond(*field(foreground), PHOTO_FROM_CROP, Matching(count=1, correlation_px=1.0))
    assert matches.triangle.tolist() == [[2 * 8 + 5]]
    assert matches.target[0, 0].tolist() == [2 * (5.5 + 3) + 100, 2 * (2.5 - 1) + 50]
    assert torch.equal(matches.sqrt_information[0, 0], torch.eye(2, dtype=torch.float64) / 2)


def test_matches_are_spread_evenly_and_repeat_nothing_while_there_are_enough_pixels() -> None:
    foreground = torch.zeros(2, 40, 40, dtype=torch.bool)
    foreground[0, 5:35, 10:30] = True
    foreground[1, 20:22] = True
    matches = correspond(*field(foreground), PHOTO_FROM_CROP.expand(2, -1, -1), Matching(count=64))
    assert len(matches.triangle[0].unique()) == 64 and len(matches.triangle[1].unique()) == 64
    rows = matches.triangle[0] // 40
    assert int(rows.min()) <= 6 and int(rows.max()) >= 33


def test_the_information_of_all_matches_is_that_of_the_independent_ones() -> None:
    foreground = torch.ones(1, 64, 64, dtype=torch.bool)
    for count in (32, 256, 1024):
        matches = correspond(*field(foreground), PHOTO_FROM_CROP, Matching(count=count, correlation_px=8.0))
        total = (matches.sqrt_information[..., 0, 0] ** 2).sum() * 2**2
        assert float(total) == min(count, 64 * 64 / 8**2)


def test_pixels_without_information_give_no_matches_and_no_nan() -> None:
    foreground = torch.ones(2, 16, 16, dtype=torch.bool)
    fragments, displacement = field(foreground)
    root = displacement.sqrt_information.clone()
    root[1] = 0.0
    offset = displacement.offset.clone()
    offset[1], offset[0, :8] = torch.nan, torch.nan
    matches = correspond(fragments, Displacement(offset, root), PHOTO_FROM_CROP.expand(2, -1, -1), Matching(count=50))
    assert matches.target.isfinite().all() and matches.sqrt_information.isfinite().all()
    assert (matches.sqrt_information[1] == 0).all()
    assert int((matches.triangle[0] // 16).min()) >= 8  # the rows with NaN are not used
