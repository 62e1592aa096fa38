"""Solves batches of symmetric positive systems by Cholesky decomposition.

    A = D U D,   D² = diagonal of A,   U = L Lᵀ,   x = D⁻¹ L⁻ᵀ L⁻¹ D⁻¹ b,   diagonal of A⁻¹ = column norms² of L⁻¹ D⁻¹

A normal matrix that was summed in float32 may miss being positive by its rounding where a direction is hardly observed:
such a row's U is lifted by `LIFT` and factored again. A row that is not positive then, or not finite, is NaN without
affecting others. LU (`torch.linalg.inv`, `solve`, `slogdet`) is not used on such batches: it is slower, less exact,
raises for the whole batch, and oneMKL 2024.2 hangs in it on some processors with two threads and about 150 columns.

Source: Golub and Van Loan, Matrix Computations, 4th ed., sec. 4.2 (Cholesky, diagonal scaling).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LIFT = 1e-6
"""Added to the unit diagonal of a matrix that rounding made indefinite: above float32's for some hundred columns."""


def solve(matrix: Float[Tensor, "B P P"], right: Float[Tensor, "B P N"]) -> Float[Tensor, "B P N"]:
    """Return x with matrix @ x = right.

    Args:
        matrix: (B, P, P) symmetric, positive.
        right: (B, P, N).

    Returns:
        (B, P, N); NaN in the rows whose matrix is not positive or not finite.
    """
    factor, scale, sound = _factor(matrix)
    solution = scale[..., None] * torch.cholesky_solve(scale[..., None] * right, factor)
    return torch.where(sound[:, None, None], solution, torch.nan)


def inverse_diagonal(matrix: Float[Tensor, "B P P"]) -> Float[Tensor, "B P"]:
    """Return the diagonals of inverses.

    Args:
        matrix: (B, P, P) symmetric, positive.

    Returns:
        (B, P); NaN in the rows whose matrix is not positive or not finite.
    """
    factor, scale, sound = _factor(matrix)
    half = torch.linalg.solve_triangular(factor, torch.diag_embed(scale), upper=False)
    return torch.where(sound[:, None], half.square().sum(1), torch.nan)


def _factor(
    matrix: Float[Tensor, "B P P"],
) -> tuple[Float[Tensor, "B P P"], Float[Tensor, "B P"], Bool[Tensor, "B"]]:
    """Return L of the matrices at unit diagonal, D⁻¹, and which rows have them; the others' L is one."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    sound = matrix.isfinite().flatten(1).all(1) & (diagonal > 0).all(1)
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    scale = torch.where(sound[:, None], diagonal, 1.0).rsqrt()
    unit = torch.where(sound[:, None, None], matrix * scale[:, :, None] * scale[:, None, :], eye)
    factor, failed = torch.linalg.cholesky_ex(unit)
    if bool(failed.any()):
        lifted, still = torch.linalg.cholesky_ex(unit + LIFT * eye)
        factor = torch.where((failed > 0)[:, None, None], lifted, factor)
        sound = sound & ((failed == 0) | (still == 0))
    return torch.where(sound[:, None, None], factor, eye), scale, sound
