"""Rows that are solved together: one damped system per group, accepted and stopped as one.

    gain of a row = 1 - (its model's decrease - its true decrease) / its part of the predicted decrease

A row's part is ½ stepᵀ (H + 2 damping D) step, of couplings divided evenly; the parts sum to what the group's model
predicts. After a rejection only what is at fault is damped more: rows of low gain, and shared columns (a unit) of which
a quarter of the rows are at fault, or one that hardly moves by itself any more. So one bad row of three thousand does
not hold the others. For a group of one row all this is what `refine.solve.damped.Alone` does.

Source: Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05 (gain and damping).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body import SkinnedBody
from refine.solve.coupling import couple
from refine.solve.damped import DIAGONAL_FLOOR, DampedStep
from refine.solve.group_equations import GroupEquations, assemble
from refine.solve.layout import Layout, layout_of
from refine.solve.linear_solver import factorize, substitute
from refine.solve.linearized import Linearized
from refine.solve.marginals import border_system, marginal_information
from refine.solve.normal_equations import normal_equations
from refine.solve.sharing import agreed
from refine.state import Coupling, State, Unknowns
from refine.terms import Term

AT_FAULT = 0.25
"""A gain below this is a row's fault (a quarter is where trust regions shrink: Nocedal and Wright, sec. 4.1)."""
SHARE_AT_FAULT = 0.25
"""Of the rows of a unit, at which it is damped too."""
STILL = 1e2
"""A row damped by more hardly moves by itself: what raises its cost are the columns it shares."""
MOST = 1e12
"""Damping grows no further: in float64 the step is zero already."""
OF_COUPLINGS = 1e-3
"""Share of couplings in the diagonal that damping is relative to. A coupling says how stiff a row is to its neighbours,
not how far it may be moved with them: relative to the whole of it, a chain creeps as one."""
LOOSER = 100.0
"""Multiple of the tolerance that a row in a group must keep to, and, up to its number of rows, the group: among many
there is always one that creeps from one explanation to another, by a hundredth of its sigmas, and holds the others."""
NO_PART = 1e-3
"""Of a group's predicted decrease per row: a row with a smaller part is judged as if it had this."""


