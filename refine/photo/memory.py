"""Converts photos in memory to arrays: PIL images, and torch tensors (C, H, W) or (H, W, C).

Images are not turned. A PIL image with an EXIF orientation gets a note. Encoded images are refused with advice.

Source: Pillow documentation, "Concepts", modes, and `ImageOps.exif_transpose`; torchvision documentation, `ToTensor`
((C, H, W), 0 to 1).
"""

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from torch import Tensor

from refine.errors import InputError
from refine.photo.header import ORIENTATION_TAG

if TYPE_CHECKING:
    import PIL.Image

CHANNELS = (1, 3, 4)
"""Numbers of channels a photo may have: gray, RGB, RGB and alpha."""

AS_THEY_ARE = ("1", "L", "RGB", "RGBA", "I", "I;16", "F")
"""PIL modes whose arrays are photos; the others are converted by Pillow."""

WITH_ALPHA = ("LA", "PA", "La", "RGBa")


def as_array_of_photo(image: object, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return an image in memory as an array, and notes on its conversion.

    Args:
        image: An array, a tensor or a PIL image.
        name: The argument's name, for messages.

    Returns:
        An array whose channels come last where it has three axes.

    Raises:
        InputError: It is of another kind, or a tensor whose channels may be first or last.
    """
    if isinstance(image, np.ndarray):
        return image, ()
    if isinstance(image, Tensor):
        return _of_tensor(image, name)
    if is_pil(image):
        return _of_pil(image, name)
    kind = f"{type(image).__module__}.{type(image).__qualname__}".removeprefix("builtins.")
    advice = "Give a path, an array (H, W, 3), a tensor (3, H, W) or a PIL image."
    if isinstance(image, bytes | bytearray | memoryview) or hasattr(image, "read"):
        advice = (
            "Give the file's path; or decode it: PIL.Image.open(io.BytesIO(data)) of bytes, "
            "PIL.Image.open(file) of an open file; or write it to a file first."
        )
    raise InputError(name, "a path, an array, a tensor or a PIL image", kind, advice)


def is_pil(image: object) -> "TypeGuard[PIL.Image.Image]":
    """Return whether a value is a PIL image, without importing Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def split_batch(image: object) -> list[Any] | None:
    """Return the photos of an array (N, H, W, C) or a tensor with four axes; None for anything else."""
    return list(image) if isinstance(image, np.ndarray | Tensor) and image.ndim == 4 else None


def _of_tensor(image: Tensor, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    image = image.detach().cpu()
    image = image.float() if image.is_floating_point() else image
    notes: tuple[str, ...] = ()
    if image.ndim == 3 and image.shape[0] in CHANNELS:
        if image.shape[2] in CHANNELS:
            advice = "Permute it to (H, W, C) and give image.numpy()."
            raise InputError(
                name, "a tensor (C, H, W) or (H, W, C)", f"shape {tuple(image.shape)}, which is both", advice
            )
        image = image.permute(1, 2, 0)
        notes = (f"{name}: a tensor, channels first.",)
    return image.numpy(), notes


def _of_pil(image: "PIL.Image.Image", name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    try:
        turn = image.getexif().get(ORIENTATION_TAG, 1)
        if image.mode in WITH_ALPHA or "transparency" in image.info:
            image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        elif image.mode not in AS_THEY_ARE:
            notes = (f"{name}: a PIL image of mode {image.mode} became RGB.",)
            image = image.convert("RGB")
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads the file at first use
        raise InputError(
            name, "a PIL image that can be decoded", str(error), "Fetch or export the file again."
        ) from error
    if turn in range(2, 9):
        notes += (
            f"{name}: a PIL image is taken as its pixels are; its EXIF orientation {turn} was not applied. "
            "If the estimate was made on the upright photo give PIL.ImageOps.exif_transpose(image), or the path.",
        )
    return pixels, notes
