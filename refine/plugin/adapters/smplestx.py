"""SMPLest-X: `out = model(inputs, targets, meta_info, 'test')`, SMPL-X's parameters as axis-angle and `cam_trans`.

Camera, hand mean, traps and the batch: `_osx_output`. `smplx_joint_cam`, relative to the pelvis, tells the person's
size; where the pelvis lies follows from `smplx_joint_proj`.

Source: MotrixLab/SMPLest-X@fdebd887a3 `main/inference.py`, `models/SMPLest_X.py`.
"""

from functools import partial

from refine.plugin.adapters import _osx_output
from refine.plugin.adapters._osx_output import people, pictures, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(_osx_output.estimate, "smplestx")
