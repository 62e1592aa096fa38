"""Estimates of a track as video regressors err: a constant part, what drifts, what shakes, and short mistakes.

    pose[t, j]    <- pose exp(s sigma_j (√c b_j + √(1 - c) (√slow d_j(t) + √fast f_j(t))) + q w_j(t) + mistakes)
    depth[t]      <- depth exp(0.05 s (√c b + √(1 - c) (...)) + q_depth w(t)),          across and shape likewise

b: Student's t of 4 degrees, one draw a joint and clip; d, f: smooth Gaussian processes of length 0.5 and 0.1 s; w:
Student's t of 5 degrees, one draw a frame. Mistakes turn the joints of one limb for 0.2 to 0.6 s.

    strong   like GVHMR       PA-MPJPE 36 mm, acceleration error 4.5 m/s²  (36 mm on 3DPW, 43 on EMDB; 5.0, 3.6 m/s²)
    medium   like 4D-Humans   PA-MPJPE 50 mm, acceleration error 19 m/s²   (44 mm on 3DPW, 61 on EMDB; 18.1, 19.8 m/s²)

Source: Shen et al., World-Grounded Human Motion Recovery via Gravity-View Coordinates, SIGGRAPH Asia 2024, table 2; its
acceleration errors are quoted from memory and were not looked up again.

c = 0.63 and the length of f are measured: `python -m tests.benchmarks --only correlation` (GLAMR against its
detections: constant share 0.63, correlation of the rest 0.66 after one frame and 0.34 after three). The joints'
proportions are `refine.evaluate.disturbance`'s. None of the shapes is that of our own model of motion or of error.
The scale and the shake of `SIZES` are found by `python -m tests.benchmarks.video.estimates`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from refine.body import SkinnedBody, pose_body
from refine.evaluate import metrics, track_metrics
from refine.evaluate.disturbance import SIGMA_ACROSS_M, SIGMA_SHAPE, joint_sigma_rad
from refine.geometry import rotation
from refine.state import Bodies, State
from tests.benchmarks.video.clips import BODY, FPS, Clip, at_pelvis, clips, joints_of, recorded_motion

CONSTANT, FAST = 0.63, 0.3
"""Shares of the variance: that of a clip; of the rest, that which changes within a step."""
SLOW_S, FAST_S = 0.5, 0.1
LIMBS = ((16, 18, 20), (17, 19, 21), (1, 4, 7), (2, 5, 8))
"""Shoulder, elbow, wrist; hip, knee, ankle."""
MISTAKE_RAD = 0.5
TARGETS = {"medium": (50.0, 19.0), "strong": (36.0, 4.5)}
"""PA-MPJPE mm and acceleration error m/s²."""


@dataclass(frozen=True)
class Size:
    """How far an estimate errs: `scale` times the medium sigmas, what shakes, and mistakes a second."""

    scale: float
    shake_rad: float
    shake_log_depth: float
    shake_shape: float
    mistakes: float


SIZES = {
    "medium": Size(0.709, 0.0066, 0.006, 0.15, 0.15),
    "strong": Size(0.506, 0.0009, 0.001, 0.005, 0.05),
}


def estimate_of(body: SkinnedBody, clip: Clip, size: Size, seed: int) -> State:
    """Return a clip as a video regressor might see it; the cameras are the same.

    Args:
        body: The model.
        clip: The truth.
        size: How far it errs.
        seed: Of everything drawn.
    """
    rng, count, bodies = np.random.default_rng(seed), len(clip), clip.true.bodies
    joints, shapes = len(body.joint_names), bodies.shape.shape[1]
    turn = size.scale * joint_sigma_rad(body.joint_names).numpy()[None, :, None] * _errs(rng, count, (joints, 3))
    turn[:, BODY:] = 0
    turn[:, :BODY] += size.shake_rad * _heavy(rng, (count, BODY, 3), 5)
    for _ in range(rng.poisson(size.mistakes * count / FPS)):
        length, start = int(FPS * rng.uniform(0.2, 0.6)), int(rng.integers(count))
        window = np.hanning(length + 2)[1:-1, None, None][: count - start]
        limb = LIMBS[rng.integers(len(LIMBS))]
        turn[start : start + length, limb] += window * MISTAKE_RAD * rng.standard_normal((1, len(limb), 3))
    shape = SIGMA_SHAPE * size.scale * rng.standard_normal(shapes)
    shape = shape + size.shake_shape * rng.standard_normal((count, shapes))
    pelvis = pose_body(body, bodies).joints[:, 0].double()
    across = SIGMA_ACROSS_M * size.scale * _errs(rng, count, (2,))
    deep = size.scale * 0.05 * _errs(rng, count, (1,)) + size.shake_log_depth * _heavy(rng, (count, 1), 5)
    pelvis[:, :2] += torch.from_numpy(across)
    pelvis = pelvis * torch.from_numpy(np.exp(deep))
    like = bodies.pose
    wrong = Bodies(
        like @ rotation.exp(torch.from_numpy(turn)).to(like), bodies.shape + torch.from_numpy(shape).to(like),
        bodies.expression, bodies.translation,
    )  # fmt: skip
    return at_pelvis(body, State(wrong, clip.true.camera), pelvis.to(like))


def _errs(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return errors (F, ...) of unit variance: constant, slow and fast."""
    still = _heavy(rng, (1, *shape), 4)
    slow, fast = (smooth(rng, count, shape, length) for length in (SLOW_S, FAST_S))
    moving = (1 - FAST) ** 0.5 * slow + FAST**0.5 * fast
    return np.asarray(CONSTANT**0.5 * still + (1 - CONSTANT) ** 0.5 * moving)


