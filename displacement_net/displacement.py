"""A displacement field: for every rendered pixel its offset in the photo and the square root of its information."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Displacement:
    """How far rendered pixels should move, and how sure that is.

    Attributes:
        offset: (B, H, W, 2) px of the rendering, from the rendered to the observed position, (x, y).
        sqrt_information: (B, H, W, 2, 2) 1/px, lower triangular with a non-negative diagonal; zero means don't know
            (occluded, outside the photo).
        person: (B, H, W) how likely the photo shows the person at the rendered pixel, 0..1, wherever the offset points;
            None: not known.
    """

    offset: Float[Tensor, "B H W 2"]
    sqrt_information: Float[Tensor, "B H W 2 2"]
    person: Float[Tensor, "B H W"] | None = None
