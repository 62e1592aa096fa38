"""How large a person is: shape and scale of a body from points, one MAP fit in which an adult's size is shape.

    points of the body  D β + t  =  k x,      β ~ N(0, 1),   log k ~ N(0, σ²),   scale of the scene = 1/k

Scale and shape are exchangeable in what is seen, so the priors decide: σ is `LOG_SCALE_SIGMA` for everybody whose size a shape of the model
has, and `CHILD_LOG_SCALE_SIGMA` for who is smaller than nearly all adults. At a fixed k the best β is linear in k, so the cost is one of k alone:

    β(k) = A⁻¹ Dᵀ(k x - t),   A = DᵀD + prior,      cost(u) = ½ (a e²ᵘ - 2 b eᵘ) + ½ u²/σ²,   u = log k
    a = xᵀx - (Dᵀx)ᵀ A⁻¹ Dᵀx,   b = xᵀt - (Dᵀx)ᵀ A⁻¹ Dᵀt

Size in standard deviations:  z = (xᵀt / tᵀt - 1) / (|Dᵀt| / tᵀt), the regression of what is seen on the mean body in the same pose.

Source: derived here (separable least squares: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LOG_SCALE_SIGMA = 0.01
"""How far an adult's stored size is from metres: files are in metres, and what a hundredth could say shape says as well."""

CHILD_LOG_SCALE_SIGMA = 0.5
"""A newborn is 0.3 of an adult's size (log -1.2), a child of six 0.7 (-0.36)."""

CHILD_REACH = 3.0
"""Who is smaller than the mean adult by more than this many standard deviations of shape is a child: one adult in 740 is."""

SAME_SCALE = 0.05
"""Scales nearer to one than this are one for an adult: so far two skeletons' proportions differ, and a place in metres is worth more."""

STEPS = 30
"""Gauss-Newton steps on one number a body; about ten reach rounding from an adult's start."""

UNITS = ((150.0, 1000.0, "millimetres"), (10.0, 100.0, "centimetres"), (0.0, 1.0, "metres"))
"""From which size on, in units of the mean body's, points are stored in which unit: people are 0.2 (a crouching newborn) to 1.4 of it."""


@dataclass(frozen=True)
class ShapeAndScale:
    """Shape and scale of B bodies.

    Attributes:
        free: (B, P) coefficients of shape, and what other columns there were.
        scale: (B,) size of the scene in units of the body's: seen = scale · body. 1 for everybody who is no child.
        child: (B,) who is smaller than the shapes of adults.
    """

    free: Float[Tensor, "B P"]
    scale: Float[Tensor, "B"]
    child: Bool[Tensor, "B"]


def shape_and_scale(
    design: Float[Tensor, "B N P"], mean: Float[Tensor, "B N"], seen: Float[Tensor, "B N"], shapes: int
) -> ShapeAndScale:
    """Return the most probable shape and scale.

    Args:
        design: (B, N, P) change of the body's coordinates by unit of each column, over their standard deviation: shape first, then a
            translation, if one is free.
        mean: (B, N) the coordinates at zero, over theirs.
        seen: (B, N) the coordinates seen, over theirs.
        shapes: How many of the columns are shape.

    Returns:
        Columns and scale, float64.
    """
    design, mean, seen = design.double(), mean.double(), seen.double()
    precision = design.new_full((design.shape[2],), 1e-6)
    precision[:shapes] = 1.0
    factor = torch.linalg.cholesky(design.mT @ design + torch.diag(precision))
    of_seen, of_mean = ((design.mT @ part[..., None]) for part in (seen, mean))  # (B, P, 1)
    both = torch.cholesky_solve(torch.cat((of_seen, of_mean), 2), factor)
    by_scale, at_zero = both.unbind(2)  # β(k) = k · by_scale - at_zero
    a = (seen * seen).sum(1) - (of_seen[..., 0] * by_scale).sum(1)
    b = (seen * mean).sum(1) - (of_seen[..., 0] * at_zero).sum(1)
    child = _size(design, mean, seen, shapes) < -CHILD_REACH
    sigma = torch.where(child, CHILD_LOG_SCALE_SIGMA, LOG_SCALE_SIGMA).to(a)
    log_k = torch.zeros_like(a)
    for _ in range(STEPS):
        k = log_k.exp()
        slope, curve = a * k * k - b * k + log_k / sigma**2, a * k * k + 1 / sigma**2
        log_k = log_k - (slope / curve.clamp(min=1e-12)).clamp(-0.5, 0.5)
    log_k = torch.where(child | (log_k.abs() > SAME_SCALE), log_k, torch.zeros_like(log_k))
    k = log_k.exp()
    return ShapeAndScale(k[:, None] * by_scale - at_zero, 1 / k, child)


def _size(design: Tensor, mean: Tensor, seen: Tensor, shapes: int) -> Tensor:
    """Return how many standard deviations of shape (B,) each is larger than the mean body in its pose; columns beyond shape are projected out."""
    rest = design[..., shapes:]
    if rest.shape[2]:
        basis, _ = torch.linalg.qr(rest)
        mean, seen = (part - (basis @ (basis.mT @ part[..., None]))[..., 0] for part in (mean, seen))
    power = (mean * mean).sum(1)
    spread = (design[..., :shapes].mT @ mean[..., None])[..., 0].norm(dim=1) / power
    return ((seen * mean).sum(1) / power - 1) / spread


def unit_of(seen: Float[Tensor, "B N 3"], rest: Float[Tensor, "N 3"]) -> tuple[float, str]:
    """Return how many of the unit in which points are stored make a metre, and its name.

    Args:
        seen: (B, N, 3) points, all bodies in the same unit.
        rest: (M, 3) m, the mean body's corresponding points, or any others spread as they are.
    """
    size = (seen - seen.mean(1, keepdim=True)).square().sum(2).mean(1).sqrt().median()
    ratio = float(size / (rest - rest.mean(0)).square().sum(1).mean().sqrt())
    return next((unit, name) for least, unit, name in UNITS if ratio > least or least == 0)
