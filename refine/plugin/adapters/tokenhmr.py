"""TokenHMR: `out = model(batch)`, a dictionary with `pred_smpl_params`, `pred_cam`, `pred_cam_t`, `pred_vertices`, ...

Camera, joints, traps and the batch: `_hmr2_output`. `model.smpl` makes vertices and joints of refined parameters anew.

Source: saidwivedi/TokenHMR@198645f778 `tokenhmr/demo.py`, `tokenhmr/lib/models/tokenhmr.py` lines 140-190.
"""

from functools import partial

from refine.plugin.adapters import _hmr2_output
from refine.plugin.adapters._crops import pictures
from refine.plugin.adapters._hmr2_output import people, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(_hmr2_output.estimate, "tokenhmr")
