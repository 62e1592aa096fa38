"""Marginals at the beginning of long chains whose rows hardly know anything by themselves."""

import pytest
import torch

from refine.solve import banded, banded_lapack
from refine.solve.banded import Banded, Bands

ROWS, COLUMNS = 120, 4


def system() -> Banded:
    """Second differences of very different weights in neighbouring rows, each row nearly unknown by itself."""
    found = Banded.zeros(Bands((1,) * ROWS, COLUMNS, 2, 1))
    draw = torch.Generator().manual_seed(0)
    stencil = (1.0, -2.0, 1.0)
    weight = torch.exp(3.0 * torch.randn(ROWS, COLUMNS, generator=draw, dtype=torch.float64))
    eye = torch.eye(COLUMNS, dtype=torch.float64)
    found.diagonal.add_(1e-3 * eye)
    for first in range(ROWS - 2):
        own = torch.diag(weight[first])
        for i in range(3):
            for j in range(i, 3):
                block = stencil[i] * stencil[j] * own
                target = found.diagonal if i == j else found.beside(j - i)
                target[first + i] += block
    found.border.copy_(0.001 * torch.randn(ROWS, 1, COLUMNS, generator=draw, dtype=torch.float64))
    found.corner[:, 0, 0] = 50.0
    return found


def dense(form: Banded) -> torch.Tensor:
    size = ROWS * COLUMNS
    whole = torch.zeros(size + 1, size + 1, dtype=torch.float64)
    for row in range(ROWS):
        here = slice(row * COLUMNS, (row + 1) * COLUMNS)
        whole[here, here] = form.diagonal[row]
        whole[size, here] = form.border[row, 0]
        for apart in (1, 2):
            if row + apart < ROWS:
                there = slice((row + apart) * COLUMNS, (row + apart + 1) * COLUMNS)
                whole[there, here] = form.beside(apart)[row]
    whole[size, size] = form.corner[0, 0, 0]
    return torch.tril(whole) + torch.tril(whole, -1).mT


@pytest.mark.parametrize("how", [banded, banded_lapack], ids=["batched", "lapack"])
def test_covariances_stay_those_of_the_dense_inverse_to_the_first_row(how: object) -> None:
    form = system()
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(dense(form)))
    assert bool(how.factorize(form).all())  # type: ignore[attr-defined]
    how.invert(form, 1 / form.corner[:, :1, :1])  # type: ignore[attr-defined]
    for row in (0, 1, 5, ROWS // 2, ROWS - 1):
        here = slice(row * COLUMNS, (row + 1) * COLUMNS)
        true = covariance[here, here]
        found = form.diagonal[row]
        assert (found - true).abs().max() < 1e-4 * true.abs().max()
        assert torch.equal(found, found.mT)
