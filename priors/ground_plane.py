"""The ground: nobody sinks into it, and feet that are said to stand on it do.

    height[b, n] = normal[b] . point[b, n] + offset_m[b]          m, in the frame of the bodies, of their surface points
    residual[b, n] = height / contact_sigma_m where in contact,  min(height, 0) / sigma_m elsewhere

Source: Hassan et al., PROX, ICCV 2019, eq. 4 and 5 (contact and penetration with a known scene), here with a plane for
the scene.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from priors.ground_points import GroundPoints
from refine.body import PosedBody, SkinnedBody, SurfacePoints, surface_points
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

UNIT = 1e-3
"""A normal's length may be off one by this: what three decimals leave."""


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """Keeps points of the body above a plane, and some of them on it.

    Attributes:
        points: N points of the body model (`priors.ground_points`).
        normal: (B, 3) unit normal of the plane, pointing up to where people are, in the frame of the bodies: the world
            where their camera has `camera_from_world`, else the camera's, where it is about (0, -1, 0) if level.
        offset_m: (B,) m, how high that frame's origin is above the plane, so that normal . point + offset is a point's
            height.

    Raises:
        InputError: Shapes disagree, a value is not finite, a normal is not of unit length, a sigma is not above zero;
            when linearised, the state has another number of bodies.
    """

    points: GroundPoints
    normal: Float[Tensor, "B 3"]
    offset_m: Float[Tensor, "B"]
    contact: Bool[Tensor, "B N"] | None = None
    """(B, N) which points touch the ground, e.g. `points.on("left_sole").expand(B, -1)`; None: none is known to."""
    sigma_m: float = 0.02
    """Standard deviation of how deep a point may be, m. A judgement: between a bare mesh's sole and the ground are 1 to
    4 cm of shoe, skin gives a centimetre, and a plane fitted to a floor is off by as much."""
    contact_sigma_m: float = 0.02
    """Standard deviation of a touching point's height, m; for the same reasons."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: a body does not escape into the ground."""

    def __post_init__(self) -> None:
        sizes = check_shape("GroundPlane.normal", self.normal, "B 3")
        check_shape("GroundPlane.offset_m", self.offset_m, "B", B=sizes["B"])
        check_finite("GroundPlane.normal", self.normal)
        check_finite("GroundPlane.offset_m", self.offset_m)
        length = self.normal.norm(dim=1)
        if bool(((length - 1).abs() > UNIT).any()):
            worst = float(length[(length - 1).abs().argmax()])
            advice = "Divide normal and offset by the normal's length."
            raise InputError("GroundPlane.normal", "unit vectors", f"a length of {worst:g}", advice)
        if self.contact is not None:
            check_shape("GroundPlane.contact", self.contact, "B N", B=sizes["B"], N=len(self.points.part))
        check_positive("sigma_m", torch.tensor(self.sigma_m), "m")
        check_positive("contact_sigma_m", torch.tensor(self.contact_sigma_m), "m")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 1) and its Jacobian (B, N, 1, P) per unit step; zero for points in the air."""
        count = len(state)
        check_shape("GroundPlane.normal", self.normal, "B 3", B=count)
        point, point_by_step = posed.surface_at(_of_each(posed.body, self.points, count), unknowns)
        normal = self.normal.to(point)
        height = (point @ normal[..., None])[..., 0] + self.offset_m.to(point)[:, None]  # (B, N) m
        scale = (height < 0).to(point) / self.sigma_m
        if self.contact is not None:
            scale = torch.where(self.contact, torch.full_like(scale, 1 / self.contact_sigma_m), scale)
        rows = scale[..., None, None] * normal[:, None, None]  # (B, N, 1, 3) 1/m
        return Linearization((height * scale)[..., None], point_by_step.times(rows), self.kernel)


def _of_each(body: SkinnedBody, points: GroundPoints, count: int) -> SurfacePoints:
    """Gather the points once for all of `count` bodies, which share them."""
    return surface_points(body, points.triangle[None], points.barycentric[None].to(body.template)).expand(count)
