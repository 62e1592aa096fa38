"""Reprojection: where the image says a surface point lies, against where the body puts it.

For match n of body b, whitened by the 2x2 square root of the information the image gives:

    residual[b, n] = sqrt_information[b, n] @ (project(point[b, n]) - target[b, n])

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., sec. 6.1 (pinhole projection).
"""

from dataclasses import dataclass

from refine.bodies import State, Unknowns
from refine.body import PosedBody
from refine.correspondence import Correspondences
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.whiten import whiten


@dataclass(frozen=True)
class Reprojection:
    """Pulls surface points onto their targets in the photo.

    Attributes:
        matches: N surface points per body, their targets (B, N, 2) in px and the square root of
            the targets' information (B, N, 2, 2) in 1/px. Zero information: the match is silent.
    """

    matches: Correspondences
    kernel: Kernel = GemanMcClure(scale=10.0)
    """Where a residual stops pulling, in standard deviations. Wide on purpose: the estimate itself starts several sigmas off."""

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 2), unitless, and its Jacobian (B, N, 2, P) per unit step."""
        point, point_by_step = posed.surface(self.matches.triangle, self.matches.barycentric, unknowns)
        pixel, pixel_by_step = state.camera.project_with_jacobian(point, point_by_step, unknowns)
        residual, jacobian = whiten(self.matches.sqrt_information, pixel - self.matches.target, pixel_by_step)
        return Linearization(residual, jacobian, self.kernel)
