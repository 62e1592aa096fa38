"""Points of a body's surface, with the model's data that does not depend on the pose."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.skinned_body import SkinnedBody


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """N surface points of B bodies, with the model's data that does not depend on the pose.

    Attributes:
        corner: (B, N, 3) vertices of each point's triangle.
        share: (3 corners, B, J, N) b_c w_cj.
        by_joint: (B, J, N) ω, their sum over corners.
        template: (B, 9, N) m, corner by axis.
        basis: (B, S + E, 9, N) m per unit of shape and expression coefficients.
    """

    corner: Int[Tensor, "B N 3"]
    share: Float[Tensor, "3 B J N"]
    by_joint: Float[Tensor, "B J N"]
    template: Float[Tensor, "B 9 N"]
    basis: Float[Tensor, "B C 9 N"]

    def expand(self, count: int) -> "SurfacePoints":
        """Return the points of one body (B = 1) as those of `count` bodies, which share them in memory."""
        return SurfacePoints(
            self.corner.expand(count, -1, -1),
            self.share.expand(-1, count, -1, -1),
            self.by_joint.expand(count, -1, -1),
            self.template.expand(count, -1, -1),
            self.basis.expand(count, -1, -1, -1),
        )


def surface_points(
    body: SkinnedBody, triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"]
) -> SurfacePoints:
    """Gather the model's data of points of the surface.

    Args:
        body: The model.
        triangle: (B, N) index into its faces.
        barycentric: (B, N, 3) weights of the corners.

    Returns:
        The points.
    """
    corner = body.faces[triangle]
    share = (body.dense_weights[corner] * barycentric[..., None]).permute(2, 0, 3, 1).contiguous()
    basis = torch.cat((body.shape_basis[corner], body.expression_basis[corner]), 4).permute(0, 4, 2, 3, 1)
    template = body.template[corner].permute(0, 2, 3, 1).flatten(1, 2)
    return SurfacePoints(corner, share, share.sum(0), template.contiguous(), basis.flatten(2, 3).contiguous())
