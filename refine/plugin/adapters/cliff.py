"""CLIFF: `pred_rotmat, pred_betas, pred_cam_crop = cliff_model(norm_img, bbox_info)`.

    t by `_crops` with the square box of side b = 200 scale,   f = sqrt(W² + H²) px,   c = (W/2, H/2)

SMPL's pose as matrices; no hand mean, no joints: the person's size is that of the mean body here (its npz file has joints: `refine.formats.cliff`).

Source: haofanwang/CLIFF@f38cad87cb `demo.py` lines 230-275, `models/cliff_hr48/cliff.py` line 105, `common/utils.py` (cam_crop2full, estimate_focal_length).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.plugin.adapters import _three_tensors
from refine.plugin.adapters._tensors import unnormalised
from refine.plugin.adapters._three_tensors import Three, people

__all__ = ["estimate", "people", "pictures", "refined_output"]


def estimate(output: Three, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the three tensors into an estimate.

    Args:
        output: `pred_rotmat` (B, 24, 3, 3), `pred_betas` (B, 10), `pred_cam_crop` (B, 3).
        batch: `box_center` (B, 2) px, `box_size` (B,) px (200 · scale) and `img_size` (B, 2) or (2,), height and width in px. Optional: `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    return _three_tensors.estimate("cliff", output, batch, body, lambda size: size.norm(dim=1), "sqrt(W² + H²) (CLIFF)")


def refined_output(output: Three, refined: Estimate, *, model: nn.Module | None = None) -> tuple[Tensor, ...]:
    """Return the three tensors with refined rotations and camera (betas on SMPL's own file only)."""
    return _three_tensors.refined_output(output, refined)


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops the network was shown, uint8 each."""
    return unnormalised(batch)
