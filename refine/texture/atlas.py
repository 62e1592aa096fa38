"""The UV atlas: the surface point of each texel of a texture map, and its mirrored texel.

    texel (row, column)  ->  triangle and barycentrics of  uv = ((column + ½) / W, (row + ½) / H)
    mirror(texel)         =  the texel whose rest point is nearest to (-x, y, z)

Texels just outside the charts (the gutter) repeat the nearest texel inside, so that bilinear sampling at a chart's rim
uses valid texels only.

Source: Piponi and Borshukov, Seamless Texture Mapping of Subdivision Surfaces by Model Pelting and Texture Blending,
SIGGRAPH 2000, sec. 4 (texels as surface points); the rest-pose body is symmetric about x = 0.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.render import Rasterizer
from refine.render.rasterize import default_rasterizer, rasterize

GUTTER = 2
"""Width of the gutter, texels: bilinear sampling reaches one, of a texture shown at half its size two."""

SMALLEST, LARGEST = 8, 8192
"""Least and largest side of a texture map, texels."""

MIRROR_M = 0.02
"""Largest distance of a mirrored texel from the mirrored point, m: several texels of a 256 map, less than a finger's
girth."""

_LAYOUTS: "WeakTensorKeyDictionary" = WeakTensorKeyDictionary()
"""Fingerprints by `uv_faces` and then `uv`, so that a layout is copied from its device once; a body's tensors are never
changed in place."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """The surface points of T texels of an H x W map.

    Attributes:
        body: The model.
        height: H, texels.
        width: W, texels.
        index: (T,) row * W + column of each texel that is used, ascending; the gutter's come last.
        source: (T,) position in `index` of the texel whose surface point it has: itself, of the gutter the nearest one
            inside.
        triangle: (T,) index into faces.
        barycentric: (T, 3) weights of its corners.
        layout: Fingerprint of the body's UV layout.
    """

    body: SkinnedBody
    height: int
    width: int
    index: Int[Tensor, "T"]
    source: Int[Tensor, "T"]
    triangle: Int[Tensor, "T"]
    barycentric: Float[Tensor, "T 3"]
    layout: str

    @cached_property
    def inside(self) -> int:
        """Number of texels inside the charts, the first ones of `index`."""
        return int((self.source == torch.arange(len(self.source), device=self.source.device)).sum())

    @cached_property
    def corners(self) -> Int[Tensor, "T 3"]:
        """(T, 3) the vertices of each texel's triangle."""
        return self.body.faces[self.triangle]

    @cached_property
    def part(self) -> Int[Tensor, "T"]:
        """(T,) the body part of the nearest corner, index into `body.part_names`."""
        nearest = self.barycentric.argmax(1, keepdim=True)
        return self.body.vertex_parts[self.corners.gather(1, nearest)[:, 0]]

    @cached_property
    def mirror(self) -> Int[Tensor, "T"]:
        """(T,) position in `index` of the mirrored texel, -1 where there is none within `MIRROR_M`; computed once."""
        from scipy.spatial import KDTree

        corners = self.body.template[self.corners[: self.inside]].double()
        point = (self.barycentric[: self.inside, :, None] * corners).sum(1).cpu().numpy()  # (T', 3) m
        distance, opposite = KDTree(point).query(point * (-1.0, 1.0, 1.0), distance_upper_bound=MIRROR_M)
        found = torch.from_numpy(opposite).masked_fill(~torch.from_numpy(distance).isfinite(), -1)
        return found.to(self.source)[self.source]

    def spread(self, values: Tensor) -> Tensor:
        """Return values (B, T', C) of the texels inside as a map (B, H, W, C), the gutter filled, zero elsewhere."""
        flat = values.new_zeros(len(values), self.height * self.width, values.shape[2])
        return flat.index_copy(1, self.index, values[:, self.source]).unflatten(1, (self.height, self.width))

    def gather(self, image: Tensor) -> Tensor:
        """Return the texels inside (B, T', C) of a map (B, H, W, C)."""
        return image.flatten(1, 2)[:, self.index[: self.inside]]


