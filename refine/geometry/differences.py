"""Velocity, acceleration and jerk of points over time, at equal or unequal times, by divided differences.

    n-th derivative at rows i..i+n = n! f[t_i, ..., t_i+n],     f[a..b] = (f[a+1..b] - f[a..b-1]) / (t_b - t_a)

It is exact for a polynomial of degree n, whatever the times, and at equal times the usual difference times fps^n.

Source: Press et al., Numerical Recipes, 3rd ed., sec. 3.2 and 5.7 (divided differences).
"""

import math

from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError


def derivative(points: Float[Tensor, "F *N"], time_s: Float[Tensor, "T"], order: int) -> Float[Tensor, "W *N"]:
    """Return the derivative of each window of `order` + 1 frames that follow each other.

    Args:
        points: (F, ...) any unit.
        time_s: (F,) s, ascending.
        order: 1 velocity, 2 acceleration, 3 jerk.

    Returns:
        (F - order, ...) unit / s^order, of the windows in their order; none where there are fewer frames.

    Raises:
        InputError: Times do not ascend, or are not as many as frames.
    """
    if len(time_s) != len(points):
        raise InputError("time_s", f"one time a frame, {len(points)}", str(len(time_s)))
    if len(time_s) > 1 and not bool((time_s.diff() > 0).all()):
        raise InputError("time_s", "times that ascend", "a frame at or before the one before it")
    found = points
    for step in range(1, order + 1):
        if len(found) < 2:
            return points[:0]
        apart = (time_s[step:] - time_s[:-step]).to(points)
        found = found.diff(dim=0) / apart.reshape(-1, *[1] * (points.ndim - 1))
    return math.factorial(order) * found
