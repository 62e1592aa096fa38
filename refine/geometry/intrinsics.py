"""Calibrated intrinsics in memory or as JSON: detects their form and pixel convention.

    OpenCV's, counted from pixel centres (half a pixel is added here, as `Camera.from_opencv` does):
        a matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], or its nine numbers row by row
        four numbers fx, fy, cx, cy
        {"K": matrix}    {"camera_matrix": matrix}, also OpenCV's own {"rows", "cols", "data"}
        {"fx", "fy", "cx", "cy"}
        {"intrinsic_matrix": nine numbers column by column}, Open3D's
    Counted from the corner of the image (nothing is added: the middle of the image is (W/2, H/2)):
        {"focal": f | [fx, fy], "center": [cx, cy]}, this library's; the middle of the photo without "center"
        a number: the focal length, the centre is the middle of the photo
        {"fl_x", "fl_y", "cx", "cy"}, nerfstudio's (COLMAP's pixels)

All are px of the photo. A size beside them ("size": [height, width]; "h", "w"; "height", "width") is held against the
photo's. Distortion: see `refine.geometry.stated_distortion`.

Source: OpenCV documentation, module calib3d; nerfstudio documentation, "Data conventions" (transforms.json; rays
through pixel + 0.5); COLMAP documentation, "Camera models"; Open3D documentation, `PinholeCameraIntrinsic` (matrix in
column-major order).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from refine.errors import InputError
from refine.files.json_file import read_json
from refine.geometry.camera import HALF_PIXEL, Camera
from refine.geometry.lens import Lens
from refine.geometry.stated_distortion import array_of, stated_distortion

MATRIX_KEYS = ("K", "camera_matrix", "intrinsic_matrix")
FOUR_KEYS = ("fx", "fy", "cx", "cy")
NERFSTUDIO_KEYS = ("fl_x", "cx", "cy")
FOCAL_KEY = "focal"
SIZE_KEYS = (("h", "w"), ("height", "width"))

FROM_CENTRES = "as OpenCV counts it (from pixel centres: half a pixel was added)"
FROM_CORNER = "counted from the corner of the image (nothing was added)"

ADVICE = (
    'Write {"K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]} or {"focal": [fx, fy], "center": [cx, cy]}, '
    "in px of this photo."
)

SHARE_FOCAL, SHARE_CENTER = 10.0, 2.0
"""Intrinsics below both are shares of the photo: no photo's centre lies two pixels from its corner."""

SOME_PHOTO = (1000, 1000)
"""(height, width) px assumed where a file is checked without a photo."""


def read_intrinsics(path: str | Path, size: tuple[int, int]) -> tuple[Camera, Lens | None]:
    """Read the intrinsics of one photo from a JSON file, in any of the forms above.

    Args:
        path: The file.
        size: (height, width) of the photo, px.

    Returns:
        The camera (of the undistorted photo, if the lens distorts) and the lens, None without distortion. With a lens,
        call its `undistort` on the photo and its `undistort_points` on everything detected in it.

    Raises:
        InputError: The file is missing or not such JSON, the focal length is not above zero, or the size is another
            photo's.
    """
    lens, _ = intrinsics_of_file(path, size)
    return lens.camera(), lens if lens.distortion.any() else None


def intrinsics_of_file(path: str | Path, size: tuple[int, int]) -> tuple[Lens, str]:
    """Read a photo's lens, and return it with a description of the file's form; arguments as `read_intrinsics`.

    Raises:
        InputError: As `read_intrinsics`.
    """
    name = f"camera file {path}"
    return intrinsics_of(_parsed(path, name), size, name)


def check_intrinsics_file(path: str | Path, size: tuple[int, int] = SOME_PHOTO) -> None:
    """Refuse a file without valid intrinsics, before any photo is read.

    Args:
        path: The file.
        size: (height, width), px, of some photo it may be of, for the advice where the file states none.

    Raises:
        InputError: As `read_intrinsics`, but for the size of the photo.
    """
    name = f"camera file {path}"
    data = _parsed(path, name)
    stated = _stated_size(name, data) if isinstance(data, Mapping) else None
    height, width = size if stated is None else stated
    intrinsics_of(data, (round(height), round(width)), name)


