"""A damped step, and rows that are solved each by itself.

(H + damping diag H) step = -gradient
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from refine import batch
from refine.body import SkinnedBody
from refine.solve.linearized import Linearized, linearized
from refine.solve.normal_equations import NormalEquations, summed
from refine.state import State, Unknowns
from refine.terms import Term

DIAGONAL_FLOOR = 1e-9
"""Least diagonal entry over the largest one: damps unobserved directions, so that they do not move."""


E = TypeVar("E")


@dataclass(frozen=True, eq=False)
class DampedStep:
    """A step of B rows in G groups.

    Attributes:
        step: (B, P).
        predicted: (G,) decrease of the cost that the damped quadratic model predicts.
        solved: (G,) whether the equations could be solved; elsewhere the step is zero.
        decrease: (B,) each row's decrease by the undamped model, negative where a row gives way to others; None: a row
            is a group.
        part: (B,) each row's part of `predicted`, never negative; None likewise.
    """

    step: Float[Tensor, "B P"]
    predicted: Float[Tensor, "G"]
    solved: Bool[Tensor, "G"]
    decrease: Float[Tensor, "B"] | None = None
    part: Float[Tensor, "B"] | None = None


@runtime_checkable
class Ties(Protocol[E]):
    """Who is solved with whom: what the solver's loop asks. B rows, G groups, R things with a damping of their own."""

    @property
    def unknowns(self) -> Unknowns:
        """The columns."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the costs beside the terms'."""
        ...

    def start(self, state: State) -> State:
        """Return the state with one value of what rows share."""
        ...

    def linearize(self, body: SkinnedBody, state: State, terms: Sequence[Term], known: Linearized | None = None) -> E:
        """Return the equations at a state, where the terms may be linearised already."""
        ...

    def linear(self, equations: E) -> Linearized:
        """Return the terms' linearisations that fresh equations are made of."""
        ...

    def some(self, index: Int[Tensor, "N"]) -> "Ties[E] | None":
        """Return the same of some of the rows; None where rows hang together."""
        ...

    def without(self, equations: E) -> "Ties[E]":
        """Return the same without what is not finite at the start."""
        ...

    def silenced(self, equations: E) -> E:
        """Return equations without what was not finite at the start."""
        ...

    def lost(self, equations: E) -> Bool[Tensor, "B"]:
        """Return which rows were not finite at the start."""
        ...

    def step(self, equations: E, damping: Float[Tensor, "R"]) -> DampedStep:
        """Return the damped step; `damping` is relative to the diagonal."""
        ...

    def keep(self, take: Bool[Tensor, "B"], first: E, second: E) -> E:
        """Return the first equations in the rows that are taken, whole groups of them, and the second elsewhere."""
        ...

    def damping(self, like: Float[Tensor, "B"], value: float) -> Float[Tensor, "R"]:
        """Return one damping for everything that has its own."""
        ...

    def cost(self, equations: E) -> Float[Tensor, "G"]:
        """Return the groups' costs."""
        ...

    def costs(self, equations: E) -> Float[Tensor, "B T"]:
        """Return the rows' costs by term."""
        ...

    def all_of(self, value: Bool[Tensor, "B"]) -> Bool[Tensor, "G"]:
        """Return whether something holds for all rows of a group."""
        ...

    def of_rows(self, value: Shaped[Tensor, "G"]) -> Shaped[Tensor, "B"]:
        """Return the values of each row's group."""
        ...

    def of_damped(self, value: Bool[Tensor, "G"]) -> Bool[Tensor, "R"]:
        """Return the values of the group of everything with its own damping."""
        ...

    def gain(self, current: E, tried: E, step: DampedStep) -> Float[Tensor, "R"]:
        """Return the true over the predicted decrease of everything with its own damping."""
        ...

    def at_fault(self, gain: Float[Tensor, "R"], step: DampedStep, damping: Float[Tensor, "R"]) -> Bool[Tensor, "R"]:
        """Return what is damped more after a rejection."""
        ...

    def all_at_fault(self, fault: Bool[Tensor, "R"], value: Bool[Tensor, "R"]) -> Bool[Tensor, "G"]:
        """Return whether something holds for all that is at fault in a group."""
        ...

    def is_small(self, current: E, step: DampedStep, tolerance: float) -> Bool[Tensor, "G"]:
        """Return whether the predicted decrease is below a share of the cost.

        Predicted, not true: near the minimum the difference of two costs is mostly their rounding.
        """
        ...

    def information(self, equations: E, marginals: bool) -> Float[Tensor, "B P P"]:
        """Return of each row the undamped information: in a group that of its marginal, or of its own terms alone."""
        ...


