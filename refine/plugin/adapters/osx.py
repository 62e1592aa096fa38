"""OSX: `out = model(inputs, targets, meta_info, 'test')`, SMPL-X's parameters as axis-angle and `cam_trans`.

Camera, hand mean, traps and the batch: `_osx_output`. It returns no 3D joints: the person's size is that of the mean
body here, and the pelvis lies where that body has it.

Source: IDEA-Research/OSX@14b1cb41a3 `demo/demo.py`, `main/OSX.py`.
"""

from functools import partial

from refine.plugin.adapters import _osx_output
from refine.plugin.adapters._osx_output import people, pictures, refined_output

__all__ = ["estimate", "people", "pictures", "refined_output"]

estimate = partial(_osx_output.estimate, "osx")
