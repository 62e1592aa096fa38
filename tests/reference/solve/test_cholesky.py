"""Solves with positive matrices: right, one row's fault is that row's alone, and nothing of a fit hangs with two
threads."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from refine.solve import cholesky
from tests.conftest import ROOT

EXACT = 1e-9
COLUMNS = 184
"""All columns of the built-in body: 55 joints, 16 shapes, translation."""
HANGS_S = 900
"""Seconds after which a fit that takes ten counts as one that never returns, on a busy machine."""

PROGRAM = """
import torch
torch.set_num_threads(2)
import refine
from refine.body import anny
from refine.state import Unknowns
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.people import case

whole, few = Unknowns(tuple(range(55)), shape=16), LevenbergMarquardt(steps=4)
refiner = refine.Refiner(rounds=2, unknowns=whole, solver=few)
people = case(anny.load(), 16, name="coco133")
result = refine.fit(people.photos, people.estimate, keypoints=people.detections, refiner=refiner)
last = result.rounds[-1].solution
assert last.unknowns.size == 184, last.unknowns.size
assert result.sigma_mm.shape[0] == 16 and len(result.explain()) == 16
moved = result.misfit < result.misfit_before
assert moved.sum() > 8 and (result.misfit <= result.misfit_before + 1e-3).all(), (result.misfit, result.misfit_before)
print("ended")
"""


def positive(count: int, size: int, seed: int = 0, rank: int | None = None) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    half = torch.randn(count, size, rank or 2 * size, generator=draw, dtype=torch.float64)
    width = torch.logspace(-4, 4, size, dtype=torch.float64)[:, None]  # columns in radians and in metres
    return (width * half) @ (width * half).mT


def test_the_solution_solves() -> None:
    matrix, right = positive(16, COLUMNS), torch.ones(16, COLUMNS, 2, dtype=torch.float64)
    found = cholesky.solve(matrix, right)
    scale = matrix.diagonal(dim1=-2, dim2=-1).sqrt()
    assert ((matrix @ found - right) / scale[..., None] / found.abs().amax(1, keepdim=True)).abs().max() < EXACT


def test_the_inverse_has_the_diagonal_of_the_inverse() -> None:
    matrix = positive(16, COLUMNS)
    value, vector = torch.linalg.eigh(
        matrix[:, 80:104, 80:104]
    )  # columns of like size: eigenvalues are exact enough there
    plain = ((vector / value[:, None]) @ vector.mT).diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(cholesky.inverse_diagonal(matrix[:, 80:104, 80:104]), plain, rtol=1e-7)
    eye = torch.eye(COLUMNS, dtype=torch.float64).expand(16, -1, -1)
    found = cholesky.solve(matrix, eye).diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(cholesky.inverse_diagonal(matrix), found, rtol=1e-7)


@pytest.mark.parametrize("fault", ["nan", "inf", "negative", "zero"])
def test_a_matrix_without_a_solution_is_told_in_its_row_alone(fault: str) -> None:
    matrix, right = positive(3, 7), torch.ones(3, 7, 1, dtype=torch.float64)
    alone, diagonal = cholesky.solve(matrix, right), cholesky.inverse_diagonal(matrix)
    broken = {"nan": torch.nan, "inf": torch.inf, "negative": -1.0, "zero": 0.0}[fault]
    matrix[1] = broken if fault in ("nan", "inf") else broken * matrix[1]
    found, of_inverse = cholesky.solve(matrix, right), cholesky.inverse_diagonal(matrix)
    assert found[1].isnan().all() and of_inverse[1].isnan().all()
    assert torch.allclose(found[[0, 2]], alone[[0, 2]], rtol=EXACT)
    assert torch.allclose(of_inverse[[0, 2]], diagonal[[0, 2]], rtol=EXACT)


def test_what_rounding_to_float32_made_indefinite_is_still_solved() -> None:
    """Of a direction nobody observed, nothing is asked; what is asked of the others is answered."""
    matrix = positive(40, 12, rank=6).float().double()
    assert (torch.linalg.cholesky_ex(matrix).info > 0).any(), "none of these is indefinite: the test tests nothing"
    step = torch.randn(40, 12, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = cholesky.solve(matrix, matrix @ step)
    assert found.isfinite().all()
    scale = matrix.diagonal(dim1=-2, dim2=-1).sqrt()[..., None]
    left = matrix @ (found - step) / scale
    assert left.abs().max() < 1e-3 * (matrix @ step / scale).abs().max()


@pytest.mark.slow
def test_a_fit_with_all_columns_of_sixteen_bodies_ends_with_two_threads() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=HANGS_S, check=False
    )
    assert done.returncode == 0 and done.stdout.strip() == "ended", done.stderr[-3000:]
