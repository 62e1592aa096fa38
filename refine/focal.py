"""Where a camera comes from when nobody calibrated it: the focal rules regressors assume, and intrinsics stored as JSON.

    diagonal: f = sqrt(W² + H²)      fov: f = max(W, H) / (2 tan(fov / 2))      hmr2: f = 5000 / 256 max(W, H)

with square pixels and the principal point at the image centre, (W/2, H/2). A stored depth means nothing without the rule it
was made with: another focal length moves the body along the ray and leaves its outline nearly where it was.

Source: CLIFF (arXiv 2208.00571, sec. 3.2), ROMP and BEV (repository `simple_romp`), 4D-Humans (`demo.py`), SPIN (`constants.py`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.camera import Camera
from refine.check import check_positive
from refine.errors import InputError
from refine.json_file import read_json
from refine.undistort import Lens

SPIN_FOCAL_PX = 5000.0
"""The focal length SPIN and its descendants were trained with (SPIN `constants.py`)."""

HMR2_CROP_PX = 256.0
"""Side of the crop HMR2's 5000 px belong to (4D-Humans, `MODEL.IMAGE_SIZE`)."""


@dataclass(frozen=True)
class FocalRule:
    """A focal length from the size of the photo alone.

    Attributes:
        focal_px: From (height, width) in px to the focal length in px.
        says: The rule in words.
        used_by: The systems whose results were made with it.
    """

    focal_px: Callable[[float, float], float]
    says: str
    used_by: str


def _field_of_view(degrees: float) -> Callable[[float, float], float]:
    """Return the rule of a fixed field of view across the longer side."""
    return lambda height, width: max(height, width) / (2 * math.tan(math.radians(degrees) / 2))


RULES: dict[str, FocalRule] = {
    "diagonal": FocalRule(math.hypot, "sqrt(W² + H²)", "CLIFF, WHAM, GVHMR, D-PoSE, PromptHMR, POCO"),
    "fov60": FocalRule(_field_of_view(60.0), "60° across the longer side", "BEV, ROMP, Multi-HMR"),
    "fov55": FocalRule(_field_of_view(55.0), "55° across the longer side", "MeTRAbs, NLF"),
    "hmr2": FocalRule(
        lambda height, width: SPIN_FOCAL_PX / HMR2_CROP_PX * max(height, width),
        "5000 / 256 · max(W, H)",
        "HMR2 (4D-Humans), PHALP, TokenHMR",
    ),
    "spin": FocalRule(lambda height, width: SPIN_FOCAL_PX, "5000 px", "SPIN, PyMAF-X, SMPLify-X, EFT, ScoreHMR"),
}
"""The named rules; the only table of them."""


def list_rules() -> str:
    """Return the rules, one a line: name, formula and whose results were made with it."""
    return "\n".join(f'  camera="{name}": {rule.says} ({rule.used_by})' for name, rule in RULES.items())


def camera_from_rule(rule: str, size: tuple[int, int] | Float[Tensor, "B 2"]) -> Camera:
    """Return the camera a regressor assumed.

    Args:
        rule: A name in `RULES`.
        size: (height, width) of one photo, or (B, 2) for one photo a body, px.

    Returns:
        B cameras (one for a pair), principal point at the image centre, device and dtype of `size` (torch's default for a pair).

    Raises:
        InputError: The rule is unknown, or a size is not above zero.
    """
    if not isinstance(rule, str) or rule not in RULES:
        got = repr(rule) if isinstance(rule, str) else type(rule).__name__
        advice = (
            f"Name the rule of the system that made the estimate:\n{list_rules()}\nor give a camera, or a K.json file."
        )
        raise InputError("camera", "a focal rule", got, advice)
    pixels = _size_tensor(size)
    check_positive("size", pixels, "px", "Give (height, width) of the photo.")
    focal = pixels.new_tensor([RULES[rule].focal_px(height, width) for height, width in pixels.tolist()])
    return Camera(focal[:, None].repeat(1, 2), pixels.flip(-1) / 2, pixels)


