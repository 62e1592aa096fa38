"""Couplings: residuals over several rows, with a Jacobian for each of them.

    cost = ½ Σ_n a_n² ρ(‖r_n‖² / a_n²),   r_n = r_n(row_1, ..., row_k),   ∂r_n = Σ_i J_ni step(row_i)

An object with `couple(state, unknowns)` is one (`refine.state.Coupling`), given in `Unknowns.groups`. Most tie two or
three rows that follow each other in a track.

Source: Triggs et al., Bundle Adjustment: A Modern Synthesis, sec. 4.3 (robust weights), as for terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError
from refine.state import Coupling, State, Unknowns
from refine.terms import Kernel


@dataclass(frozen=True, eq=False)
class CoupledLinearization:
    """A coupling at one state: M sets of k rows, N residuals each.

    Attributes:
        rows: (M, k) numbers of the rows; the same at every state.
        residual: (M, N, D), in standard deviations.
        jacobians: k of (M, N, D, P), per unit step of each row; of C columns, (M, N, D, C), where `columns` says which.
        kernel: The robust kernel, of the norm of each residual.
        share: (M, N) root of the share of an independent observation that each residual is, already in residual and
            Jacobians; None: all are whole observations.
        columns: (N, C) the columns that each residual depends on, none twice; None: all P, in their order.
    """

    rows: Int[Tensor, "M k"]
    residual: Float[Tensor, "M N D"]
    jacobians: tuple[Float[Tensor, "M N D C"], ...]
    kernel: Kernel
    share: Float[Tensor, "M N"] | None = None
    columns: Int[Tensor, "N C"] | None = None

    def __post_init__(self) -> None:
        count, width = check_shape("coupling: rows", self.rows, "M k").values()
        sizes = check_shape("coupling: residual", self.residual, "M N D", M=count)
        if len(self.jacobians) != width:
            raise InputError("coupling: jacobians", f"one for each of {width} rows", str(len(self.jacobians)))
        for each in self.jacobians:
            sizes = check_shape("coupling: jacobian", each, "M N D C", **sizes)

    @property
    def cost(self) -> Float[Tensor, "M"]:
        """(M,) robust cost of each set of rows."""
        squared, whole = self._sizes
        return 0.5 * (self.kernel.rho(squared) * whole).sum(1)

    @property
    def weight(self) -> Float[Tensor, "M N"]:
        """(M, N) robust weights."""
        return self.kernel.weight(self._sizes[0])

    @property
    def _sizes(self) -> tuple[Tensor, Tensor | float]:
        """Squared norms of residuals as whole observations, and the squared share."""
        squared = self.residual.square().sum(-1)
        if self.share is None:
            return squared, 1.0
        whole = self.share.square()
        return squared / whole, whole

    def change(self, step: Float[Tensor, "B P"]) -> Float[Tensor, "M N D"]:
        """Return the residual's linear change by a step."""
        if self.columns is not None:
            parts = [
                (each @ step[self.rows[:, i]][:, self.columns][..., None])[..., 0]
                for i, each in enumerate(self.jacobians)
            ]
            return sum(parts, torch.zeros_like(self.residual))
        parts = [
            (each.flatten(1, 2) @ step[self.rows[:, i], :, None]).unflatten(1, self.residual.shape[1:])[..., 0]
            for i, each in enumerate(self.jacobians)
        ]
        return sum(parts, torch.zeros_like(self.residual))

    def whole(self, size: int) -> "CoupledLinearization":
        """Return the linearisation with Jacobians in all P columns."""
        if self.columns is None:
            return self
        place = self.columns[None, :, None].expand_as(self.jacobians[0]) if self.jacobians else self.columns
        return replace(
            self,
            columns=None,
            jacobians=tuple(each.new_zeros(*each.shape[:3], size).scatter(3, place, each) for each in self.jacobians),
        )

    def by_row(self, value: Float[Tensor, "M"], count: int) -> Float[Tensor, "B"]:
        """Return values of the sets (M,) divided evenly among their rows and summed for each of `count` rows."""
        width = self.rows.shape[1]
        total = value.new_zeros(count)
        return total.index_add(0, self.rows.flatten(), (value / width).repeat_interleave(width))

    def where(self, take: Bool[Tensor, "M"], other: "CoupledLinearization") -> "CoupledLinearization":
        """Return this linearisation in the sets that are taken, the other one in the rest."""
        pairs = zip(self.jacobians, other.jacobians, strict=True)
        return replace(
            self,
            residual=torch.where(take[:, None, None], self.residual, other.residual),
            jacobians=tuple(torch.where(take[:, None, None, None], one, two) for one, two in pairs),
        )

    def silenced(self, lost: Bool[Tensor, "M"]) -> "CoupledLinearization":
        """Return the linearisation with zeros in the sets that are lost."""
        return replace(
            self,
            residual=self.residual.masked_fill(lost[:, None, None], 0.0),
            jacobians=tuple(each.masked_fill(lost[:, None, None, None], 0.0) for each in self.jacobians),
        )


def couple(couplings: Sequence[Coupling], state: State, unknowns: Unknowns) -> tuple[CoupledLinearization, ...]:
    """Linearise couplings at a state.

    Raises:
        InputError: A coupling returns something else, or rows or columns that do not exist.
    """
    found = []
    for each in couplings:
        linear = each.couple(state, unknowns)
        if not isinstance(linear, CoupledLinearization):
            raise InputError(f"{type(each).__name__}.couple", "a CoupledLinearization", type(linear).__name__)
        if linear.columns is None:
            check_shape(f"{type(each).__name__}: jacobian", linear.jacobians[0], "M N D P", P=unknowns.size)
        else:
            width = linear.jacobians[0].shape[3]
            check_shape(f"{type(each).__name__}: columns", linear.columns, "N C", N=linear.residual.shape[1], C=width)
        found.append(linear)
    return tuple(found)
