"""TokenHMR: `out = model(batch)`, a dictionary with `pred_smpl_params`, `pred_cam`, `pred_cam_t`, `pred_vertices`, `pred_keypoints_3d`, ...

Camera, joints and traps: `_hmr2_output`. SMPL has no hand mean. `model.smpl` makes vertices and joints of refined parameters anew.

Source: saidwivedi/TokenHMR@198645f778 `tokenhmr/demo.py`, `tokenhmr/lib/models/tokenhmr.py` lines 140-190.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.plugin.adapters import _hmr2_output
from refine.plugin.adapters._hmr2_output import people
from refine.plugin.adapters._tensors import unnormalised

__all__ = ["estimate", "people", "pictures", "refined_output"]


def estimate(output: Mapping[str, Any], batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the model's output into an estimate in the photo's full-perspective camera.

    Args:
        output: `model(batch)`.
        batch: The demo's: `box_center` (B, 2), `box_size` (B,) px, `img_size` (B, 2) (W, H) px; optional `image_index` (B,), all 0 without.
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    return _hmr2_output.estimate("tokenhmr", output, batch, body)


def refined_output(output: Mapping[str, Any], refined: Estimate, *, model: nn.Module | None = None) -> dict[str, Any]:
    """Put refined numbers into a copy of the output.

    New: `pred_smpl_params` (betas on SMPL's own file only), `pred_cam`, `pred_cam_t`, `pred_keypoints_3d` and `pred_keypoints_2d`. `pred_vertices` is made by
    `model.smpl`, and left out where no model is given. Everything else is the output's.
    """
    return _hmr2_output.refined_output(output, refined, model)


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops the network was shown, (256, 256, 3) uint8 each."""
    return unnormalised(batch)