def _parsed(path: str | Path, name: str) -> object:
    """Return the content of a JSON file; its error describes the form of intrinsics."""
    try:
        return read_json(Path(path), name)
    except InputError as error:
        raise InputError(error.name, error.expected, error.got, f"{error.advice} {ADVICE}") from error


def intrinsics_of(data: object, size: tuple[int, int], name: str = "camera") -> tuple[Lens, str]:
    """Return the lens of intrinsics in one of the forms above, and a description of the form.

    Args:
        data: A number, four or nine numbers, a matrix, or a mapping.
        size: (height, width) of the photo, px.
        name: The argument's name, for messages.

    Raises:
        InputError: They are in none of the forms, not of a pinhole camera, or of a photo of another size.
    """
    if isinstance(data, Mapping):
        matrix, bent, form = _of_mapping(data, size, name)
    else:
        matrix, form = _of_numbers(data, size, name)
        bent = np.zeros(4)
    if 0 < matrix[0, 0] < min(SHARE_FOCAL, max(size)) and np.abs(matrix[:2, 2]).max() < SHARE_CENTER < max(size) / 4:
        got = f"focal {matrix[0, 0]:g}, centre ({matrix[0, 2]:g}, {matrix[1, 2]:g})"
        raise InputError(
            name, "px of the photo", f"shares of it: {got}",
            f"Multiply fx and cx by its width ({size[1]}), fy and cy by its height ({size[0]}).",
        )  # fmt: skip
    try:
        return Lens(matrix, bent, (size[0], size[1])), form
    except InputError as error:  # the same message, preceded by the source of the numbers
        raise InputError(f"{name}, {error.name}", error.expected, error.got, error.advice) from error


def _of_numbers(data: object, size: tuple[int, int], name: str) -> tuple[np.ndarray, str]:
    """Return OpenCV's matrix from bare numbers, and a description of the form.

    Raises:
        InputError: The numbers are in none of the forms.
    """
    array = array_of(data)
    if array is not None and array.shape == (1, 3, 3):
        array = array[0]
    if array is not None and np.isfinite(array).all():
        if array.shape == ():
            return _focal_matrix(
                [float(array)] * 2, size
            ), f"a focal length of {float(array):g} px, centre in the middle"
        if array.shape == (4,):
            return _matrix(*array), f"fx, fy, cx, cy {FROM_CENTRES}"
        if array.shape in ((3, 3), (9,)):
            return array.reshape(3, 3), f"a 3x3 matrix {FROM_CENTRES}"
    got = type(data).__name__
    if array is not None:
        got = f"{got} of shape {array.shape}" if np.isfinite(array).all() else f"{got} with numbers that are not finite"
    expected = "a 3x3 matrix or its nine numbers, fx, fy, cx, cy, a focal length in px, or a mapping with such keys"
    raise InputError(name, expected, got, ADVICE if array is None else cut_out(array) or ADVICE)


def cut_out(array: np.ndarray) -> str:
    """Return advice on how to get a 3x3 matrix out of a 3x4 or 4x4 one; "" for another shape."""
    if array.shape[-2:] not in ((3, 4), (4, 4)):
        return ""
    one = np.asarray(array, np.float64).reshape(-1, *array.shape[-2:])[0]
    padded = not one[:3, 3].any() and np.array_equal(one[3:], np.eye(4)[3:, :][: len(one) - 3])
    if padded and one[2, :3].tolist() == [0.0, 0.0, 1.0]:
        return "Give its first three rows and columns: K[:3, :3]."
    return (
        "Give its first three rows and columns, K[:3, :3], if these are intrinsics; a projection matrix P = K [R | t] "
        "is taken apart by cv2.decomposeProjectionMatrix, and the people must be in that camera's frame."
    )


