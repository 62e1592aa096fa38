"""People for systems that store a surface: the built-in body, posed, with another mesh on it and its points by name."""

from functools import cache

import numpy as np
import torch

from refine.body import anny, pose_body
from refine.evaluate.people import people
from tests.stranger import stranger_mesh

MOST = 3


@cache
def drawn(vertices: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices (N, V, 3) m and points (N, 3) m by name of some people, all within view of a 60° camera."""
    body = anny.load()
    bodies = people(body, MOST).bodies
    posed = pose_body(body, bodies)
    points: dict[str, np.ndarray] = {}
    for name in ("smplx55", "coco133"):
        for row, point in zip(
            body.keypoint_set(name).names, posed.keypoints(body.keypoint_set(name)).unbind(1), strict=True
        ):
            points.setdefault(row, point.numpy())
    shift = np.stack([np.array([0.4 * n - 0.4, 0.0, 0.6 * n + 1.0]) for n in range(MOST)])
    mesh = stranger_mesh(body, bodies, vertices).numpy() + shift[:, None]
    assert torch.isfinite(torch.from_numpy(mesh)).all()
    return mesh, {name: place + shift for name, place in points.items()}
