"""What a method made of a batch of people."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.state import State


@dataclass(frozen=True, eq=False)
class Outcome:
    """B bodies after a method.

    Attributes:
        state: The bodies; those that were rolled back are the estimate's.
        accepted: (B,) whose update was believed; all of them, where nobody asks.
        sigma_m: (B, J, 3) m, standard deviation along image x, image y and depth of the pelvis, and of the joints
            relative to it; None: nothing is said.
        seconds: What it took, all bodies.
        mahalanobis: (B,) squared size of the true error under the stated covariance over its degrees of freedom; None:
            nothing is said.
    """

    state: State
    accepted: Bool[Tensor, "B"]
    seconds: float
    sigma_m: Float[Tensor, "B J 3"] | None = None
    mahalanobis: Float[Tensor, "B"] | None = None


def everybody(count: int) -> Bool[Tensor, "B"]:
    """Return that all are accepted, (B,)."""
    return torch.ones(count, dtype=torch.bool)