def read_intrinsics(path: str | Path, size: tuple[int, int]) -> tuple[Camera, Lens | None]:
    """Read the intrinsics of one photo from a JSON file.

    The file holds one object: `{"K": 3x3}` as OpenCV's calibration writes it (counted from pixel centres; half a pixel is added
    here), or `{"focal": f | [fx, fy], "center": [cx, cy]}` in this library's corner convention, in which the middle of the image is
    (W/2, H/2). Optional: `"distortion": [k1, k2, p1, p2, ...]` (OpenCV's order) and `"size": [height, width]`, which is checked.

    Args:
        path: The file.
        size: (height, width) of the photo, px.

    Returns:
        The camera (of the undistorted photo, if the lens distorts) and the lens, None without distortion. With a lens, call
        its `undistort` on the photo and its `undistort_points` on everything detected in it.

    Raises:
        InputError: The file is missing or not such JSON, the focal length is not above zero, or the size is another photo's.
    """
    path = Path(path)
    advice = 'Write {"K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]} or {"focal": [fx, fy], "center": [cx, cy]}, in px of this photo.'
    try:
        data = read_json(path, f"camera file {path}")
    except InputError as error:
        raise InputError(error.name, error.expected, error.got, f"{error.advice} {advice}") from error
    if not isinstance(data, dict) or ("K" in data) == ("focal" in data):
        got = f"the keys {sorted(map(str, data))}" if isinstance(data, dict) else type(data).__name__
        raise InputError(f"camera file {path}", 'an object with either "K" or "focal"', got, advice)
    _check_size(path, data, size)
    if "K" in data:
        matrix = _numbers(path, "K", data["K"], (3, 3), advice)
    else:
        focal = data["focal"] if isinstance(data["focal"], list) else [data["focal"]] * 2
        (fx, fy) = _numbers(path, "focal", focal, (2,), advice)
        middle = [size[1] / 2, size[0] / 2]
        (cx, cy) = _numbers(path, "center", data.get("center", middle), (2,), advice) - 0.5  # to OpenCV's pixel centres
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    distortion = data.get("distortion")
    shape = (len(distortion),) if isinstance(distortion, list) else (4,)
    bent = np.zeros(4) if distortion is None else _numbers(path, "distortion", distortion, shape, advice)
    try:
        lens = Lens(matrix, bent, (size[0], size[1]))
        return lens.camera(), lens if bent.any() else None
    except InputError as error:  # the same sentence, with the file in front
        raise InputError(f"camera file {path}, {error.name}", error.expected, error.got, error.advice) from error


def _size_tensor(size: tuple[int, int] | Tensor) -> Tensor:
    """Return sizes as (B, 2) floating point."""
    if isinstance(size, Tensor):
        pixels = size if size.is_floating_point() else size.to(torch.get_default_dtype())
        shape = tuple(size.shape)
    else:
        shape = tuple(np.shape(size))
        pixels = torch.tensor([list(size)], dtype=torch.get_default_dtype()) if shape == (2,) else torch.zeros(0)
    if pixels.dim() != 2 or pixels.shape[1] != 2:
        raise InputError("size", "(height, width) or a tensor of shape (B, 2)", f"shape {shape}")
    return pixels


def _check_size(path: Path, data: dict[str, object], size: tuple[int, int]) -> None:
    """Refuse intrinsics of another photo, and say so when height and width are only swapped."""
    if "size" not in data:
        return
    height, width = _numbers(path, "size", data["size"], (2,), "Write [height, width] in px.")
    if (height, width) == tuple(size):
        return
    swapped = (width, height) == tuple(size)
    advice = (
        'The order in the file is "size": [height, width].'
        if swapped
        else "Scale the intrinsics with the photo, or use that photo."
    )
    raise InputError(
        f"camera file {path}",
        f"the size of the photo, {size[0]:g} x {size[1]:g} (h x w)",
        f"{height:g} x {width:g}",
        advice,
    )


def _numbers(path: Path, key: str, value: object, shape: tuple[int, ...], advice: str) -> np.ndarray:
    """Return a JSON value as finite numbers of the shape."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        got = f"shape {array.shape}" if np.isfinite(array).all() else "something that is not finite numbers"
        raise InputError(f'camera file {path}, "{key}"', f"finite numbers of shape {shape}", got, advice)
    return array
