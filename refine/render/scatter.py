"""A rasteriser of tensor operations: tests all triangle-pixel pairs at once, and reduces them by a scattered minimum.

    pairs   (triangle t, pixel p) for p in the rectangle of t's corners; e_i, depth and key as in `refine.render.plain`
    seen    p <- smallest key of its pairs

Runs on any device of torch, with a dozen launches whatever the number of bodies: for GPUs without Warp, which is faster
on a CPU. Computed in double precision, like the plain one.

Source: Olano and Greer, Triangle Scan Conversion using 2D Homogeneous Coordinates, Graphics Hardware 1997, sec. 3-4.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer
from refine.render.plain import FLAT, NO_TRIANGLE, index_of_key

FARTHEST_PX = 1e9
"""Largest coordinate of a projected corner: larger ones fit no integer, and no image is as large."""


@dataclass(frozen=True)
class ScatterRasterizer:
    """Tests all triangles of all bodies against the pixels of their rectangles."""

    max_tests: int = 1 << 23
    """Most triangle-pixel pairs in memory at a time, about 200 bytes each; more are tested in chunks."""

    def triangles(
        self, vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera, height: int, width: int
    ) -> Int[Tensor, "B H W"]:
        """Return the visible triangle at each pixel (B, H, W), see `Rasterizer`."""
        nearest = torch.full((len(vertices) * height * width,), NO_TRIANGLE, dtype=torch.int64, device=vertices.device)
        if nearest.numel() and len(faces):
            points = vertices.detach().double()
            lens = torch.cat((camera.focal, camera.center), 1).detach().to(points)  # (B, 4) px
            body, face, low, wide, tests = _rectangles(points, faces, lens, height, width)
            ends = tests.cumsum(0)
            last = int(ends[-1]) if len(ends) else 0
            start = 0
            while start < len(ends):
                # As many triangles as fit, at least one.
                done = 0 if start == 0 else int(ends[start - 1])
                if last - done <= self.max_tests:
                    stop = len(ends)
                else:
                    stop = max(start + 1, int(torch.searchsorted(ends, done + self.max_tests, right=True)))
                lot = slice(start, stop)
                part = _Pairs(body[lot], face[lot], low[lot], wide[lot], tests[lot])
                _lower(nearest, part, points, faces, lens, height, width)
                start = stop
        return index_of_key(nearest).reshape(len(vertices), height, width)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """N triangles: body and face (N,), first column and row (N, 2), width and number of pixels (N,) of rectangles."""

    body: Tensor
    face: Tensor
    low: Tensor
    wide: Tensor
    tests: Tensor


def _rectangles(
    points: Tensor, faces: Tensor, lens: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return body, face, first pixel, width and number of pixels of every rectangle that is not empty."""
    depth = points[..., 2]
    pixel = lens[:, None, :2] * points[..., :2] / depth[..., None] + lens[:, None, 2:]  # (B, V, 2)
    ahead = (depth >= NEAR_M) & points.isfinite().all(2)
    pixel = torch.where(ahead[..., None], pixel, 0.0).clamp(-FARTHEST_PX, FARTHEST_PX)
    at, seen = pixel[:, faces], ahead[:, faces]  # (B, F, 3, 2), (B, F, 3)
    # The centres x + ½ between the smallest and largest corner, with a little room for rounding.
    limit = points.new_tensor((width - 1, height - 1))
    low = (at.amin(2) - 0.5 - 1e-6).ceil().clamp(min=0)
    high = (at.amax(2) - 0.5 + 1e-6).floor().minimum(limit)
    whole, some = seen.all(2), seen.any(2)
    # The projection of a triangle that reaches behind the near plane is no bound: it may be seen anywhere.
    cut = (some & ~whole)[..., None]
    low, high = torch.where(cut, 0.0, low), torch.where(cut, limit, high)
    span = (high - low + 1).clamp(min=0).long() * some[..., None]
    tests = span.prod(2)
    body, face = (tests > 0).nonzero(as_tuple=True)
    return body, face, low[body, face].long(), span[body, face, 0], tests[body, face]


def _lower(nearest: Tensor, part: _Pairs, points: Tensor, faces: Tensor, lens: Tensor, height: int, width: int) -> None:
    """Lower each pixel's key (B H W,) in place to the smallest of the given triangles'."""
    a, b, c = points[part.body[:, None], faces[part.face]].unbind(1)  # (N, 3) each
    edges = torch.stack((b.cross(c, dim=1), c.cross(a, dim=1), a.cross(b, dim=1)), 1)  # (N, 3, 3)
    det = (a * edges[:, 0]).sum(1)
    solid = det.abs() > FLAT * a.norm(dim=1) * b.norm(dim=1) * c.norm(dim=1)
    edges = edges * det.sign()[:, None, None]  # seen from behind all signs are reversed
    focal, center = lens[part.body].split(2, 1)
    # From slopes to pixels: e_i is linear in the pixel's coordinates too.
    across, up = edges[..., :2].unbind(2)
    across, up = across / focal[:, :1], up / focal[:, 1:]
    first = part.low + 0.5 - center  # (N, 2) px
    fixed = edges[..., 2] + across * first[:, :1] + up * first[:, 1:]
    plan = torch.cat((across, up, fixed, torch.where(solid, det.abs(), 0.0)[:, None]), 1)  # (N, 10)

    number = torch.repeat_interleave(part.tests)
    step = torch.arange(len(number), device=number.device) - (part.tests.cumsum(0) - part.tests)[number]
    wide = part.wide[number]
    row = torch.div(step, wide, rounding_mode="floor")
    column = step - row * wide
    own = plan[number]
    e = own[:, 0:3] * column[:, None] + own[:, 3:6] * row[:, None] + own[:, 6:9]
    total = e.sum(1)
    depth = own[:, 9] / total
    hit = ((e >= 0).all(1) & (total > 0) & (depth >= NEAR_M)).nonzero()[:, 0]
    number, row, column = number[hit], row[hit], column[hit]
    low = part.low[number]
    place = (part.body[number] * height + low[:, 1] + row) * width + low[:, 0] + column
    key = depth[hit].float().view(torch.int32).long() << 32 | part.face[number]
    nearest.scatter_reduce_(0, place, key, "amin")


def rasterizer() -> Rasterizer:
    """Return this file's rasteriser with its default settings."""
    return ScatterRasterizer()
