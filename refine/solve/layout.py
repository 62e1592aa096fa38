"""Who is solved with whom: chains of coupled rows, and groups of chains that share columns.

    chain   rows that couplings connect, in the order of their times; its system is block-banded
    unit    what the rows of one label share: a shape, an expression, a focal length; its columns are in a border
    group   chains that units connect; accepted, converged and stopped as one

Everything here is numbers of rows, chains and columns, found once before the first step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from refine.solve.banded import Bands
from refine.solve.pairs import Pair, chunks, pairs_of
from refine.state import Unknowns

NONE = -1


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of B rows in C chains, U units and G groups.

    Attributes:
        bands: The form of the chains' systems.
        order: (B,) the row at each place of the systems.
        place: (B,) the place of each row.
        chain: (B,) of each row.
        group: (B,) of each row.
        group_of_chain: (C,).
        group_of_unit: (U,).
        groups: G.
        columns: (K,) columns of a step that some rows share.
        choice: (B, K, Q) one where a row's column is a column of its chain's border, else zero.
        kept: (O,) columns of a step that are some row's own: a row's block of its system has these and no others.
        own: (B, O) which of them exist for a row and are not shared by it.
        border: (C, Q) column of the group's border that each column of a chain's border is; R where there is none.
        unit: (G, R) unit of each column of a group's border, -1: no column.
        member: (N, 2) pairs of row and unit.
        units: U.
        pairs: For each coupling, for each chunk of its sets, the pairs of their rows.
    """

    bands: Bands
    order: Int[Tensor, "B"]
    place: Int[Tensor, "B"]
    chain: Int[Tensor, "B"]
    group: Int[Tensor, "B"]
    group_of_chain: Int[Tensor, "C"]
    group_of_unit: Int[Tensor, "U"]
    groups: int
    columns: Int[Tensor, "K"]
    choice: Float[Tensor, "B K Q"]
    kept: Int[Tensor, "O"]
    own: Bool[Tensor, "B O"]
    border: Int[Tensor, "C Q"]
    unit: Int[Tensor, "G R"]
    member: Int[Tensor, "N 2"]
    units: int
    pairs: tuple[tuple[tuple[Pair, ...], ...], ...] = ()

    def total(self, value: Shaped[Tensor, "B"]) -> Float[Tensor, "G"]:
        """Return the sums (G,) of groups, float64."""
        total = torch.zeros(self.groups, dtype=torch.float64, device=value.device)
        return total.index_add(0, self.group, value.double())

    def all_of(self, value: Bool[Tensor, "B"]) -> Bool[Tensor, "G"]:
        """Return whether something holds for all rows of each group (G,)."""
        return self.total(~value) == 0

    def of_chains(self, value: Float[Tensor, "G R"]) -> Float[Tensor, "C Q"]:
        """Return values of groups' borders in the columns of their chains' borders (C, Q), zero where there is none."""
        return torch.nn.functional.pad(value, (0, 1))[self.group_of_chain[:, None], self.border]

    def of_chains_square(self, value: Float[Tensor, "G R R"]) -> Float[Tensor, "C Q Q"]:
        """Return matrices of groups' borders in the columns of their chains' borders (C, Q, Q)."""
        padded = torch.nn.functional.pad(value, (0, 1, 0, 1))
        return padded[self.group_of_chain[:, None, None], self.border[:, :, None], self.border[:, None]]

    @cached_property
    def source(self) -> Int[Tensor, "B Q"]:
        """(B, Q) column of a step that each column of its chain's border is for a row; -1: none."""
        found = torch.full((self.choice.shape[0], self.choice.shape[2]), NONE, device=self.choice.device)
        row, which, there = self.choice.nonzero(as_tuple=True)
        found[row, there] = self.columns[which]
        return found

    def among_own(self, columns: Int[Tensor, "N C"]) -> Int[Tensor, "N C"] | None:
        """Return the places of columns among `kept`; None where some of them are shared or nobody's own."""
        if not bool(torch.isin(columns, self.kept).all()) or bool(torch.isin(columns, self.columns).any()):
            return None
        return torch.searchsorted(self.kept, columns)

    def of_units(self, value: Shaped[Tensor, "B"]) -> Float[Tensor, "U"]:
        """Return the sums (U,) over the rows of units, float64."""
        total = torch.zeros(self.units, dtype=torch.float64, device=value.device)
        return total.index_add(0, self.member[:, 1], value[self.member[:, 0]].double())


