"""SPIN: `pred_rotmat, pred_betas, pred_camera = model(norm_img)`, and all who return the same three.

    in the crop:  t = (tx, ty, 2·5000 / (S s)),  f = 5000 px, c = (S/2, S/2)        S = 224
    in the photo: t by `_crops` with the box of side b = 200 scale, f = 5000 px, c = (W/2, H/2)

The demo knows no photo but the crop, so without boxes in the batch the crop is the photo. The two are not exactly the same picture: a crop
off the middle is seen at an angle. SMPL's pose as matrices; no hand mean, no joints: the person's size is that of the mean body here.

Source: nkolot/SPIN@2476c43601 `demo.py`, `constants.py`, `utils/imutils.py` lines 11-18 (a scale is 200 px), `models/hmr.py` lines 150-152.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.geometry.focal import SPIN_FOCAL_PX
from refine.plugin.adapters import _three_tensors
from refine.plugin.adapters._tensors import unnormalised
from refine.plugin.adapters._three_tensors import Three, people

__all__ = ["estimate", "people", "pictures", "refined_output"]


def estimate(output: Three, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
    """Turn the three tensors into an estimate.

    Args:
        output: `pred_rotmat` (B, 24, 3, 3), `pred_betas` (B, 10), `pred_camera` (B, 3).
        batch: `img` (B, 3, S, S), which the model was called with; or, to come out in the whole photo, `box_center` (B, 2) px, `box_size` (B,) px
            (200 · scale) and `img_size` (B, 2) or (2,), height and width in px. Optional: `image_index` (B,).
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    return _three_tensors.estimate(
        "spin", output, batch, body, lambda size: size.new_full(size[:, 0].shape, SPIN_FOCAL_PX), "5000 px (SPIN)"
    )


def refined_output(output: Three, refined: Estimate, *, model: nn.Module | None = None) -> tuple[Tensor, ...]:
    """Return the three tensors with refined rotations and camera (betas on SMPL's own file only)."""
    return _three_tensors.refined_output(output, refined)


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops the network was shown, (224, 224, 3) uint8 each."""
    return unnormalised(batch)