def _of_mapping(data: Mapping[str, object], size: tuple[int, int], name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return OpenCV's matrix and distortion from named numbers, and a description of the form."""
    forms = [key for key in MATRIX_KEYS if key in data]
    forms += [FOCAL_KEY] * (FOCAL_KEY in data)
    forms += ["fx, fy, cx, cy"] * all(key in data for key in FOUR_KEYS)
    forms += ["fl_x, fl_y, cx, cy"] * all(key in data for key in NERFSTUDIO_KEYS)
    if len(forms) != 1:
        expected = (
            'one of the keys "K", "camera_matrix", "focal", or fx, fy, cx, cy, or nerfstudio\'s fl_x, fl_y, cx, cy'
        )
        raise InputError(name, expected, f"the keys {sorted(map(str, data))}", ADVICE)
    form = forms[0]
    _check_size(name, data, size)
    bent = stated_distortion(data, name, _numbers)
    if form in MATRIX_KEYS:
        return _stored_matrix(data[form], form, name), bent, f'"{form}" {FROM_CENTRES}'
    if form == FOCAL_KEY:
        focal = data["focal"] if isinstance(data["focal"], list | tuple) else [data["focal"]] * 2
        fx, fy = _numbers(name, "focal", focal, (2,))
        cx, cy = _numbers(name, "center", data.get("center", [size[1] / 2, size[0] / 2]), (2,)) - HALF_PIXEL
        return _matrix(fx, fy, cx, cy), bent, f'"focal" {FROM_CORNER}'
    if form.startswith("fl_x"):
        values = [data["fl_x"], data.get("fl_y", data["fl_x"]), data["cx"], data["cy"]]
        fx, fy, cx, cy = _numbers(name, "fl_x, fl_y, cx, cy", values, (4,))
        return _matrix(fx, fy, cx - HALF_PIXEL, cy - HALF_PIXEL), bent, f"nerfstudio's fl_x {FROM_CORNER}"
    four = _numbers(name, form, [data[key] for key in FOUR_KEYS], (4,))
    return _matrix(*four), bent, f"{form} {FROM_CENTRES}"


def _stored_matrix(value: object, key: str, name: str) -> np.ndarray:
    """Return a matrix stored as rows, as nine numbers or in OpenCV's FileStorage form."""
    if isinstance(value, Mapping) and "data" in value:
        value = value["data"]
    array = array_of(value)
    if array is not None and array.shape == (9,):
        return _numbers(name, key, value, (9,)).reshape(3, 3, order="F" if key == "intrinsic_matrix" else "C")
    return _numbers(name, key, value, (3, 3))


def _check_size(name: str, data: Mapping[str, object], size: tuple[int, int]) -> None:
    """Refuse intrinsics of another photo size, with advice where height and width are swapped."""
    stated = _stated_size(name, data)
    if stated is None or stated == tuple(size):
        return
    swapped = stated[::-1] == tuple(size)
    if not swapped:
        advice = "Scale the intrinsics with the photo, or use that photo."
    elif "size" in data:
        advice = 'The order in the file is "size": [height, width].'
    else:
        advice = "Is the photo turned by a quarter? Give the intrinsics of the photo as it is read, upright."
    wanted = f"the size of the photo, {size[0]:g} x {size[1]:g} (h x w)"
    raise InputError(name, wanted, f"{stated[0]:g} x {stated[1]:g}", advice)


def _stated_size(name: str, data: Mapping[str, object]) -> tuple[float, float] | None:
    """Return the (height, width) px stored with intrinsics; None where there is none."""
    if "size" in data:
        height, width = _numbers(name, "size", data["size"], (2,), "Write [height, width] in px.")
        return float(height), float(width)
    pair = next((keys for keys in SIZE_KEYS if all(key in data for key in keys)), None)
    if pair is None:
        return None
    height, width = _numbers(name, ", ".join(pair), [data[key] for key in pair], (2,))
    return float(height), float(width)


def _matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _focal_matrix(focal: list[float], size: tuple[int, int]) -> np.ndarray:
    """Return OpenCV's matrix of a camera with its principal point in the middle of the photo."""
    return _matrix(focal[0], focal[1], size[1] / 2 - HALF_PIXEL, size[0] / 2 - HALF_PIXEL)


def _numbers(name: str, key: str, value: object, shape: tuple[int, ...], advice: str = ADVICE) -> np.ndarray:
    """Return a value as finite numbers of the shape."""
    array = array_of(value)
    if array is None or array.shape != shape or not np.isfinite(array).all():
        known = array is not None and np.isfinite(array).all()
        got = f"shape {array.shape}" if known and array is not None else "something that is not finite numbers"
        cut = cut_out(array) if known and array is not None and shape == (3, 3) else ""
        raise InputError(f'{name}, "{key}"', f"finite numbers of shape {shape}", got, cut or advice)
    return array
