"""The network that is kept: a moving average of the one that is trained.

    average <- d average + (1 - d) network,   d = min(decay, (1 + n) / (10 + n))
               at step n, statistics of normalisations too

Source: Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992; the growing decay is that of TensorFlow's
ExponentialMovingAverage.
"""

import torch

from displacement_net.model import DisplacementNet

DECAY = 0.999
"""Remembers about the last thousand steps."""


@torch.no_grad()
def follow(average: DisplacementNet, network: DisplacementNet, step: int, decay: float = DECAY) -> None:
    """Move the average towards the network, in place.

    Args:
        average: Of the same shape as the network.
        network: As it is after the step.
        step: Number of the step, from 0.
        decay: The largest d.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    trained = dict(network.named_parameters())
    own, other = [], []
    for (name, mine), (_, value) in zip(average.state_dict().items(), network.state_dict().items(), strict=True):
        if name in trained and not trained[name].requires_grad:
            continue  # what does not learn is the same in both
        if value.is_floating_point():
            own.append(mine)
            other.append(value)
        else:
            mine.copy_(value)
    torch._foreach_lerp_(own, other, share)
