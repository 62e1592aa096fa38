"""A lens' distortion as files and mappings state it: OpenCV's coefficients under the names tools give them.

    "distortion", "dist_coeffs", ...        OpenCV's order, any of its lengths, nested or in FileStorage's form
    "D"                                     ROS' camera_info, with "distortion_model": "plumb_bob" or "rational_polynomial"
    k1, k2, p1, p2, k3                      nerfstudio's and COLMAP's OPENCV model

A lens of another kind, or a name that seems to mean a distortion and is none of these, is refused: a distortion that is
passed over in silence is an error of many pixels at the photo's corners.

Source: OpenCV, calib3d ("Detailed description") and FileStorage; ROS, sensor_msgs/CameraInfo; nerfstudio, data
conventions (transforms.json).
"""  # noqa: E501

import numbers
from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from refine.errors import InputError

KEYS = (
    "distortion", "dist_coeffs", "distortion_coefficients", "dist", "D", "distCoeffs", "dist_coeff",
    "distortion_coeffs",
)  # fmt: skip
PARTS = ("k1", "k2", "p1", "p2", "k3")
MODEL_KEYS = ("camera_model", "distortion_model", "model", "type", "projection", "lens_model", "camera_type")
FLAGS = ("fisheye", "is_fisheye", "xi")
"""Keys whose value, where it is not zero or false, says that the lens is another one."""
UNREAD = ("d", "k", "coeffs", "coefficients", "lens", "radial_distortion", "tangential_distortion", "k_1", "k_2")
"""Keys, in small letters, under which people write coefficients in no order that is known."""
OTHER_LENSES = ("fisheye", "equidistant", "kannala", "equirect", "spherical", "omni", "fov", "thin_prism", "division")
NONE = ("none", "null", "no", "")
ADVICE = "Undistort the photos first; this library's lenses are pinholes with OpenCV's distortion."


def stated_distortion(
    data: Mapping[str, object], name: str, numbers_of: Callable[[str, str, object, tuple[int, ...]], np.ndarray]
) -> np.ndarray:
    """Return OpenCV's coefficients (K,), four zeros where none are given.

    Args:
        data: Named numbers of a camera.
        name: The argument's name, for messages.
        numbers_of: From name, key, value and shape, finite numbers of the shape.

    Raises:
        InputError: The lens is of another kind, coefficients are no numbers, or a key is unknown that seems to hold
            them.
    """
    for key in MODEL_KEYS:
        model = str(data.get(key, "")).lower()
        if any(kind in model for kind in OTHER_LENSES):
            raise InputError(name, "a pinhole camera", f'"{key}": {data[key]}', ADVICE)
    for key in FLAGS:
        if data.get(key) is not None and bool(np.any(np.asarray(data[key]))):
            raise InputError(name, "a pinhole camera", f'"{key}": {data[key]}', ADVICE)
    given = [str(key) for key, value in data.items() if value is not None and key not in (*KEYS, *MODEL_KEYS, "K")]
    unknown = [key for key in given if key.lower().startswith(("dist", "undist")) or key.lower() in UNREAD]
    if unknown:
        advice = f'Call it "{KEYS[0]}": OpenCV\'s k1, k2, p1, p2, k3, ..., or leave it out.'
        raise InputError(name, f"one of the keys {', '.join(KEYS)}", f'"{unknown[0]}"', advice)
    bent = [data.get(part, 0.0) for part in PARTS]
    stated = [key for key in KEYS if data.get(key) is not None and str(data[key]).lower() not in NONE]
    stated += [", ".join(PARTS)] * any(bent)
    if len(stated) > 1:
        raise InputError(name, "one distortion", f"the keys {' and '.join(stated)}", "Leave one.")
    if stated and stated[0] in KEYS:
        return _coefficients(data[stated[0]], stated[0], name, numbers_of)
    if data.get("k4"):
        raise InputError(
            f'{name}, "k4"',
            "zero: OpenCV's fourth coefficient is another one",
            str(data["k4"]),
            "Undistort the photos first.",
        )
    return numbers_of(name, ", ".join(PARTS), bent, (5,)) if any(bent) else np.zeros(4)


def _coefficients(
    value: object, key: str, name: str, numbers_of: Callable[[str, str, object, tuple[int, ...]], np.ndarray]
) -> np.ndarray:
    """Return coefficients of any shape in one row."""
    value = value["data"] if isinstance(value, Mapping) and "data" in value else value
    array = array_of(value)
    if array is None:
        raise InputError(f'{name}, "{key}"', "OpenCV's coefficients k1, k2, p1, p2, k3, ...", repr(value)[:60])
    flat = array.reshape(-1) if array.size else array  # OpenCV returns (1, 5) or (5, 1)
    return numbers_of(name, key, flat, flat.shape)


def array_of(value: object) -> np.ndarray | None:
    """Return nested numbers as float64; None for other values."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    if isinstance(value, str | bool | bytes) or not isinstance(
        value, numbers.Real | np.ndarray | np.generic | list | tuple
    ):
        return None
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
