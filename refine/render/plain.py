"""The reference rasteriser in pure torch, slow and simple, for any device.

A pixel's ray d = ((u - cx) / fx, (v - cy) / fy, 1) meets the triangle v0 v1 v2 where  t d = b0 v0 + b1 v1 + b2 v2,
sum b = 1:

    e_i = d . (v_j x v_k),  (i, j, k) cyclic;    b_i = e_i / (e0 + e1 + e2);    t = det [v0 v1 v2] / (e0 + e1 + e2)

The three edge functions e_i share one sign exactly where the ray or its extension backwards meets the triangle, so a
triangle that crosses the camera plane needs no clipping: the depth t of each pixel is compared with the near plane.
Computed in double precision; depths are compared in single precision, of equals the smaller index wins.

Source: Olano and Greer, Triangle Scan Conversion using 2D Homogeneous Coordinates, Graphics Hardware 1997, sec. 3-4.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer

FLAT = 1e-14
"""Least |det| over |v0| |v1| |v2| of a triangle; below, it has no area or is seen edge on: rounding of doubles (1e-16),
times 100."""

NO_TRIANGLE = torch.iinfo(torch.int64).max
"""Key of a pixel without a triangle: farther than any depth."""


@dataclass(frozen=True)
class PlainRasterizer:
    """Tests blocks of triangles against every pixel of the rectangle they cover."""

    block: int = 32
    """Triangles tested together; neighbours in the list are neighbours on a body, so small blocks cover small
    rectangles."""

    max_tests: int = 1 << 20
    """Most triangle-pixel pairs in memory at a time, about 100 bytes each."""

    def triangles(
        self, vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera, height: int, width: int
    ) -> Int[Tensor, "B H W"]:
        """Return the visible triangle at each pixel (B, H, W), see `Rasterizer`."""
        seen = torch.full((len(vertices), height, width), -1, dtype=torch.int64, device=vertices.device)
        for body in range(len(vertices)):
            focal, center = camera.focal[body].detach().double(), camera.center[body].detach().double()
            corners = vertices[body].detach().double()[faces]  # (F, 3, 3) m
            nearest = self._nearest(corners, focal, center, height, width)
            seen[body] = index_of_key(nearest)
        return seen

    def _nearest(self, corners: Tensor, focal: Tensor, center: Tensor, height: int, width: int) -> Tensor:
        """Return each pixel's smallest key (H, W) over the triangles with the given corners (F, 3, 3)."""
        nearest = torch.full((height, width), NO_TRIANGLE, dtype=torch.int64, device=corners.device)
        x = (torch.arange(width).to(focal) + 0.5 - center[0]) / focal[0]
        y = (torch.arange(height).to(focal) + 0.5 - center[1]) / focal[1]
        rays = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width), x.new_ones(height, width)), -1)

        in_front = (corners[..., 2] >= NEAR_M) & corners.isfinite().all(2)
        limit = focal.new_tensor((width, height))
        whole, cut = in_front.all(1), in_front.any(1) & ~in_front.all(1)
        for index in self._blocks(whole):
            pixel = focal * corners[index, :, :2] / corners[index, :, 2:] + center  # (N, 3, 2) px
            low = (pixel.amin((0, 1)).floor() - 1).clamp(min=0).minimum(limit)
            high = (pixel.amax((0, 1)).ceil() + 1).clamp(min=0).minimum(limit)
            self._test(nearest, corners[index], index, rays, torch.cat((low, high)).long().tolist())
        for index in self._blocks(cut):
            # The projection of a triangle that reaches behind the near plane is no bound: it may be seen anywhere.
            self._test(nearest, corners[index], index, rays, [0, 0, width, height])
        return nearest

    def _blocks(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Return the indices where `chosen` (F,) is true, in blocks."""
        index = chosen.nonzero()[:, 0]
        return index.split(self.block) if len(index) else ()

    def _test(self, nearest: Tensor, corners: Tensor, index: Tensor, rays: Tensor, rectangle: list[int]) -> None:
        """Lower `nearest` (H, W) to the keys of triangles `index` within a rectangle (left, top, right, bottom) px."""
        left, top, right, bottom = rectangle
        rows = max(1, self.max_tests // (len(index) * max(1, right - left)))
        for row in range(top, bottom if left < right else top, rows):
            part = (slice(row, min(row + rows, bottom)), slice(left, right))
            nearest[part] = torch.minimum(nearest[part], _keys(corners, index, rays[part]))


def index_of_key(key: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """Return the triangles of keys (..., any shape): their low 32 bits, signed, -1 of `NO_TRIANGLE`."""
    return key << 32 >> 32


def _keys(corners: Tensor, index: Tensor, rays: Tensor) -> Tensor:
    """Return the smallest key (h, w) of triangles `index` (N,) with the given corners (N, 3, 3) along rays (h, w, 3).

    A key holds the depth's single-precision bits above the triangle's index; bits of positive floats are ordered like
    the floats.
    """
    a, b, c = corners.unbind(1)
    edges = torch.stack((b.cross(c, dim=1), c.cross(a, dim=1), a.cross(b, dim=1)), 1)  # (N, 3, 3)
    det = (a * edges[:, 0]).sum(1)
    solid = det.abs() > FLAT * corners.norm(dim=2).prod(1)
    # Seen from behind all signs are reversed.
    edges = edges * det.sign()[:, None, None]
    e = torch.einsum("nid,hwd->nihw", edges, rays)
    total = e.sum(1)
    depth = det.abs()[:, None, None] / total
    hit = (e >= 0).all(1) & (total > 0) & (depth >= NEAR_M) & solid[:, None, None]
    bits = depth.float().view(torch.int32).long()
    return torch.where(hit, bits << 32 | index[:, None, None], NO_TRIANGLE).amin(0)


def rasterizer() -> Rasterizer:
    """Return this file's rasteriser with its default settings."""
    return PlainRasterizer()
