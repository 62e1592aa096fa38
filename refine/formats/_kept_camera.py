"""The caller's camera kept beside a file's content, for formats whose files hold none.

    focal (2), center (2), size (2), distortion (K, none without), a row a body

Source: derived here.
"""

import numpy as np
import torch

from refine.geometry.camera import Camera


def as_rows(camera: Camera) -> list[list[float]]:
    """Return a camera's numbers, a row a body; where it stands in a world is left out."""
    parts = (camera.focal, camera.center, camera.size, camera.distortion)
    rows: list[list[float]] = torch.cat([part for part in parts if part is not None], 1).tolist()
    return rows


def of_rows(rows: object) -> Camera:
    """Return the camera of its numbers, the inverse of `as_rows`."""
    numbers = torch.as_tensor(np.asarray(rows), dtype=torch.float32)
    focal, center, size, bent = numbers.split((2, 2, 2, numbers.shape[1] - 6), 1)
    return Camera(focal, center, size, distortion=bent if bent.shape[1] else None)
