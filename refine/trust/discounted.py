"""A term with scaled sigmas, silent rows, and a narrower robust kernel.

residual[b, n] = residual of the term[b, n] / noise[b]
"""

from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from refine.batch import PER_ROW
from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.solve.autodiff import linearize
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization, Term, is_correlated


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
    def name(self) -> str:
        """The term's class name."""
        return type(self.term).__name__

    @property
    def correlated(self) -> bool:
        """Whether the term's rows are correlated."""
        return is_correlated(self.term)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return the term's residual (B, N, D) and Jacobian (B, N, D, P), both divided by the noise."""
        linear = linearize(self.term, state, posed, unknowns)
        share = (1 / self.noise).to(linear.residual)[:, None]
        if self.silent is not None:
            share = share.masked_fill(self.silent, 0.0)
        wide = isinstance(linear.kernel, GemanMcClure)
        return Linearization(
            linear.residual * share[..., None],
            linear.jacobian * share[..., None, None],
            self.kernel if wide and not self.correlated else linear.kernel,
            linear.constant,
            linear.share,
        )
