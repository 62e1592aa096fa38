"""The crop camera (s, t_x, t_y) that belongs to a body after it moved, in the box it was estimated in.

    T_z = 2 f / (b s),   T_xy = t_xy + (x - c) T_z / f        ->        s' = s T_z / T_z',
    t' = T'_xy - (T_xy - t_xy) T_z' / T_z

Box (x, b), focal length f and centre c drop out, so they need not be known.

Source: HMR2 `cam_crop_to_full`, TRAM `get_trans`, PHALP `get_3d_parameters`: the same algebra.
"""

import numpy as np
from jaxtyping import Float


def crop_after(
    crop: Float[np.ndarray, "B 3"], before: Float[np.ndarray, "B 3"], after: Float[np.ndarray, "B 3"]
) -> Float[np.ndarray, "B 3"]:
    """Return the crop camera after a body moved.

    Args:
        crop: (B, 3) scale (unitless) and shift (m) before.
        before: (B, 3) m, the full translation they made.
        after: (B, 3) m, the new one.
    """
    ratio = after[:, 2:] / before[:, 2:]
    shift = after[:, :2] - (before[:, :2] - crop[:, 1:]) * ratio
    return np.concatenate((crop[:, :1] / ratio, shift), 1)
