"""Point clouds: scans and depth sensors, matched to the body by closest points both ways, anew at every linearisation.

    a point q of the cloud, s the nearest point of the surface          d = ±|q - s|, positive outside the body
    a point s of the body, q the nearest point of the cloud, n its normal        d = n · (q - s)
    bare        residual = d / sigma_m
    clothed     residual = (d - cloth) / (sigma_m² + width²)^½ outside the skin, steeper inside it (sigma_m alone)

Both ways, so that neither a part without points nor points without a part are free. A row is silent where the normals
of body and cloud disagree (the other side of an arm; the side of the body that a single view does not show) and, of the
rest, where it is among the farthest (`kept`). The cost is a function of the state alone: distances to nearest points
are continuous, and their derivatives are those of the matches held fixed (Danskin), so that the solver accepts a step
on the same cost that it linearised.

Errors of neighbouring points are alike (a sensor's, a fold's, the model's): the rows are discounted to as many
witnesses as there are squares of side `alike_m` on the cloud.

Source: Besl and McKay, IEEE PAMI 14(2), 1992 (iterated closest points); Chetverikov et al., The trimmed iterative
closest point algorithm, ICPR 2002; Danskin, The theory of max-min, SIAM J. Appl. Math. 14(4), 1966.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PointJacobian, PosedBody
from refine.body.nearest import CoarseSurface, coarse_surface, nearest_on_surface, nearest_point
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness

AGREE = 0.5
"""Least cosine between the normals of body and cloud at a match: sixty degrees."""


@dataclass(frozen=True)
class Cloth:
    """How thick cloth lies on the skin.

    Raises:
        InputError: A number is not above zero.
    """

    mean_m: float = 0.012
    """Mean, m."""
    width_m: float = 0.012
    """Standard deviation, m: close-fitting to loose everyday clothes (a judgement)."""
    alike_m: float = 0.1
    """Side of a square of the surface over which it is as thick, m: half a thigh's width (a judgement)."""

    def __post_init__(self) -> None:
        if not min(self.mean_m, self.width_m, self.alike_m) > 0:
            raise InputError("cloth", "mean_m, width_m and alike_m above zero, m", repr(self))


