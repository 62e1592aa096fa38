"""Estimates shape and scale of a body from points by a MAP fit, in which an adult's size is shape.

    x = s (D β + t) + noise,      β ~ N(0, 1),   log s ~ N(0, σ²)

Points alone do not separate scale and shape, so the priors decide: σ is `LOG_SCALE_SIGMA` for everybody whose size a
shape of the model has, and `CHILD_LOG_SCALE_SIGMA` for people smaller than nearly all adults. The scale is applied to
the model: applied to the points, s⁻¹ x, it would shrink to reduce noise. Solved by Gauss-Newton in β and log s.

Size in standard deviations of shape:  z = (xᵀt / tᵀt - 1) / (|Dᵀt| / tᵀt), the regression of the points on the mean
body in its pose.

Source: derived here.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LOG_SCALE_SIGMA = 0.01
"""Standard deviation of an adult's log scale: files are in metres, and shape explains a hundredth as well."""

CHILD_LOG_SCALE_SIGMA = 0.5
"""The same of children: a newborn is 0.3 of an adult's size (log -1.2), a child of six 0.7 (-0.36)."""

CHILD_REACH = 2.5
"""A child is smaller than the mean adult by more than this many standard deviations of shape: below 1.34 m on the
built-in body, whose adults begin at 1.4 m."""

SAME_LOG_SCALE = 0.05
"""Log scales below this, five of an adult's standard deviations, are zero: positions stay in metres."""

STEPS = 8
"""Gauss-Newton steps; the problem is linear but for the product of scale and shape, and five reach a millionth."""

UNITS = ((150.0, 1000.0, "millimetres"), (10.0, 100.0, "centimetres"), (0.0, 1.0, "metres"))
"""Least size of points over the mean body's, units a metre and name of each unit: people have sizes of 0.2 (a crouching
newborn) to 1.4."""


@dataclass(frozen=True, eq=False)
class ShapeAndScale:
    """Shape and scale of B bodies.

    Attributes:
        free: (B, P) coefficients of shape, and those of the other columns.
        scale: (B,) size of the scene in units of the body's: seen = scale · body. 1 for adults.
        child: (B,) whether the person is smaller than the shapes of adults.
    """

    free: Float[Tensor, "B P"]
    scale: Float[Tensor, "B"]
    child: Bool[Tensor, "B"]


def shape_and_scale(
    design: Float[Tensor, "B N P"], mean: Float[Tensor, "B N"], seen: Float[Tensor, "B N"], shapes: int
) -> ShapeAndScale:
    """Return the most probable shape and scale.

    Args:
        design: (B, N, P) change of the body's coordinates by unit of each column, over their standard deviation: shape
            first, then a translation, if one is free.
        mean: (B, N) the coordinates at zero, over their standard deviation.
        seen: (B, N) the observed coordinates, over their standard deviation.
        shapes: Number of shape columns.

    Returns:
        Columns (B, P) and scale (B,), float64.
    """
    design, mean, seen = design.double(), mean.double(), seen.double()
    basis, other = design[..., :shapes], design[..., shapes:]
    kept = _without(other, torch.cat((basis, mean[..., None], seen[..., None]), 2))
    basis, target = kept[..., :shapes], kept[..., -1]
    template = kept[..., -2]
    power = template.square().sum(1)
    ratio = (target * template).sum(1) / power
    spread = (basis.mT @ template[..., None])[..., 0].norm(dim=1) / power
    child = ratio - 1 < -CHILD_REACH * spread
    sigma = torch.where(child, CHILD_LOG_SCALE_SIGMA, LOG_SCALE_SIGMA).to(ratio)
    start = torch.where(child, ratio.clamp(min=0.05).log(), torch.zeros_like(ratio))
    shape, log_scale = _solved(basis, template, target, sigma, start)
    same = log_scale.abs() <= SAME_LOG_SCALE
    scale = torch.where(same, torch.ones_like(log_scale), log_scale.exp())
    shape = torch.where(same[:, None], _shape_alone(basis, target - template), shape)
    left = seen / scale[:, None] - mean - (design[..., :shapes] @ shape[..., None])[..., 0]
    rest = (
        torch.linalg.lstsq(other, left[..., None]).solution[..., 0] if other.shape[2] else other.new_zeros(len(seen), 0)
    )
    return ShapeAndScale(torch.cat((shape, rest), 1), scale, child)


def _without(other: Tensor, columns: Tensor) -> Tensor:
    """Return columns (B, N, C) without their projection onto others (B, N, Q)."""
    if not other.shape[2]:
        return columns
    basis, _ = torch.linalg.qr(other)
    return columns - basis @ (basis.mT @ columns)


def _shape_alone(basis: Tensor, target: Tensor) -> Tensor:
    """Return the most probable shape (B, S) at scale one."""
    factor = torch.linalg.cholesky(basis.mT @ basis + torch.eye(basis.shape[2]).to(basis))
    return torch.cholesky_solve(basis.mT @ target[..., None], factor)[..., 0]


def _solved(basis: Tensor, template: Tensor, target: Tensor, sigma: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return shape (B, S) and log scale (B,), from an initial log scale (B,)."""
    shape = basis.new_zeros(len(basis), basis.shape[2])
    weight = torch.cat((torch.ones_like(shape), 1 / sigma[:, None] ** 2), 1)
    for _ in range(STEPS):
        size = log_scale.exp()[:, None]
        body = size * (template + (basis @ shape[..., None])[..., 0])
        columns = torch.cat((size[..., None] * basis, body[..., None]), 2)
        now = torch.cat((shape, log_scale[:, None]), 1)
        slope = (columns.mT @ (body - target)[..., None])[..., 0] + weight * now
        factor = torch.linalg.cholesky(columns.mT @ columns + torch.diag_embed(weight))
        step = torch.cholesky_solve(slope[..., None], factor)[..., 0]
        shape, log_scale = shape - step[:, :-1], log_scale - step[:, -1].clamp(-0.5, 0.5)
    return shape, log_scale


def unit_of(seen: Float[Tensor, "B N 3"], rest: Float[Tensor, "M 3"]) -> tuple[float, str]:
    """Return the unit of stored points: how many make a metre, and its name.

    Args:
        seen: (B, N, 3) points, all bodies in the same unit.
        rest: (M, 3) m, the mean body's corresponding points, or others of the same spread.
    """
    size = (seen - seen.mean(1, keepdim=True)).square().sum(2).mean(1).sqrt().median()
    ratio = float(size / (rest - rest.mean(0)).square().sum(1).mean().sqrt())
    return next((unit, name) for least, unit, name in UNITS if ratio > least or least == 0)
