"""HMR2.0 (4D-Humans): `out = model(batch)`, a dictionary with `pred_smpl_params`, `pred_cam`, `pred_cam_t`, ...

Camera, joints, traps and the batch: `_hmr2_output`. `model.smpl` makes vertices and joints of refined parameters anew.

Source: shubham-goel/4D-Humans@6ec79656a2 `demo.py`, `hmr2/models/hmr2.py` (forward_step).
"""

from functools import partial

from refine.plugin.adapters import _hmr2_output
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._hmr2_output import people, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(_hmr2_output.estimate, "hmr2")
