"""torchvision's keypoint R-CNN in memory: a dictionary an image, in the list that the model returns.

    [{"boxes": (P, 4), "labels": (P,), "scores": (P,), "keypoints": (P, 17, 3) x, y, 1, "keypoints_scores": (P, 17)},
    ... images]

    confidence = 1 / (1 + exp(-keypoints_scores))

`scores` are the people's: those below 0.5 are left out, since the model returns up to 100 candidates.
`keypoints_scores` are heatmaps' logits, and the third number of `keypoints` is always 1.

Pixels: the model is trained on COCO's annotations as they are, indices of pixels: half a pixel is added.

Source: torchvision 0.29.1 (PyPI) `torchvision/models/detection/roi_heads.py` heatmaps_to_keypoints,
keypointrcnn_inference, RoIHeads.forward.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import nth_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import PIXEL_CENTER, people_of

POINTS = 17

LEAST = 0.5
"""A person's score below which it is a candidate only."""

KEYS = {"keypoints", "keypoints_scores", "boxes", "scores"}


def recognises(content: object) -> bool:
    """Say whether it is, or lists, dictionaries with `keypoints_scores`, `keypoints`, `boxes` and `scores`."""
    parts = content if isinstance(content, list) else [content]
    return bool(parts) and all(isinstance(part, dict) and set(part) >= KEYS for part in parts)


def images(content: object) -> int:
    """Return 1, or the number of dictionaries in a list."""
    return len(content) if isinstance(content, list) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people whose score is 0.5 or more, in the detector's order, in the set "coco17".

    Raises:
        InputError: Arrays disagree, there are others than COCO's 17 points, or a number is infinite.
    """
    one = content[nth_image(len(content), wanted)] if isinstance(content, list) else content
    assert isinstance(one, dict)
    name, shape = f"keypoints of {wanted.origin}", shape_of(one["keypoints"])
    if not shape or not shape[0]:
        return people_of([], "coco17", wanted.origin)
    if shape[1:] != (POINTS, 3):
        raise InputError(f"{name}: keypoints", f"(P, {POINTS}, 3)", str(shape), "Use keypointrcnn_resnet50_fpn.")
    points = numbers(f"{name}: keypoints", one["keypoints"], 3).reshape(shape)
    logits = numbers(f"{name}: keypoints_scores", one["keypoints_scores"], 1, (shape[0] * POINTS,)).reshape(shape[:2])
    sure = numbers(f"{name}: scores", one["scores"], 1, (shape[0],))[:, 0] >= LEAST
    points = points[..., :2] + PIXEL_CENTER
    rows = np.concatenate((points, 1 / (1 + np.exp(-logits[..., None].clip(-50, 50)))), 2)[sure]
    notes: tuple[str, ...] = (
        f"Keypoints of {wanted.origin}: keypoints_scores are logits and go through the logistic function.",
    )
    if not sure.all():
        notes += (f"{wanted.origin}: {int((~sure).sum())} candidates with a score below {LEAST} are left out.",)
    return people_of(list(rows), "coco17", wanted.origin, notes)
