"""Student's t as a robust kernel: a density with heavy tails, of D-vectors.

    p(x) ~ (1 + |x|² / (ν σ²))^(-(ν + D) / 2)       ρ(s) = (ν + D) log(1 + s / (ν + D)),   s = |x|² (ν + D) / (ν σ²)

so that ρ(s) ~ s near zero: a residual is divided by σ √(ν / (ν + D)). Endless ν is the squared error.

Source: Lange, Little and Taylor, Robust statistical modeling using the t distribution, JASA 84(408), 1989.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_positive


@dataclass(frozen=True, eq=False)
class StudentT:
    """The negative logarithm of Student's t of 3-vectors, ρ above.

    Attributes:
        degrees: ν, one number, or one for each of N residuals.

    Raises:
        InputError: A number is not above zero.
    """

    degrees: Float[Tensor, "N"] | float

    def __post_init__(self) -> None:
        check_positive("kernel.degrees", torch.as_tensor(self.degrees), "degrees of freedom")

    @property
    def _whole(self) -> Tensor | float:
        return self.degrees + DIMENSIONS

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ρ(s), unitless, of s (any shape whose last axis is N)."""
        return self._whole * torch.log1p(squared / self._whole)

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return (ν + D) / (ν + D + s)."""
        return self._whole / (self._whole + squared)


DIMENSIONS = 3
"""D, of rotations' and places' accelerations."""


def core(degrees: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Return what σ is multiplied by to whiten a residual for this kernel: √(ν / (ν + D))."""
    return (degrees / (degrees + DIMENSIONS)).sqrt()
