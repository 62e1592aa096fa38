"""Block-banded systems with a border against the same matrix, dense: steps, variances, and faults of one chain."""

from types import ModuleType

import pytest
import torch
from torch import Tensor

from refine.solve import banded, banded_lapack
from refine.solve.banded import Banded, Bands

EXACT = 1e-9
"""Of the largest number: rounding in double precision of matrices with a condition of a thousand."""


def drawn(form: Bands, seed: int = 0) -> tuple[list[Tensor], list[list[int]]]:
    """A dense positive matrix of each chain, the border last, and the places of its rows."""
    draw = torch.Generator().manual_seed(seed)
    places = [[form.starts[t] + c for t, count in enumerate(form.counts) if c < count] for c in range(form.chains)]
    matrices = []
    for rows in places:
        size = len(rows) * form.columns + form.border
        matrix = 1e-2 * torch.eye(size, dtype=torch.float64)
        for first in range(len(rows)):
            inside = list(range(first * form.columns, min(first + form.width + 1, len(rows)) * form.columns))
            inside += range(len(rows) * form.columns, size)
            half = torch.randn(len(inside), form.columns + 2, generator=draw, dtype=torch.float64)
            matrix[torch.tensor(inside)[:, None], torch.tensor(inside)] += half @ half.mT
        matrices.append(matrix)
    return matrices, places


def filled(form: Bands, matrices: list[Tensor], places: list[list[int]], rights: list[Tensor]) -> Banded:
    system, size = Banded.zeros(form), form.columns
    for chain, (matrix, rows, right) in enumerate(zip(matrices, places, rights, strict=True)):
        tail = len(rows) * size
        for t, place in enumerate(rows):
            own = slice(t * size, (t + 1) * size)
            system.diagonal[place] = matrix[own, own]
            system.border[place] = matrix[tail:, own]
            system.right[place] = right[own]
            for distance in range(1, min(form.width, len(rows) - 1 - t) + 1):
                system.beside(distance)[place] = matrix[(t + distance) * size : (t + distance + 1) * size, own]
        system.corner[chain, :-1, :-1] = matrix[tail:, tail:]
        system.corner[chain, -1, :-1] = right[tail:]
    return system


FORMS = [
    Bands((1,) * 7, 3, 1, 2), Bands((1,) * 7, 3, 2, 2), Bands((4, 3, 3, 1, 1), 3, 2, 0), Bands((3, 2, 2, 1), 2, 3, 4),
    Bands((5,), 4, 0, 3), Bands((5,), 4, 0, 0), Bands((2, 2), 1, 2, 1),
]  # fmt: skip


WAYS = pytest.mark.parametrize("way", [banded, banded_lapack], ids=["batched", "lapack"])


@WAYS
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_steps_and_covariances_are_those_of_the_dense_matrix(form: Bands, way: ModuleType) -> None:
    matrices, places = drawn(form)
    draw = torch.Generator().manual_seed(1)
    rights = [torch.randn(len(matrix), generator=draw, dtype=torch.float64) for matrix in matrices]
    system = filled(form, matrices, places, rights)
    assert bool(way.factorize(system).all())
    schur, reduced = system.corner[:, :-1, :-1], system.corner[:, -1, :-1, None]
    factor = torch.linalg.cholesky(schur)
    rows = way.substitute(system, torch.cholesky_solve(reduced, factor)[..., 0])
    shared = torch.cholesky_inverse(factor) if form.border else schur
    way.invert(system, shared)
    for chain, (matrix, where, right) in enumerate(zip(matrices, places, rights, strict=True)):
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        solution, size, tail = inverse @ right, form.columns, len(where) * form.columns
        assert (rows[where].flatten() - solution[:tail]).abs().max() < EXACT * solution.abs().max()
        assert torch.allclose(shared[chain], inverse[tail:, tail:], rtol=EXACT, atol=EXACT)
        for t, place in enumerate(where):
            own = slice(t * size, (t + 1) * size)
            assert torch.allclose(system.diagonal[place], inverse[own, own], rtol=EXACT, atol=EXACT * 100)
            assert torch.allclose(system.border[place], inverse[tail:, own], rtol=EXACT, atol=EXACT * 100)
            for distance in range(1, min(form.width, len(where) - 1 - t) + 1):
                later = slice((t + distance) * size, (t + distance + 1) * size)
                beside = system.beside(distance)[place]
                assert torch.allclose(beside, inverse[later, own], rtol=EXACT, atol=EXACT * 100)


@WAYS
@pytest.mark.parametrize("fault", ["nan", "negative", "zero"])
def test_a_chain_that_is_not_positive_is_told_and_not_felt_by_others(fault: str, way: ModuleType) -> None:
    form = Bands((3, 3, 2, 1), 3, 2, 2)
    matrices, places = drawn(form)
    rights = [torch.ones(len(matrix), dtype=torch.float64) for matrix in matrices]
    good = filled(form, matrices, places, rights)
    assert bool(way.factorize(good).all())
    bad = filled(form, matrices, places, rights)
    broken = places[1][1]
    bad.diagonal[broken] = {"nan": torch.nan, "negative": -1.0, "zero": 0.0}[fault] * torch.ones(3, 3).double()
    assert way.factorize(bad).tolist() == [True, False, True]
    border = torch.zeros(3, 2, dtype=torch.float64)
    ours, theirs = way.substitute(good, border), way.substitute(bad, border)
    for chain in (0, 2):
        assert torch.allclose(ours[places[chain]], theirs[places[chain]], rtol=EXACT)
        assert torch.allclose(good.corner[chain], bad.corner[chain], rtol=EXACT)


@WAYS
@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_matter(threads: int, way: ModuleType) -> None:
    form = Bands((2,) * 20, 24, 2, 5)
    matrices, places = drawn(form)
    rights = [torch.ones(len(matrix), dtype=torch.float64) for matrix in matrices]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        system = filled(form, matrices, places, rights)
        assert bool(way.factorize(system).all())
        border = torch.cholesky_solve(
            system.corner[:, -1, :-1, None], torch.linalg.cholesky(system.corner[:, :-1, :-1])
        )
        found = way.substitute(system, border[..., 0])
    finally:
        torch.set_num_threads(before)
    for chain, rows in enumerate(places):
        whole = torch.cat((found[rows].flatten(), border[chain, :, 0]))
        assert (matrices[chain] @ whole - rights[chain]).abs().max() < EXACT * matrices[chain].abs().max()
