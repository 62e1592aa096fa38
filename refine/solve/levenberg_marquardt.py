"""Levenberg-Marquardt on a batch of bodies, each with its own damping, acceptance and termination.

    (H + damping diag H) step = -gradient,    state <- retract(state, step)  where the robust cost falls

The damping follows the gain ratio (true over predicted decrease). Terms are linearised once a step, at the state that
is tried: if it is accepted, its normal equations are the next ones, if not, the old ones are kept.

Rows that share columns or are coupled (`Unknowns.groups`) are solved as one: their step is that of the whole group,
which is accepted, converged and stopped as one, while each row and each shared column has its own damping. The loop is
the same; `refine.solve.damped.Alone` and `refine.solve.together.Together` say what a group is.

Source: Marquardt, SIAM J. Appl. Math. 11(2), 1963 (diagonal scaling); Nielsen, Damping parameter in Marquardt's method,
IMM-REP-1999-05 (update of the damping).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.solve import STOP_REASONS, Solution, StopReason, reasons
from refine.solve.damped import Alone, E, Ties
from refine.solve.linearized import Linearized
from refine.solve.normal_equations import summed
from refine.solve.search import Search, put, rows_of_search
from refine.solve.together import MOST, Together
from refine.state import State, Unknowns, choose
from refine.terms import Term, knows_rows, name_of, rows_of

RUNNING = -1
ROUNDING = 32.0
"""Rounding error of a cost in units of its type's epsilon: in single precision pixels are rounded to 3e-5."""
FEW = 0.5
"""Share of the rows that are left, at which they go on by themselves."""
ROUGH_TOLERANCE = 1e-3
"""`cost_tolerance` of a round that is not the last: the evidence changes by more between rounds."""


