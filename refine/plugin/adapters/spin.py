"""SPIN: `pred_rotmat, pred_betas, pred_camera = model(norm_img)`, and all who return the same three.

    in the crop:  t = (tx, ty, 2·5000 / (S s)),  f = 5000 px, c = (S/2, S/2)        S = 224
    in the photo: t by `_crops` with the box of side b = 200 scale, f = 5000 px, c = (W/2, H/2)

The batch: `_three_tensors`, or `img` (B, 3, S, S) alone: SPIN's demo knows no photo but the crop, so without boxes the
crop is the photo. The two are not exactly the same picture: a crop off the middle is seen at an angle. SMPL's pose as
matrices; no hand mean, no joints: the person's size is that of the mean body here.

Source: nkolot/SPIN@2476c43601 `demo.py`, `constants.py`, `utils/imutils.py` lines 11-18 (a scale is 200 px),
`models/hmr.py` lines 150-152.
"""

from functools import partial

from refine.geometry.focal import SPIN_FOCAL_PX
from refine.plugin.adapters import _three_tensors
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._three_tensors import people, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(
    _three_tensors.estimate,
    "spin",
    focal_px=lambda size: size.new_full(size[:, 0].shape, SPIN_FOCAL_PX),
    rule="5000 px (SPIN)",
)
