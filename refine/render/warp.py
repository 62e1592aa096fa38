"""The fast rasteriser: one NVIDIA Warp kernel for CPU and CUDA, one thread a triangle.

Each thread loops over the pixels of its triangle's bounding box and keeps the nearest hit by an atomic minimum on
(depth, index) packed in 64 bits. The edge functions are those of `refine.render.plain`; of a triangle that crosses the
near plane, the box is taken around the part in front of it. Compiled on first use into Warp's kernel cache, once a
machine and device.

Source: Olano and Greer, Triangle Scan Conversion using 2D Homogeneous Coordinates, Graphics Hardware 1997, sec. 3-4;
depth and index in one atomic as in Schütz, Kerbl and Wimmer, Software Rasterization of 2 Billion Points in Real Time,
HPG 2022, sec. 3.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, no_type_check

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.errors import InputError, MissingExtra
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Rasterizer
from refine.render.plain import FLAT, NO_TRIANGLE, index_of_key

if TYPE_CHECKING:
    import warp as wp

LOGGER = logging.getLogger("refine")


@dataclass(frozen=True)
class WarpRasterizer:
    """Scatters triangles over pixels, on the device of the vertices (CPU or CUDA) and on torch's current stream."""

    def triangles(
        self, vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera, height: int, width: int
    ) -> Int[Tensor, "B H W"]:
        """Return the visible triangle at each pixel (B, H, W), see `Rasterizer`.

        Raises:
            InputError: Warp does not support the vertices' device.
            MissingExtra: Warp is not installed.
        """
        device = vertices.device
        if device.type not in ("cpu", "cuda"):
            raise InputError(
                "vertices",
                "a tensor on cpu or cuda",
                str(device),
                "Use PlainRasterizer there, which runs on any device.",
            )
        nearest = torch.full((len(vertices), height, width), NO_TRIANGLE, dtype=torch.int64, device=device)
        if nearest.numel() and len(faces):
            points = vertices.detach().to(torch.float64).contiguous()  # (B, V, 3) m
            lens = (
                torch.cat((camera.focal, camera.center), 1).detach().to(device, torch.float64).contiguous()
            )  # (B, 4) px
            corners = faces.to(device, torch.int32).contiguous()
            _launch(points, corners, lens, nearest)
        return index_of_key(nearest)


def rasterizer() -> Rasterizer:
    """Return this file's rasteriser with its default settings.

    Raises:
        MissingExtra: Warp is not installed.
    """
    _kernel()
    return WarpRasterizer()


def _launch(points: Tensor, faces: Tensor, lens: Tensor, nearest: Tensor) -> None:
    """Lower `nearest` (B, H, W) in place to the smallest key at each pixel."""
    kernel = _kernel()
    import warp as wp

    arrays = [
        wp.from_torch(points, dtype=wp.vec3d),
        wp.from_torch(faces, dtype=wp.vec3i),
        wp.from_torch(lens, dtype=wp.vec4d),
        wp.from_torch(nearest, dtype=wp.int64),
    ]
    # On CUDA the kernel must follow the torch work that made the vertices and precede the work that reads the result.
    stream = wp.stream_from_torch(nearest.device) if nearest.is_cuda else None
    device = wp.device_from_torch(nearest.device)
    wp.launch(kernel, dim=(len(points), len(faces)), inputs=arrays, device=device, stream=stream)


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Discard standard error at file 2, where Warp's native code warns on a machine without an NVIDIA driver."""
    try:
        kept = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _init_with_a_cache(wp: Any) -> None:
    """Initialise Warp, with its kernel cache in a temporary folder where its own cannot be written (a container)."""
    refused = None
    try:
        with _standard_error_closed():
            wp.init()
        with tempfile.TemporaryFile(dir=wp.config.kernel_cache_dir):
            return
    except OSError as error:
        refused = error.strerror or str(error)
    folder = tempfile.mkdtemp(prefix="refine-kernels-")  # writable by this user only: its files are executed
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    LOGGER.warning(
        "Warp's kernels cannot be kept (%s): they are compiled anew each time. "
        "Set WARP_CACHE_PATH to a folder that can be written to.",
        refused,
    )
    wp.config.kernel_cache_dir = folder
    with _standard_error_closed():
        wp.init()


