"""Roboflow supervision's `KeyPoints` in memory: `xy` (P, K, 2) px and the confidences beside it.

    keypoint_confidence (P, K), called `confidence` before release 0.29; `visible` (P, K) hides points
    K = 17, 26, 33, 133, 136

33 points are MediaPipe's (`from_mediapipe` has taken them times the size), the others in COCO's, Halpe's and
COCO-WholeBody's order.

Pixels: those of the detector behind it; 33 points count from the image's corner, all others are taken to count from
pixel centres: half a pixel is added.

Source: supervision 0.31.2 (PyPI) `supervision/key_points/core.py` KeyPoints.
"""

from typing import Any

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, people_of

SETS_BY_COUNT = BY_COUNT | {33: "mediapipe33"}

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is an object with `xy` (P, K, 2), `class_id` and confidences of keypoints."""
    if not hasattr(content, "xy") or not hasattr(content, "class_id") or hasattr(content, "xyxy"):
        return False
    return hasattr(content, "keypoint_confidence") or hasattr(content, "confidence")


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in its order.

    Raises:
        InputError: It has another number of points, or a number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    found: Any = content
    shape = shape_of(found.xy)
    if not shape or not shape[0]:
        return people_of([], "coco17", wanted.origin)
    if len(shape) != 3 or shape[2] != 2 or shape[1] not in SETS_BY_COUNT:
        raise InputError(f"{name}: xy", f"(P, K, 2) with K one of {sorted(SETS_BY_COUNT)}", str(shape), "")
    sure = getattr(content, "keypoint_confidence", None)
    sure = getattr(content, "confidence", None) if sure is None else sure
    points = numbers(f"{name}: xy", found.xy, 2)
    scores = np.ones((len(points), 1)) if sure is None else numbers(f"{name}: confidence", sure, 1, (len(points),))
    visible = getattr(content, "visible", None)
    if visible is not None:
        scores = scores * numbers(f"{name}: visible", visible, 1, (len(points),))
    theirs = SETS_BY_COUNT[shape[1]]
    rows = np.concatenate((points + (0.0 if theirs == "mediapipe33" else PIXEL_CENTER), scores), 1).reshape(
        *shape[:2], 3
    )
    rows[(rows[..., :2] == PIXEL_CENTER).all(-1), 2] = 0  # (0, 0): the detector lacks the point
    return people_of(list(rows), theirs, wanted.origin)
