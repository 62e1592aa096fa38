"""Amounts that evidence leaves open (a scale, a shift), eliminated exactly from a term's own rows.

    residual[n] = given[n] - column[n] @ amount,    amount = argmin ½ Σ_n ρ(‖residual[n]‖²)       one amount a body
    jacobian    = given's - column (Σ w columnᵀ column)⁻¹ Σ w columnᵀ (given's),    w = ρ'(‖residual‖²)

so that Σ w jacobianᵀ jacobian is the Schur complement of the system in which the amounts stand beside the body's
columns: the posterior knows that they were unknown. Since the amounts are at the minimum, the gradient of the cost is
Σ w jacobianᵀ residual, exactly, whatever the kernel; the Jacobian itself is the residual's derivative where the kernel
is quadratic.

Source: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973 (variable projection); Triggs et al., Bundle Adjustment: A
Modern Synthesis, sec. 6.1 (Schur complement).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.terms import Kernel, LeastSquares

REWEIGHTED = 16
"""Times the amounts are solved for, each with the weights of the one before: with joints of which one is wrong the last
change is below a thousandth of a standard deviation."""
RIDGE = 1e-12
"""Added to the unit diagonal of the amounts' matrix, so that one which nothing determines stays zero."""


def without_open(
    residual: Float[Tensor, "B N D"],
    jacobian: Float[Tensor, "B N D P"],
    column: Float[Tensor, "B N D M"],
    kernel: Kernel,
    least: Float[Tensor, "M"] | None = None,
) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D P"], Float[Tensor, "B M"]]:
    """Return rows without what is open in them.

    Args:
        residual: (B, N, D) whitened, of the body alone: what remains with all amounts zero.
        jacobian: (B, N, D, P) its derivative.
        column: (B, N, D, M) whitened, what one unit of each amount takes from the residual.
        kernel: The term's.
        least: (M,) least value of each amount, -inf where any will do: a scale that would be smaller (a body that is
            the points' mirror image) is held there, and is open no more.

    Returns:
        Residual, Jacobian, and the amounts (B, M).
    """
    amount, own = _minimum(residual, column, kernel), column
    if least is not None:
        held = amount < least  # (B, M)
        own = torch.where(held[:, None, None], 0.0, column)
        fixed = torch.where(held, least.to(residual), 0.0)
        amount = fixed + _minimum(residual - _times(column, fixed), own, kernel)
    left = residual - _times(column, amount)
    weight = kernel.weight(left.square().sum(-1))[..., None, None]  # (B, N, 1, 1)
    cross = torch.einsum("bndm,bndp->bmp", own * weight, jacobian)
    moved = _solve(torch.einsum("bndm,bndk->bmk", own * weight, own), cross)  # (B, M, P)
    return left, jacobian - torch.einsum("bndm,bmp->bndp", own, moved), amount


def _minimum(residual: Tensor, column: Tensor, kernel: Kernel) -> Tensor:
    """Return the amounts (B, M) that minimise the robust cost, by repeated weighting."""
    size = column.shape[-1]
    square = (column.mT @ column).flatten(2)  # (B, N, M M), of each row: what is summed anew with every weight
    right = (column.mT @ residual[..., None])[..., 0]  # (B, N, M)
    whole = residual.square().sum(-1)  # (B, N)
    weight, amount = torch.ones_like(whole), right[:, 0] * 0
    for _ in range(1 if isinstance(kernel, LeastSquares) else REWEIGHTED):
        matrix = (weight[:, None] @ square)[:, 0].unflatten(1, (size, size))
        amount = _solve(matrix, (weight[:, None] @ right).mT)[..., 0]
        pairs = (amount[:, :, None] * amount[:, None]).flatten(1)
        left = whole - 2 * (right @ amount[..., None])[..., 0] + (square @ pairs[..., None])[..., 0]
        weight = kernel.weight(left.clamp(min=0))
    return amount


def _times(column: Tensor, amount: Tensor) -> Tensor:
    return (column * amount[:, None, None]).sum(-1)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Return x (B, M, K) with matrix @ x = right; zero where the matrix (B, M, M) has a zero diagonal."""
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    unit = matrix * scale[:, :, None] * scale[:, None] + torch.diag_embed((diagonal <= 0).to(matrix))
    ridge = max(RIDGE, 4 * torch.finfo(matrix.dtype).eps)
    factor, failed = torch.linalg.cholesky_ex(unit + ridge * eye)
    found = scale[..., None] * torch.cholesky_solve(scale[..., None] * right, factor)
    return torch.where((failed == 0)[:, None, None], found, 0.0)
