"""2.5D joints: pixel, and depth relative to the root, as cascaded lifting networks say them.

    residual[b, k] = sqrt_information[b, k] @ ((pixel, depth[b, k]) - (target pixel, scale[b] target depth) - (0, 0, shift[b]))

depth is that along the camera's axis (z) or along the joint's own line of sight (the distance from the camera); the
root's is open, and so is the scale where the network does not know the person's size. Both are eliminated exactly
(`refine.terms.left_open`).

Source: Iqbal et al., Hand pose estimation via latent 2.5D heatmap regression, ECCV 2018 (up to scale); Moon et al.,
Camera distance-aware top-down approach, ICCV 2019 (pixel, and z relative to the root, m).
"""  # noqa: E501

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import KeypointSet, PosedBody
from refine.check import check_finite, check_positive, check_shape, check_type
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.joints3d import LEAST_SCALE
from refine.terms.left_open import without_open
from refine.terms.views import seen_with

Depth = Literal["axis", "sight"]


@dataclass(frozen=True, eq=False)
class Joints25D:
    """The term of named points of the body, their pixels and their relative depths.

    Attributes:
        points: K named points of the body.
        target: (B, K, 3) px, px and m (any unit, with an open scale), finite.
        sqrt_information: (B, K, 3, 3) 1/px, 1/px and 1/m of the body; zero: the point is silent.
        depth: "axis": along the camera's axis; "sight": along the joint's line of sight.
        scale: Whether the unit of the depths is open.

    Raises:
        InputError: Shapes disagree, a value is not finite, or the depth is of another kind.
    """

    points: KeypointSet
    target: Float[Tensor, "B K 3"]
    sqrt_information: Float[Tensor, "B K 3 3"]
    depth: Depth = "axis"
    scale: bool = False
    kernel: Kernel = GemanMcClure(scale=5.0)
    """Scale in standard deviations."""
    camera: Camera | None = None
    """B fixed cameras that the joints were seen with; None: the bodies' own."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        check_type("joints25d.points", self.points, KeypointSet, 'point_set(body, "h36m17")')
        sizes = check_shape("joints25d.target", self.target, "B K 3", K=len(self.points.names))
        check_shape("joints25d.sqrt_information", self.sqrt_information, "B K 3 3", **sizes)
        check_witness("joints25d", self.correlation, self.share, sizes["B"])
        check_finite("joints25d.target", self.target, "Give zero information to joints that are not known.")
        check_finite("joints25d.sqrt_information", self.sqrt_information, "Zero means no information.")
        if self.depth not in ("axis", "sight"):
            raise InputError("joints25d.depth", '"axis" (z) or "sight" (distance from the camera)', repr(self.depth))

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies it has any information about."""
        return (self.sqrt_information != 0).flatten(1).any(1)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, K, 3), unitless, and its Jacobian (B, K, 3, P) per unit step."""
        check_shape("Joints25D.target", self.target, "B K 3", B=len(state))
        point, point_by_step = posed.keypoints_with_jacobian(self.points, unknowns)
        camera, column = seen_with(self.camera, state, unknowns)
        pixel, pixel_by_step = camera.project_with_jacobian(point, point_by_step, column)
        seen = camera.transform(point)  # (B, K, 3) m, camera frame
        if self.depth == "axis":
            far = seen[..., 2:]
            along = torch.zeros_like(seen) + seen.new_tensor([0.0, 0.0, 1.0])
        else:
            far = seen.norm(dim=-1, keepdim=True)
            along = seen / far.clamp(min=torch.finfo(seen.dtype).tiny)
        if camera.camera_from_world is not None:
            along = (along[:, :, None] @ camera.camera_from_world[:, None, :, :3])[:, :, 0]
        far_by_step = along[:, :, None] @ point_by_step  # (B, K, 1, P)
        root = self.sqrt_information
        middle = far.mean(1, keepdim=True).detach()
        wanted = torch.cat((self.target[..., :2], 0 * self.target[..., 2:] if self.scale else self.target[..., 2:]), -1)
        given = (root @ (torch.cat((pixel, far - middle), -1) - wanted)[..., None])[..., 0]
        jacobian = root @ torch.cat((pixel_by_step, far_by_step), 2)
        open_column = root[..., 2:]
        least = None
        if self.scale:
            size = self.target[..., 2].square().sum(1).sqrt().clamp(min=torch.finfo(given.dtype).tiny)
            open_column = torch.cat(
                (open_column, open_column * (self.target[..., 2] / size[:, None])[..., None, None]), 3
            )
            least = given.new_tensor([-torch.inf, LEAST_SCALE])
        residual, jacobian, _ = without_open(given, jacobian, open_column, self.kernel, least)
        return Linearization(residual, jacobian, self.kernel, part=self.share)


def joints25d(
    points: KeypointSet,
    target: Float[Tensor, "B K 3"],
    sigma_px: Float[Tensor, "B K"],
    sigma_m: Float[Tensor, "B K"],
    *,
    depth: Depth = "axis",
    scale: bool = False,
    camera: Camera | None = None,
    correlation: Correlation = INDEPENDENT,
) -> Joints25D:
    """Build the term from pixels, relative depths and their standard deviations.

    Args:
        points: K named points of the body.
        target: (B, K, 3) x and y, px of the photo (corner convention), and depth relative to a root, m; NaN where a
            joint is not known.
        sigma_px: (B, K) px; infinite where a pixel is not known.
        sigma_m: (B, K) m of the body; infinite where a depth is not known.
        depth: "axis": along the camera's axis; "sight": along the joint's line of sight.
        scale: Whether the unit of the depths is open.
        camera: B fixed cameras of this term alone; None: the bodies' own.
        correlation: How far the errors hang together over frames and views.

    Raises:
        InputError: A sigma is not above zero, or what is known is not finite.
    """
    sizes = check_shape("target", target, "B K 3", K=len(points.names))
    check_shape("sigma_px", sigma_px, "B K", **sizes)
    check_shape("sigma_m", sigma_m, "B K", **sizes)
    check_positive("sigma_px", sigma_px, "px", "Use infinity for a pixel that is not known.")
    check_positive("sigma_m", sigma_m, "m", "Use infinity for a depth that is not known.")
    size = 1 / torch.stack((sigma_px, sigma_px, sigma_m), -1).to(target)
    known = target.masked_fill(size == 0, 0.0)
    return Joints25D(
        points, known, torch.diag_embed(size), depth, scale, camera=camera, correlation=correlation
    )  # fmt: skip
