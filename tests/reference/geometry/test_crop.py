"""The two ways to cut a crop, torch's and OpenCV's, agree; and both agree with slicing where slicing is exact."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from refine.geometry.camera import Camera
from refine.geometry.crop import GRID, Crop, crop_around, on_grid, sample, sample_opencv

OPENCV_PLACES_PX = 1 / 32
"""OpenCV rounds places to this."""


def smooth_photo(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """A photo without sharp edges: (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4.0)
    return ((blurred - blurred.min()) / np.ptp(blurred) * 255).astype(np.uint8)


def as_images(*photos: np.ndarray) -> Tensor:
    """Photos of one size as (I, 3, H, W) float64."""
    return torch.from_numpy(np.stack(photos)).double().permute(0, 3, 1, 2)


def crops(*boxes: tuple[float, float, float], side: int = 64, image_index: tuple[int, ...] | None = None) -> Crop:
    """Crops of boxes (cx, cy, side)."""
    box = torch.tensor(boxes, dtype=torch.float64)
    index = None if image_index is None else torch.tensor(image_index)
    return crop_around(box[:, :2], box[:, 2], side=side, image_index=index)


def test_an_integer_shift_is_slicing_to_the_bit() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    crop = crops((32.0, 32.0, 64.0), (70.0, 60.0, 64.0))
    expected = np.stack((photo[:64, :64], photo[28:92, 38:102]))
    assert np.array_equal(sample_opencv([photo], crop), expected)
    ours = sample(as_images(photo), crop).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_halving_is_the_mean_of_four_pixels() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    crop = crops((50.0, 60.0, 64.0), side=32)
    block = photo[28:92, 18:82].astype(float).reshape(32, 2, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(sample(as_images(photo), crop)[0].permute(1, 2, 0).numpy(), block, atol=1e-9)
    assert np.abs(sample_opencv([photo], crop)[0] - block).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("box", [(80.3, 57.9, 50.7), (61.2, 55.5, 100.9), (40.4, 70.3, 333.3), (-10.0, 20.0, 80.0)])
def test_both_ways_agree_to_the_precision_of_interpolation(box: tuple[float, float, float]) -> None:
    photo = smooth_photo()
    padded = np.pad(photo, ((1, 1), (1, 1), (0, 0))).astype(float)
    steepest = max(np.abs(np.diff(padded, axis=axis)).max() for axis in (0, 1))  # per px
    ours = sample(as_images(photo), crops(box))[0].permute(1, 2, 0).numpy()
    theirs = sample_opencv([photo], crops(box))[0]
    assert np.abs(ours - theirs).max() <= 2 * steepest * OPENCV_PLACES_PX + 1.0
    assert np.abs(ours - theirs).mean() < 0.5


def test_a_mark_is_found_where_the_crop_and_its_camera_say() -> None:
    photo = np.zeros((120, 160, 3), np.uint8)
    photo[40:44, 100:104] = 255  # its middle is (102, 42)
    camera = Camera(
        *(torch.tensor([pair], dtype=torch.float64) for pair in ((90.0, 80.0), (80.0, 60.0), (120.0, 160.0)))
    )
    point = torch.tensor([[[22 / 90, -18 / 80, 1.0]]], dtype=torch.float64)
    crop = crops((95.5, 50.25, 47.0), side=200)
    expected = crop.camera(camera).project(point)[0, 0].tolist()
    assert crop.to_crop(torch.tensor([[[102.0, 42.0]]], dtype=torch.float64))[0, 0].tolist() == pytest.approx(expected)
    for seen in (sample(as_images(photo), crop)[0, 0].numpy(), sample_opencv([photo], crop)[0, :, :, 0].astype(float)):
        rows, columns = np.mgrid[:200, :200] + 0.5
        middle = (seen * columns).sum() / seen.sum(), (seen * rows).sum() / seen.sum()
        assert middle == pytest.approx(
            expected, abs=4.3 * OPENCV_PLACES_PX
        )  # a 32nd of a photo's pixel is 4.3/32 of the crop's


def test_each_body_is_cut_from_its_own_photo_whatever_its_neighbours() -> None:
    photos = [smooth_photo(seed=seed) for seed in range(3)]
    boxes = [(80.0, 60.0, 50.0), (30.0, 40.0, 200.0), (90.0, 70.0, 64.0), (50.0, 50.0, 210.0), (20.0, 20.0, 30.0)]
    index = (2, 0, 2, 0, 1)
    together = sample(as_images(*photos), crops(*boxes, image_index=index))
    for body, (box, which) in enumerate(zip(boxes, index, strict=True)):
        alone = sample(as_images(photos[which]), crops(box))[0]
        assert (together[body] - alone).abs().max() < 1e-9
        assert np.array_equal(
            sample_opencv(photos, crops(*boxes, image_index=index))[body], sample_opencv([photos[which]], crops(box))[0]
        )


def test_crops_are_differentiable_in_the_photo_and_in_their_place() -> None:
    images = torch.rand(2, 1, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    center = torch.tensor([[5.3, 4.1], [4.2, 3.9], [6.1, 5.3]], dtype=torch.float64)
    side = torch.tensor([4.7, 13.1, 3.3], dtype=torch.float64)

    def cut(images: Tensor, center: Tensor, side: Tensor) -> Tensor:
        return sample(images, crop_around(center, side, side=4, image_index=torch.tensor([0, 1, 0])))

    arguments = tuple(one.requires_grad_() for one in (images, center, side))
    assert torch.autograd.gradcheck(cut, arguments)


def test_no_bodies_make_no_crops() -> None:
    none = crop_around(torch.zeros(0, 2), torch.zeros(0), side=8)
    assert sample(torch.zeros(1, 3, 5, 5), none).shape == (0, 3, 8, 8)
    assert sample_opencv([np.zeros((5, 5, 3), np.uint8)], none).shape == (0, 8, 8, 3)


def test_points_outside_the_photo_are_black() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    crop = crops((0.0, 0.0, 40.0), side=40)
    for seen in (sample(as_images(white), crop)[0, 0].numpy(), sample_opencv([white], crop)[0, :, :, 0]):
        assert (seen[:20] == 0).all() and (seen[:, :20] == 0).all()
        assert (seen[20:, 20:] == 255).all()


def test_a_square_on_the_grid_is_the_same_for_places_that_differ_by_rounding_and_holds_the_person() -> None:
    draw = torch.Generator().manual_seed(1)
    center = 4000 * torch.rand(2000, 2, generator=draw)
    side = 16 * 100 ** torch.rand(2000, generator=draw)
    placed, size = on_grid(center, side)
    assert float(((placed - center).abs() / size[:, None]).max()) <= 0.5 / GRID + 1e-6
    assert float((size / side - 1).abs().max()) < 1 / GRID
    again, same = on_grid(center * (1 + 1e-7), side * (1 + 1e-7))
    assert (
        int((again != placed).any(1).sum() + (same != size).sum()) <= 2
    )  # one that lies between two may fall either way
    assert torch.equal(on_grid(placed, size)[0], placed) and torch.equal(on_grid(placed, size)[1], size)
