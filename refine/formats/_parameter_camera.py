"""The camera beside SMPL's parameters: focal, center and size, or intrinsics, one for all bodies or one each.

Source: `parameters`, which says the names.
"""

import numpy as np
from torch import Tensor

from refine.estimate import Source, as_array, as_tensor
from refine.formats import Sizes
from refine.formats._intrinsics import camera_of_matrices, check_three_by_three
from refine.formats._parameter_rows import rows_of
from refine.formats._spelling import MATRICES
from refine.geometry.camera import Camera
from refine.geometry.distortion import check_length


def camera_of(source: Source, sizes: Sizes = None) -> Camera | None:
    """Return the camera beside the parameters (focal, size and perhaps center, or K), None if there is none.

    Args:
        source: The parameters.
        sizes: (1, 2) px, the photo's, where they hold no size; K knows twice its centre.

    Raises:
        InputError: They do not fit the number of bodies, or are not above zero.
    """
    where, count = str(source.path or "init"), len(source)
    matrices = next((source.arrays[name] for name in MATRICES if name in source.arrays), None)
    if "focal" not in source.arrays and matrices is not None:
        check_three_by_three(where, matrices)
        stack = as_array(matrices).astype(np.float64).reshape(-1, 3, 3)
        spread = None if sizes is None else sizes[:1].expand(count, 2)
        return camera_of_matrices(where, np.broadcast_to(stack, (count, 3, 3)).copy(), spread)
    if "focal" not in source.arrays or ("size" not in source.arrays and sizes is None):
        return None

    def pair(name: str) -> Tensor:
        values = as_tensor(source.arrays[name])
        # Two numbers are a pair, also of two bodies.
        one_each = values.dim() < 2 and values.numel() in (1, count) and values.numel() != 2
        values = values.reshape(-1, 1).expand(-1, 2) if one_each else values
        rows = rows_of(where, name, values.reshape(-1, 2).expand(count, 2) if values.numel() == 2 else values, count, 2)
        assert rows is not None
        return rows

    size = pair("size") if "size" in source.arrays else sizes[:1].expand(count, 2)  # type: ignore[index]
    center = pair("center") if "center" in source.arrays else size.flip(-1) / 2
    bent = as_tensor(source.arrays["distortion"]) if "distortion" in source.arrays else None
    if bent is not None:
        check_length("distortion", bent)
        bent = bent.reshape(-1, bent.shape[-1]).expand(count, -1)
    return Camera(pair("focal"), center, size, distortion=bent).checked()
