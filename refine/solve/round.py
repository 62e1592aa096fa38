"""A round of the method: its solution, and the terms it was solved with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.batch import PER_ROW, Index, in_one_line
from refine.body import SkinnedBody
from refine.solve import Solution, StopReason
from refine.solve.linearized import Linearized, linearized
from refine.solve.start import Start
from refine.solve.verdict import Verdict
from refine.state import State, Unknowns
from refine.terms import Term, rows_of


@dataclass(frozen=True, eq=False)
class Quality:
    """Error scales of B estimates and of their evidence.

    Attributes:
        scale: (B,) errors of the estimate over regressors' usual errors.
        noise: (B,) errors of the evidence over its stated sigmas.
    """

    scale: Float[Tensor, "B"]
    noise: Float[Tensor, "B"]

    __repr__ = in_one_line


@dataclass(frozen=True, eq=False)
class Round:
    """What a round of the method leaves.

    Attributes:
        solution: The solver's.
        evidence: The terms of the evidence, with the sigmas they were solved with.
        priors: The other terms, at the width they were solved with.
        quality: Error scales the terms were solved with; None: the usual ones.
        verdict: B verdicts on the update (`refine.trust.gate`); empty without a gate, and before the last round.
        start: B readings of estimate and keypoints the rows were refined from; empty before the last round.
    """

    solution: Solution
    evidence: tuple[Term, ...] = ()
    priors: tuple[Term, ...] = ()
    quality: Quality | None = None
    verdict: tuple[Verdict, ...] = field(default=(), metadata=PER_ROW)
    start: tuple[Start, ...] = field(default=(), metadata=PER_ROW)

    __repr__ = in_one_line

    @property
    def state(self) -> State:
        """B bodies and cameras after the round."""
        return self.solution.state

    @property
    def unknowns(self) -> Unknowns:
        """The columns that were free."""
        return self.solution.unknowns

    @property
    def cost_before(self) -> Float[Tensor, "B"]:
        """(B,) robust cost at the start of the round."""
        return self.solution.cost_before

    @property
    def cost(self) -> Float[Tensor, "B"]:
        """(B,) robust cost at its end."""
        return self.solution.cost

    @property
    def cost_by_term(self) -> Float[Tensor, "B T"]:
        """(B, T) its parts, in the order of evidence and priors."""
        return self.solution.cost_by_term

    @property
    def information(self) -> Float[Tensor, "B P P"]:
        """(B, P, P) undamped normal matrix at the end."""
        return self.solution.information

    @property
    def steps(self) -> Int[Tensor, "B"]:
        """(B,) accepted steps."""
        return self.solution.steps

    @property
    def stop(self) -> Sequence[StopReason]:
        """B reasons why the solver stopped."""
        return self.solution.stop

    def covariance(self, rank_tolerance: float = 1e-9) -> Float[Tensor, "B P P"]:
        """Return the undamped posterior covariance of a step, as `Solution.covariance`."""
        return self.solution.covariance(rank_tolerance)

    @property
    def _kept(self) -> Linearized | None:
        """The solver's linearisation; None where it is not there, or of other terms."""
        linear = self.solution.linear
        fits = linear is not None and len(linear.terms) == len(self.evidence) + len(self.priors)
        return linear if fits else None

    def linearized(self, body: SkinnedBody) -> Linearized:
        """Return evidence and priors, in this order, linearised at the state: the solver's own, where it is there."""
        terms = (*self.evidence, *self.priors)
        return self._kept or linearized(body, self.state, terms, self.solution.unknowns)

    def evidence_at_end(self, body: SkinnedBody) -> Linearized:
        """Return the evidence alone, linearised at the state."""
        if self._kept is None:
            return linearized(body, self.state, self.evidence, self.solution.unknowns)
        return replace(self._kept, terms=self._kept.terms[: len(self.evidence)])

    def rows(self, index: Index) -> "Round":
        """Return the round of some of the bodies, in the order of index."""
        some = batch.rows(self, index)
        return replace(some, evidence=rows_of(self.evidence, index), priors=rows_of(self.priors, index))


def without_linear(found: Sequence[Round]) -> list[Round]:
    """Return rounds without the linearised terms, whose Jacobians take most of their memory."""
    return [replace(each, solution=replace(each.solution, linear=None)) for each in found]
