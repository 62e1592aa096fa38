"""3D keypoint term: residuals of keypoints against measured positions in space.

residual[b, k] = (keypoint[b, k] - target[b, k]) / sigma_m[b, k]
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from refine.body import KeypointSet, PosedBody
from refine.check import check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Huber, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness


@dataclass(frozen=True, eq=False)
class Points3D:
    """The term of named points of the body and their positions by triangulation, lifting, depth sensors or markers.

    Attributes:
        points: K named points of the body.
        target: (B, K, 3) m, the frame of the bodies' translation.
        sigma_m: (B, K) m; infinite where a point is not known.

    Raises:
        InputError: Shapes disagree, or a sigma is not above zero.
    """

    points: KeypointSet
    target: Float[Tensor, "B K 3"]
    sigma_m: Float[Tensor, "B K"]
    kernel: Kernel = Huber(scale=3.0)
    """Quadratic up to 3 sigmas, with a bounded gradient beyond, so that a wrong point has a bounded effect."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("points3d.target", self.target, "B K 3", K=len(self.points.names))
        check_shape("points3d.sigma_m", self.sigma_m, "B K", **sizes)
        check_witness("points3d", self.correlation, self.share, sizes["B"])
        check_positive("points3d.sigma_m", self.sigma_m, "m", "Use infinity for a point that is not known.")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, K, 3), unitless, and its Jacobian (B, K, 3, P) per unit step."""
        check_shape("Points3D.target", self.target, "B K 3", B=len(state))
        point, point_by_step = posed.keypoints_with_jacobian(self.points, unknowns)
        scale = (1 / self.sigma_m)[..., None]
        known = scale > 0  # the target of an unknown point may be anything, NaN included
        offset = (point - self.target).masked_fill(~known, 0.0)
        return Linearization(offset * scale, point_by_step * scale[..., None], self.kernel, part=self.share)