@cache
@no_type_check  # kernels are Warp's language, with its own types
def _kernel() -> "wp.Kernel":
    """Build the kernel; its source is compiled at the first launch on a device."""
    try:
        import warp as wp
    except ImportError as absent:
        raise MissingExtra("warp", "to rasterise quickly", "pip install warp-lang") from absent

    # Warp reports compilations on standard output, which is for the caller's data.
    if hasattr(wp, "LOG_WARNING"):
        wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)
    else:
        wp.config.quiet = True
    _init_with_a_cache(wp)

    near, flat = wp.constant(wp.float64(NEAR_M)), wp.constant(wp.float64(FLAT))
    zero, half, one = (wp.constant(wp.float64(value)) for value in (0.0, 0.5, 1.0))
    points_t: Any = wp.array2d(dtype=wp.vec3d)
    faces_t: Any = wp.array(dtype=wp.vec3i)
    lens_t: Any = wp.array(dtype=wp.vec4d)
    nearest_t: Any = wp.array3d(dtype=wp.int64)

    @wp.func
    def pixel(p: wp.vec3d, lens: wp.vec4d) -> wp.vec2d:
        """Project a point that lies in front of the camera."""
        per_depth = one / p[2]
        return wp.vec2d(lens[0] * p[0] * per_depth + lens[2], lens[1] * p[1] * per_depth + lens[3])

    @wp.func
    def box_of_edge(box: wp.vec4d, p: wp.vec3d, q: wp.vec3d, lens: wp.vec4d) -> wp.vec4d:
        """Extend a box (left, top, right, bottom) by the part of the edge p q beyond the near plane."""
        if p[2] >= near:
            at = pixel(p, lens)
            box = wp.vec4d(wp.min(box[0], at[0]), wp.min(box[1], at[1]), wp.max(box[2], at[0]), wp.max(box[3], at[1]))
        if (p[2] < near) != (q[2] < near):
            cut = p + (q - p) * ((near - p[2]) / (q[2] - p[2]))
            at = pixel(wp.vec3d(cut[0], cut[1], near), lens)
            # A pixel's width of slack: the cut is rounded, and few triangles are cut.
            box = wp.vec4d(
                wp.min(box[0], at[0] - one),
                wp.min(box[1], at[1] - one),
                wp.max(box[2], at[0] + one),
                wp.max(box[3], at[1] + one),
            )
        return box

    @wp.kernel(enable_backward=False)
    def scatter(points: points_t, faces: faces_t, lenses: lens_t, nearest: nearest_t) -> None:
        body, triangle = wp.tid()
        face = faces[triangle]
        a, b, c = points[body, face[0]], points[body, face[1]], points[body, face[2]]
        lens = lenses[body]
        if not (a[2] >= near or b[2] >= near or c[2] >= near):
            return

        far = wp.float64(1.0e300)
        box = wp.vec4d(far, far, -far, -far)
        box = box_of_edge(box, a, b, lens)
        box = box_of_edge(box, b, c, lens)
        box = box_of_edge(box, c, a, lens)
        # Bounded as floats, because a huge number does not fit an integer. The last row and column belong to the box.
        left = wp.int32(wp.max(wp.ceil(box[0] - half), zero))
        top = wp.int32(wp.max(wp.ceil(box[1] - half), zero))
        right = wp.int32(wp.min(wp.floor(box[2] - half), wp.float64(nearest.shape[2] - 1)))
        bottom = wp.int32(wp.min(wp.floor(box[3] - half), wp.float64(nearest.shape[1] - 1)))
        if left > right or top > bottom:
            return

        edge_a, edge_b, edge_c = wp.cross(b, c), wp.cross(c, a), wp.cross(a, b)
        det = wp.dot(a, edge_a)
        if not (det * det > flat * flat * wp.dot(a, a) * wp.dot(b, b) * wp.dot(c, c)):
            return
        if det < zero:  # seen from behind all signs are reversed
            det, edge_a, edge_b, edge_c = -det, -edge_a, -edge_b, -edge_c

        # One loop instead of two, and one branch a pixel instead of three: mispredicted branches are most of the work
        # on a CPU.
        per_x, per_y = one / lens[0], one / lens[1]
        width = right - left + 1
        row, column = wp.int32(top), wp.int32(left)
        for _ in range(width * (bottom - top + 1)):
            x, y = (wp.float64(column) + half - lens[2]) * per_x, (wp.float64(row) + half - lens[3]) * per_y
            e_a = edge_a[0] * x + edge_a[1] * y + edge_a[2]
            e_b = edge_b[0] * x + edge_b[1] * y + edge_b[2]
            e_c = edge_c[0] * x + edge_c[1] * y + edge_c[2]
            if wp.min(wp.min(e_a, e_b), e_c) >= zero:
                depth = det / (e_a + e_b + e_c)
                if depth >= near:
                    bits = wp.int64(wp.cast(wp.float32(depth), wp.int32))
                    wp.atomic_min(nearest, body, row, column, (bits << wp.int64(32)) | wp.int64(triangle))
            column = column + 1
            if column > right:
                column = left
                row = row + 1

    return scatter
