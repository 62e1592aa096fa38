"""Cameras of videos from the intrinsics their files hold, whose principal point is the middle of the frame.

    [[f, 0, c_x], [0, f, c_y], [0, 0, 1]]   ->   focal (f, f), center (c_x, c_y), size (2 c_y, 2 c_x)

The systems that store such intrinsics make c = (W/2, H/2) themselves, so they count from the image's corner and say its
size; a calibrated principal point off the middle is kept, and the size then is only near.

Source: GVHMR `estimate_K`, PromptHMR and TRAM `est_calib`, GLAMR's pose estimator.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError
from refine.estimate import as_array
from refine.geometry.camera import Camera
from refine.geometry.intrinsics import cut_out


def camera_of(
    where: str, focal: Float[np.ndarray, "B 2"], center: Float[np.ndarray, "B 2"], sizes: Float[Tensor, "B 2"] | None
) -> Camera:
    """Return one camera a body.

    Args:
        where: The file, for messages.
        focal: (B, 2) px.
        center: (B, 2) px.
        sizes: (B, 2) px, the frames' (height, width) where known; else twice the centre.

    Raises:
        InputError: A focal length or centre is not above zero.
    """
    if min(focal.min(initial=1.0), center.min(initial=1.0)) <= 0:
        advice = "The file is damaged or was changed: run the regressor again."
        raise InputError(f"{where}: intrinsics", "a focal length and centre above zero", "zero or less", advice)
    middle = torch.as_tensor(center, dtype=torch.float32)
    size = torch.round(2 * middle.flip(-1)) if sizes is None else sizes
    return Camera(torch.as_tensor(focal, dtype=torch.float32), middle, size)


def check_three_by_three(where: str, matrices: object) -> None:
    """Refuse what is no 3x3 matrix, and no stack of them.

    Raises:
        InputError: It has another shape; of a projection matrix the message says what to cut out of it.
    """
    array = as_array(matrices)
    if array.dtype.kind not in "iuf" or (array.shape[-2:] != (3, 3) and array.shape[-1:] != (9,)):
        expected = "3x3 matrices [[f, 0, cx], [0, f, cy], [0, 0, 1]]"
        raise InputError(f"{where}: intrinsics", expected, f"shape {array.shape}", cut_out(array))


def camera_of_matrices(
    where: str, matrices: Float[np.ndarray, "B 3 3"], sizes: Float[Tensor, "B 2"] | None = None
) -> Camera:
    """Return one camera a body from stored matrices.

    Raises:
        InputError: They are no intrinsics.
    """
    if (
        np.abs(matrices[:, 2] - (0, 0, 1)).max(initial=0) > 1e-4
        or np.abs(matrices[:, (0, 1), (1, 0)]).max(initial=0) > 1
    ):
        advice = "The file is damaged or was changed: run the regressor again."
        raise InputError(f"{where}: intrinsics", "[[f, 0, cx], [0, f, cy], [0, 0, 1]]", "something else", advice)
    focal = np.stack((matrices[:, 0, 0], matrices[:, 1, 1]), 1)
    return camera_of(where, focal, np.ascontiguousarray(matrices[:, :2, 2]), sizes)


def shared_intrinsics(
    where: str, stored: object, count: int, advice: str
) -> tuple[Float[np.ndarray, "B 2"], Float[np.ndarray, "B 2"]]:
    """Return `img_focal` and `img_center` of a dictionary of a video, (B, 2) px each, the same for all bodies.

    Raises:
        InputError: They are not there, or are no finite numbers.
    """
    wanted = "a dictionary with img_focal and img_center"
    if not isinstance(stored, dict) or not {"img_focal", "img_center"} <= set(stored):
        raise InputError(where, wanted, ", ".join(map(str, stored)) if isinstance(stored, dict) else "none", advice)
    try:
        focal = np.full((count, 2), float(np.asarray(stored["img_focal"], np.float64).reshape(())))
        center = np.tile(np.asarray(stored["img_center"], np.float64).reshape(1, 2), (count, 1))
    except (TypeError, ValueError) as error:
        raise InputError(where, wanted, str(error)[:120], advice) from error
    if not (np.isfinite(focal).all() and np.isfinite(center).all()):
        raise InputError(where, "finite img_focal and img_center", "NaN or infinity", advice)
    return focal, center


def focal_words(camera: Camera, system: str) -> str:
    """Say what the focal length is, and whether it is the frame's diagonal, the rule of most of these systems."""
    focal, diagonal = float(camera.focal[0].mean()), float(camera.size[0].norm())
    by_rule = abs(focal - diagonal) < 1e-3 * diagonal
    return f"{focal:.0f} px, " + (f"sqrt(W² + H²) ({system})" if by_rule else f"as {system} stored it")
