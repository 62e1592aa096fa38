"""Rows of a linearised term: their typical residual, and the joint each belongs to."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.solve.normal_equations import row_sizes
from refine.state import Unknowns
from refine.terms import Linearization

MEDIAN_OF_CHI2 = {1: 0.4549, 2: 1.3863, 3: 2.3660}
"""Median of a χ² variable with as many degrees of freedom as a row has numbers."""
MOVES = 0.2
"""A row belongs to the last joint down its chain that moves it at least this share of what the best joint does."""


def typical(linear: Linearization) -> Float[Tensor, "B"]:
    """Return the typical residual of the rows (B,), sigmas: a weighted median, zero where all rows are silent.

    Args:
        linear: A term at one state, N rows a body, each weighted by its share; the columns do not matter.
    """
    squared, whole = row_sizes(linear)
    count, width = squared.shape[1], linear.residual.shape[2]
    if not count:
        return torch.zeros_like(squared.sum(1))
    informed = squared > 0  # a silent row has no residual
    share = (informed * whole).double()
    order = squared.argsort(1)
    reached = share.gather(1, order).cumsum(1)
    half = (reached < reached[:, -1:] / 2).sum(1, keepdim=True).clamp(max=count - 1)
    median = squared.gather(1, order).gather(1, half)[:, 0]
    expected = MEDIAN_OF_CHI2.get(width, width - 2 / 3)
    return torch.where(informed.any(1), (median / expected).sqrt(), torch.zeros_like(median))


def joint_of_rows(linear: Linearization, unknowns: Unknowns) -> Int[Tensor, "B N"]:
    """Return the joint (B, N) each row belongs to: the last one down the chain that moves it; zero where none is free.

    Args:
        linear: A term at one state, N rows a body.
        unknowns: Its columns.
    """
    count = len(unknowns.joints)
    if not count:
        return torch.zeros(linear.residual.shape[:2], dtype=torch.long, device=linear.residual.device)
    by_joint = linear.jacobian[..., unknowns.pose_columns].unflatten(-1, (count, 3)).norm(dim=(2, 4))  # (B, N, K)
    free = unknowns.free_joints(unknowns.joints)
    if free is not None:
        by_joint = torch.where(free[:, None], by_joint, 0.0)
    moves = by_joint >= MOVES * by_joint.amax(2, keepdim=True)
    slot = torch.arange(count, device=moves.device)
    last = (moves * (slot + 1)).amax(2) - 1
    return torch.tensor(unknowns.joints, device=moves.device)[last.clamp(min=0)]
