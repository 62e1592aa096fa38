"""Rendering: a rasteriser finds the triangle of each pixel, torch computes everything else with gradients.

rasterizer.triangles(...) -> ids;   rasterize(...) -> Fragments (ids, barycentrics, depth);   shade.* -> colours, ...
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from refine.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class Fragments:
    """The visible surface at each pixel of B images of one body each.

    Attributes:
        triangle: (B, H, W) index into faces, -1 on the background.
        barycentric: (B, H, W, 3) perspective-correct weights of the triangle's corners, summing to 1; zeros on the
            background.
        depth: (B, H, W) m along +z, infinite on the background.
    """

    triangle: Int[Tensor, "B H W"]
    barycentric: Float[Tensor, "B H W 3"]
    depth: Float[Tensor, "B H W"]


@runtime_checkable
class Rasterizer(Protocol):
    """Finds the nearest triangle along each pixel's ray."""

    def triangles(
        self, vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera, height: int, width: int
    ) -> Int[Tensor, "B H W"]:
        """Return the visible triangle at each pixel.

        Args:
            vertices: (B, V, 3) m, camera frame (+x right, +y down, +z forward); not differentiated.
            faces: (F, 3); both sides of a triangle are visible.
            camera: B cameras of the H x W image (neither `camera_from_world` nor distortion is applied here).
            height: H, px.
            width: W, px. The ray of pixel (row, column) goes through (column + 0.5, row + 0.5).

        Returns:
            (B, H, W) index into faces of the nearest hit at a depth of at least `refine.geometry.camera.NEAR_M`, -1
            where there is none. Parts of triangles nearer than that, or behind the camera, are cut away; the rest of
            such a triangle stays.
        """
        ...