def smooth(rng: np.random.Generator, count: int, shape: tuple[int, ...], length_s: float) -> np.ndarray:
    """Return (F, ...) of unit variance with the autocorrelation exp(-d² / (2 length²))."""
    width = length_s * FPS / 2**0.5
    reach = int(np.ceil(4 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    noise = rng.standard_normal((count + 2 * reach, int(np.prod(shape))))
    kernel /= np.linalg.norm(kernel)
    return np.stack([np.convolve(each, kernel, "valid") for each in noise.T], 1).reshape(count, *shape)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...], degrees: int) -> np.ndarray:
    """Return Student's t of unit variance."""
    return rng.standard_t(degrees, shape) * ((degrees - 2) / degrees) ** 0.5


def figures(body: SkinnedBody, clip: Clip, state: State) -> tuple[float, float]:
    """Return the PA-MPJPE (mm) and the acceleration error (m/s², from the hips) of a track."""
    joints, true = joints_of(body, state), joints_of(body, clip.true)
    error = track_metrics.acceleration_error_gvhmr(joints, true, FPS)
    return float(metrics.pa_mpjpe(joints, true).mean()), float(error.mean())


def calibrated(body: SkinnedBody, some: list[Clip], rounds: int = 8) -> dict[str, tuple[float, float]]:
    """Find the scale and the shake at which each size has its figures.

    Returns:
        Scale and shake (rad) by name.
    """
    found = {}
    for name, (wanted_pa, wanted_acceleration) in TARGETS.items():
        one = SIZES[name]
        for _ in range(rounds):
            measured = [figures(body, clip, estimate_of(body, clip, one, seed)) for seed, clip in enumerate(some)]
            pa, acceleration = np.mean(measured, 0)
            scale, shake = (
                one.scale * wanted_pa / pa,
                one.shake_rad * float(np.clip(wanted_acceleration / acceleration, 0.6, 1.6)),
            )
            one = Size(scale, shake, one.shake_log_depth, one.shake_shape, one.mistakes)
        found[name] = (one.scale, one.shake_rad)
    return found


if __name__ == "__main__":
    from refine.body import anny

    model = anny.load()
    for label, (scale, shake) in calibrated(model, clips(model, recorded_motion(), 27)).items():
        print(f"{label}: scale {scale:.3f}, shake {shake:.4f} rad")
