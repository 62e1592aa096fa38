"""Correspondences: sampled surface points and their targets in the photo (see `refine.dense.correspondence`)."""

from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody, SurfacePoints, surface_points
from refine.check import check_positive, check_shape


@dataclass(frozen=True, eq=False)
class Correspondences:
    """N surface points a body and their targets in the photo.

    Attributes:
        triangle: (B, N) index into the body's faces.
        barycentric: (B, N, 3) weights of its corners.
        target: (B, N, 2) px of the photo; finite everywhere (zero where there is no information).
        sqrt_information: (B, N, 2, 2) 1/px, lower triangular, non-negative diagonal; zero: the match is silent.
        share: (B, N) root of the share of an independent observation that each match is, already in
            `sqrt_information`; a robust kernel is applied to the whole observation. None: each is one.
        person: (B,) probability that the photo shows the person, a mean over visible pixels; NaN: not known.

    Raises:
        InputError: The parts disagree on the number of bodies or matches.
    """

    triangle: Int[Tensor, "B N"]
    barycentric: Float[Tensor, "B N 3"]
    target: Float[Tensor, "B N 2"]
    sqrt_information: Float[Tensor, "B N 2 2"]
    share: Float[Tensor, "B N"] | None = None
    person: Float[Tensor, "B"] | None = None
    _gathered: list[tuple[SkinnedBody, SurfacePoints]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        sizes = check_shape("matches.triangle", self.triangle, "B N")
        check_shape("matches.barycentric", self.barycentric, "B N 3", **sizes)
        check_shape("matches.target", self.target, "B N 2", **sizes)
        check_shape("matches.sqrt_information", self.sqrt_information, "B N 2 2", **sizes)
        if self.share is not None:
            check_shape("matches.share", self.share, "B N", **sizes)
            check_positive("matches.share", self.share, "unitless")

    def on(self, body: SkinnedBody) -> SurfacePoints:
        """Return the matches' points on a body, gathered at the first call and cached for the next ones."""
        if not self._gathered or self._gathered[0][0] is not body:
            self._gathered[:] = [(body, surface_points(body, self.triangle, self.barycentric))]
        return self._gathered[0][1]
