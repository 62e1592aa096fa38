"""3D surface term: residuals of surface points against another surface in space.

    residual[b, n] = sqrt_information[b, n] @ (point[b, n] - target[b, n])

One row along the normal (D = 1) is the distance from a plane, three rows (D = 3) that from a point.

Source: Chen and Medioni, Object modelling by registration of multiple range images, Image and Vision Computing 10(3),
1992 (point to plane).
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody, SurfacePoints
from refine.check import check_shape
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness


@dataclass(frozen=True, eq=False)
class Surface3D:
    """The term of surface points and their targets in space, points or planes.

    Attributes:
        points: N surface points of each body, gathered (`refine.body.surface_points`).
        target: (B, N, 3) m, the frame of the bodies' translation.
        sqrt_information: (B, N, D, 3) 1/m; zero: the point is silent.

    Raises:
        InputError: Shapes disagree.
    """

    points: SurfacePoints
    target: Float[Tensor, "B N 3"]
    sqrt_information: Float[Tensor, "B N D 3"]
    kernel: Kernel = GemanMcClure(scale=3.0)
    """Scale in standard deviations: points without a counterpart (hair, a thumb elsewhere) must not bend the body."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("surface3d.target", self.target, "B N 3")
        check_shape("surface3d.sqrt_information", self.sqrt_information, "B N D 3", **sizes)
        check_witness("surface3d", self.correlation, self.share, sizes["B"])
        check_shape("surface3d.points.corner", self.points.corner, "B N 3", **sizes)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, D), unitless, and its Jacobian (B, N, D, P) per unit step."""
        check_shape("Surface3D.target", self.target, "B N 3", B=len(state))
        point, point_by_step = posed.surface_at(self.points, unknowns)
        residual = (self.sqrt_information @ (point - self.target)[..., None])[..., 0]
        return Linearization(residual, point_by_step.times(self.sqrt_information), self.kernel, part=self.share)
