"""The equations of rows that are solved together, and how they become one system per chain with a border.

    H_tt += J_tᵀ w J_t,   H_ut += J_uᵀ w J_t      of couplings, beside the rows' own normal equations
    a column that rows share goes to the border:  B = Σ Eᵀ H,   C = Σ Eᵀ H E,   E the choice of its place

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 6.1 (shared parameters, Schur complement).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.solve.banded import Banded
from refine.solve.coupling import CoupledLinearization
from refine.solve.damped import choose_equations
from refine.solve.layout import Layout
from refine.solve.normal_equations import NormalEquations
from refine.solve.pairs import CHUNK, Pair


@dataclass(frozen=True, eq=False)
class GroupEquations:
    """The quadratic model of the cost of rows that are solved together.

    Attributes:
        rows: The terms' equations, row by row.
        coupled: The couplings.
    """

    rows: NormalEquations
    coupled: tuple[CoupledLinearization, ...] = ()

    @cached_property
    def cost_by_term(self) -> Float[Tensor, "B T"]:
        """(B, T + couplings): a coupling's cost is divided evenly among its rows."""
        own = self.rows.cost_by_term
        shares = [each.by_row(each.cost, len(own)) for each in self.coupled]
        return torch.cat((own, torch.stack(shares, 1)), 1) if shares else own

    @property
    def cost(self) -> Float[Tensor, "B"]:
        """(B,) the whole cost; its sum over a group is the group's."""
        return self.cost_by_term.sum(1)

    def where(self, take: Bool[Tensor, "B"], other: "GroupEquations") -> "GroupEquations":
        """Return these equations in the rows of groups that are taken, the others elsewhere."""
        pairs = zip(self.coupled, other.coupled, strict=True)
        coupled = tuple(one.where(take[one.rows[:, 0]], two) for one, two in pairs)
        return GroupEquations(choose_equations(take, self.rows, other.rows), coupled)

    def predicted(self, step: Float[Tensor, "B P"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Return of each row (B,) the decrease that the undamped model predicts for a step, and its quadratic part.

        The quadratic part ½ stepᵀ H step is never negative; a row's decrease may be, in favour of other rows.
        """
        step = step.to(self.rows.gradient)
        curved = 0.5 * (step * (self.rows.information @ step[..., None])[..., 0]).sum(1)
        decrease = -(step * self.rows.gradient).sum(1) - curved
        for each in self.coupled:
            change, weight = each.change(step), each.weight
            quadratic = each.by_row(0.5 * (weight * change.square().sum(2)).sum(1), len(step))
            slope = each.by_row((weight * (each.residual * change).sum(2)).sum(1), len(step))
            curved, decrease = curved + quadratic, decrease - slope - quadratic
        return decrease, curved


def assemble(equations: GroupEquations, layout: Layout) -> Banded:
    """Return the undamped systems of all chains; columns that a row does not have or shares are empty there."""
    system = Banded.zeros(layout.bands, equations.rows.gradient.device)
    order = layout.order
    own, kept = layout.own[order].double(), layout.kept
    system.diagonal.copy_(equations.rows.information[order[:, None, None], kept[:, None], kept])
    system.diagonal.mul_(own[:, :, None]).mul_(own[:, None, :])
    system.right.copy_(-equations.rows.gradient[order[:, None], kept] * own)
    if layout.bands.border:
        _share(system, equations.rows, layout)
    for each, chunks in zip(equations.coupled, layout.pairs, strict=True):
        columns = None if each.columns is None else layout.among_own(each.columns)
        if columns is not None:
            for number, pairs in enumerate(chunks):
                _tie_few(system, each, columns, slice(number * CHUNK, (number + 1) * CHUNK), pairs, layout)
            continue
        each = each.whole(equations.rows.gradient.shape[1])
        for number, pairs in enumerate(chunks):
            _tie(system, each, slice(number * CHUNK, (number + 1) * CHUNK), pairs, layout)
    return system


def _share(system: Banded, rows: NormalEquations, layout: Layout) -> None:
    """Put the rows' shared columns in the border of their chains."""
    order = layout.order
    row, source = order[:, None, None], layout.source[order].clamp(min=0)
    there, chain = (layout.source[order] >= 0).double(), layout.chain[order]
    border = rows.information[row, source[:, :, None], layout.kept]  # (B, Q, O)
    system.border.copy_(border).mul_(there[:, :, None]).mul_(layout.own[order][:, None])
    corner = rows.information[row, source[:, :, None], source[:, None]].double()
    system.corner[:, :-1, :-1].index_add_(0, chain, corner * there[:, :, None] * there[:, None])
    system.corner[:, -1, :-1].index_add_(0, chain, -rows.gradient[order[:, None], source].double() * there)


def _tie(system: Banded, coupled: CoupledLinearization, which: slice, pairs: Sequence[Pair], layout: Layout) -> None:
    """Add some of a coupling's sets of rows."""
    rows = coupled.rows[which]
    root = coupled.weight[which].double().sqrt()[..., None]  # (M, N, 1)
    residual = (root * coupled.residual[which].double()).flatten(1)[..., None]  # (M, N D, 1)
    whole = [(root[..., None] * each[which].double()).flatten(1, 2) for each in coupled.jacobians]
    own = [each[..., layout.kept] * layout.own[rows[:, i], None] for i, each in enumerate(whole)]  # (M, N D, O)
    place = layout.place[rows]
    for i, mine in enumerate(own):
        system.diagonal.index_add_(0, place[:, i], mine.mT @ mine)
        system.right.index_add_(0, place[:, i], -(mine.mT @ residual)[..., 0])
    for pair in pairs:
        block = own[pair.late][pair.sets].mT @ own[pair.early][pair.sets]
        system.beside(pair.distance).index_add_(0, place[pair.sets, pair.early], block)
    if layout.bands.border:
        chain = layout.chain[rows[:, 0]]
        shared = sum(
            (each[..., layout.columns] @ layout.choice[rows[:, i]] for i, each in enumerate(whole)),
            residual.new_zeros(()),
        )  # (M, N D, Q)
        for i, mine in enumerate(own):
            system.border.index_add_(0, place[:, i], shared.mT @ mine)
        system.corner[:, :-1, :-1].index_add_(0, chain, shared.mT @ shared)
        system.corner[:, -1, :-1].index_add_(0, chain, -(shared.mT @ residual)[..., 0])


def _tie_few(
    system: Banded, coupled: CoupledLinearization, columns: Int[Tensor, "N C"], which: slice, pairs: Sequence[Pair],
    layout: Layout,
) -> None:  # fmt: skip
    """Add some of a coupling's sets of rows whose residuals depend on few columns, given among `layout.kept`."""
    rows = coupled.rows[which]
    weight = coupled.weight[which].double()[..., None, None]  # (M, N, 1, 1)
    residual = coupled.residual[which].double()[..., None]
    own = [
        each[which].double() * layout.own[rows[:, i]][:, columns][:, :, None]
        for i, each in enumerate(coupled.jacobians)
    ]  # (M, N, D, C)
    place = layout.place[rows]
    line, column = columns[None, :, :, None], columns[None, :, None, :]
    for i, mine in enumerate(own):
        weighted = mine.mT * weight
        at = place[:, i, None, None, None]
        system.diagonal.index_put_((at, line, column), weighted @ mine, accumulate=True)
        right = -(weighted @ residual)[..., 0]
        system.right.index_put_((place[:, i, None, None], columns[None]), right, accumulate=True)
    for pair in pairs:
        late, early = own[pair.late][pair.sets], own[pair.early][pair.sets]
        block = (late.mT * weight[pair.sets]) @ early
        at = place[pair.sets, pair.early][:, None, None, None]
        system.beside(pair.distance).index_put_((at, line, column), block, accumulate=True)
