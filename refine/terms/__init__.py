"""The interface of the cost's terms: a whitened residual, its Jacobian and a robust kernel.

    cost = ½ Σ_n ρ(‖residual_n‖²) + constant,     ρ(s) ~ s near zero

A kernel acts on the squared norm of each D-vector, so that it does not depend on the axes.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4 (robust least squares).
"""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.batch import Index, in_one_line
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
        InputError: The scale is not above zero.
    """
    if not scale > 0:
        raise InputError("kernel.scale", "a number above zero, in standard deviations", f"{scale:g}")


@dataclass(frozen=True)
class LeastSquares:
    """The squared error: ρ(s) = s."""

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return s."""
        return squared

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return 1."""
        return torch.ones_like(squared)


@dataclass(frozen=True)
class Huber:
    """Huber's kernel, quadratic up to `scale`, linear beyond: ρ(s) = s, or 2 scale √s - scale².

    Source: Huber, Ann. Math. Stat. 35(1), 1964.

    Raises:
        InputError: The scale is not above zero.
    """

    scale: float = 1.345
    """Standard deviations (1.345: 95 % efficiency on Gaussian residuals)."""

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
    """Geman and McClure's kernel, whose weight vanishes far beyond `scale`: ρ(s) = scale² s / (scale² + s).

    Source: Geman and McClure, 1987; SMPLify eq. 2.

    Raises:
        InputError: The scale is not above zero.
    """

    scale: float = 3.0
    """Standard deviations."""

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
        share: (B, N) root of the share of an independent observation that each row is, already in residual and
            Jacobian; the row's cost is share² ρ(‖residual‖² / share²). None: all rows are whole observations.
        discount: (B, N) factor of residual and Jacobian that is not in them yet, for errors larger than their stated
            sigmas; zero: the row is silent. None: one.
        part: (B,) share of an independent observation that all rows of a body are among the bodies it is solved with;
            a factor of cost and information that is in none of the others. None: one.
    """

    residual: Float[Tensor, "B N D"]
    jacobian: Float[Tensor, "B N D P"]
    kernel: Kernel
    constant: Float[Tensor, "B"] | None = None
    share: Float[Tensor, "B N"] | None = None
    discount: Float[Tensor, "B N"] | None = None
    part: Float[Tensor, "B"] | None = None

    __repr__ = in_one_line

    @property
    def whitened(self) -> Float[Tensor, "B N D"]:
        """(B, N, D) residual with its discount, in standard deviations."""
        return self.residual if self.discount is None else self.residual * self.discount[..., None]


@runtime_checkable
class RelativePrior(Protocol):
    """A prior around the estimate, of the width of the estimate's error."""

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
            unknowns: The columns. Where one does not exist for a body (`unknowns.free`) its Jacobian is ignored; a row
                that depends on such columns only should have no residual.
        """
        ...


@runtime_checkable
class ResidualTerm(Protocol):
    """A term without a Jacobian, differentiated by forward mode (`refine.solve.autodiff`)."""

    kernel: Kernel

    def residual(self, state: State, posed: PosedBody) -> Float[Tensor, "B N D"]:
        """Return the residual (B, N, D), in standard deviations; row b is a differentiable function of body b only.

        Args:
            state: B bodies and cameras.
            posed: The same bodies, posed.
        """
        ...


Term = AnalyticTerm | ResidualTerm
"""One source of evidence or one prior. Its tensors have the state's batch axis."""


def name_of(term: Term) -> str:
    """Return a term's name in tables: its `name`, or that of its class."""
    name = getattr(term, "name", None)
    return name if isinstance(name, str) else type(term).__name__


def knows_rows(term: Term) -> bool:
    """Return whether the rows of some bodies can be taken from a term, which is then a term of those bodies.

    That is where it has a method `rows(index)`, or is a dataclass whose tensors are declared with their shapes, one of
    them with rows: one that has no tensors may count its rows in another way.
    """
    if hasattr(term, "rows"):  # None: it says itself that it does not
        return callable(term.rows)
    return batch.declares_rows(term) and bool(batch.row_fields(type(term)))


def rows_of(terms: Sequence[Term], index: Index) -> tuple[Term, ...]:
    """Return terms of some of the bodies, in the order of index.

    Args:
        terms: Of B bodies; one that does not know its rows is returned as it is.
        index: Which, as a slice, a list or a tensor of rows, or a mask (B,).
    """
    found: list[Term] = []
    for term in terms:
        own = getattr(term, "rows", None)
        found.append(own(index) if callable(own) else batch.rows(term, index) if is_dataclass(term) else term)
    return tuple(found)


def is_correlated(term: Term) -> bool:
    """Return whether a term's rows are correlated, shares of fewer independent observations (its `correlated`)."""
    return bool(getattr(term, "correlated", False))