@dataclass(frozen=True, eq=False)
class Alone:
    """B rows, each a group of its own.

    Attributes:
        unknowns: The columns.
    """

    unknowns: Unknowns
    names: tuple[str, ...] = ()

    def start(self, state: State) -> State:
        """Return the state as it is: nothing is shared."""
        return state

    def linearize(
        self, body: SkinnedBody, state: State, terms: Sequence[Term], known: Linearized | None = None
    ) -> NormalEquations:
        """Return the equations of the rows."""
        return summed(known or linearized(body, state, terms, self.unknowns))

    def linear(self, equations: NormalEquations) -> Linearized:
        """Return the terms' linearisations that fresh equations are made of."""
        assert equations.linear is not None
        return equations.linear

    def some(self, index: Int[Tensor, "N"]) -> "Alone":
        """Return the same of some of the rows."""
        return Alone(self.unknowns.rows(index))

    def without(self, equations: NormalEquations) -> "Alone":
        """Return the same: a row that is not finite is not solved."""
        return self

    def silenced(self, equations: NormalEquations) -> NormalEquations:
        """Return the equations as they are."""
        return equations

    def lost(self, equations: NormalEquations) -> Bool[Tensor, "B"]:
        """Return which rows' costs are not finite."""
        return ~equations.cost.isfinite()

    def step(self, equations: NormalEquations, damping: Float[Tensor, "B"]) -> DampedStep:
        """Return the damped step."""
        return damped_step(equations, damping, self.unknowns.free)

    def keep(self, take: Bool[Tensor, "B"], first: NormalEquations, second: NormalEquations) -> NormalEquations:
        """Return, row by row, the first equations where they are taken and the second elsewhere."""
        return choose_equations(take, first, second)

    def damping(self, like: Float[Tensor, "B"], value: float) -> Float[Tensor, "B"]:
        """Return one damping for each row."""
        return torch.full_like(like, value)

    def cost(self, equations: NormalEquations) -> Float[Tensor, "B"]:
        """Return the rows' costs."""
        return equations.cost

    def costs(self, equations: NormalEquations) -> Float[Tensor, "B T"]:
        """Return the rows' costs by term."""
        return equations.cost_by_term

    def all_of(self, value: Bool[Tensor, "B"]) -> Bool[Tensor, "B"]:
        """Return the rows' values."""
        return value

    def of_rows(self, value: Shaped[Tensor, "B"]) -> Shaped[Tensor, "B"]:
        """Return the rows' values."""
        return value

    def of_damped(self, value: Bool[Tensor, "B"]) -> Bool[Tensor, "B"]:
        """Return the rows' values."""
        return value

    def gain(self, current: NormalEquations, tried: NormalEquations, step: DampedStep) -> Float[Tensor, "B"]:
        """Return the true over the predicted decrease."""
        return (current.cost - tried.cost) / step.predicted.clamp(min=torch.finfo(current.cost.dtype).tiny)

    def at_fault(self, gain: Float[Tensor, "B"], step: DampedStep, damping: Float[Tensor, "B"]) -> Bool[Tensor, "B"]:
        """Return true: a row that is rejected is at fault."""
        return torch.ones_like(step.solved)

    def all_at_fault(self, fault: Bool[Tensor, "B"], value: Bool[Tensor, "B"]) -> Bool[Tensor, "B"]:
        """Return the rows' values."""
        return value

    def is_small(self, current: NormalEquations, step: DampedStep, tolerance: float) -> Bool[Tensor, "B"]:
        """Return whether the predicted decrease is below a share of the cost."""
        return step.predicted <= tolerance * current.cost

    def information(self, equations: NormalEquations, marginals: bool) -> Float[Tensor, "B P P"]:
        """Return the normal matrices."""
        return equations.information


def damped_step(
    equations: NormalEquations, damping: Float[Tensor, "B"], free: Bool[Tensor, "B P"] | None = None
) -> DampedStep:
    """Return the damped step of every row by itself.

    The step is zero where the equations are singular (it is rejected and the damping grows), and in columns that do not
    exist.

    Args:
        equations: Of B rows.
        damping: (B,) relative to the diagonal.
        free: (B, P) which columns exist; None: all.
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
    return DampedStep(step, predicted, finite & (failed == 0))


def choose_equations(take: Bool[Tensor, "B"], first: NormalEquations, second: NormalEquations) -> NormalEquations:
    """Return, row by row, the first equations where `take` is true and the second elsewhere."""
    # The terms they are made of are kept beside them, and chosen where they are needed.
    return batch.where(take, replace(first, linear=None), replace(second, linear=None))