@dataclass(frozen=True, eq=False)
class Together:
    """B rows in G groups.

    Attributes:
        unknowns: The columns, with their groups.
        layout: Who is solved with whom.
        is_lost: (B,) rows whose terms are not finite at the start: they have no evidence and stay coupled.
        broken: Sets of rows of each coupling that are not finite at the start: they count nothing.
        anything: Whether there are any such rows or sets.
    """

    unknowns: Unknowns
    layout: Layout
    is_lost: Bool[Tensor, "B"]
    broken: tuple[Bool[Tensor, "_"], ...] = ()
    anything: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the couplings."""
        return tuple(type(each).__name__ for each in self._couplings)

    @property
    def _couplings(self) -> tuple[Coupling, ...]:
        return () if self.unknowns.groups is None else self.unknowns.groups.couplings

    @classmethod
    def of(cls, unknowns: Unknowns, state: State) -> "Together":
        """Find who is solved with whom."""
        device = state.bodies.translation.device
        coupled = couple(() if unknowns.groups is None else unknowns.groups.couplings, state, unknowns)
        layout = layout_of(unknowns, [each.rows for each in coupled], len(state), device)
        lost = torch.zeros(len(state), dtype=torch.bool, device=device)
        return cls(unknowns, layout, lost, tuple(lost.new_zeros(len(each.rows)) for each in coupled))

    def start(self, state: State) -> State:
        """Return the state with one value of what rows share: their mean."""
        return agreed(self.unknowns, state)

    def linearize(
        self, body: SkinnedBody, state: State, terms: Sequence[Term], known: Linearized | None = None
    ) -> GroupEquations:
        """Return the equations of rows and couplings. What is known of a state is not: what rows share was made one."""
        rows = normal_equations(body, state, terms, self.unknowns)
        sound = _finite(rows.information, rows.gradient)  # or the costs are not: one row's must not fail its group
        rows = replace(rows, cost_by_term=rows.cost_by_term.masked_fill(~sound[:, None], torch.nan))
        coupled = couple(self._couplings, state, self.unknowns)
        return self.silenced(GroupEquations(rows, coupled))

    def linear(self, equations: GroupEquations) -> Linearized:
        """Return the terms' linearisations that fresh equations are made of."""
        assert equations.rows.linear is not None
        return equations.rows.linear

    def some(self, index: Int[Tensor, "N"]) -> None:
        """Return None: rows hang together."""
        return None

    def without(self, equations: GroupEquations) -> "Together":
        """Return the same without the evidence of rows that are not finite, and without couplings that are not."""
        broken = tuple(~(each.cost.isfinite() & _finite(*each.jacobians)) for each in equations.coupled)
        lost = ~equations.rows.cost.isfinite()
        return replace(self, is_lost=lost, broken=broken, anything=bool(torch.cat((lost, *broken)).any()))

    def lost(self, equations: GroupEquations) -> Bool[Tensor, "B"]:
        """Return which rows had no finite equations at the start."""
        return self.is_lost

    def silenced(self, equations: GroupEquations) -> GroupEquations:
        """Return the equations without what was lost at the start."""
        if not self.anything:
            return equations
        lost, rows = self.is_lost, equations.rows
        rows = replace(
            rows,
            information=rows.information.masked_fill(lost[:, None, None], 0.0),
            gradient=rows.gradient.masked_fill(lost[:, None], 0.0),
            cost_by_term=rows.cost_by_term.masked_fill(lost[:, None], 0.0),
        )
        pairs = zip(equations.coupled, self.broken, strict=True)
        return GroupEquations(rows, tuple(each.silenced(broken) for each, broken in pairs))

    def step(self, equations: GroupEquations, damping: Float[Tensor, "R"]) -> DampedStep:
        """Return the damped step.

        Args:
            equations: Of B rows.
            damping: (B + U,) of rows and units, relative to the diagonal.
        """
        layout, count, free = self.layout, len(self.is_lost), self.layout.own[self.layout.order]
        system = assemble(equations, layout)
        diagonal = system.diagonal.diagonal(dim1=1, dim2=2)
        known = equations.rows.information.diagonal(dim1=1, dim2=2)[layout.order[:, None], layout.kept].double()
        known = torch.lerp(known, diagonal, OF_COUPLINGS)
        scale = _scale(damping[:count].double()[layout.order], known, free)
        diagonal += torch.where(free, scale, 1.0)
        right = system.right.clone()
        corner, corner_right, exists = border_system(system, layout)
        by_unit = torch.cat((damping[count:].double(), damping.new_ones(1).double()))[layout.unit]  # (G, R)
        corner_scale = torch.where(exists, _scale(by_unit, corner.diagonal(dim1=1, dim2=2), exists), 0.0)
        sound = factorize(system)
        reduced, reduced_right, _ = border_system(system, layout)
        reduced.diagonal(dim1=1, dim2=2).add_(torch.where(exists, corner_scale, 1.0))
        factor, failed = torch.linalg.cholesky_ex(reduced)
        shared = torch.cholesky_solve(reduced_right[..., None], factor)[..., 0]  # (G, R)
        of_chain = layout.of_chains(shared)
        rows = substitute(system, of_chain)
        step = rows.new_zeros(count, self.unknowns.size)
        step[:, layout.kept] = rows[layout.place]
        step[:, layout.columns] += (layout.choice @ of_chain[layout.chain][..., None])[..., 0]
        damped = (scale * rows.square()).masked_fill(~free, 0.0).sum(1)[layout.place]
        predicted = layout.total(0.5 * (damped + (rows * right).sum(1)[layout.place]))
        predicted += 0.5 * (shared * (corner_scale * shared + corner_right)).sum(1)
        bad = torch.zeros_like(predicted).index_add(0, layout.group_of_chain, (~sound).double())
        solved = (bad == 0) & (failed == 0) & predicted.isfinite() & layout.all_of(step.isfinite().all(1))
        step = torch.where(solved[layout.group][:, None], step, 0.0).to(equations.rows.gradient)
        decrease, curved = equations.predicted(step)
        part = curved.double() + torch.where(solved[layout.group], damped, 0.0)
        return DampedStep(step, torch.where(solved, predicted, 0.0), solved, decrease.double(), part)

    def keep(self, take: Bool[Tensor, "B"], first: GroupEquations, second: GroupEquations) -> GroupEquations:
        """Return the first equations in the rows of groups that are taken, the second elsewhere."""
        return first.where(take, second)

    def damping(self, like: Float[Tensor, "B"], value: float) -> Float[Tensor, "R"]:
        """Return one damping for everything that is damped by itself: rows and units (B + U,)."""
        return torch.full((len(like) + self.layout.units,), value, dtype=like.dtype, device=like.device)

    def cost(self, equations: GroupEquations) -> Float[Tensor, "G"]:
        """Return the groups' costs, float64."""
        return self.layout.total(equations.cost)

    def costs(self, equations: GroupEquations) -> Float[Tensor, "B T"]:
        """Return the rows' costs by term and coupling."""
        return equations.cost_by_term

    def all_of(self, value: Bool[Tensor, "B"]) -> Bool[Tensor, "G"]:
        """Return whether something holds for all rows of groups."""
        return self.layout.all_of(value)

    def of_rows(self, value: Tensor) -> Tensor:
        """Return the values of each row's group."""
        return value[self.layout.group]

    def of_damped(self, value: Bool[Tensor, "G"]) -> Bool[Tensor, "R"]:
        """Return the values (G,) of the group of rows and units (B + U,)."""
        return value[torch.cat((self.layout.group, self.layout.group_of_unit))]

    def gain(self, current: GroupEquations, tried: GroupEquations, step: DampedStep) -> Float[Tensor, "R"]:
        """Return the gains of rows and units (B + U,)."""
        assert step.decrease is not None and step.part is not None
        excess = step.decrease - (current.cost - tried.cost).double()
        excess = torch.where(excess.isfinite(), excess, torch.inf)
        layout, least = self.layout, torch.finfo(torch.float64).tiny
        size = layout.total(torch.ones_like(step.part))
        part = torch.maximum(step.part, (NO_PART * step.predicted / size)[layout.group]).clamp(min=least)
        of_units = layout.of_units(excess) / layout.of_units(part).clamp(min=least)
        return (1 - torch.cat((excess / part, of_units))).to(current.cost)

    def at_fault(self, gain: Float[Tensor, "R"], step: DampedStep, damping: Float[Tensor, "R"]) -> Bool[Tensor, "R"]:
        """Return which rows and units are damped more after a rejection (B + U,)."""
        layout, count = self.layout, len(self.is_lost)
        rows = gain[:count] < AT_FAULT
        rows = rows | ~step.solved[layout.group]
        nobody = layout.all_of(~rows)
        rows = rows | nobody[layout.group]
        many = layout.of_units(rows) >= SHARE_AT_FAULT * layout.of_units(torch.ones_like(rows))
        still = layout.of_units(rows & (damping[:count] > STILL)) > 0
        return torch.cat((rows, many | still))

    def all_at_fault(self, fault: Bool[Tensor, "R"], value: Bool[Tensor, "R"]) -> Bool[Tensor, "G"]:
        """Return whether something holds for all rows and units at fault in a group."""
        count, held = len(self.is_lost), value | ~fault
        units = torch.zeros(self.layout.groups, device=value.device)
        units = units.index_add(0, self.layout.group_of_unit, (~held[count:]).to(units))
        return self.layout.all_of(held[:count]) & (units == 0)

    def is_small(self, current: GroupEquations, step: DampedStep, tolerance: float) -> Bool[Tensor, "G"]:
        """Return whether the predicted decrease is below a share of the cost, of the group and of each of its rows."""
        layout, cost = self.layout, current.cost.double()
        total, size = layout.total(cost), layout.total(torch.ones_like(cost)).clamp(min=1)
        mean, looser = total / size, size.clamp(max=LOOSER)
        assert step.part is not None
        rows = layout.all_of(step.part <= LOOSER * tolerance * torch.maximum(cost, mean[layout.group]))
        return rows & (step.predicted <= looser * tolerance * total)

    def information(self, equations: GroupEquations, marginals: bool) -> Float[Tensor, "B P P"]:
        """Return of each row the information of its marginal, all else of its group eliminated, or of its own terms."""
        if not marginals:
            return equations.rows.information
        return marginal_information(equations, self.layout)


def _scale(damping: Tensor, diagonal: Tensor, exists: Tensor) -> Tensor:
    """Return damping times the diagonal (N, P), entries near zero lifted; of what has no entry at all, the damping."""
    diagonal = torch.where(exists, diagonal, 0.0)
    floor = DIAGONAL_FLOOR * diagonal.amax(1, keepdim=True) if diagonal.shape[1] else diagonal
    lifted = torch.maximum(diagonal, torch.where(floor > 0, floor, 1.0))
    return (damping[:, None] if damping.dim() == 1 else damping) * lifted


def _finite(*parts: Tensor) -> Tensor:
    """Return which rows of all parts are finite."""
    return torch.stack([each.isfinite().flatten(1).all(1) for each in parts]).all(0)
