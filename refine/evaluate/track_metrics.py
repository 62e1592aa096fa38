"""How a track moves, against the truth and by itself: acceleration error, jitter, peak speed kept, foot slide.

    acceleration error   mean_j | x''_j - y''_j |         jitter   mean_j | x'''_j |
    peak speed kept      max_t |x'| / max_t |y'|          foot slide   mean |x'| where |y'| < 0.3 m/s

The first functions take times in seconds and leave out windows that touch a frame which is not kept. The others are
the published conventions to the letter, which give other numbers for the same track:

    function                    joints             unit            frames that are masked
    jitter_gvhmr                all                10 m/s³         removed, then differenced across the gap
    jitter_emdb                 24, of which nine are set to zero and yet averaged over
    jitter_pip                  all                km/s³
    acceleration_error_gvhmr    from the hips      m/s²            removed, then differenced across the gap
    acceleration_error_wham     the same without the first and the last window
    acceleration_error_vibe     from the hips      mm/frame²       windows that touch one are left out
    foot_slide_gvhmr            four vertices      mm/frame, contact below 1 cm a frame: both depend on the rate

Source: `zju3dv/GVHMR` cb702cd hmr4d/utils/eval/eval_utils.py (`NVlabs/GENMO` is the same); `yohanshin/WHAM` 1d19c0c
lib/eval/evaluate_emdb.py; `eth-ait/emdb` 415faa8 evaluation_metrics.py; `Xinyu-Yi/PIP` ccca94a evaluate.py; Kanazawa et
al., Learning 3D Human Dynamics from Video, CVPR 2019, sec. 4 (acceleration error, as VIBE reports it).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.errors import InputError
from refine.evaluate.metrics import MM_PER_M
from refine.geometry.differences import derivative

HIPS = (1, 2)
"""Left and right hip among SMPL's joints, whose mean published tables call the pelvis."""
FEET_SMPL = (3216, 3387, 6617, 6787)
"""Vertices of SMPL's feet whose slide is measured: left toe and heel, right toe and heel."""
CONTACT_M_S = 0.3
"""Speed below which a foot stands: a centimetre a frame at 30 frames per second, as published, at any rate."""
STILL_FOR_EMDB = (0, 7, 8, 10, 11, 20, 21, 22, 23)
"""Joints that EMDB's jitter sets to zero."""


def acceleration_error(
    points: Float[Tensor, "F J 3"],
    true: Float[Tensor, "F J 3"],
    time_s: Float[Tensor, "F"],
    kept: Bool[Tensor, "F"] | None = None,
) -> Float[Tensor, "W"]:
    """Return the mean distance of accelerations of each three frames that follow each other.

    Args:
        points: (F, J, 3) m; subtract the pelvis first for the error of the pose alone.
        true: (F, J, 3) m, the same points.
        time_s: (F,) s, ascending.
        kept: (F,) which frames count; windows that touch another are left out.

    Returns:
        (W,) m/s².
    """
    found = derivative(points - true, time_s, 2).norm(dim=-1).mean(1)
    return found[_windows(kept, len(points), 2)]


def jitter(
    points: Float[Tensor, "F J 3"], time_s: Float[Tensor, "F"], kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "W"]:
    """Return the mean jerk of each four frames that follow each other.

    Args:
        points: (F, J, 3) m.
        time_s: (F,) s, ascending.
        kept: (F,) which frames count; windows that touch another are left out.

    Returns:
        (W,) m/s³.
    """
    return derivative(points, time_s, 3).norm(dim=-1).mean(1)[_windows(kept, len(points), 3)]


def peak_speed_kept(
    points: Float[Tensor, "F J 3"], true: Float[Tensor, "F J 3"], time_s: Float[Tensor, "F"]
) -> Float[Tensor, "J"]:
    """Return the highest speed of each point over that of the truth, whenever either is reached.

    What smooths lowers it, what shakes raises it: it must be near 1, not high.

    Args:
        points: (F, J, 3) m, at least two frames.
        true: (F, J, 3) m, the same points.
        time_s: (F,) s, ascending.

    Returns:
        (J,) 1: all of it.
    """
    fastest, true_fastest = (derivative(each, time_s, 1).norm(dim=-1).amax(0) for each in (points, true))
    return fastest / true_fastest


