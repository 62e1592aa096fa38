"""All terms at one state: what one linearisation gives to its many readers.

The solver, the choice of columns, the error scales, the gate, the posterior and the explanation need the same residuals
and Jacobians at the same states. Each state is linearised once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Bool
from torch import Tensor

from refine import batch
from refine.batch import EACH_HAS_ROWS, Index, in_one_line
from refine.body import SkinnedBody, pose_body
from refine.check import check_shape
from refine.solve.autodiff import linearize
from refine.state import State, Unknowns
from refine.terms import Linearization, Term


@dataclass(frozen=True, eq=False)
class Linearized:
    """Terms linearised at a state.

    Attributes:
        state: B bodies and cameras.
        unknowns: P columns of the Jacobians. Their mask is not applied to these.
        terms: T linearisations, in the order of the terms.
    """

    state: State
    unknowns: Unknowns
    terms: tuple[Linearization, ...] = field(metadata=EACH_HAS_ROWS)

    __repr__ = in_one_line

    def rows(self, index: Index) -> "Linearized":
        """Return the terms of some of the bodies, in the order of index."""
        return batch.rows(self, index)

    def where(self, take: Bool[Tensor, "B"], other: "Linearized") -> "Linearized":
        """Return these terms for the bodies of `take (B,)`, and another state's of the same columns for the others."""
        return batch.where(take, self, other)

    def narrowed(self, unknowns: Unknowns) -> "Linearized":
        """Return the terms in fewer columns.

        Args:
            unknowns: Columns among these.

        Raises:
            InputError: A column is not among these.
        """
        if unknowns == self.unknowns:
            return replace(self, unknowns=unknowns)
        places = self.unknowns.places_of(unknowns, self.state.bodies.translation.device)
        # Columns are gathered in the memory order of surface Jacobians, (B, P, D, N).
        terms = tuple(
            replace(each, jacobian=each.jacobian.permute(0, 3, 2, 1)[:, places].permute(0, 3, 2, 1))
            for each in self.terms
        )
        return Linearized(self.state, unknowns, terms)

    @property
    def alone(self) -> "Linearized":
        """The terms as each row by itself has them: whole observations, whoever it is solved with."""
        return replace(self, terms=tuple(replace(each, part=None) for each in self.terms))

    def plus(self, other: "Linearized") -> "Linearized":
        """Return both sets of terms, of the same state and columns."""
        return replace(self, terms=(*self.terms, *other.terms))


def linearized(body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns) -> Linearized:
    """Linearise terms at a state.

    Args:
        body: The model of the state's bodies.
        state: B bodies and cameras.
        terms: T terms.
        unknowns: P columns.

    Raises:
        InputError: A term's residual is not (B, N, D).
    """
    posed, found = pose_body(body, state.bodies), []
    for term in terms:
        linear = linearize(term, state, posed, unknowns)
        check_shape(f"{type(term).__name__}: residual", linear.residual, "B N D", B=len(state))
        found.append(linear)
    return Linearized(state, unknowns, tuple(found))
