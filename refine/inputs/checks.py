"""Checks of an estimate: its numbers, and whether its cameras are those of the photos it is said to be of."""

from collections.abc import Sequence

import torch

from refine.check import check_finite
from refine.errors import InputError
from refine.estimate import Estimate
from refine.inputs.camera_doubts import SIZE_TOLERANCE_PX
from refine.photo import Photo

ROTATION_TOLERANCE = 1e-2
"""How far R R^T may be from the identity (float16 and hand-rounded numbers stay below)."""


def checked(estimate: Estimate) -> Estimate:
    """Return the estimate after looking at its numbers.

    Raises:
        InputError: A number is not finite, a pose is no rotation, or the camera cannot be one.
    """
    bodies = estimate.bodies
    for name in ("pose", "shape", "expression", "translation"):
        check_finite(f"estimate.bodies.{name}", getattr(bodies, name))
    error = (bodies.pose @ bodies.pose.mT - torch.eye(3).to(bodies.pose)).abs().flatten(1).amax(1)
    if bool((torch.linalg.det(bodies.pose) < 0).any()):
        raise InputError("estimate.bodies.pose", "rotation matrices", "a reflection (determinant -1)")
    if bool((error > ROTATION_TOLERANCE).any()):
        worst = int(error.argmax())
        raise InputError(
            "estimate.bodies.pose",
            "rotation matrices",
            f"R R^T off the identity by {float(error[worst]):.2g} in body {worst}",
        )
    estimate.camera.checked()
    dtype = bodies.pose.dtype if bodies.pose.dtype in (torch.float32, torch.float64) else torch.float32
    same = all(part.dtype == dtype for part in (bodies.pose, bodies.shape, bodies.translation, estimate.body.template))
    return estimate if same else estimate.to(dtype=dtype)


def check_photos(estimate: Estimate, photos: Sequence[Photo]) -> None:
    """Hold the estimate's cameras against the photos they belong to.

    Raises:
        InputError: A body points to a photo that was not given, or its camera is of a photo of another size.
    """
    most = int(estimate.image_index.max()) if len(estimate) else -1
    if most >= len(photos) or (len(estimate) and int(estimate.image_index.min()) < 0):
        raise InputError(
            "image", f"{most + 1} photos or more: the estimate's image_index points to them", str(len(photos)),
            "Give the photos as a list, in the order of image_index.",
        )  # fmt: skip
    sizes = torch.tensor([photo.size for photo in photos])[estimate.image_index.cpu()].to(estimate.camera.size)
    wrong = ((sizes - estimate.camera.size).abs() > SIZE_TOLERANCE_PX).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        height, width = (round(float(side)) for side in estimate.camera.size[row])
        raise InputError(
            "image", f"the photo the estimate of body {row} was made on, {width}x{height} px",
            f"{int(sizes[row, 1])}x{int(sizes[row, 0])} px",
            _other_photo(photos[int(estimate.image_index[row])], (height, width)),
        )  # fmt: skip


def unseen(estimate: Estimate, photos: Sequence[Photo]) -> tuple[str, ...]:
    """Return a sentence about photos that show nobody of the estimate, where others do."""
    seen = set(estimate.image_index.tolist())
    empty = [str(number + 1) for number in range(len(photos)) if number not in seen]
    if not empty or not seen:
        return ()
    which = f"Photo {', '.join(empty)} of {len(photos)}"
    return (f"{which}: nobody of the estimate is in it; image_index says who is in which photo.",)


def _other_photo(photo: Photo, made_on: tuple[int, int]) -> str:
    """Return what to do about an estimate that was made on a photo of another size (height, width)."""
    if made_on != photo.size[::-1] or photo.size[0] == photo.size[1]:
        return "Give that photo, or a camera for this one."
    if photo.orientation > 4:
        return (
            "That is the photo as stored, before its EXIF turn, which the estimate's tool ignored: save the photo"
            " upright and run it again, or give the stored pixels as an array."
        )
    turned = "Its sides are swapped: the estimate is of the photo turned by a quarter."
    return f"{turned} Give that one, or run the estimate's tool on this one."