def peak_velocity_kept(
    points: Float[Tensor, "F J 3"], true: Float[Tensor, "F J 3"], time_s: Float[Tensor, "F"]
) -> Float[Tensor, "J"]:
    """Return how much of the truth's highest velocity is there at that moment, along it; noise does not raise it.

    Args:
        points: (F, J, 3) m, at least two frames.
        true: (F, J, 3) m, the same points.
        time_s: (F,) s, ascending.

    Returns:
        (J,) 1: all of it; less where it was smoothed, or comes earlier or later.
    """
    velocity, true_velocity = (derivative(each, time_s, 1) for each in (points, true))
    speed = true_velocity.square().sum(-1)  # (F - 1, J) m²/s²
    when = speed.argmax(0)[None]
    along = (velocity * true_velocity).sum(-1)
    return (along.gather(0, when) / speed.gather(0, when))[0]


def foot_slide(
    feet: Float[Tensor, "F N 3"], true: Float[Tensor, "F N 3"], time_s: Float[Tensor, "F"]
) -> Float[Tensor, "M"]:
    """Return the speed of points of the feet at the times at which the true ones stand.

    Args:
        feet: (F, N, 3) m, in a frame that stands still.
        true: (F, N, 3) m, the same points.
        time_s: (F,) s, ascending.

    Returns:
        (M,) mm/s, of the M points and steps in contact.
    """
    speed, true_speed = (derivative(each, time_s, 1).norm(dim=-1) for each in (feet, true))
    return MM_PER_M * speed[true_speed < CONTACT_M_S]


def share_made_worse(before: Float[Tensor, "F"], after: Float[Tensor, "F"], margin: float = 0.0) -> float:
    """Return the share of frames (or clips) whose error grew by more than a margin.

    Args:
        before: (F,) errors, any unit.
        after: (F,) errors, the same unit.
        margin: The same unit.

    Returns:
        0..1; 0 where there are none. An error that is no number afterwards counts as grown.
    """
    grown = ~(after <= before + margin) & before.isfinite()
    return float(grown.double().mean()) if len(before) else 0.0


def jitter_gvhmr(
    joints: Float[Tensor, "F J 3"], fps: float, kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "W"]:
    """Return GVHMR's, WHAM's and GENMO's jitter: the mean jerk of all joints, in a frame that stands still.

    Args:
        joints: (F, J, 3) m.
        fps: Frames per second.
        kept: (F,) the frames that are not masked.

    Returns:
        (W,) 10 m/s³, of each four frames that are left.
    """
    return _third_difference(_removed(joints, kept)) * fps**3 / 10


def jitter_emdb(
    joints: Float[Tensor, "F J 3"], fps: float, kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "W"]:
    """Return EMDB's official jitter: as `jitter_gvhmr` with nine of the 24 joints set to zero; the mean is over 24.

    Args:
        joints: (F, 24, 3) m, SMPL's.
        fps: Frames per second.
        kept: (F,) the frames that are not masked.

    Returns:
        (W,) 10 m/s³ (its code calls it km/s³).

    Raises:
        InputError: There are not 24 joints.
    """
    if joints.shape[1] != 24:
        raise InputError("joints", "SMPL's 24", str(joints.shape[1]), "The mean is over 24, of which 15 move.")
    moving = joints.clone()
    moving[:, STILL_FOR_EMDB] = 0
    return jitter_gvhmr(moving, fps, kept)


def jitter_pip(joints: Float[Tensor, "F J 3"], fps: float, kept: Bool[Tensor, "F"] | None = None) -> Float[Tensor, "W"]:
    """Return PIP's absolute jitter: the mean jerk of all joints, (W,) km/s³; a hundredth of `jitter_gvhmr`."""
    return jitter_gvhmr(joints, fps, kept) / 100


