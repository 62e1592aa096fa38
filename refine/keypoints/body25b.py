"""OpenPose's BODY_25B: 25 points in another order than BODY_25's, in files that do not say which of the two they are.

    BODY_25:   the neck (1) is the middle of the shoulders (2, 5), the middle of the hips (8) that of the hips (9, 12)
    BODY_25B:  COCO's 17 points first; the upper neck (17) lies near the middle of the shoulders (5, 6)

A person is in BODY_25B's order where BODY_25's middles are off by more than `MIDDLE` of the person's extent, its own by
less than three quarters of that, and the nose is near the middle of the eyes (1, 2), where these are seen. All people
of a content decide together.

Source: CMU-Perceptual-Computing-Lab/openpose `src/openpose/pose/poseParameters.cpp` POSE_BODY_25B_BODY_PARTS (orders).
On real files the middles of BODY_25 are off by 0.002 to 0.005, those of BODY_25B read as BODY_25 by 0.06 to 0.5, and
BODY_25B's own by 0.02 to 0.07.
"""

import numpy as np

MIDDLE = 0.03
"""Share of a person's extent by which a middle of BODY_25 may be off."""
NEAR = 0.1
"""Share within which the upper neck lies near the middle of the shoulders, and the nose near that of the eyes."""
SURE = 0.3
"""Least confidence of a point that decides."""
POINTS = 25
ORDER = (0, -1, 6, 8, 10, 5, 7, 9, -1, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 19, 20, 21, 22, 23, 24)
"""For each point of BODY_25 its place in BODY_25B; -1: it has none (neck, middle of the hips)."""


def is_body25b(rows: np.ndarray) -> bool:
    """Say whether people's points are in the order of BODY_25B.

    Args:
        rows: (P, K, 3) x, y (px or shares) and confidence, the body's 25 points first; NaN or zero: missing.
    """
    votes = 0
    for person in rows[:, :POINTS]:
        with np.errstate(invalid="ignore"):
            sure = (person[:, 2] > SURE) & np.isfinite(person[:, :2]).all(1)
        theirs = [_off(person, sure, *points) for points in ((8, 9, 12), (1, 2, 5))]
        own = _off(person, sure, 17, 5, 6)
        known = [each for each in theirs if each is not None]
        if known and own is not None:
            eyes = _off(person, sure, 0, 1, 2)  # in BODY_25 these are neck and shoulder
            near = own < NEAR and (eyes is None or eyes < NEAR)
            votes += 1 if near and max(known) > MIDDLE and own < 0.75 * max(known) else -1
    return votes > 0


def in_body25(rows: np.ndarray) -> np.ndarray:
    """Return points (P, K, 3) in BODY_25B's order in BODY_25's, NaN where it has one that BODY_25B lacks."""
    found = rows.copy()
    order = np.array(ORDER)
    found[:, :POINTS] = rows[:, order.clip(min=0)]
    found[:, :POINTS][:, order < 0] = np.nan
    found[:, :POINTS][:, order < 0, 2] = 0.0
    return found


def note_of(origin: str) -> str:
    """Return what is said of such points."""
    return (
        f"Keypoints of {origin} are in the order of OpenPose's BODY_25B, not BODY_25: they were put in order; neck and "
        "middle of the hips are missing there."
    )


def _off(person: np.ndarray, sure: np.ndarray, middle: int, first: int, second: int) -> float | None:
    """Return how far a point is from the middle of two, in extents of the person; None where one is not sure."""
    if not (sure[middle] and sure[first] and sure[second]):
        return None
    extent = float(np.ptp(person[sure, :2], axis=0).max())
    away = person[middle, :2] - (person[first, :2] + person[second, :2]) / 2
    return float(np.linalg.norm(away)) / extent if extent > 0 else None