def layout_of(unknowns: Unknowns, coupled: Sequence[Int[Tensor, "_ _"]], count: int, device: torch.device) -> Layout:
    """Find the chains, units and groups of rows.

    Args:
        unknowns: The columns with their groups.
        coupled: Sets of rows that couplings tie.
        count: B.
        device: Of the result.
    """
    sets = [rows.cpu().numpy() for rows in coupled]
    pairs = [np.stack((rows[:, 0], rows[:, i]), 1) for rows in sets for i in range(1, rows.shape[1])]
    kinds, widths = _units(unknowns, count)
    chain, position, counts = _chains(_components(pairs, count), _times(unknowns, count))
    group = _components([*pairs, *(_ties(unit) for _, unit in kinds)], count)
    place = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)[position] + chain
    width = max((int(np.ptp(position[rows], axis=1).max(initial=0)) for rows in sets), default=0)

    member = np.concatenate([np.stack((np.arange(count), unit), 1)[unit != NONE] for _, unit in kinds] or [_NO_PAIRS])
    in_chain, chain_width = _offsets(chain[member[:, 0]], member[:, 1], widths)
    in_group, group_width = _offsets(group[member[:, 0]], member[:, 1], widths)
    of_chain = np.zeros(counts[0] if counts else 0, dtype=np.int64)
    of_chain[chain] = group
    of_unit = np.zeros(len(widths), dtype=np.int64)
    of_unit[member[:, 1]] = group[member[:, 0]]
    border = np.full((len(of_chain), chain_width), group_width, dtype=np.int64)
    unit_of = np.full((int(group.max(initial=-1)) + 1, group_width), NONE, dtype=np.int64)
    for (number, unit), start in in_chain.items():
        here, there = int(of_chain[number]), in_group[int(of_chain[number]), unit]
        border[number, start : start + widths[unit]] = np.arange(there, there + widths[unit])
        unit_of[here, there : there + widths[unit]] = unit
    columns, choice, own = _choices(unknowns, kinds, chain, in_chain, chain_width)
    kept = np.flatnonzero(own.any(0))

    def tensor(value: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(device)

    return Layout(
        Bands(counts, len(kept), width, chain_width),
        order=tensor(np.argsort(place)),
        place=tensor(place),
        chain=tensor(chain),
        group=tensor(group),
        group_of_chain=tensor(of_chain),
        group_of_unit=tensor(of_unit),
        groups=len(unit_of),
        columns=tensor(columns),
        choice=tensor(choice),
        kept=tensor(kept),
        own=tensor(own[:, kept]),
        border=tensor(border),
        unit=tensor(unit_of),
        member=tensor(member),
        units=len(widths),
        pairs=tuple(tuple(pairs_of(chunk, position, device) for chunk in chunks(rows)) for rows in sets),
    )


_NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


def _times(unknowns: Unknowns, count: int) -> np.ndarray:
    """Return the times (count,) of rows; zero without tracks."""
    tracks = None if unknowns.groups is None else unknowns.groups.tracks
    return np.zeros(count) if tracks is None else tracks.time_s.detach().cpu().double().numpy()


def _units(unknowns: Unknowns, count: int) -> tuple[list[tuple[slice, np.ndarray]], list[int]]:
    """Return for each kind of shared columns its place and the unit of each row (-1: none), and the units' widths.

    A label that only one row has makes no unit, nor does a row share what is not free for it.
    """
    groups = unknowns.groups
    kinds: list[tuple[slice, np.ndarray]] = []
    widths: list[int] = []
    if groups is None:
        return kinds, widths
    for labels, columns in (
        (groups.shape, unknowns.shape_columns),
        (groups.expression, unknowns.expression_columns),
        (groups.focal, unknowns.focal_column),
        (groups.constants, unknowns.constant_columns),
    ):
        if labels is None or columns.start == columns.stop:
            continue
        label = labels.cpu().numpy()
        sharing = label >= 0
        if unknowns.free is not None:
            sharing &= unknowns.free[:, columns].all(1).cpu().numpy()
        names, which, times = np.unique(label[sharing], return_inverse=True, return_counts=True)
        number = np.full(len(names), NONE, dtype=np.int64)
        number[times > 1] = len(widths) + np.arange(int((times > 1).sum()))
        unit = np.full(count, NONE, dtype=np.int64)
        unit[sharing] = number[which]
        widths += [columns.stop - columns.start] * int((times > 1).sum())
        kinds.append((columns, unit))
    return kinds, widths


def _ties(unit: np.ndarray) -> np.ndarray:
    """Return pairs (N, 2) of rows that connect all rows of each unit: each with its unit's first."""
    sharing = np.flatnonzero(unit != NONE)
    _, first, which = np.unique(unit[sharing], return_index=True, return_inverse=True)
    return np.stack((sharing[first][which], sharing), 1)


def _chains(component: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Return of each row its chain, longest first, and its place in it; of each place how many chains have one."""
    count = len(component)
    lengths = np.bincount(component) if count else np.zeros(0, dtype=np.int64)
    longest = np.argsort(-lengths, kind="stable")
    rank = np.empty_like(longest)
    rank[longest] = np.arange(len(longest))
    chain, lengths = rank[component], lengths[longest]
    position = np.empty(count, dtype=np.int64)
    begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
    position[np.lexsort((np.arange(count), time, chain))] = np.arange(count) - begins
    counts = tuple(int((lengths > place).sum()) for place in range(int(lengths.max(initial=0))))
    return chain, position, counts


def _choices(
    unknowns: Unknowns,
    kinds: Sequence[tuple[slice, np.ndarray]],
    chain: np.ndarray,
    in_chain: Mapping[tuple[int, int], int],
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shared columns (K,), where they are in the chains' borders (B, K, Q), and each row's own (B, P)."""
    count = len(chain)
    own = np.ones((count, unknowns.size), bool) if unknowns.free is None else unknowns.free.cpu().numpy().copy()
    columns = np.concatenate([np.arange(kind.start, kind.stop) for kind, _ in kinds] or [np.zeros(0, np.int64)])
    choice = np.zeros((count, len(columns), width))
    first = 0
    for kind, unit in kinds:
        step = np.arange(kind.stop - kind.start)
        for row in np.flatnonzero(unit != NONE):
            choice[row, first + step, in_chain[int(chain[row]), int(unit[row])] + step] = 1.0
            own[row, kind] = False
        first += len(step)
    return columns, choice, own


def _components(pairs: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return the number (count,) of each row's component, components in the order of their first rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    every = np.concatenate([*pairs, _NO_PAIRS]).astype(np.int64)
    graph = coo_array((np.ones(len(every)), (every[:, 0], every[:, 1])), shape=(count, count))
    _, found = connected_components(graph, directed=False)
    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[which].astype(np.int64)


def _offsets(owner: np.ndarray, unit: np.ndarray, widths: Sequence[int]) -> tuple[dict[tuple[int, int], int], int]:
    """Return where each unit's columns begin in the border of each owner, and the widest border."""
    found: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    for one, number in np.unique(np.stack((owner, unit), 1), axis=0).tolist():
        found[one, number] = ends.get(one, 0)
        ends[one] = found[one, number] + widths[number]
    return found, max(ends.values(), default=0)
