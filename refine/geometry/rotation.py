"""Rotations: matrices in data, 3-vectors in steps.

    exp(w) = I + a [w]x + b [w]x²,   a = sin t / t,   b = (1 - cos t) / t²,   t = |w|
    retraction: R exp(step); d/dstep (R exp(step) p) at 0 = -R [p]x

Taylor branches at 0 (exp, log, Jacobians) and the eigenvector branch at pi (log) keep values and derivatives finite.

Source: Murray, Li and Sastry, A Mathematical Introduction to Robotic Manipulation, sec. 2.2 (Rodrigues);
Sola, Deray and Atchuthan, A micro Lie theory for state estimation in robotics (arXiv 1812.01537), eq. 143-146
(Jacobians).
"""

import torch
from jaxtyping import Float
from torch import Tensor

SMALL_ANGLE = 1e-2
"""Below this angle (rad) a three-term series is used: its first neglected term is below 1e-16 relative in float64."""


def cross_matrix(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return [v]x, the matrix with [v]x u = v x u.

    Args:
        vector: (..., 3), any unit.

    Returns:
        (..., 3, 3), the same unit.
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(*vector.shape, 3)


def _series(angle_squared: Tensor, coefficients: tuple[float, float, float, float]) -> Tensor:
    """Evaluate a power series in the squared angle."""
    c0, c1, c2, c3 = coefficients
    return c0 + angle_squared * (c1 + angle_squared * (c2 + angle_squared * c3))


def _sine_terms(vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sin t / t, (1 - cos t) / t² and (t - sin t) / t³ with axes (..., 1, 1)."""
    squared = (vector * vector).sum(-1)[..., None, None]
    small = squared < SMALL_ANGLE**2
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    half = torch.sin(angle / 2)
    a = torch.where(small, _series(squared, (1.0, -1 / 6, 1 / 120, -1 / 5040)), torch.sin(angle) / angle)
    b = torch.where(small, _series(squared, (1 / 2, -1 / 24, 1 / 720, -1 / 40320)), 2 * half * half / safe)
    c = torch.where(
        small, _series(squared, (1 / 6, -1 / 120, 1 / 5040, -1 / 362880)), (angle - torch.sin(angle)) / (safe * angle)
    )
    return a, b, c


def exp(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation by |vector| radians about vector.

    Args:
        vector: (..., 3) rad (axis times angle).

    Returns:
        (..., 3, 3) rotation matrices; differentiable everywhere.
    """
    a, b, _ = _sine_terms(vector)
    cross = cross_matrix(vector)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + a * cross + b * (cross @ cross)


def log(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return the axis-angle vector of a rotation, of length at most pi.

    The vector is read from the unit quaternion whose largest component is found first (Shepperd's method), so that it
    is exact to rounding near 0 and near pi. At pi itself both axes are valid; one is returned.

    Args:
        rotation: (..., 3, 3) rotation matrices.

    Returns:
        (..., 3) rad.
    """
    quaternion = to_quaternion(rotation)  # (..., 4), real part first and non-negative
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = (imaginary * imaginary).sum(-1, keepdim=True)
    small = squared < SMALL_ANGLE**2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # angle / sine(angle/2); near zero 2 asin(s)/s = 2 (1 + s²/6 + 3 s⁴/40 + 15 s⁶/336)
    scale = torch.where(small, 2 * _series(squared, (1.0, 1 / 6, 3 / 40, 15 / 336)), 2 * torch.atan2(sine, real) / sine)
    return imaginary * scale


def to_quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Return the unit quaternion (w, x, y, z), w >= 0, of a rotation.

    Source: Shepperd, Quaternion from rotation matrix, J. Guidance and Control 1(3), 1978.

    Args:
        rotation: (..., 3, 3) rotation matrices.

    Returns:
        (..., 4).
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    ones = torch.ones_like(xx)
    # Row i is 4 q_i q: all four are right, the one with the largest diagonal is well conditioned.
    rows = torch.stack(
        (
            torch.stack(
                (
                    ones + xx + yy + zz,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 2, 1] - m[..., 1, 2],
                    ones + xx - yy - zz,
                    m[..., 1, 0] + m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] + m[..., 0, 1],
                    ones - xx + yy - zz,
                    m[..., 2, 1] + m[..., 1, 2],
                ),
                -1,
            ),
            torch.stack(
                (
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 2, 1] + m[..., 1, 2],
                    ones - xx - yy + zz,
                ),
                -1,
            ),
        ),
        -2,
    )  # (..., 4, 4)
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*rows.shape[:-2], 1, 4)
    row = rows.gather(-2, best)[..., 0, :]
    quaternion = row / row.norm(dim=-1, keepdim=True)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def right_jacobian(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return Jr with exp(v + d) = exp(v) exp(Jr d) to first order.

    Args:
        vector: (..., 3) rad.

    Returns:
        (..., 3, 3).
    """
    _, b, c = _sine_terms(vector)
    cross = cross_matrix(vector)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) - b * cross + c * (cross @ cross)


def right_jacobian_inverse(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return Jr⁻¹ with log(exp(v) exp(d)) = v + Jr⁻¹ d to first order; finite for |v| < 2 pi.

    Args:
        vector: (..., 3) rad.

    Returns:
        (..., 3, 3).
    """
    squared = (vector * vector).sum(-1)[..., None, None]
    small = squared < SMALL_ANGLE**2
    safe = torch.where(small, torch.ones_like(squared), squared)
    half = safe.sqrt() / 2
    # 1/t² - (1 + cos t)/(2 t sin t) = (1 - (t/2) cot(t/2)) / t²
    factor = torch.where(
        small,
        _series(squared, (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600)),
        (1 - half * torch.cos(half) / torch.sin(half)) / safe,
    )
    cross = cross_matrix(vector)
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + 0.5 * cross + factor * (cross @ cross)


def nearest(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation nearest to a matrix in the Frobenius norm (orthogonal Procrustes).

    Args:
        matrix: (..., 3, 3), unitless.

    Returns:
        (..., 3, 3) rotation matrices, determinant +1. Not for differentiation: where singular values coincide, as they
        do at a rotation, the SVD has no derivative.
    """
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(left @ right).sign()
    return (left * sign[..., None, :]) @ right
