"""CLIFF: `pred_rotmat, pred_betas, pred_cam_crop = cliff_model(norm_img, bbox_info)`.

    t by `_crops` with the square box of side b = 200 scale,   f = sqrt(W² + H²) px,   c = (W/2, H/2)

The batch: `_three_tensors`. SMPL's pose as matrices; no hand mean, no joints: the person's size is that of the mean
body here (CLIFF's npz has joints: `refine.formats.cliff`).

Source: haofanwang/CLIFF@f38cad87cb `demo.py` lines 230-275, `models/cliff_hr48/cliff.py` line 105, `common/utils.py`
(cam_crop2full, estimate_focal_length).
"""

from functools import partial

from refine.plugin.adapters import _three_tensors
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._three_tensors import people, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(
    _three_tensors.estimate, "cliff", focal_px=lambda size: size.norm(dim=1), rule="sqrt(W² + H²) (CLIFF)"
)
