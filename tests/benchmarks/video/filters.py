"""Filters over time of a track's rotations, translation and shape: Gaussian, Savitzky-Golay, One-Euro.

    linear filters   R <- nearest rotation to Σ_k h_k R(t + k)           One-Euro   R <- R exp(α log(Rᵀ R(t)))
                     α = 1 / (1 + rate / (2π f)),  f = f_min + β |speed|,  the speed itself filtered at 1 Hz

Each is tried at every setting of its grid, and the best by MPJPE over all clips is the one that is printed: a rival
that knew the truth when it was set.

Source: Casiez, Roussel and Vogel, 1-Euro filter, CHI 2012; Savitzky and Golay, Analytical Chemistry 36(8), 1964;
Moakher, SIAM J. Matrix Anal. Appl. 24(1), 2002 (the mean of rotations as the nearest to the mean of matrices).
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from refine.geometry import rotation
from refine.state import Bodies, State

Filter = Callable[[State], State]
GAUSSIAN_FRAMES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
SAVITZKY = tuple((window, order) for order in (2, 3) for window in (5, 7, 9, 13, 17, 25))
ONE_EURO = tuple((cutoff, beta) for cutoff in (1.0, 2.0, 4.0, 8.0, 16.0) for beta in (0.0, 0.5, 2.0, 8.0))
"""Lowest cutoff, Hz, and its growth with speed, Hz per rad/s and per m/s."""
SPEED_HZ = 1.0


def grids(fps: float) -> dict[str, dict[str, Filter]]:
    """Return the filters by name and setting."""
    from scipy.signal import savgol_coeffs

    def reach(sigma: float) -> np.ndarray:
        places = np.arange(-math.ceil(4 * sigma), math.ceil(4 * sigma) + 1)
        kernel = np.exp(-0.5 * (places / sigma) ** 2)
        return np.asarray(kernel / kernel.sum())

    return {
        "gaussian": {f"sigma {sigma:g} frames": partial(linear, kernel=reach(sigma)) for sigma in GAUSSIAN_FRAMES},
        "savgol": {
            f"{window} frames, order {order}": partial(linear, kernel=savgol_coeffs(window, order)[::-1].copy())
            for window, order in SAVITZKY
        },
        "one_euro": {
            f"from {cutoff:g} Hz, beta {beta:g}": partial(one_euro, cutoff=cutoff, beta=beta, fps=fps)
            for cutoff, beta in ONE_EURO
        },
    }


def linear(state: State, kernel: np.ndarray) -> State:
    """Return a track filtered with a symmetric kernel; beyond its ends the first and last frame go on."""
    bodies = state.bodies
    pose = rotation.nearest(_convolved(bodies.pose.double(), kernel)).to(bodies.pose)
    return _with(state, pose, *(_convolved(each, kernel) for each in (bodies.shape, bodies.translation)))


def _convolved(series: Tensor, kernel: np.ndarray) -> Tensor:
    half = len(kernel) // 2
    padded = torch.cat(
        (series[:1].expand(half, *series.shape[1:]), series, series[-1:].expand(half, *series.shape[1:]))
    )
    weights = torch.from_numpy(kernel).to(series)
    return torch.tensordot(padded.unfold(0, len(kernel), 1), weights, dims=([-1], [0]))


def one_euro(state: State, cutoff: float, beta: float, fps: float) -> State:
    """Return a track filtered as it comes in, each frame from those before it."""
    bodies = state.bodies
    pose = [bodies.pose[0]]
    speed = torch.zeros_like(bodies.pose[0, :, 0])
    flat = torch.cat((bodies.shape, bodies.translation), 1)
    rest, rest_speed = [flat[0]], torch.zeros_like(flat[0])
    for frame in range(1, len(state)):
        away = rotation.log(pose[-1].mT @ bodies.pose[frame])
        speed = speed + _alpha(SPEED_HZ, fps) * (fps * away - speed)
        step = _alpha(cutoff + beta * speed.norm(dim=-1, keepdim=True), fps) * away
        pose.append(pose[-1] @ rotation.exp(step))
        away = flat[frame] - rest[-1]
        rest_speed = rest_speed + _alpha(SPEED_HZ, fps) * (fps * away - rest_speed)
        rest.append(rest[-1] + _alpha(cutoff + beta * rest_speed.abs(), fps) * away)
    shapes = bodies.shape.shape[1]
    series = torch.stack(rest)
    return _with(state, torch.stack(pose), series[:, :shapes], series[:, shapes:])


def _alpha(cutoff: Tensor | float, fps: float) -> Tensor | float:
    return 1 / (1 + fps / (2 * math.pi * cutoff))


def _with(state: State, pose: Tensor, shape: Tensor, translation: Tensor) -> State:
    return State(Bodies(pose, shape, state.bodies.expression, translation), state.camera)
