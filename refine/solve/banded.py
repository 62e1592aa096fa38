"""Block-banded positive systems with a border, many chains at once: Cholesky, substitution and selected inversion.

    A = [ T  Bᵀ ]     T block-banded, blocks (P, P), half-bandwidth W in rows; B (Q, rows P) the border
        [ B  C  ]

Row t keeps one panel, its own block and all blocks below it in its block column, with the right side as a last line:

    panel[t] = [ A_tt; A_t+1,t; ...; A_t+W,t; B_t; bᵀ_t ]        ((1 + W) P + Q + 1, P)

    L_tt L_ttᵀ = A_tt,   X = panel[t] below A_tt · L_tt⁻ᵀ,   panel[t + d] -= X Xᵀ_d,   corner -= X_border X_borderᵀ

Afterwards panels hold the factor, the right side is substituted forward, and the corner holds the border's Schur
complement. Going back, with U = X L⁻¹ and Z_KK the covariance of the rows below in the panel and of the border,

    x_t = L⁻ᵀ (y_t - Xᵀ x_below),     Z_Kt = -Z_KK U,     Z_tt = L⁻ᵀ L⁻¹ - Uᵀ Z_Kt

Rows of several chains are stored place by place (all first rows, all second rows of the chains that have one, ...),
longest chain first, so that a place of all chains is one slice without padding. Everything is done in the panels' own
memory, in float64.

Source: Golub and Van Loan, Matrix Computations, 4th ed., sec. 4.3 (band) and 4.5 (block tridiagonal systems); Takahashi
et al. 1973, Erisman and Tinney, CACM 18(3), 1975 (selected inversion).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Bands:
    """The form of a system of C chains.

    Attributes:
        counts: Chains that have a row at each place, falling; the first is C, their sum M, the number of rows.
        columns: P of a row.
        width: W, the half-bandwidth in rows.
        border: Q, the columns all rows of a chain share.
    """

    counts: tuple[int, ...]
    columns: int
    width: int
    border: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each place's rows begin."""
        found = [0]
        for count in self.counts:
            found.append(found[-1] + count)
        return tuple(found[:-1])

    @property
    def rows(self) -> int:
        """M."""
        return sum(self.counts)

    @property
    def chains(self) -> int:
        """C."""
        return self.counts[0] if self.counts else 0

    @property
    def below(self) -> int:
        """Lines of a panel between its own block and the right side: W P + Q."""
        return self.width * self.columns + self.border


@dataclass(frozen=True, eq=False)
class Banded:
    """A system of C chains, then its factor, then its covariance, all in the same memory.

    Attributes:
        form: The sizes.
        panels: (M, (1 + W) P + Q + 1, P), see above.
        corner: (C, Q + 1, Q + 1): the border's own block, and its right side as the last line.
    """

    form: Bands
    panels: Float[Tensor, "M lines P"]
    corner: Float[Tensor, "C tail tail"]

    @classmethod
    def zeros(cls, form: Bands, device: torch.device | None = None) -> "Banded":
        """Return a system of zeros, float64."""
        tail = form.border + 1
        panels = torch.zeros(form.rows, form.columns + form.below + 1, form.columns, dtype=torch.float64, device=device)
        return cls(form, panels, panels.new_zeros(form.chains, tail, tail))

    @property
    def diagonal(self) -> Float[Tensor, "M P P"]:
        """(M, P, P) a view of the rows' own blocks."""
        return self.panels[:, : self.form.columns]

    @property
    def border(self) -> Float[Tensor, "M Q P"]:
        """(M, Q, P) a view of the blocks of border and rows."""
        return self.panels[:, self.form.columns * (1 + self.form.width) : -1]

    @property
    def right(self) -> Float[Tensor, "M P"]:
        """(M, P) a view of the right side."""
        return self.panels[:, -1]

    def beside(self, distance: int) -> Float[Tensor, "M P P"]:
        """(M, P, P) a view of the blocks of the rows `distance` places later (lines) and rows (columns)."""
        size = self.form.columns
        return self.panels[:, distance * size : (distance + 1) * size]

    def place(self, place: int) -> Float[Tensor, "chains lines P"]:
        """Return a view of one place's panels, of the chains that have a row there."""
        start = self.form.starts[place]
        return self.panels[start : start + self.form.counts[place]]


