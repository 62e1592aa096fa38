"""Focal rules: the focal lengths that regressors assume for uncalibrated photos.

    diagonal: f = sqrt(W² + H²)      fov: f = max(W, H) / (2 tan(fov / 2))      hmr2: f = 5000 / 256 max(W, H)

with square pixels and the principal point at the image centre, (W/2, H/2). A stored depth is valid only with the rule
it was made with: another focal length moves the body along the ray and hardly changes its outline. Calibrated cameras:
`refine.geometry.intrinsics`.

Source: CLIFF (arXiv 2208.00571, sec. 3.2), ROMP and BEV (repository `simple_romp`), 4D-Humans (`demo.py`), SPIN
(`constants.py`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_positive
from refine.errors import InputError
from refine.geometry.camera import Camera

SPIN_FOCAL_PX = 5000.0
"""The focal length SPIN and its descendants were trained with (SPIN `constants.py`)."""

HMR2_CROP_PX = 256.0
"""Side of the crop HMR2's 5000 px belong to (4D-Humans, `MODEL.IMAGE_SIZE`)."""


@dataclass(frozen=True)
class FocalRule:
    """A focal length from the size of the photo alone.

    Attributes:
        focal_px: From (height, width) in px to the focal length in px.
        says: The rule's formula as text.
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
"""The rules by name."""


def list_rules() -> str:
    """Return the rules, one a line: name, formula and whose results were made with it."""
    return "\n".join(f'  camera="{name}": {rule.says} ({rule.used_by})' for name, rule in RULES.items())


def camera_from_rule(rule: str, size: tuple[int, int] | Float[Tensor, "B 2"]) -> Camera:
    """Return the camera a regressor assumed.

    Args:
        rule: A name in `RULES`.
        size: (height, width) of one photo, or (B, 2) for one photo a body, px.

    Returns:
        B cameras (one for a pair), principal point at the image centre, device and dtype of `size` (torch's default for
        a pair).

    Raises:
        InputError: The rule is unknown, or a size is not above zero.
    """
    if not isinstance(rule, str) or rule not in RULES:
        got = repr(rule) if isinstance(rule, str) else type(rule).__name__
        others = "or give a camera, a K.json file, a 3x3 matrix, (fx, fy, cx, cy), or a focal length in px."
        advice = f"Name the rule of the system that made the estimate:\n{list_rules()}\n{others}"
        raise InputError("camera", "a focal rule", got, advice)
    pixels = _size_tensor(size)
    check_positive("size", pixels, "px", "Give (height, width) of the photo.")
    focal = pixels.new_tensor([RULES[rule].focal_px(height, width) for height, width in pixels.tolist()])
    return Camera(focal[:, None].repeat(1, 2), pixels.flip(-1) / 2, pixels)


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
