"""Photos made larger or smaller or padded to a square, together with their cameras.

    resized: pixel' = pixel * size' / size (the outer borders stay the borders)      padded: pixel' = pixel + (left, top)

Source: the pads of ROMP and PHALP ((max - size) / 2 on each side); OpenCV's manual on `resize` (counts as written
above).
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.geometry.camera import Camera


def resize(photo: np.ndarray, camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, Camera]:
    """Resize a photo with its cameras; the two axes may be scaled differently.

    Args:
        photo: (H, W, C) or (H, W).
        camera: B cameras of this photo.
        size: The new (height, width), px.

    Returns:
        The resized photo (area-averaged where it shrinks, linear where it grows) and its B cameras.

    Raises:
        InputError: The new size is not above zero, or the cameras are of another size than the photo.
    """
    import cv2

    if min(size) < 1:
        raise InputError("size", "(height, width) of at least 1 px", str(size))
    _check_belongs(photo, camera)
    shrinks = size[0] * size[1] < photo.shape[0] * photo.shape[1]
    resized = cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized).reshape(*size, *photo.shape[2:]), resized_camera(camera, camera.size.new_tensor(size))


def resized_camera(camera: Camera, size: Float[Tensor, "*batch 2"]) -> Camera:
    """Return the cameras of resized photos.

    Args:
        camera: B cameras.
        size: (B, 2) or (2,) px, the new (height, width).

    Returns:
        B cameras.
    """
    size = size.to(camera.size).expand_as(camera.size)
    scale = torch.diag_embed((size / camera.size).flip(-1))
    return camera.transformed(torch.cat((scale, torch.zeros_like(scale[..., :1])), 2), size)


def pad_to_square(photo: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
    """Pad a photo with black to a square, half on each side (the odd pixel to the right or below).

    Args:
        photo: (H, W, C) or (H, W).
        camera: B cameras of this photo.

    Returns:
        The padded photo (M, M, ...), M = max(H, W), and its B cameras.

    Raises:
        InputError: The cameras are of another size than the photo.
    """
    _check_belongs(photo, camera)
    top, left = square_pads((photo.shape[0], photo.shape[1]))
    longer = max(photo.shape[:2])
    padded = np.zeros((longer, longer, *photo.shape[2:]), photo.dtype)
    padded[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    shift = camera.center.new_tensor([[1.0, 0.0, left], [0.0, 1.0, top]]).expand(len(camera), 2, 3)
    return padded, camera.transformed(shift, torch.full_like(camera.size, longer))


def square_pads(size: tuple[int, int]) -> tuple[int, int]:
    """Return (top, left) px that `pad_to_square` adds to a photo of (height, width)."""
    longer = max(size)
    return (longer - size[0]) // 2, (longer - size[1]) // 2


def _check_belongs(photo: np.ndarray, camera: Camera) -> None:
    """Refuse the camera of another photo, and say so when height and width are only swapped."""
    size = camera.size.new_tensor(photo.shape[:2])
    if bool((camera.size != size).any()):
        swapped = bool((camera.size == size.flip(-1)).all())
        advice = "The order is (height, width)." if swapped else "Give the camera of this photo."
        raise InputError("camera.size", f"the photo's size {tuple(photo.shape[:2])}", str(camera.size.tolist()), advice)