def factorize(system: Banded) -> Bool[Tensor, "C"]:
    """Factorise a system in its own memory, substitute its right side forward, and reduce its corner.

    Args:
        system: Symmetric; of a panel's own block the lower triangle is read. It is used up: panels become the factor
            and the substituted right side, the corner the border's Schur complement and its reduced right side.

    Returns:
        (C,) whether the chain's rows are positive and finite. What a chain that is not holds has no meaning; others do
        not feel it.
    """
    form, size = system.form, system.form.columns
    faults = torch.zeros(form.chains, dtype=torch.int32, device=system.panels.device)
    for place, count in enumerate(form.counts):
        here = system.place(place)
        factor, fault = torch.linalg.cholesky_ex(here[:, :size])
        faults[:count] += fault
        below = torch.linalg.solve_triangular(factor.mT, here[:, size:], upper=True, left=False)  # (n, W P + Q + 1, P)
        here[:, :size] = factor
        here[:, size:] = below
        tail = below[:, form.width * size :]
        system.corner[:count].baddbmm_(tail, tail.mT, alpha=-1)
        for distance in range(1, min(form.width, len(form.counts) - 1 - place) + 1):
            there = system.place(place + distance)
            few = below[: len(there)]
            beside = few[:, (distance - 1) * size : distance * size].mT
            lines = (form.width - distance + 1) * size
            there[:, :lines].baddbmm_(few[:, (distance - 1) * size : form.width * size], beside, alpha=-1)
            there[:, -form.border - 1 :].baddbmm_(few[:, form.width * size :], beside, alpha=-1)
    return (faults == 0) & system.corner.diagonal(dim1=1, dim2=2).isfinite().all(1)


def substitute(system: Banded, border: Float[Tensor, "C Q"]) -> Float[Tensor, "M P"]:
    """Return the solution of a factorised system.

    Args:
        system: After `factorize`.
        border: (C, Q) the solution in the border's columns.

    Returns:
        (M, P), in the order of the panels.
    """
    form, size = system.form, system.form.columns
    solution = system.panels.new_zeros(form.rows, size)
    after = system.panels.new_zeros(form.chains, form.below)  # later rows of the panel and the border; none: zero
    after[:, form.width * size :] = border
    for place in reversed(range(len(form.counts))):
        here, start = system.place(place), form.starts[place]
        mine = after[: len(here)]
        right = here[:, -1:] - mine[:, None] @ here[:, size:-1]  # (n, 1, P)
        found = torch.linalg.solve_triangular(here[:, :size], right, upper=False, left=False)[:, 0]
        solution[start : start + len(here)] = found
        if form.width:
            mine[:, : form.width * size] = torch.cat((found, mine[:, : (form.width - 1) * size]), 1)
    return solution


def invert(system: Banded, border: Float[Tensor, "C Q Q"]) -> None:
    """Put the covariance's blocks in the place of the factor's, in a factorised system.

    Afterwards `diagonal` holds the rows' marginal covariances, `beside(d)` those of rows d places later with rows, and
    `border` those of the border with rows.

    Args:
        system: After `factorize`; used up.
        border: (C, Q, Q) covariance of the border's columns.
    """
    form, size, width = system.form, system.form.columns, system.form.width
    window = system.panels.new_zeros(form.chains, form.below, form.below)  # of later rows and the border; none: zero
    window[:, width * size :, width * size :] = border
    eye = torch.eye(size, dtype=torch.float64, device=system.panels.device)
    kept = max(width - 1, 0) * size
    for place in reversed(range(len(form.counts))):
        here = system.place(place)
        mine = window[: len(here)]
        half = torch.linalg.solve_triangular(here[:, :size], eye.expand(len(here), -1, -1), upper=False)  # L⁻¹
        scaled = here[:, size:-1] @ half  # U
        beside = -(mine @ scaled)
        own = torch.baddbmm(half.mT @ half, scaled.mT, beside, alpha=-1)
        own = (own + own.mT) / 2  # what is not symmetric grows from row to row
        here[:, :size] = own
        here[:, size:-1] = beside
        if width:
            mine[:, size : size + kept, size : size + kept] = mine[:, :kept, :kept].clone()
            mine[:, width * size :, size : size + kept] = mine[:, width * size :, :kept].clone()
            mine[:, size : size + kept, width * size :] = mine[:, width * size :, size : size + kept].mT
            mine[:, :size, :size] = own
            later = torch.cat((beside[:, :kept], beside[:, width * size :]), 1)
            mine[:, size:, :size] = later
            mine[:, :size, size:] = later.mT
