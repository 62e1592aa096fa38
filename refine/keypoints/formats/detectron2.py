"""Detectron2's keypoint R-CNN in memory: instances with `pred_keypoints` (P, 17, 3) of x, y and score.

    confidence = score · SURE / 0.05, at most 1

The score is the share of a joint's heatmap in its highest pixel, not a probability: 0.05 is where Detectron2's own
painter begins to draw, so that score gets the confidence from which a point is taken to be where it is said to be
(`refine.keypoints.detections.SURE`).

Pixels: annotations get half a pixel when they are loaded, and the decoding adds half a cell: they count from the
image's corner.

Source: facebookresearch/detectron2@012c8986ba `detectron2/structures/keypoints.py` heatmaps_to_keypoints;
`detectron2/utils/visualizer.py` _KEYPOINT_THRESHOLD; `detectron2/data/datasets/coco.py` load_coco_json (half a pixel).
"""

from typing import Any

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import SURE, DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import people_of

DRAWN = 0.05
"""The score from which Detectron2 draws a keypoint."""

POINTS = 17

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is instances with `pred_keypoints`, or the mapping a predictor returns."""
    return hasattr(_instances(content), "pred_keypoints")


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the detector's order, in the set "coco17".

    Raises:
        InputError: They have another number of points, or a number is infinite.
    """
    name, found = f"keypoints of {wanted.origin}", _instances(content).pred_keypoints
    shape = shape_of(found)
    if len(shape) != 3 or (shape[0] and shape[1:] != (POINTS, 3)):
        raise InputError(f"{name}: pred_keypoints", f"(P, {POINTS}, 3)", str(shape), "")
    rows = numbers(name, found, 3).reshape(-1, POINTS, 3)
    rows[..., 2] = np.clip(rows[..., 2] * SURE / DRAWN, 0, 1)
    said = (f"Keypoints of {wanted.origin}: scores are shares of heatmaps; {DRAWN} counts as a confidence of {SURE}.",)
    return people_of(list(rows), "coco17", wanted.origin, said if len(rows) else ())


def _instances(content: object) -> Any:
    return content.get("instances") if isinstance(content, dict) else content
