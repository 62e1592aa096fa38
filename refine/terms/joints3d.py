"""3D joints of a lifting network, triangulation or sensor: with covariances, and with what they leave open.

    residual[b, k] = sqrt_information[b, k] @ (joint[b, k] - scale[b] target[b, k] - shift[b])

    metric                 scale = 1, shift = 0
    root-relative          scale = 1, shift open: the root is one joint among the others, with an error of its own
    up to scale            scale above zero and shift open

What is open is eliminated exactly (`refine.terms.left_open`).

Source: Martinez et al., A simple yet effective baseline for 3D human pose estimation, ICCV 2017 (root-relative joints
in the camera's frame); Pavllo et al., VideoPose3D, CVPR 2019.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import KeypointSet, PosedBody
from refine.check import check_finite, check_positive, check_shape, check_type
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.left_open import without_open

LEAST_SCALE = 1e-6
"""A scale is above zero: a body that is the joints' mirror image does not fit them."""


@dataclass(frozen=True, eq=False)
class Joints3D:
    """The term of named points of the body and their positions in space, up to what is open.

    Attributes:
        points: K named points of the body (`refine.keypoints.joints3d.point_set`).
        target: (B, K, 3), m or, with an open scale, any unit; axes of the bodies' frame; finite.
        sqrt_information: (B, K, 3, 3) 1/m of the body; zero: the point is silent.
        shift: Whether the place is open.
        scale: Whether the unit is open.

    Raises:
        InputError: Shapes disagree, a value is not finite, or an open scale has a place that is not.
    """

    points: KeypointSet
    target: Float[Tensor, "B K 3"]
    sqrt_information: Float[Tensor, "B K 3 3"]
    shift: bool = False
    scale: bool = False
    kernel: Kernel = GemanMcClure(scale=5.0)
    """Scale in standard deviations: a joint that a network takes for another one lies 5 and more away."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        check_type("joints3d.points", self.points, KeypointSet, 'point_set(body, "h36m17")')
        sizes = check_shape("joints3d.target", self.target, "B K 3", K=len(self.points.names))
        check_shape("joints3d.sqrt_information", self.sqrt_information, "B K 3 3", **sizes)
        check_witness("joints3d", self.correlation, self.share, sizes["B"])
        check_finite("joints3d.target", self.target, "Give zero information to joints that are not known.")
        check_finite("joints3d.sqrt_information", self.sqrt_information, "Zero means no information.")
        if self.scale and not self.shift:
            advice = "Of joints in an unknown unit the place is unknown too: shift=True."
            raise InputError("joints3d.scale", "an open scale with an open shift", "an open scale alone", advice)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, K, 3), unitless, and its Jacobian (B, K, 3, P) per unit step."""
        check_shape("Joints3D.target", self.target, "B K 3", B=len(state))
        point, point_by_step = posed.keypoints_with_jacobian(self.points, unknowns)
        root = self.sqrt_information
        jacobian = root @ point_by_step
        if not self.shift:
            residual = (root @ (point - self.target)[..., None])[..., 0]
            return Linearization(residual, jacobian, self.kernel, part=self.share)
        # The shift takes up the points' own place: rounding in single precision stays that of the body's size.
        middle = point.mean(1, keepdim=True).detach()
        if not self.scale:
            given = (root @ (point - middle - self.target)[..., None])[..., 0]
            residual, jacobian, _ = without_open(given, jacobian, root, self.kernel)
            return Linearization(residual, jacobian, self.kernel, part=self.share)
        given = (root @ (point - middle)[..., None])[..., 0]
        size = self.target.square().sum((1, 2), keepdim=True).sqrt().clamp(min=torch.finfo(given.dtype).tiny)
        unit = self.target / size  # whatever the unit: the amount is then the body's own size
        column = torch.cat((root, root @ unit[..., None]), -1)
        least = column.new_tensor([-torch.inf] * 3 + [LEAST_SCALE])
        residual, jacobian, _ = without_open(given, jacobian, column, self.kernel, least)
        return Linearization(residual, jacobian, self.kernel, part=self.share)


def joints3d(
    points: KeypointSet,
    target: Float[Tensor, "B K 3"],
    sigma_m: Float[Tensor, "B K"] | None = None,
    *,
    covariance: Float[Tensor, "B K 3 3"] | None = None,
    shift: bool = False,
    scale: bool = False,
    correlation: Correlation = INDEPENDENT,
) -> Joints3D:
    """Build the term from positions and their standard deviations or covariances.

    Args:
        points: K named points of the body.
        target: (B, K, 3) m (any unit, with an open scale), axes of the bodies' frame: +x right, +y down, +z forward of
            the camera where there is no `camera_from_world`. Any value, NaN included, where a point is not known.
        sigma_m: (B, K) m of the body; infinite where a point is not known.
        covariance: (B, K, 3, 3) m² in its place; a point whose covariance has an infinite variance is not known.
        shift: Whether the place is open: joints relative to a root, or through another focal length.
        scale: Whether the unit is open.
        correlation: How far the errors hang together over frames and views.

    Raises:
        InputError: Neither sigma nor covariance, or both; a sigma is not above zero, a covariance not positive, a known
            joint not finite.
    """
    check_type("points", points, KeypointSet, 'point_set(body, "h36m17")')
    sizes = check_shape("target", target, "B K 3", K=len(points.names))
    if (sigma_m is None) == (covariance is None):
        raise InputError("sigma_m", "sigma_m or covariance", "both" if covariance is not None else "neither")
    eye = torch.eye(3, dtype=target.dtype, device=target.device)
    if sigma_m is not None:
        check_shape("sigma_m", sigma_m, "B K", **sizes)
        check_positive("sigma_m", sigma_m, "m", "Use infinity for a point that is not known.")
        root = (1 / sigma_m.to(target))[..., None, None] * eye
    else:
        assert covariance is not None
        check_shape("covariance", covariance, "B K 3 3", **sizes)
        known = covariance.isfinite().flatten(2).all(2)[..., None, None]
        if bool(covariance.isnan().any()):
            raise InputError("covariance", "numbers (infinite variances: not known)", "NaN")
        factor, failed = torch.linalg.cholesky_ex(torch.where(known, covariance.to(target), eye))
        if bool(failed.any()):
            raise InputError("covariance", "symmetric positive matrices, m²", "one that is not positive")
        root = torch.where(known, torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False), 0.0)
    silent = (root == 0).flatten(2).all(2)
    return Joints3D(points, target.masked_fill(silent[..., None], 0.0), root, shift, scale, correlation=correlation)
