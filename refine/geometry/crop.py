"""Square crops around bodies: their maps from the photo, cameras and pixels.

    pixel in the crop = crop_from_image (x, y, 1)
    crop_from_image = [[k, 0, -k left], [0, k, -k top]],   k = side / box side

Points count from the image's corner, as everywhere (`refine.geometry.camera`). Two tools are converted to here only:
`cv2.warpAffine` counts from pixel centres (`for_opencv`), `grid_sample(align_corners=False)` from corners over -1..1
(`for_grid_sample`). Where a crop is smaller than its box, several samples are averaged for each of its pixels (box
filter).

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 2.4 (affine maps of the image plane); PyTorch and
OpenCV manuals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError
from refine.geometry.camera import HALF_PIXEL, Camera

MARGIN = 1.2
"""Box side over the extent of the points (SPIN rescales OpenPose's boxes by 1.2)."""

SMALLEST_BOX_PX = 16.0
"""Least side of a box: a body that projects to a point still has a crop."""

GRID = 64
"""Steps of a square's grid along its side (`on_grid`): the person is at most 1/128 of the side off the middle, 2 px of
a crop of 256."""

MOST_SAMPLES = 8
"""Most samples averaged along each axis of a crop's pixel."""


@dataclass(frozen=True, eq=False)
class Crop:
    """B square crops of I photos.

    Attributes:
        crop_from_image: (B, 2, 3) px, scale and shift, corner convention on both sides.
        side: Height and width of every crop, px.
        image_index: (B,) which photo each is cut from.

    Raises:
        InputError: The parts disagree on the number of bodies, or the side is not above zero.
    """

    crop_from_image: Float[Tensor, "B 2 3"]
    side: int
    image_index: Int[Tensor, "B"]

    def __post_init__(self) -> None:
        sizes = check_shape("crop.crop_from_image", self.crop_from_image, "B 2 3")
        check_shape("crop.image_index", self.image_index, "B", **sizes)
        if self.side < 1:
            raise InputError("crop.side", "at least 1 px", str(self.side))

    def __len__(self) -> int:
        return self.crop_from_image.shape[0]

    @property
    def scale(self) -> Float[Tensor, "B 2"]:
        """(B, 2), px of the crop per px of the photo, along x and y."""
        return self.crop_from_image.diagonal(dim1=1, dim2=2)

    @property
    def image_from_crop(self) -> Float[Tensor, "B 2 3"]:
        """(B, 2, 3) px, the inverse of `crop_from_image`."""
        linear = torch.diag_embed(1 / self.scale)
        return torch.cat((linear, -linear @ self.crop_from_image[:, :, 2:]), 2)

    def to_crop(self, pixel: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
        """Return points (B, ..., 2), px of the photo, in px of the crop."""
        return apply_affine(self.crop_from_image, pixel)

    def to_image(self, pixel: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
        """Return points (B, ..., 2), px of the crop, in px of the photo."""
        return apply_affine(self.image_from_crop, pixel)

    def camera(self, camera: Camera) -> Camera:
        """Return the cameras (B) of the crops, given those of the bodies' photos."""
        return camera.transformed(self.crop_from_image, torch.full_like(camera.size, self.side))


def apply_affine(new_from_old: Float[Tensor, "B 2 3"], pixel: Float[Tensor, "B *N 2"]) -> Float[Tensor, "B *N 2"]:
    """Map points by B affine maps.

    Args:
        new_from_old: (B, 2, 3) px.
        pixel: (B, ..., 2) px.

    Returns:
        (B, ..., 2) px.
    """
    points = math.prod(pixel.shape[1:-1])  # not -1, which is ambiguous for zero bodies
    flat = pixel.reshape(pixel.shape[0], points, 2)
    return (flat @ new_from_old[:, :, :2].mT + new_from_old[:, None, :, 2]).reshape(pixel.shape)


def square_around(
    pixel: Float[Tensor, "B N 2"],
    *,
    seen: Bool[Tensor, "B N"] | None = None,
    within: Float[Tensor, "B 2"] | None = None,
    margin: float = MARGIN,
) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B"]]:
    """Return the square around each body's points.

    Args:
        pixel: (B, N, 2) px of the photo.
        seen: (B, N), which points count (in front of the camera, detected); None: all that are finite.
        within: (B, 2) px, (height, width): the points' extent is cut to the photo first, so that a body cut off by the
            border fills its crop. A body wholly outside keeps its own extent.
        margin: Side of the square over the larger extent.

    Returns:
        center (B, 2) px and side (B,) px, at least `SMALLEST_BOX_PX`. A body without seen points gets the smallest box
        at (0, 0).
    """
    finite = pixel.isfinite().all(-1)
    counts = (finite if seen is None else finite & seen)[..., None]
    low = torch.where(counts, pixel, math.inf).amin(1)
    high = torch.where(counts, pixel, -math.inf).amax(1)
    none = ~counts.any(1)  # (B, 1)
    low, high = torch.where(none, 0.0, low), torch.where(none, 0.0, high)
    if within is not None:
        border = within.flip(-1)
        cut_low, cut_high = low.clamp(min=0).minimum(border), high.clamp(min=0).minimum(border)
        inside = (cut_high > cut_low).all(-1, keepdim=True)
        low, high = torch.where(inside, cut_low, low), torch.where(inside, cut_high, high)
    side = ((high - low).amax(-1) * margin).clamp(min=SMALLEST_BOX_PX)
    return (low + high) / 2, side


def on_grid(
    center: Float[Tensor, "B 2"], box_side: Float[Tensor, "B"]
) -> tuple[Float[Tensor, "B 2"], Float[Tensor, "B"]]:
    """Round squares to a coarse grid, so that rounding errors of a body's position do not change its crop.

    A crop's pixels are rounded to whole levels, to which a displacement network is a hundred times more sensitive than
    to the rounding of a body's position.

    Args:
        center: (B, 2) px.
        box_side: (B,) px.

    Returns:
        center (B, 2), multiples of 1 / GRID of the side, and side (B,), of GRID / 2 values between a power of two and
        the next: both exact.
    """
    fraction, power = torch.frexp(box_side)  # fraction 0.5..1
    side = torch.ldexp((fraction * GRID).round() / GRID, power)
    step = side[:, None] / GRID
    return (center / step).round() * step, side


def crop_around(
    center: Float[Tensor, "B 2"],
    box_side: Float[Tensor, "B"],
    *,
    side: int = 256,
    image_index: Int[Tensor, "B"] | None = None,
) -> Crop:
    """Return the crops of square boxes.

    Args:
        center: (B, 2) px of the photo.
        box_side: (B,) px of the photo.
        side: Height and width of the crops, px (256: HMR2, ViTPose and this library's network).
        image_index: (B,) which photo each box lies in; None: all in the first.

    Returns:
        The crops.
    """
    scale = side / box_side
    shift = side / 2 - scale[:, None] * center
    crop_from_image = torch.cat((torch.diag_embed(scale[:, None].expand(-1, 2)), shift[..., None]), 2)
    if image_index is None:
        image_index = torch.zeros(len(center), dtype=torch.long, device=center.device)
    return Crop(crop_from_image, side, image_index)


def sample(images: Float[Tensor, "I C H W"], crop: Crop) -> Float[Tensor, "B C S S"]:
    """Cut the crops out of photos of one size, bilinearly; differentiable in the pixels and in the crops' maps.

    Args:
        images: (I, C, H, W), any unit, the device and dtype of the crops.
        crop: B crops.

    Returns:
        (B, C, side, side); what lies outside the photo is zero.
    """
    channels, (height, width) = images.shape[1], images.shape[2:]
    keys = list(zip(crop.image_index.tolist(), _samples(crop), strict=True))
    cut, order = [], []
    for index, samples in sorted(set(keys)):  # one call a photo: its pixels are never copied per body
        rows = [row for row, key in enumerate(keys) if key == (index, samples)]
        grid = for_grid_sample(crop.image_from_crop[rows], crop.side, samples, (height, width))
        tall = grid.reshape(1, -1, crop.side * samples, 2)
        seen = torch.nn.functional.grid_sample(images[index : index + 1], tall, align_corners=False)
        stack = seen.reshape(channels, len(rows), crop.side * samples, crop.side * samples).transpose(0, 1)
        cut.append(torch.nn.functional.avg_pool2d(stack, samples) if samples > 1 else stack)
        order += rows
    if not cut:
        return images.new_zeros(0, channels, crop.side, crop.side)
    return torch.cat(cut)[torch.tensor(order, device=images.device).argsort()]


def sample_opencv(photos: Sequence[np.ndarray], crop: Crop) -> np.ndarray:
    """Cut the crops out of photos of any sizes with OpenCV, which is fast on a CPU.

    Args:
        photos: I arrays (H, W, C) of one dtype.
        crop: B crops.

    Returns:
        (B, side, side, C) of the photos' dtype; what lies outside a photo is zero. OpenCV rounds positions to 1/32 px.
    """
    import cv2

    cut = []
    rows = zip(
        crop.image_index.tolist(), _samples(crop), crop.crop_from_image.detach().cpu().double().numpy(), strict=True
    )
    for index, samples, matrix in rows:
        fine = for_opencv(np.diag((samples, samples)) @ matrix)
        seen = cv2.warpAffine(photos[index], fine, (crop.side * samples,) * 2, flags=cv2.INTER_LINEAR)
        cut.append(seen if samples == 1 else cv2.resize(seen, (crop.side,) * 2, interpolation=cv2.INTER_AREA))
    shape = (len(crop), crop.side, crop.side, *photos[0].shape[2:])
    return np.stack(cut).reshape(shape) if cut else np.zeros(shape, photos[0].dtype)


def for_opencv(new_from_old: np.ndarray) -> np.ndarray:
    """Convert affine maps (..., 2, 3) from the corner convention to pixel centres, for `cv2.warpAffine`."""
    shift = new_from_old[..., 2] + new_from_old[..., :2] @ np.full(2, HALF_PIXEL) - HALF_PIXEL
    return np.concatenate((new_from_old[..., :2], shift[..., None]), -1)


def for_grid_sample(
    image_from_crop: Float[Tensor, "B 2 3"], side: int, samples: int, image_size: tuple[int, int]
) -> Float[Tensor, "B S S 2"]:
    """Return the positions of the crops' pixel centres for `grid_sample(align_corners=False)`.

    Args:
        image_from_crop: (B, 2, 3) px, corner convention.
        side: Height and width of the crops, px.
        samples: Samples along each axis of a pixel.
        image_size: (height, width) of the photo, px.

    Returns:
        (B, S, S, 2), S = side * samples, (x, y) with -1 and 1 at the photo's outer borders.
    """
    line = (
        torch.arange(side * samples, device=image_from_crop.device, dtype=image_from_crop.dtype) + HALF_PIXEL
    ) / samples
    center = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)  # (S, S, 2) px of the crop
    pixel = apply_affine(image_from_crop, center.expand(len(image_from_crop), -1, -1, -1))
    return 2 * pixel / image_from_crop.new_tensor(image_size[::-1]) - 1


def _samples(crop: Crop) -> list[int]:
    """Return each crop's number of samples along each axis of a pixel: about one a pixel of the photo."""
    return [min(MOST_SAMPLES, max(1, round(1 / scale))) for scale in crop.scale.detach().amin(1).tolist()]
