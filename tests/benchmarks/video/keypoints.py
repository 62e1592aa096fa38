"""Keypoints of a track as a detector gives them: errors that hang together in time, points lost, sides swapped.

    seen[t, k] = pixel[t, k] + size (constant_k + a_k(t)),     a(t + Δ) = ρ a(t) + √(1 - ρ²) w,  ρ = exp(-Δ / 0.086 s)

size: root of the area of the person's box. w: Student's t of 3 degrees, which has the tails measured (95 % of errors
within 2.7 and 99 % within 5.6 of the middle's standard deviation; a Gaussian's: 2.0 and 2.6).

Constant part, moving part and time are measured: OpenPose on four calibrated cameras, each against the other three
(`python -m tests.benchmarks --only correlation`, and the spreads it is made of): 1.3 and 1.35 % of the box, 0.086 s.
How often points are lost and sides are swapped is a judgement: a joint in ten seconds, a pair of limbs in twenty.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.state import State
from tests.benchmarks.video.clips import FPS, Clip

NAME = "coco17"
CONSTANT, MOVING, TIME_S = 0.0131, 0.0135, 0.086
DEGREES = 3
LOST_PER_S, SWAPPED_PER_S = 0.1, 0.05
PAIRS = {"arms": ((7, 9), (8, 10)), "legs": ((13, 15), (14, 16))}
"""Elbows and wrists; knees and ankles: of coco17, left and right."""
CONFIDENCE = 0.9


def true_keypoints(body: SkinnedBody, clip: Clip) -> Float[np.ndarray, "F K 2"]:
    """Return where the points are, px."""
    points = pose_body(body, clip.true.bodies).keypoints(body.keypoint_set(NAME))
    return np.asarray(clip.true.camera.project(points).double().numpy())


def keypoints_of(body: SkinnedBody, clip: Clip, seed: int) -> Float[np.ndarray, "F K 3"]:
    """Return what a detector sees of a clip.

    Args:
        body: The model.
        clip: The truth.
        seed: Of everything drawn.

    Returns:
        (F, K, 3) px and confidence; 0: lost.
    """
    rng, true = np.random.default_rng(seed), true_keypoints(body, clip)
    count, points = true.shape[:2]
    box = np.sqrt(np.ptp(true, axis=1).prod(-1))[:, None, None]
    fading = math.exp(-1 / (FPS * TIME_S))
    moving = np.empty_like(true)
    # The core of Student's t has the spread that was measured, which is a median's.
    core = np.median(np.abs(rng.standard_t(DEGREES, 100_000))) / 0.6745
    shocks = rng.standard_t(DEGREES, true.shape) / core
    moving[0] = shocks[0]
    for frame in range(1, count):
        moving[frame] = fading * moving[frame - 1] + math.sqrt(1 - fading**2) * shocks[frame]
    seen = true + box * (CONSTANT * rng.standard_normal((1, points, 2)) + MOVING * moving)
    confidence = np.clip(CONFIDENCE + 0.05 * rng.standard_normal((count, points)), 0.3, 1.0)
    for first, last in _stretches(rng, count, SWAPPED_PER_S, 0.07, 0.3):
        left, right = PAIRS["arms" if rng.random() < 0.5 else "legs"]
        seen[first:last, [*left, *right]] = seen[first:last, [*right, *left]]
    for point in range(points):
        for first, last in _stretches(rng, count, LOST_PER_S, 0.1, 0.7):
            confidence[first:last, point] = 0.0
    return np.concatenate((seen, confidence[..., None]), -1)


def _stretches(
    rng: np.random.Generator, count: int, per_s: float, shortest_s: float, longest_s: float
) -> list[tuple[int, int]]:
    """Draw stretches of frames, first and one past the last."""
    starts = rng.integers(count, size=rng.poisson(per_s * count / FPS))
    return [(int(at), int(at + max(1, FPS * rng.uniform(shortest_s, longest_s)))) for at in starts]


def misfit(body: SkinnedBody, clip: Clip, state: State) -> Float[Tensor, "F"]:
    """Return the mean distance of a track's projected points from the true ones, (F,) px."""
    points = pose_body(body, state.bodies).keypoints(body.keypoint_set(NAME))
    shown = state.camera.project(points).double()
    return (shown - torch.from_numpy(true_keypoints(body, clip))).norm(dim=-1).mean(1)