@dataclass(frozen=True, eq=False)
class PointCloud:
    """The term of B clouds, one a body (`refine.terms.clouds.point_cloud` builds it).

    Attributes:
        target: (B, N, 3) m, the bodies' frame: points that look for the body, evenly spread; finite.
        target_normal: (B, N, 3) unit normals.
        known: (B, N) one; zero: there is no point.
        dense: (B, M, 3) m, points that the body looks for, more of them; infinite: there is no point.
        dense_normal: (B, M, 3) unit normals.
        sigma_m: (B,) m, of a point off the skin or cloth along the normal.
        root: (B,) root of the share of a witness that each row is.
        cloth: None: the person is bare, or the cloud is of a body model.
        kept: Share of the rows of either way that count, the nearest ones.

    Raises:
        InputError: Shapes disagree, or a number is out of range.
    """

    target: Float[Tensor, "B N 3"]
    target_normal: Float[Tensor, "B N 3"]
    known: Float[Tensor, "B N"]
    dense: Float[Tensor, "B M 3"]
    dense_normal: Float[Tensor, "B M 3"]
    sigma_m: Float[Tensor, "B"]
    root: Float[Tensor, "B"]
    cloth: Cloth | None = None
    kept: float = 0.9
    kernel: Kernel = GemanMcClure(scale=10.0)
    """Scale in standard deviations: a decimetre, as far as an estimate's limb may be off."""
    found_nearby: ClassVar[bool] = True
    """Its matches are those near the state: bodies are brought near as a whole first (`refine.method.hypotheses`)."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("point_cloud.target", self.target, "B N 3")
        check_shape("point_cloud.target_normal", self.target_normal, "B N 3", **sizes)
        check_shape("point_cloud.known", self.known, "B N", **sizes)
        sizes = check_shape("point_cloud.dense", self.dense, "B M 3", B=sizes["B"])
        check_shape("point_cloud.dense_normal", self.dense_normal, "B M 3", **sizes)
        check_shape("point_cloud.sigma_m", self.sigma_m, "B", B=sizes["B"])
        check_shape("point_cloud.root", self.root, "B", B=sizes["B"])
        check_finite("point_cloud.target", self.target)
        check_positive("point_cloud.sigma_m", self.sigma_m, "m")
        if not 0 < self.kept <= 1:
            raise InputError("point_cloud.kept", "a share above 0, at most 1", repr(self.kept))
        check_witness("point_cloud", self.correlation, self.share, sizes["B"])

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N + S, 1), unitless, and its Jacobian (B, N + S, 1, P) per unit step."""
        check_shape("PointCloud.target", self.target, "B N 3", B=len(state))
        surface = coarse_surface(posed.body)
        corners = posed.vertices_at(surface.vertex).contiguous()  # (B, M, 3) m
        normals = surface.normals(corners.detach())  # (B, M, 3)
        first = self._from_cloud(surface, posed, unknowns, corners.detach(), normals)
        second = self._from_body(surface, posed, unknowns, corners.detach(), normals)
        return Linearization(
            torch.cat((first.residual, second.residual), 1), torch.cat((first.jacobian, second.jacobian), 1),
            self.kernel, share=self.root[:, None].expand(-1, first.residual.shape[1] + second.residual.shape[1]),
            part=self.share,
        )  # fmt: skip

    def _from_cloud(
        self, surface: CoarseSurface, posed: PosedBody, unknowns: Unknowns, corners: Tensor, normals: Tensor
    ) -> Linearization:
        """Return the rows of points that look for the body."""
        triangle, weights = nearest_on_surface(surface, corners, self.target)
        people = torch.arange(len(corners), device=corners.device)[:, None, None]
        normal = (weights[..., None] * normals[people, surface.faces[triangle]]).sum(2)
        normal = torch.nn.functional.normalize(normal, dim=2)
        point, by_step = posed.surface_at(surface.points(triangle, weights), unknowns)
        away = self.target - point
        far = away.norm(dim=2, keepdim=True)
        outside = torch.where((away * normal).sum(2, keepdim=True) >= 0, 1.0, -1.0)
        small = far < 1e3 * torch.finfo(far.dtype).eps
        along = torch.where(small, normal, outside * away / torch.where(small, 1.0, far))
        distance = torch.where(small[..., 0], (away * normal).sum(2), (outside * far)[..., 0])
        agree = ((self.target_normal * normal).sum(2) > AGREE) & (self.known > 0)
        agree = agree & ~surface.crude[surface.faces[triangle]].any(2)
        thick = self._thick(surface, surface.faces[triangle][..., 0])
        return self._rows(distance, along, agree, thick, by_step)

    def _from_body(
        self, surface: CoarseSurface, posed: PosedBody, unknowns: Unknowns, corners: Tensor, normals: Tensor
    ) -> Linearization:
        """Return the rows of points of the body that look for the cloud."""
        people = torch.arange(len(corners), device=corners.device)[:, None]
        found = nearest_point(self.dense, corners[:, surface.sample])  # (B, S)
        there, normal = self.dense[people, found], normals[:, surface.sample]
        seen = self.dense_normal[people, found]
        point, by_step = posed.surface_at(surface.samples.expand(len(corners)), unknowns)
        agree = ((seen * normal).sum(2) > AGREE) & there.isfinite().all(2)
        distance = (seen * (torch.where(agree[..., None], there, point.detach()) - point)).sum(2)
        return self._rows(distance, seen, agree, self._thick(surface, surface.sample), by_step)

    def _thick(self, surface: CoarseSurface, corner: Tensor) -> Tensor | None:
        """Return which corners' parts are clothed, one or zero; None where nobody is."""
        return None if self.cloth is None else surface.clothed.to(self.target)[corner]

    def _rows(
        self, distance: Tensor, along: Tensor, agree: Tensor, thick: Tensor | None, by_step: PointJacobian
    ) -> Linearization:
        """Return whitened rows of signed distances (B, N) m along directions (B, N, 3); silent where they disagree."""
        sigma = self.sigma_m[:, None]
        value, slope = distance / sigma, (1 / sigma).expand_as(distance)
        if thick is not None and self.cloth is not None:
            wide = (sigma.square() + self.cloth.width_m**2).sqrt()
            outside = distance >= 0
            start = -self.cloth.mean_m / wide
            clothed = torch.where(outside, (distance - self.cloth.mean_m) / wide, start + distance / sigma)
            steep = torch.where(outside, 1 / wide, 1 / sigma)
            value, slope = torch.where(thick > 0, clothed, value), torch.where(thick > 0, steep, slope)
        size = torch.where(agree, value.detach().abs(), torch.inf)
        rank = size.argsort(1).argsort(1)
        counted = agree & (rank < self.kept * agree.sum(1, keepdim=True))
        scale = torch.where(counted, self.root[:, None], 0.0)
        rows = -(along * (slope * scale)[..., None])[:, :, None]  # (B, N, 1, 3)
        return Linearization((torch.where(counted, value, 0.0) * scale)[..., None], by_step.times(rows), self.kernel)
