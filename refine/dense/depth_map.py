"""Depth map: how far the photo's depth says the body's surface is, at the pixels of a grid, found anew at every state.

    z(p)      = n · a / (n · d)        ray d of pixel p, through the visible coarse triangle with corner a and normal n
    metric    residual = (q(z(p)) - value(p)) / sigma(p)
    affine    residual = (q(z(p)) - scale value(p) - shift) / sigma(p),    scale > 0 and shift open

with q(z) = z, or 1 / z for maps of inverse depth. Scale and shift are eliminated from the term's own rows
(`refine.terms.left_open`): the posterior knows that they were unknown. The derivative at fixed triangles is exact:
dz = n · dx / (n · d), x the surface's point on the ray. Rows are silent where the body is not seen at the pixel.

Errors of neighbouring pixels are alike: rows are discounted to as many witnesses as there are squares of side
`correlation.pixels` (`refine.dense.depth_maps`).

Source: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973 (variable projection); Ranftl et al., IEEE PAMI 44(3), 2022
(MiDaS: inverse depth up to scale and shift).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import PosedBody
from refine.body.nearest import coarse_surface
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.render.rasterize import default_rasterizer
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.left_open import without_open

Space = Literal["depth", "inverse"]
LEAST_SCALE = 1e-6
"""Of a map that runs the other way than depth, the scale is held here: it says nothing."""
GRAZING = 0.1
"""Least cosine between a surface's normal and the line of sight: beyond, an outline's depth is not that of the map."""


@dataclass(frozen=True, eq=False)
class DepthMap:
    """The term of B depth maps, each on a grid over its body (`refine.dense.depth_maps.depth_map` builds it).

    Attributes:
        value: (B, H, W) what the map says at the grid's pixels: m, 1/m, or any unit where it is affine; finite.
        inverse_sigma: (B, H, W) 1/m, or m for inverse depth; zero: nothing is known there.
        grid_from_photo: (B, 2, 3) the similarity from px of the photo to px of the grid, corner convention.
        root: (B,) root of the share of a witness that each pixel is.
        space: "depth" or "inverse".
        affine: Whether scale and shift are open.

    Raises:
        InputError: Shapes disagree, or a number is out of range.
    """

    value: Float[Tensor, "B H W"]
    inverse_sigma: Float[Tensor, "B H W"]
    grid_from_photo: Float[Tensor, "B 2 3"]
    root: Float[Tensor, "B"]
    space: Space = "depth"
    affine: bool = False
    kernel: Kernel = GemanMcClure(scale=10.0)
    """Scale in standard deviations: background beside the body and what stands before it must not bend it."""
    found_nearby: ClassVar[bool] = True
    """Its pixels are those that the body covers at the state: bodies are brought near as a whole first."""
    camera: Camera | None = None
    """B fixed cameras of the depth sensor, in the frame of the bodies; None: the bodies' own."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views; over pixels is in `root` already."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("depth_map.value", self.value, "B H W")
        check_shape("depth_map.inverse_sigma", self.inverse_sigma, "B H W", **sizes)
        check_shape("depth_map.grid_from_photo", self.grid_from_photo, "B 2 3", B=sizes["B"])
        check_shape("depth_map.root", self.root, "B", B=sizes["B"])
        check_finite("depth_map.value", self.value, "Give zero inverse_sigma to pixels without a depth.")
        check_finite("depth_map.inverse_sigma", self.inverse_sigma)
        if bool((self.inverse_sigma < 0).any()):
            raise InputError("depth_map.inverse_sigma", "numbers of at least zero", "a negative one")
        if self.space not in ("depth", "inverse"):
            raise InputError("depth_map.space", '"depth" or "inverse"', repr(self.space))
        check_witness("depth_map", self.correlation, self.share, sizes["B"])

    @property
    def correlated(self) -> bool:
        """Whether the pixels are shares of fewer independent observations."""
        return True

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies it has any information about."""
        return (self.inverse_sigma > 0).flatten(1).any(1)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, H W, 1), unitless, and its Jacobian (B, H W, 1, P) per unit step."""
        count, height, width = self.value.shape
        check_shape("DepthMap.value", self.value, "B H W", B=len(state))
        own = self.camera is None
        camera = state.camera if self.camera is None else self.camera.to(self.value.device, self.value.dtype)
        surface = coarse_surface(posed.body)
        corners = camera.transform(posed.vertices_at(surface.vertex).contiguous())  # (B, M, 3) m, camera frame
        small = camera.transformed(self.grid_from_photo, camera.size)
        with torch.no_grad():
            shown = camera.as_pinhole_sees(corners)
            triangle = default_rasterizer().triangles(shown, surface.faces, small.local, height, width).flatten(1)
        covered = triangle >= 0  # (B, N)
        triangle = triangle.clamp(min=0).long()
        people = torch.arange(count, device=corners.device)[:, None]
        corner = corners[people[..., None], surface.faces[triangle]]  # (B, N, 3, 3)
        a, b, c = corner.unbind(2)
        ray = self._rays(small, height, width)  # (B, N, 3)
        normal = torch.linalg.cross(b - a, c - a, dim=2)
        facing = (normal * ray).sum(2)
        size = (normal.norm(dim=2) * ray.norm(dim=2)).detach()
        known = covered & (facing.detach().abs() > GRAZING * size)
        facing = torch.where(known, facing, 1.0)
        far = torch.where(known, (normal * a).sum(2) / facing, 1.0)  # (B, N) m
        with torch.no_grad():
            weights = _weights(ray * far[..., None], a, b, c, normal, known)
        along = (normal / facing[..., None]).detach()
        if camera.camera_from_world is not None:
            along = along @ camera.camera_from_world[:, :, :3]
        _, by_step = posed.surface_at(surface.points(triangle, weights), unknowns)
        scale = torch.where(known, self.inverse_sigma.flatten(1) * self.root[:, None], 0.0)
        slope = torch.ones_like(far) if self.space == "depth" else -far.detach().square().reciprocal()
        jacobian = by_step.times((along * (scale * slope)[..., None])[:, :, None])
        column = unknowns.focal_column
        if own and column.stop > column.start:
            moved = far * (normal[..., :2] * ray[..., :2]).sum(2) / facing
            jacobian[..., column] = (moved * scale * slope)[..., None, None]
        body = far if self.space == "depth" else far.reciprocal()
        value = self.value.flatten(1)
        if not self.affine:
            residual = ((body - value) * scale)[..., None]
        else:
            residual, jacobian = self._open(body, value, scale, jacobian)
        part = self.root[:, None].expand(count, height * width)
        return Linearization(residual, jacobian, self.kernel, share=part, part=self.share)

    def _open(self, body: Tensor, value: Tensor, scale: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows without scale and shift; the map is centred, and of unit size, for the numbers' sake."""
        total = scale.square().sum(1, keepdim=True).clamp(min=torch.finfo(scale.dtype).tiny)
        middle = (body * scale.square()).sum(1, keepdim=True) / total
        center = (value * scale.square()).sum(1, keepdim=True) / total
        spread = (((value - center) * scale).square().sum(1, keepdim=True) / total).sqrt()
        unit = (value - center) / spread.clamp(min=torch.finfo(scale.dtype).tiny)
        column = (torch.stack((torch.ones_like(unit), unit), -1) * scale[..., None])[:, :, None]  # (B, N, 1, 2)
        least = scale.new_tensor([-torch.inf, LEAST_SCALE])
        # A kernel acts on whole observations; the rows are shares of them.
        root = self.root[:, None, None]
        given = ((body - middle.detach()) * scale)[..., None] / root
        left, moved, _ = without_open(given, jacobian / root[..., None], column / root[..., None], self.kernel, least)
        return left * root, moved * root[..., None]

    def _rays(self, small: Camera, height: int, width: int) -> Tensor:
        """Return the lines of sight (B, N, 3) of the grid's pixels, one along the axis."""
        down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixel = torch.stack((across, down), -1).flatten(0, 1).to(self.value) + 0.5
        slope = small.slopes(pixel.expand(len(self.value), -1, -1))
        return torch.cat((slope, torch.ones_like(slope[..., :1])), 2)


def _weights(point: Tensor, a: Tensor, b: Tensor, c: Tensor, normal: Tensor, known: Tensor) -> Tensor:
    """Return barycentric weights (B, N, 3) of points in the planes of their triangles."""
    area = normal.square().sum(2).clamp(min=torch.finfo(normal.dtype).tiny)
    one = (torch.linalg.cross(c - b, point - b, dim=2) * normal).sum(2) / area
    two = (torch.linalg.cross(a - c, point - c, dim=2) * normal).sum(2) / area
    weights = torch.stack((one, two, 1 - one - two), 2)
    return torch.where(known[..., None], weights, 1 / 3)
