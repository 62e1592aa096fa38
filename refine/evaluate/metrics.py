"""How far bodies are from the truth, defined once: MPJPE, PA-MPJPE, PVE in millimetres, PCK in shares.

    MPJPE     mean_j | (x_j - x_0) - (y_j - y_0) |                  pelvis-aligned: joint 0 of both lies at the origin
              from the hips: their middle lies at the origin           (published tables of videos)
    PA-MPJPE  min over s, R, t of mean-square fit, then mean_j | s R x_j + t - y_j |
    PVE       mean_v | (x_v - x_0) - (y_v - y_0) |                  pelvis-aligned, over vertices
    PCK@t     share of points with | x - y | <= t

Source: Ionescu et al., Human3.6M, TPAMI 36(7), 2014 (MPJPE); Gower, Psychometrika 40(1), 1975, and Umeyama, TPAMI
13(4), 1991, eq. 40-42 (similarity Procrustes); Yang and Ramanan, TPAMI 35(12), 2013 (PCK); `eth-ait/emdb` 415faa8
evaluation_metrics.py (hips).
"""

import torch
from jaxtyping import Float
from torch import Tensor

MM_PER_M = 1000.0


def mpjpe(joints: Float[Tensor, "B J 3"], true: Float[Tensor, "B J 3"]) -> Float[Tensor, "B"]:
    """Return the mean distance of joints, pelvis-aligned.

    Args:
        joints: (B, J, 3) m, the pelvis first.
        true: (B, J, 3) m, the same joints.

    Returns:
        (B,) mm.
    """
    return distance(joints - joints[:, :1], true - true[:, :1])


def mpjpe_from_hips(
    joints: Float[Tensor, "B J 3"], true: Float[Tensor, "B J 3"], hips: tuple[int, int] = (1, 2)
) -> Float[Tensor, "B"]:
    """Return the mean distance of joints seen from the middle of the hips, as EMDB's, RICH's and 3DPW's tables have it.

    Args:
        joints: (B, J, 3) m.
        true: (B, J, 3) m, the same joints.
        hips: Which joints they are: 1 and 2 of SMPL's, 2 and 3 of the 14 of the Leeds set.

    Returns:
        (B,) mm, one a frame.
    """
    middle, true_middle = (each[:, list(hips)].mean(1, keepdim=True) for each in (joints, true))
    return distance(joints - middle, true - true_middle)


def pa_mpjpe(joints: Float[Tensor, "B J 3"], true: Float[Tensor, "B J 3"]) -> Float[Tensor, "B"]:
    """Return the mean distance of joints after the best similarity (scale, rotation, translation).

    Args:
        joints: (B, J, 3) m.
        true: (B, J, 3) m, the same joints.

    Returns:
        (B,) mm.
    """
    return distance(procrustes(joints, true), true)


def pve(
    vertices: Float[Tensor, "B V 3"],
    true: Float[Tensor, "B V 3"],
    pelvis: Float[Tensor, "B 3"],
    true_pelvis: Float[Tensor, "B 3"],
) -> Float[Tensor, "B"]:
    """Return the mean distance of vertices, pelvis-aligned.

    Args:
        vertices: (B, V, 3) m.
        true: (B, V, 3) m, the same vertices.
        pelvis: (B, 3) m, joint 0 of the first.
        true_pelvis: (B, 3) m, joint 0 of the second.

    Returns:
        (B,) mm.
    """
    return distance(vertices - pelvis[:, None], true - true_pelvis[:, None])


def pck(points: Float[Tensor, "B K D"], true: Float[Tensor, "B K D"], threshold: float) -> Float[Tensor, "B"]:
    """Return the share of points no further than a threshold from the truth.

    Args:
        points: (B, K, 2 or 3), px or m.
        true: (B, K, 2 or 3), the same unit.
        threshold: The same unit.

    Returns:
        (B,) 0..1.
    """
    return ((points - true).norm(dim=-1) <= threshold).to(points.dtype).mean(1)


def distance(points: Float[Tensor, "B N 3"], true: Float[Tensor, "B N 3"]) -> Float[Tensor, "B"]:
    """Return the mean distance of points as they lie (the absolute error).

    Args:
        points: (B, N, 3) m.
        true: (B, N, 3) m.

    Returns:
        (B,) mm.
    """
    return MM_PER_M * (points - true).norm(dim=-1).mean(1)


def procrustes(points: Float[Tensor, "B N 3"], true: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
    """Return points moved onto others by the similarity of least mean square distance, reflections excluded.

    Args:
        points: (B, N, 3) m.
        true: (B, N, 3) m.

    Returns:
        (B, N, 3) m; points that all coincide move to the mean of the others.
    """
    mean, true_mean = points.mean(1, keepdim=True), true.mean(1, keepdim=True)
    centered, true_centered = points - mean, true - true_mean
    left, singular, right = torch.linalg.svd(true_centered.mT @ centered)
    sign = torch.ones_like(singular)
    sign[:, 2] = torch.linalg.det(left @ right).sign()
    turn = (left * sign[:, None]) @ right  # (B, 3, 3), true from points
    spread = centered.square().sum((1, 2))
    scale = (singular * sign).sum(1) / spread.clamp(min=torch.finfo(points.dtype).tiny)
    return scale[:, None, None] * centered @ turn.mT + true_mean
