"""Two ways down a cost for a batch of bodies, each by itself: Adam, and L-BFGS.

    Adam     every parameter has a step of its own; the gradient of the batch's sum is each body's own
    L-BFGS   step_b = -H_b gradient_b, H_b from body b's own last pairs (s, y); halved until the cost falls enough
             (Armijo)

torch's L-BFGS takes one step for all: batch 1 is asserted by SMPLify-X, and a summed cost couples bodies. Here all
bodies walk side by side with their own history, step length and end, which is what one body at a time would give, but
for the line search (theirs: strong Wolfe).

Source: Kingma and Ba, Adam, ICLR 2015; Nocedal and Wright, Numerical Optimization, 2nd ed., alg. 7.4 and 3.1 (two-loop
recursion, backtracking).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Cost = Callable[[], Tensor]
"""Cost (B,) of the parameters as they are."""
HISTORY = 20
ARMIJO = 1e-4
HALVINGS = 12
"""Of a step; then the body has come to its end."""


def adam(parameters: Sequence[Tensor], cost: Cost, steps: int, rate: float) -> Tensor:
    """Take steps of Adam; the parameters are changed.

    Args:
        parameters: (B, ...) each.
        cost: (B,) of them.
        steps: How many.
        rate: Step size.

    Returns:
        (B,) the cost after the last step.
    """
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(list(parameters), lr=rate)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            cost().sum().backward()
            optimizer.step()
    return _end(parameters, cost)


def lbfgs(parameters: Sequence[Tensor], cost: Cost, iterations: int, tolerance: float) -> Tensor:
    """Take steps of L-BFGS; the parameters are changed.

    Args:
        parameters: (B, ...) each.
        cost: (B,) of them.
        iterations: At most so many.
        tolerance: A body ends when a step lowers its cost by less than this share.

    Returns:
        (B,) the cost at the end.
    """
    for parameter in parameters:
        parameter.requires_grad_(True)
    here, value, gradient = _read(parameters), *_evaluate(parameters, cost)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    running = torch.ones_like(value, dtype=torch.bool)
    for _ in range(iterations):
        step = -_times_inverse(gradient, pairs)
        slope = (step * gradient).sum(1)
        uphill = slope >= 0
        step = torch.where(uphill[:, None], -gradient, step)
        slope = torch.where(uphill, -gradient.square().sum(1), slope)
        length = torch.ones_like(value)
        if not pairs:  # no idea yet how long a step is
            length = (1 / gradient.abs().sum(1).clamp(min=1e-12)).clamp(max=1.0)
        length = torch.where(running, length, 0.0)
        found = ~running
        there, new_value, new_gradient = here, value, gradient
        for _ in range(HALVINGS):
            tried = here + length[:, None] * step
            _write(parameters, torch.where(found[:, None], there, tried))
            v, g = _evaluate(parameters, cost)
            good = ~found & (v <= value + ARMIJO * length * slope) & v.isfinite()
            there = torch.where(good[:, None], tried, there)
            new_value, new_gradient = torch.where(good, v, new_value), torch.where(good[:, None], g, new_gradient)
            found = found | good
            if bool(found.all()):
                break
            length = torch.where(found, length, length / 2)
        moved, turned = there - here, new_gradient - gradient
        curvature = (moved * turned).sum(1)
        useful = curvature > 1e-10 * turned.square().sum(1).clamp(min=1e-30)
        inverse = torch.where(useful, 1 / curvature.clamp(min=1e-30), 0.0)
        pairs = [*pairs, (moved, turned, inverse)][-HISTORY:]
        running = running & found & (value - new_value > tolerance * value.abs())
        here, value, gradient = there, new_value, new_gradient
        if not bool(running.any()):
            break
    _write(parameters, here)
    return _end(parameters, cost)


def _times_inverse(gradient: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Return H gradient (B, P); a pair whose inverse curvature is zero does nothing to its body."""
    rest, alphas = gradient, []
    for moved, turned, inverse in reversed(pairs):
        alpha = inverse * (moved * rest).sum(1)
        rest = rest - alpha[:, None] * turned
        alphas.append(alpha)
    scale = torch.ones_like(gradient[:, 0])
    for moved, turned, inverse in pairs:  # of the last pair that is of use
        new = (moved * turned).sum(1) / turned.square().sum(1).clamp(min=1e-30)
        scale = torch.where(inverse > 0, new, scale)
    rest = scale[:, None] * rest
    for (moved, turned, inverse), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = inverse * (turned * rest).sum(1)
        rest = rest + (alpha - beta)[:, None] * moved
    return rest


def _evaluate(parameters: Sequence[Tensor], cost: Cost) -> tuple[Tensor, Tensor]:
    """Return cost (B,) and gradient (B, P)."""
    with torch.enable_grad():
        value = cost()
        gradients = torch.autograd.grad(value.sum(), list(parameters))
    return value.detach(), torch.cat([each.flatten(1) for each in gradients], 1)


def _read(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten(1) for each in parameters], 1).clone()


def _write(parameters: Sequence[Tensor], values: Tensor) -> None:
    start = 0
    with torch.no_grad():
        for parameter in parameters:
            size = parameter[0].numel()
            parameter.copy_(values[:, start : start + size].reshape(parameter.shape))
            start += size


def _end(parameters: Sequence[Tensor], cost: Cost) -> Tensor:
    for parameter in parameters:
        parameter.requires_grad_(False)
    with torch.no_grad():
        return cost()
