"""Jacobian of a term that has only a residual, by forward-mode differentiation.

    jacobian[b, :, :, p] = d residual[b] / d step[b, p]

Bodies are independent, so one tangent serves a column of the whole batch. Slower than an analytic Jacobian by about the
number of columns; enough to try an idea.

Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., sec. 3.1 (forward mode).
"""

import warnings

import torch
from torch import Tensor

from refine.body import PosedBody, pose_body
from refine.state import State, Unknowns
from refine.terms import AnalyticTerm, Linearization, Term


def linearize(term: Term, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
    """Return a term's residual and Jacobian, analytic where the term has one.

    Args:
        term: The term.
        state: B bodies and cameras.
        posed: The same bodies, posed.
        unknowns: P columns.

    Returns:
        Residual (B, N, D) and Jacobian (B, N, D, P).
    """
    if isinstance(term, AnalyticTerm):
        return term.linearize(state, posed, unknowns)

    def residual(step: Tensor) -> Tensor:
        moved = state.retract(unknowns, step)
        return term.residual(moved, pose_body(posed.body, moved.bodies))

    zero = state.bodies.translation.new_zeros(len(state), unknowns.size)
    columns = []
    for column in range(unknowns.size):
        tangent = torch.zeros_like(zero)
        tangent[:, column] = 1.0
        with warnings.catch_warnings():  # torch 2.13 loads its forward-mode rules by its deprecated torch.jit.script
            warnings.simplefilter("ignore", DeprecationWarning)
            columns.append(torch.func.jvp(residual, (zero,), (tangent,))[1])
    value = term.residual(state, posed)
    jacobian = torch.stack(columns, -1) if columns else value.new_zeros(*value.shape, 0)
    return Linearization(value, jacobian, term.kernel)
