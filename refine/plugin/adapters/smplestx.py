"""SMPLest-X: `out = model(inputs, targets, meta_info, 'test')`, SMPL-X's parameters as axis-angle and `cam_trans`.

Camera, hand mean and traps: `_osx_output`. `smplx_joint_cam`, relative to the pelvis, tells the person's size; where the pelvis is follows from `smplx_joint_proj`.

Source: MotrixLab/SMPLest-X@fdebd887a3 `main/inference.py`, `models/SMPLest_X.py`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.plugin.adapters import _osx_output
from refine.plugin.adapters._osx_output import people
from refine.plugin.adapters._tensors import unnormalised

__all__ = ["estimate", "people", "pictures", "refined_output"]


def estimate(output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the model's output into an estimate in the person's own off-centre camera.

    Args:
        output: `model(inputs, targets, meta_info, 'test')`.
        batch: `bbox` (4,) or (B, 4), the processed (x, y, w, h) px; `img_shape` (2,) or (B, 2), height and width of the photo in px, without which the photo is taken to end
            where the box does; optional `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    return _osx_output.estimate("smplestx", output, batch, body)


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: rotations and `cam_trans` (shape and expression on SMPL-X's own file). Mesh and joints are made by `model.get_coord`, and left out where no model is
    given. Everything else is the output's.
    """
    return _osx_output.refined_output(output, refined, model)


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops the network was shown, (512, 384, 3) uint8 each; they are not normalised."""
    return unnormalised(batch, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
