"""Levenberg-Marquardt on a batch of bodies, each with its own damping, acceptance and termination.

    (H + damping diag H) step = -gradient,    state <- retract(state, step)  where the robust cost falls

The damping follows the gain ratio (true over predicted decrease). Terms are linearised once a step, at the state that
is tried: if it is accepted, its normal equations are the next ones, if not, the old ones are kept.

Source: Marquardt, SIAM J. Appl. Math. 11(2), 1963 (diagonal scaling); Nielsen, Damping parameter in Marquardt's method,
IMM-REP-1999-05 (update of the damping).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.solve import STOP_REASONS, Solution, StopReason, reasons
from refine.solve.normal_equations import NormalEquations, normal_equations
from refine.state import State, Unknowns, choose
from refine.terms import Term, name_of

RUNNING = -1
ROUNDING = 32.0
"""Rounding error of a cost in units of its type's epsilon: in single precision pixels are rounded to 3e-5."""
DIAGONAL_FLOOR = 1e-9
"""Least diagonal entry over the largest one: damps unobserved directions, so that they do not move."""
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
    on larger problems)."""

    least_damping: float = 1e-7
    """Keeps the matrix well conditioned in float32."""

    most_damping: float = 1e8
    """Above it no step lowers the cost: the body has stalled."""

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
        return replace(self, cost_tolerance=max(self.cost_tolerance, ROUGH_TOLERANCE))

    def solve(self, body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns) -> Solution:
        """Minimise the robust cost of every body, each by itself.

        Args:
            body: The model of the state's bodies.
            state: B bodies and cameras, where the search starts.
            terms: Evidence and priors.
            unknowns: The columns of a step.

        Returns:
            The best state found for each body, with the reason it stopped; a body whose cost is not finite keeps its
            start.
        """
        unknowns.check_bodies(state.bodies)
        current = normal_equations(body, state, terms, unknowns)
        begin = current
        start = current.cost
        count = len(state)
        damping = torch.full_like(start, self.damping)
        growth = torch.full_like(start, 2.0)
        accepted_steps = torch.zeros(count, dtype=torch.int64, device=start.device)
        code = torch.full_like(accepted_steps, RUNNING)
        code[~start.isfinite()] = _code(StopReason.NOT_FINITE)
        rounding = ROUNDING * torch.finfo(start.dtype).eps
        for _ in range(self.steps if unknowns.size else 0):
            running = code == RUNNING
            if not bool(running.any()):  # the one synchronisation of a step
                break
            step, predicted, solved = _damped_step(current, damping, unknowns.free)
            moved = state.retract(unknowns, torch.where(running[:, None], step, torch.zeros_like(step)))
            tried = normal_equations(body, moved, terms, unknowns)
            decrease = current.cost - tried.cost
            better = running & solved & (decrease >= -rounding * current.cost) & tried.cost.isfinite()
            state = choose(better, moved, state)
            # The predicted decrease: near the minimum the difference of two costs is mostly their rounding.
            small = predicted <= self.cost_tolerance * current.cost
            current = _choose_equations(better, tried, current)
            accepted_steps += better
            gain = decrease / predicted.clamp(min=torch.finfo(start.dtype).tiny)
            shrink = (1 - (2 * gain.clamp(0, 1) - 1) ** 3).clamp(min=1 / 3)
            damping = torch.where(better, (damping * shrink).clamp(min=self.least_damping), damping * growth)
            growth = torch.where(better, torch.full_like(growth, 2.0), growth * 2)
            code[better & small] = _code(StopReason.CONVERGED)
            code[running & ~better & (damping > self.most_damping)] = _code(StopReason.STALLED)
        code[code == RUNNING] = _code(StopReason.STEP_LIMIT)
        names = tuple(name_of(term) for term in terms)
        return Solution(
            state,
            unknowns,
            start,
            current.cost,
            begin.cost_by_term,
            current.cost_by_term,
            names,
            accepted_steps,
            reasons(code),
            current.information,
        )


def _code(reason: StopReason) -> int:
    return STOP_REASONS.index(reason)


def _damped_step(
    equations: NormalEquations, damping: Tensor, free: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the damped step (B, P), its predicted decrease (B,), and where it could be solved (B,).

    The step is zero where the equations are singular (it is rejected and the damping grows), and in columns that do not
    exist (`free (B, P)`).
    """
    diagonal = equations.information.diagonal(dim1=-2, dim2=-1)
    floor = DIAGONAL_FLOOR * diagonal.amax(1, keepdim=True) + torch.finfo(diagonal.dtype).tiny
    scale = damping[:, None] * torch.maximum(diagonal, floor)
    if free is not None:
        scale = torch.where(free, scale, 1.0)  # a unit diagonal: the step is zero, the others' are as without it
    # A body that is not finite must not fail the factorisation of the others.
    finite = equations.information.isfinite().flatten(1).all(1) & equations.gradient.isfinite().all(1)
    eye = torch.eye(diagonal.shape[1], dtype=diagonal.dtype, device=diagonal.device)
    matrix = torch.where(finite[:, None, None], equations.information + torch.diag_embed(scale), eye)
    gradient = torch.where(finite[:, None], equations.gradient, torch.zeros_like(equations.gradient))
    factor, failed = torch.linalg.cholesky_ex(matrix)
    factor = torch.where((failed == 0)[:, None, None], factor, eye)
    gradient = torch.where((failed == 0)[:, None], gradient, torch.zeros_like(gradient))
    step = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
    # ½ stepᵀ (damping D step - gradient): the decrease the damped quadratic model predicts.
    predicted = 0.5 * (step * (scale * step - gradient)).nan_to_num(0.0).sum(1)
    return step, predicted, finite & (failed == 0)


def _choose_equations(take: Tensor, first: NormalEquations, second: NormalEquations) -> NormalEquations:
    """Return, body by body, the first equations where `take (B,)` is true and the second elsewhere."""
    return NormalEquations(
        torch.where(take[:, None, None], first.information, second.information),
        torch.where(take[:, None], first.gradient, second.gradient),
        torch.where(take[:, None], first.cost_by_term, second.cost_by_term),
        second.energy,
        second.count,
    )
