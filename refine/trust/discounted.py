"""A term with scaled sigmas, silent rows, and a narrower robust kernel.

residual[b, n] = residual of the term[b, n] / noise[b]
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jaxtyping import Bool, Float
from torch import Tensor

from refine.batch import PER_ROW, Index
from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.solve.autodiff import linearize
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization, Term, is_correlated, knows_rows, rows_of


@dataclass(frozen=True, eq=False)
class Discounted:
    """A term with scaled standard deviations.

    Attributes:
        term: The evidence.
        noise: (B,) the factor.
        silent: (B, N) rows without information; N of one: all of a body's rows, or none; None: none.

    Raises:
        InputError: A factor is not above zero.
    """

    term: Term = field(metadata=PER_ROW)
    noise: Float[Tensor, "B"]
    silent: Bool[Tensor, "B N"] | None = None
    kernel: Kernel = GemanMcClure(scale=5.0)
    """In place of the term's own Geman-McClure kernel, whose width allows for a wrong estimate: after the first round
    what lies 5 sigmas off is an outlier."""

    def __post_init__(self) -> None:
        check_shape("noise", self.noise, "B")
        check_positive("noise", self.noise, "unitless")

    @property
    def rows(self) -> "Callable[[Index], Discounted] | None":
        """A function that returns the term of some of the bodies; None where the evidence does not know its rows."""
        return self._rows if knows_rows(self.term) else None

    def _rows(self, index: Index) -> "Discounted":
        (term,) = rows_of([self.term], index)
        noise, silent = self.noise[index], None if self.silent is None else self.silent[index]
        return replace(self, term=term, noise=noise, silent=silent)

    @property
    def name(self) -> str:
        """The term's class name."""
        return type(self.term).__name__

    @property
    def correlated(self) -> bool:
        """Whether the term's rows are correlated."""
        return is_correlated(self.term)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return the term's residual (B, N, D) and Jacobian (B, N, D, P), both to be divided by the noise."""
        return self.applied(linearize(self.term, state, posed, unknowns))

    def applied(self, linear: Linearization) -> Linearization:
        """Return the term's own linearisation with the scaled deviations.

        Args:
            linear: Of `term`, at any state; its residual and Jacobian are not copied.
        """
        share = (1 / self.noise).to(linear.residual)[:, None].expand(linear.residual.shape[:2])  # (B, N)
        if self.silent is not None:
            share = share.masked_fill(self.silent, 0.0)
        if linear.discount is not None:
            share = share * linear.discount
        wide = isinstance(linear.kernel, GemanMcClure)
        kernel = self.kernel if wide and not self.correlated else linear.kernel
        return replace(linear, discount=share, kernel=kernel)
