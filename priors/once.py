"""A prior of a value that several rows share is counted once.

cost = Σ_rows (1 / n) ½ ρ(‖r‖²),   n the number of rows that have the value

Source: none needed; n copies of one prior would make it n times as sure.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.terms import Linearization


def once(linear: Linearization, share: Float[Tensor, "B"] | None) -> Linearization:
    """Return a linearisation whose rows are shares of one observation.

    Args:
        linear: Of B rows.
        share: (B,) one over the number of rows that have the value (`Unknowns.shares`); None: as it is.
    """
    if share is None:
        return linear
    root = share.to(linear.residual).sqrt()
    part = torch.ones_like(linear.residual[..., 0]) if linear.share is None else linear.share
    return Linearization(
        linear.residual * root[:, None, None],
        linear.jacobian * root[:, None, None, None],
        linear.kernel,
        None if linear.constant is None else linear.constant * root.square(),
        part * root[:, None],
    )
