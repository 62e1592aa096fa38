"""The photos' sizes, for formats whose camera depends on them and that do not store them.

Source: derived here.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_positive
from refine.errors import InputError
from refine.geometry.camera import Camera


def photo_sizes(
    where: str, image_index: Int[Tensor, "B"], sizes: Float[Tensor, "I 2"] | None, camera: Camera | None
) -> Float[Tensor, "B 2"] | None:
    """Return the size of the photo each body is seen in, None where it is not known.

    Args:
        where: The file, for messages.
        image_index: (B,) which photo each body is seen in.
        sizes: (I, 2) px, (height, width) by image index, or of one photo for all.
        camera: The caller's camera, one or one a body; it knows a size too.

    Raises:
        InputError: There are fewer sizes than photos, or cameras than bodies, or a size is not above zero.
    """
    count = len(image_index)
    if sizes is None and camera is None:
        return None
    if sizes is None:
        assert camera is not None
        if len(camera) not in (1, count):
            raise InputError("camera", f"one camera or {count}, one a body", str(len(camera)), "Give one camera.")
        sizes, image_index = camera.size.detach().cpu(), torch.arange(count)
    found = sizes.float()
    check_positive("sizes", found, "px", "Give (height, width) of each photo.")
    if len(found) == 1:
        return found.expand(count, 2)
    most = int(image_index.max()) if count else -1
    if most >= len(found):
        advice = "Give the photos in the order of the file."
        raise InputError(f"{where}: sizes", f"the sizes of {most + 1} photos", f"{len(found)}", advice)
    return found[image_index]


def needed_sizes(
    where: str, image_index: Int[Tensor, "B"], sizes: Float[Tensor, "I 2"] | None, camera: Camera | None
) -> Float[Tensor, "B 2"]:
    """Return the same where the format's camera cannot do without.

    Raises:
        InputError: The photos' sizes are not known, or do not fit.
    """
    found = photo_sizes(where, image_index, sizes, camera)
    if found is None:
        advice = (
            "The file does not store it, and its camera depends on it: call refine.fit with the photo, or give a "
            "camera."
        )
        raise InputError(f"{where}: sizes", "the photo's height and width", "neither photo nor camera", advice)
    return found