def acceleration_error_gvhmr(
    joints: Float[Tensor, "F J 3"], true: Float[Tensor, "F J 3"], fps: float, kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "W"]:
    """Return GVHMR's and GENMO's acceleration error, of joints seen from the middle of the hips.

    Args:
        joints: (F, J, 3) m, SMPL's joints, so that 1 and 2 are the hips.
        true: (F, J, 3) m, the same.
        fps: Frames per second.
        kept: (F,) the frames that are not masked; others are removed first, so that differences span the gap.

    Returns:
        (W,) m/s².
    """
    error = from_hips(_removed(joints, kept)) - from_hips(_removed(true, kept))
    return _second_difference(error) * fps**2


def acceleration_error_wham(
    joints: Float[Tensor, "F J 3"], true: Float[Tensor, "F J 3"], fps: float, kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "W"]:
    """Return WHAM's acceleration error: `acceleration_error_gvhmr` without its first and its last value, (W,) m/s²."""
    return acceleration_error_gvhmr(joints, true, fps, kept)[1:-1]


def acceleration_error_vibe(
    joints: Float[Tensor, "F J 3"],
    true: Float[Tensor, "F J 3"],
    kept: Bool[Tensor, "F"] | None = None,
    hips: tuple[int, int] = HIPS,
) -> Float[Tensor, "W"]:
    """Return the acceleration error of HMMR, VIBE and TCMR, which does not know the rate.

    Args:
        joints: (F, J, 3) m.
        true: (F, J, 3) m, the same.
        kept: (F,) the frames that are not masked; the three windows that touch another are left out.
        hips: Which joints they are: 1 and 2 of SMPL's, 2 and 3 of the 14 of the Leeds set.

    Returns:
        (W,) mm per frame².
    """
    error = from_hips(joints, hips) - from_hips(true, hips)
    return MM_PER_M * _second_difference(error)[_windows(kept, len(joints), 2)]


def foot_slide_gvhmr(
    feet: Float[Tensor, "F N 3"], true: Float[Tensor, "F N 3"], kept: Bool[Tensor, "F"] | None = None
) -> Float[Tensor, "M"]:
    """Return WHAM's and GVHMR's foot sliding: the way of the feet in a frame, where the true ones move less than 1 cm.

    Args:
        feet: (F, N, 3) m, SMPL's vertices `FEET_SMPL`, in a frame that stands still.
        true: (F, N, 3) m, the same.
        kept: (F,) the frames that are not masked.

    Returns:
        (M,) mm per frame, of the M points and steps in contact.
    """
    way, true_way = (_removed(each, kept).diff(dim=0).norm(dim=-1) for each in (feet, true))
    return MM_PER_M * way[true_way < 0.01]


def from_hips(joints: Float[Tensor, "F J 3"], hips: tuple[int, int] = HIPS) -> Float[Tensor, "F J 3"]:
    """Return joints seen from the middle of the hips, which published tables call the pelvis."""
    return joints - joints[:, list(hips)].mean(1, keepdim=True)


def _removed(points: Tensor, kept: Tensor | None) -> Tensor:
    return points if kept is None else points[kept]


def _windows(kept: Tensor | None, frames: int, order: int) -> Tensor:
    """Return which windows of `order` + 1 frames hold kept frames alone."""
    count = max(frames - order, 0)
    if kept is None or not count:
        return torch.ones(count, dtype=torch.bool)
    return kept.unfold(0, order + 1, 1).all(1)


def _second_difference(points: Tensor) -> Tensor:
    return (points[:-2] - 2 * points[1:-1] + points[2:]).norm(dim=-1).mean(-1)


def _third_difference(points: Tensor) -> Tensor:
    return (points[3:] - 3 * points[2:-1] + 3 * points[1:-2] - points[:-3]).norm(dim=-1).mean(-1)
