"""What a term of the cost is: a whitened residual, its Jacobian and a robust kernel.

    cost = ½ Σ_n ρ(‖residual_n‖²) + constant,     ρ(s) ~ s near zero

A kernel acts on the squared norm of each D-vector, so that it does not depend on the axes.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4 (robust least squares).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.errors import InputError
from refine.state import State, Unknowns


@runtime_checkable
class Kernel(Protocol):
    """A robust kernel ρ of the squared norm s of a whitened residual."""

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ρ(s), unitless, of s (any shape)."""
        ...

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ρ'(s), between 0 and 1, of s (any shape)."""
        ...


def check_scale(scale: float) -> None:
    """Refuse a kernel's scale that is not above zero.

    Raises:
        InputError: It is not.
    """
    if not scale > 0:
        raise InputError("kernel.scale", "a number above zero, in standard deviations", f"{scale:g}")


@dataclass(frozen=True)
class LeastSquares:
    """No robustness: ρ(s) = s."""

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return s."""
        return squared

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return 1."""
        return torch.ones_like(squared)


@dataclass(frozen=True)
class Huber:
    """Quadratic up to `scale`, linear beyond: ρ(s) = s, or 2 scale √s - scale². Source: Huber, Ann. Math. Stat. 35(1), 1964."""

    scale: float = 1.345
    """In standard deviations (1.345: 95 % efficiency on Gaussian residuals)."""

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ρ(s), unitless."""
        far = squared.clamp(min=self.scale**2).sqrt()
        return torch.where(squared <= self.scale**2, squared, 2 * self.scale * far - self.scale**2)

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return min(1, scale / √s)."""
        return self.scale / squared.clamp(min=self.scale**2).sqrt()


@dataclass(frozen=True)
class GemanMcClure:
    """A residual far beyond `scale` stops pulling: ρ(s) = scale² s / (scale² + s). Source: Geman and McClure, 1987; SMPLify eq. 2."""

    scale: float = 3.0
    """In standard deviations."""

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ρ(s), unitless, below scale²."""
        return self.scale**2 * squared / (self.scale**2 + squared)

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return (scale² / (scale² + s))²."""
        return (self.scale**2 / (self.scale**2 + squared)) ** 2


@dataclass(frozen=True, eq=False)
class Linearization:
    """A term at one state.

    Attributes:
        residual: (B, N, D), in standard deviations.
        jacobian: (B, N, D, P), per unit step of the unknowns.
        kernel: The term's robust kernel.
        constant: (B,) added to the cost, or None (a mixture's component constant).
        share: (B, N) root of how much of an independent observation each row is, already in residual and Jacobian; the
            kernel judges the row as if it were whole: share² ρ(‖residual‖² / share²). None: all rows are whole.
    """

    residual: Float[Tensor, "B N D"]
    jacobian: Float[Tensor, "B N D P"]
    kernel: Kernel
    constant: Float[Tensor, "B"] | None = None
    share: Float[Tensor, "B N"] | None = None


@runtime_checkable
class RelativePrior(Protocol):
    """A prior around the estimate, whose width is how wrong the estimate may be."""

    def scaled(self, scale: Float[Tensor, "B"]) -> "Term":
        """Return the prior with its standard deviations multiplied by a number (B,) above zero for each body."""
        ...


@runtime_checkable
class AnalyticTerm(Protocol):
    """A term with a Jacobian of its own."""

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return the residual (B, N, D), unitless, and its Jacobian (B, N, D, P) per unit step.

        Args:
            state: B bodies and cameras.
            posed: The same bodies, posed.
            unknowns: The columns. Where one does not exist for a body (`unknowns.free`) its Jacobian is not used,
                whatever it says; a row that speaks of such a column alone should have no residual.
        """
        ...


@runtime_checkable
class ResidualTerm(Protocol):
    """A term without a Jacobian of its own: forward-mode differentiation gives it one (`refine.solve.autodiff`)."""

    kernel: Kernel

    def residual(self, state: State, posed: PosedBody) -> Float[Tensor, "B N D"]:
        """Return the residual (B, N, D), in standard deviations; row b, a differentiable function of body b alone.

        Args:
            state: B bodies and cameras.
            posed: The same bodies, posed.
        """
        ...


Term = AnalyticTerm | ResidualTerm
"""One source of evidence or one prior. Its tensors have the batch axis of the state it is given."""


def name_of(term: Term) -> str:
    """Return what a term is called in tables: its class, or what a wrapper says."""
    name = getattr(term, "name", None)
    return name if isinstance(name, str) else type(term).__name__


def is_correlated(term: Term) -> bool:
    """Say whether a term's rows are shares of independent observations, as a network's pixels are: its own word (`correlated`), else no."""
    return bool(getattr(term, "correlated", False))
