"""A perspective camera recovered from points in space and the pixels stored with them.

    u = f X / Z + c_x,   v = f Y / Z + c_y            linear in f, c_x, c_y

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 7.1 (resectioning; here with known rotation and
translation).
"""

from dataclasses import dataclass

import numpy as np

from refine.errors import InputError


@dataclass(frozen=True)
class Perspective:
    """A camera with square pixels.

    Attributes:
        focal: px.
        center: (2,) px.
        error: px, the largest distance of a pixel from where the camera sees its point.
    """

    focal: float
    center: tuple[float, float]
    error: float


def recover(where: str, point: np.ndarray, seen: np.ndarray, advice: str) -> Perspective:
    """Fit focal length and principal point.

    Args:
        where: The file, for messages.
        point: (..., 3) m, camera frame.
        seen: (..., 2) px.
        advice: What to do where a point lies behind the camera.

    Raises:
        InputError: A point lies behind the camera.
    """
    point, seen = (values.astype(np.float64).reshape(-1, values.shape[-1]) for values in (point, seen))
    if float(point[:, 2].min()) <= 0:
        got = f"a joint at z = {point[:, 2].min():.2f} m"
        raise InputError(where, "people in front of the camera", got, advice)
    ray = point[:, :2] / point[:, 2:]
    ones, zeros = np.ones(len(ray)), np.zeros(len(ray))
    design = np.concatenate((np.stack((ray[:, 0], ones, zeros), 1), np.stack((ray[:, 1], zeros, ones), 1)))
    target = np.concatenate((seen[:, 0], seen[:, 1]))
    (focal, x, y), *_ = np.linalg.lstsq(design, target, rcond=None)
    return Perspective(float(focal), (float(x), float(y)), float(np.abs(design @ (focal, x, y) - target).max()))
