"""Reprojection term: residuals of projected surface points against their targets in the photo.

For match n of body b, seen through the bodies' camera or the term's own, whitened by the 2x2 square root of the
target's information:

    residual[b, n] = sqrt_information[b, n] @ (project(point[b, n]) - target[b, n])

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1 (pinhole projection).
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_shape
from refine.geometry.camera import Camera
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.correspondences import Correspondences
from refine.terms.views import seen_with
from refine.terms.whiten import product


@dataclass(frozen=True, eq=False)
class Reprojection:
    """The term of surface points and their targets in the photo.

    Attributes:
        matches: N surface points per body, their targets (B, N, 2) px and the square root of the targets' information
            (B, N, 2, 2) 1/px. Zero information: the match is silent.
    """

    matches: Correspondences
    kernel: Kernel = GemanMcClure(scale=10.0)
    """Scale in standard deviations. Wide, since the estimate itself starts several sigmas off."""
    camera: Camera | None = None
    """B cameras that the targets were seen with, fixed, in the frame of the bodies (`camera_from_world`): one term a
    calibrated camera. None: the bodies' own, whose focal length may be free."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views; over pixels is in `matches` already."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        check_witness("reprojection", self.correlation, self.share, len(self.matches.target))
        if self.camera is not None:
            check_shape("reprojection.camera.focal", self.camera.checked().focal, "B 2", B=len(self.matches.target))

    @property
    def correlated(self) -> bool:
        """Whether the matches are shares of fewer independent observations."""
        return self.matches.share is not None

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies it has any information about."""
        return (self.matches.sqrt_information != 0).flatten(1).any(1)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 2), unitless, and its Jacobian (B, N, 2, P) per unit step."""
        check_shape("Reprojection.matches.target", self.matches.target, "B N 2", B=len(state))
        point, point_by_step = posed.surface_at(self.matches.on(posed.body), unknowns)
        camera, column = seen_with(self.camera, state, unknowns)
        pixel, pixel_by_point = camera.project_with_derivative(point)  # (B, N, 2) px, (B, N, 2, 3) px/m
        whiten = self.matches.sqrt_information  # (B, N, 2, 2) 1/px
        jacobian = point_by_step.times(product(whiten, pixel_by_point))
        if column.stop > column.start:
            jacobian[..., column] = product(whiten, (pixel - camera.center[:, None])[..., None])
        residual = product(whiten, (pixel - self.matches.target)[..., None])[..., 0]
        return Linearization(residual, jacobian, self.kernel, share=self.matches.share, part=self.share)