def uv_atlas(body: SkinnedBody, size: tuple[int, int] = (512, 512), rasterizer: Rasterizer | None = None) -> Atlas:
    """Rasterise the body's UV charts into a grid of texels.

    Args:
        body: A model with texture coordinates.
        size: (height, width) of the map, texels. 512 x 512 are 3.3 mm a texel on the built-in body, 1.8 mm on its head.
        rasterizer: Finds the triangle of each texel; None: the fastest one installed.

    Returns:
        The atlas, on the body's device, to be computed once.

    Raises:
        InputError: The body has no texture coordinates, or the map is smaller than 8 or larger than 8192 texels.
    """
    height, width = size
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InputError("size", f"{SMALLEST} to {LARGEST} texels high and wide", f"{height} x {width}")
    layout = uv_layout(body)
    # The charts, one metre away from a camera of focal length one, whose pixels are the texels.
    flat = torch.cat((body.uv * body.uv.new_tensor((width, height)), torch.ones_like(body.uv[:, :1])), 1)
    one = flat.new_ones(1, 2)
    camera = Camera(one, 0 * one, flat.new_tensor([[height, width]]))
    fragments = rasterize(rasterizer or default_rasterizer(), flat[None], body.uv_faces, camera, height, width)
    inside = (fragments.triangle[0] >= 0).flatten().nonzero()[:, 0]
    position = torch.full((height * width,), -1, device=flat.device, dtype=torch.int64)
    position[inside] = torch.arange(len(inside), device=flat.device)
    grown = _grown(position.unflatten(0, (height, width))).flatten()
    gutter = ((position < 0) & (grown >= 0)).nonzero()[:, 0]
    source = torch.cat((position[inside], grown[gutter]))
    return Atlas(
        body,
        height,
        width,
        torch.cat((inside, gutter)),
        source,
        fragments.triangle[0].flatten()[inside][source].long(),
        fragments.barycentric[0].flatten(0, 1)[inside][source],
        layout,
    )


def uv_layout(body: SkinnedBody) -> str:
    """Return the fingerprint of a body's UV layout, equal for all devices and types of at least single precision.

    Raises:
        InputError: The body has no texture coordinates.
    """
    if not len(body.uv_faces):
        raise InputError(
            "body",
            "a model with texture coordinates",
            body.name,
            "Use vertex colours (shade.interpolate) for this body.",
        )
    by_uv = _LAYOUTS.setdefault(body.uv_faces, WeakTensorKeyDictionary())
    if body.uv not in by_uv:
        parts = (body.uv.detach().cpu().float(), body.uv_faces.cpu().int())
        digest = hashlib.sha256()
        for part in parts:
            digest.update(f"{tuple(part.shape)}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        by_uv[body.uv] = digest.hexdigest()
    return str(by_uv[body.uv])


def _grown(position: Int[Tensor, "H W"]) -> Int[Tensor, "H W"]:
    """Fill empty texels (-1) with their largest neighbour, ring by ring, equally on every device."""
    for _ in range(GUTTER):
        # Maximum over the four neighbours first, then the corners: the nearer ones are preferred.
        padded = torch.nn.functional.pad(position, (1, 1, 1, 1), value=-1)
        height, width = position.shape

        def moved(row: int, column: int, padded: Tensor = padded, height: int = height, width: int = width) -> Tensor:
            return padded[1 + row : 1 + row + height, 1 + column : 1 + column + width]

        beside = torch.stack([moved(-1, 0), moved(1, 0), moved(0, -1), moved(0, 1)]).amax(0)
        across = torch.stack([moved(-1, -1), moved(-1, 1), moved(1, -1), moved(1, 1)]).amax(0)
        position = torch.where(position >= 0, position, torch.where(beside >= 0, beside, across))
    return position