@dataclass(frozen=True)
class LevenbergMarquardt:
    """The solver's settings.

    Raises:
        InputError: A setting is out of range.
    """

    steps: int = 30
    """Most steps tried, accepted or not."""

    damping: float = 1e-2
    """At the start, relative to the diagonal."""

    cost_tolerance: float = 1e-5
    """A body has converged when an accepted step was predicted to lower its cost by less than this share (Ceres: 1e-6
    on larger problems); a group, when each of its rows has."""

    least_damping: float = 1e-7
    """Keeps the matrix well conditioned in float32."""

    most_damping: float = 1e8
    """Above it no step lowers the cost: the body has stalled."""

    marginals: bool = True
    """Whether a row's information in a group is that of its marginal; else what its own terms say, which is quicker."""

    def __post_init__(self) -> None:
        if (
            self.steps < 0
            or not self.cost_tolerance >= 0
            or not 0 < self.least_damping <= self.damping <= self.most_damping
        ):
            raise InputError(
                "solver", "steps >= 0, cost_tolerance >= 0 and 0 < least_damping <= damping <= most_damping", repr(self)
            )

    def rough(self) -> "LevenbergMarquardt":
        """Return the solver with a looser tolerance, for a round that another one follows."""
        tolerance = max(self.cost_tolerance, ROUGH_TOLERANCE)
        return replace(self, cost_tolerance=tolerance, marginals=False)

    def solve(
        self,
        body: SkinnedBody,
        state: State,
        terms: Sequence[Term],
        unknowns: Unknowns,
        *,
        start: Linearized | None = None,
        moving: Bool[Tensor, "B"] | None = None,
    ) -> Solution:
        """Minimise the robust cost of every group of rows, each by itself; a row without a group is one.

        Args:
            body: The model of the state's bodies.
            state: B bodies and cameras, where the search starts. What rows share starts at their mean.
            terms: Evidence and priors.
            unknowns: The columns of a step, and which rows share some or are coupled.
            start: The terms linearised at the state, in these columns; None: not known.
            moving: (B,) false: the body stays as it is, and shares nothing; None: all move.

        Returns:
            The best state found for each body, with the reason it stopped, and the terms linearised there; a body whose
            cost is not finite keeps its start, or, in a group, what its group says of it. A coupling's cost is a term
            of its own, divided among its rows; the information of a row in a group is that of its marginal where
            `marginals` says so. A body that may not move has no steps, and its reason means nothing.
        """
        unknowns.check_bodies(state.bodies)
        if unknowns.groups is None:
            return self._minimise(Alone(unknowns), body, state, terms, start, moving)
        if moving is None:
            return self._minimise(Together.of(unknowns, state), body, state, terms, None, None)
        free = moving[:, None].expand(-1, unknowns.size)
        free = free if unknowns.free is None else unknowns.free & free
        some = replace(unknowns, free=free, groups=unknowns.groups.only(moving))
        found = self._minimise(Together.of(some, state), body, state, terms, None, None)
        alone = summed(replace(found.linear, unknowns=unknowns)).information if found.linear else found.information
        information = torch.where(moving[:, None, None], found.information, alone)
        return replace(found, unknowns=unknowns, information=information)

    def _minimise(
        self, ties: Ties[E], body: SkinnedBody, state: State, terms: Sequence[Term], start: Linearized | None,
        moving: Bool[Tensor, "B"] | None,
    ) -> Solution:  # fmt: skip
        """Minimise the costs of the groups that `ties` tells."""
        state = ties.start(state)
        current = ties.linearize(body, state, terms, start)
        linear = ties.linear(current)
        ties = ties.without(current)
        current = ties.silenced(current)
        lost, before = ties.lost(current), ties.costs(current)
        damping = ties.damping(before.sum(1), self.damping)
        code = torch.where(ties.all_of(lost), _code(StopReason.NOT_FINITE), RUNNING)
        if moving is not None:
            code = torch.where(moving, code, torch.where(lost, code, _code(StopReason.NO_EVIDENCE)))
        search = Search(state, current, linear, damping, torch.full_like(damping, 2.0), code, torch.zeros_like(code))
        search = self._descend(ties, body, terms, search, self.steps if ties.unknowns.size else 0)
        code = torch.where(search.code == RUNNING, _code(StopReason.STEP_LIMIT), search.code)
        after = ties.costs(search.equations)
        return Solution(
            search.state,
            ties.unknowns,
            before.sum(1),
            after.sum(1),
            before,
            after,
            (*(name_of(term) for term in terms), *ties.names),
            ties.of_rows(search.steps),
            reasons(torch.where(lost, _code(StopReason.NOT_FINITE), ties.of_rows(code))),
            ties.information(search.equations, self.marginals),
            replace(search.linear, state=search.state),
        )

    def _descend(
        self, ties: Ties[E], body: SkinnedBody, terms: Sequence[Term], search: Search[E], most: int
    ) -> Search[E]:
        """Try at most so many steps. Where few rows are left, they go on by themselves."""
        state, current, linear, damping, growth = (
            search.state, search.equations, search.linear, search.damping, search.growth
        )  # fmt: skip
        code, steps, there = search.code.clone(), search.steps.clone(), search.linear
        refused = torch.zeros(len(state), dtype=torch.bool, device=code.device)
        rounding = ROUNDING * torch.finfo(damping.dtype).eps
        apart = all(map(knows_rows, terms))
        for number in range(most):
            running = code == RUNNING
            left, mixed = torch.stack((running.sum(), refused.any())).tolist()  # the one synchronisation of a step
            linear = linear.where(refused, there) if mixed else there
            refused = torch.zeros_like(refused)
            there = linear
            if not left:
                break
            if apart and left <= FEW * len(code):
                few = running.nonzero()[:, 0]
                some = ties.some(few)
                if some is not None:
                    whole = Search(state, current, linear, damping, growth, code, steps)
                    part = self._descend(some, body, rows_of(terms, few), rows_of_search(whole, few), most - number)
                    return put(whole, few, part)
            found = ties.step(current, damping)
            moved = state.retract(ties.unknowns, torch.where(ties.of_rows(running)[:, None], found.step, 0.0))
            tried = ties.linearize(body, moved, terms)
            there = ties.linear(tried)
            cost, new = ties.cost(current), ties.cost(tried)
            better = running & found.solved & (cost - new >= -rounding * cost) & new.isfinite()
            refused = ties.of_rows(running & ~better)  # a body at rest is linearised where it is
            gain = ties.gain(current, tried, found)
            fault = ties.at_fault(gain, found, damping)
            small = ties.is_small(current, found, self.cost_tolerance)
            state = choose(ties.of_rows(better), moved, state)
            current = ties.keep(ties.of_rows(better), tried, current)
            steps += better
            shrink = (1 - (2 * gain.clamp(0, 1) - 1) ** 3).clamp(min=1 / 3)
            shrunk = (damping * shrink).clamp(min=self.least_damping, max=MOST)
            taken = ties.of_damped(better)
            damping = torch.where(taken, shrunk, torch.where(fault, (damping * growth).clamp(max=MOST), damping))
            growth = torch.where(taken, 2.0, torch.where(fault, growth * 2, growth))
            code[better & small] = _code(StopReason.CONVERGED)
            beyond = ties.all_at_fault(fault, damping > self.most_damping)
            code[running & ~better & beyond] = _code(StopReason.STALLED)
        linear = linear.where(refused, there) if bool(refused.any()) else there
        return Search(state, current, linear, damping, growth, code, steps)


def _code(reason: StopReason) -> int:
    return STOP_REASONS.index(reason)
