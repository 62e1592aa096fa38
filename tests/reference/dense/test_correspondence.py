"""Correspondences: pixels of a crop become points of the surface with targets in the photo."""

import pytest
import torch

from displacement_net.displacement import Displacement
from refine.dense.correspondence import Matching, correspond
from refine.render import Fragments
from refine.terms.correlation import INDEPENDENT, Correlation

EIGHT = Correlation(pixels=8.0)
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
    matches = correspond(*field(foreground), PHOTO_FROM_CROP, Matching(count=1, correlation=INDEPENDENT))
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
        matches = correspond(*field(foreground), PHOTO_FROM_CROP, Matching(count=count, correlation=EIGHT))
        total = (matches.sqrt_information[..., 0, 0] ** 2).sum() * 2**2
        assert float(total) <= min(count, 64 * 64 / 8**2) + 1e-9
        if count >= 64:
            assert float(total) == pytest.approx(64 * 64 / 8**2, rel=1e-9)
        else:  # fewer than there are independent ones: none counts more than once, and those near the limit count less
            assert float(total) > 0.8 * count


def uneven(seed: int, count: int = 3) -> tuple[Fragments, Displacement, torch.Tensor]:
    """Two parts, a trunk and a thin arm, whose information differs from pixel to pixel by a factor of ten."""
    foreground = torch.zeros(count, 96, 96, dtype=torch.bool)
    foreground[:, 10:90, 20:60] = True
    foreground[:, 30:38, 60:92] = True
    fragments, displacement = field(foreground)
    draw = torch.Generator().manual_seed(seed)
    sharp = 10 ** torch.rand(foreground.shape, generator=draw, dtype=torch.float64)
    parts = (torch.arange(96 * 96) % 96 >= 60).long()
    return fragments, Displacement(displacement.offset, displacement.sqrt_information * sharp[..., None, None]), parts


def shares(fragments: Fragments, displacement: Displacement, parts: torch.Tensor, count: int = 256) -> torch.Tensor:
    """How many pixels each pixel stands for in the matches (B, S), zero where it is not drawn."""
    matching = Matching(count=count, correlation=Correlation(pixels=64.0))  # so far that no share is cut at one
    matches = correspond(
        fragments, displacement, PHOTO_FROM_CROP.expand(len(displacement.offset), -1, -1), matching, parts
    )
    heard = matches.sqrt_information[..., 0, 0] > 0
    assert matches.share is not None
    said = torch.where(heard, matches.share**2 * 64**2, 0.0)
    return said.new_zeros(len(said), 96 * 96).scatter_add(1, matches.triangle, said)


@pytest.mark.parametrize("size", [1e-7, 1e-5, 1e-3])
def test_a_field_that_differs_a_little_is_told_by_the_same_matches(size: float) -> None:
    fragments, displacement, parts = uneven(1)
    draw = torch.Generator().manual_seed(2)
    change = 1 + size * torch.randn(displacement.offset.shape[:3], generator=draw, dtype=torch.float64)
    other = Displacement(displacement.offset, displacement.sqrt_information * change[..., None, None])
    before, after = shares(fragments, displacement, parts), shares(fragments, other, parts)
    assert float((before - after).abs().sum() / before.sum()) < 3 * size
    assert int(((before > 0) != (after > 0)).sum()) <= max(2, 3 * 2 * 256 * 5 * size)


def test_a_pixel_that_says_nothing_any_more_moves_no_other_match() -> None:
    fragments, displacement, parts = uneven(3)
    before = shares(fragments, displacement, parts)
    for pixel in (before[0] > 0).nonzero()[:: 256 // 16, 0].tolist():
        root = displacement.sqrt_information.clone()
        root[0, pixel // 96, pixel % 96] = 0.0
        after = shares(fragments, Displacement(displacement.offset, root), parts)
        exchanged = (before[0] > 0) != (after[0] > 0)
        assert int(exchanged.sum()) <= 3
        assert torch.equal(before[1:], after[1:])


@pytest.mark.parametrize("count", [128, 512])
def test_the_matches_together_say_what_the_whole_field_says(count: int) -> None:
    """Sums over the matches, each for the pixels it stands for, against sums over all pixels."""
    fragments, displacement, parts = uneven(4)
    stands_for = shares(fragments, displacement, parts, count)
    pixels = fragments.triangle.flatten(1) >= 0
    place = torch.arange(96 * 96)
    sharpness = displacement.sqrt_information[..., 0, 0].flatten(1) ** 2
    for name, value in {
        "all": torch.ones(96 * 96).double(), "arm": parts.double(), "row": (place // 96).double(),
        "column": (place % 96).double(), "information": sharpness,
    }.items():  # fmt: skip
        told, whole = (stands_for * value).sum(1), (pixels * value).sum(1)
        assert float((told / whole - 1).abs().max()) < (1e-9 if name == "all" else 2 / count**0.5), name


def test_fewer_pixels_than_matches_are_all_taken_once() -> None:
    foreground = torch.zeros(2, 16, 16, dtype=torch.bool)
    foreground[0, 4:9, 3:10] = True
    foreground[1] = True
    matches = correspond(
        *field(foreground), PHOTO_FROM_CROP.expand(2, -1, -1), Matching(count=300, correlation=INDEPENDENT)
    )
    heard = matches.sqrt_information[..., 0, 0] > 0
    for row in range(2):
        drawn = matches.triangle[row][heard[row]]
        assert drawn.tolist() == foreground[row].flatten().nonzero()[:, 0].tolist()
    assert matches.share is not None and torch.allclose(matches.share[heard], torch.ones(()).double())


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
