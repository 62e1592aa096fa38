"""A rasteriser: the plain one, counting how often it is asked. A rasteriser only names the triangle of each pixel."""

from dataclasses import dataclass, field

from torch import Tensor

import refine
from refine.render.plain import PlainRasterizer


@dataclass
class CountingRasterizer:
    """Asks the plain one."""

    plain: PlainRasterizer = field(default_factory=PlainRasterizer)
    asked: int = 0

    def triangles(self, vertices: Tensor, faces: Tensor, camera: refine.Camera, height: int, width: int) -> Tensor:
        """Return the index of the triangle each pixel sees, (B, H, W), -1 for none."""
        self.asked += 1
        return self.plain.triangles(vertices, faces, camera, height, width)


def rasterizer() -> CountingRasterizer:
    """Return one with its default settings."""
    return CountingRasterizer()
