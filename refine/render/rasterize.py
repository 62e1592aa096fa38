"""Fragments from any rasteriser: barycentrics and depth of the triangles it found, with gradients.

For the pixel's ray d = ((u - cx) / fx, (v - cy) / fy, 1) and its triangle v0 v1 v2, with E1 = v1 - v0, E2 = v2 - v0,
q = z0 d - v0:

    p = d x E2;    b1 = q . p / (E1 . p);    b2 = d . (q x E1) / (E1 . p);    b0 = 1 - b1 - b2
    depth = z0 + b1 (z1 - z0) + b2 (z2 - z0)

At fixed ids these are smooth functions of vertices and camera, whichever backend found the ids. There is no division by
a vertex's depth, so a triangle that crosses the camera plane is no special case. (Changes of the ids, at outlines and
occlusions, have no gradient.)

Source: Möller and Trumbore, Fast, Minimum Storage Ray/Triangle Intersection, JGT 2(1), 1997, sec. 2, with the ray's
origin (which may be any of its points) moved from the camera to the depth of v0, so that single precision suffices for
small, distant triangles.
"""

from collections.abc import Mapping
from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.discover import modules
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.render import Fragments, Rasterizer

DEFAULT = "warp"
"""The default rasteriser: the fastest that every installation has."""

ENTRY_POINTS = "refine.rasterizers"
"""The entry-point group of other packages' modules with a function `rasterizer() -> Rasterizer`."""


def rasterize(
    rasterizer: Rasterizer,
    vertices: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    camera: Camera,
    height: int,
    width: int,
) -> Fragments:
    """Find the visible surface at each pixel.

    Args:
        rasterizer: Finds the triangles.
        vertices: (B, V, 3) m, world frame (the camera frame where there is no `camera_from_world`). A body with a
            vertex or a camera that is not finite is seen nowhere, without an effect on others.
        faces: (F, 3) corners; both sides are visible.
        camera: B cameras of the H x W image. Where the lens distorts, vertices lie in the image where it shows them.
        height: H, px.
        width: W, px.

    Returns:
        Fragments; barycentric and depth carry the gradients of vertices and camera.

    Raises:
        InputError: Shapes disagree, the image has a negative size, or a face names a vertex that does not exist.
    """
    sizes = check_shape("vertices", vertices, "B V 3")
    check_shape("faces", faces, "F 3")
    check_shape("camera.focal", camera.focal, "B 2", B=sizes["B"])
    if height < 0 or width < 0:
        raise InputError("height, width", "an image size of at least zero", f"{height} x {width}")
    if len(faces) and not (0 <= int(faces.min()) and int(faces.max()) < sizes["V"]):
        raise InputError(
            "faces", f"indices of {sizes['V']} vertices", f"indices {int(faces.min())} to {int(faces.max())}"
        )

    seen = camera.transform(vertices)
    sound = seen.isfinite().flatten(1).all(1) & torch.cat((camera.focal, camera.center), 1).isfinite().all(1)  # (B,)
    # At the origin, nearer than the near plane, nothing is seen; torch.where keeps the NaN out of the gradients too.
    seen = torch.where(sound[:, None, None], seen, torch.zeros_like(seen))
    seen = camera.as_pinhole_sees(seen)
    with torch.no_grad():
        triangle = rasterizer.triangles(seen, faces, camera, height, width)
    return fragments_of(triangle, seen, faces, camera)


def fragments_of(
    triangle: Int[Tensor, "B H W"], vertices: Float[Tensor, "B V 3"], faces: Int[Tensor, "F 3"], camera: Camera
) -> Fragments:
    """Compute barycentrics and depth where the triangles are already known.

    Args:
        triangle: (B, H, W) index into faces, -1 on the background.
        vertices: (B, V, 3) m, camera frame, through `Camera.as_pinhole_sees` where the lens distorts.
        faces: (F, 3).
        camera: B cameras; neither `camera_from_world` nor distortion is applied.

    Returns:
        Fragments with the gradients of vertices and camera.
    """
    body, row, column = (triangle >= 0).nonzero(as_tuple=True)  # (N,) each: the work is done for the foreground only
    corners = vertices[body[:, None], faces[triangle[body, row, column]]]  # (N, 3, 3) m
    pixel = torch.stack((column, row), 1).to(vertices) + 0.5
    slope = (pixel - camera.center[body]) / camera.focal[body]  # (N, 2)
    ray = torch.cat((slope, torch.ones_like(slope[:, :1])), 1)

    origin, depth_0 = corners[:, 0], corners[:, 0, 2:]
    along_1, along_2 = corners[:, 1] - origin, corners[:, 2] - origin
    start = depth_0 * ray - origin
    normal = ray.cross(along_2, dim=1)
    area = (along_1 * normal).sum(1)
    b1 = (start * normal).sum(1) / area
    b2 = (ray * start.cross(along_1, dim=1)).sum(1) / area
    depth = depth_0[:, 0] + b1 * along_1[:, 2] + b2 * along_2[:, 2]

    where = (body, row, column)
    barycentric = vertices.new_zeros(*triangle.shape, 3).index_put(where, torch.stack((1 - b1 - b2, b1, b2), 1))
    far = vertices.new_full(triangle.shape, torch.inf)
    return Fragments(triangle, barycentric, far.index_put(where, depth))


def names() -> list[str]:
    """Return the names of all rasterisers: modules of `refine.render` and entry points, usable here or not."""
    return sorted(_found())


def by_name(name: str) -> Rasterizer:
    """Return a rasteriser with its default settings.

    Args:
        name: "plain", "scatter", "warp", "pytorch3d", or another package's.

    Raises:
        InputError: There is none of that name.
        MissingExtra: The package it needs is not installed.
    """
    found = _found()
    if name not in found:
        raise InputError("rasterizer", f"one of {', '.join(sorted(found))}", repr(name))
    rasterizer: Rasterizer = found[name].rasterizer()
    return rasterizer


def default_rasterizer() -> Rasterizer:
    """Return the default rasteriser (`DEFAULT`).

    Raises:
        MissingExtra: Its package, a dependency of this library, is not installed.
    """
    return by_name(DEFAULT)


def _found() -> Mapping[str, ModuleType]:
    """Return the modules with a rasteriser, by name."""
    return modules("refine.render", ENTRY_POINTS, "rasterizer")
