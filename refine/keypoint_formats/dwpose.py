"""DWPose's arrays: keypoints (P, 134, 2) px and scores (P, 134), as its detector returns them or in an npz of these names.

The 134 are COCO-18's order (the neck made from the shoulders, with confidence 0 or 1), 6 feet, 68 face points, left and right hand. Scores are
maxima of SimCC vectors and may lie a little above 1.

Pixels are those of the RTMPose-like model behind it, trained on COCO-WholeBody (indices of pixels): they count from pixel centres; half a pixel is
added. (The dictionary with `bodies`, `hands` and `faces` that its painter takes has lost the people's scores and is not read.)

Source: IDEA-Research/DWPose@98d727edea `ControlNet-v1-1-nightly/annotator/dwpose/wholebody.py`, `onnxpose.py`.
"""

import numpy as np

from refine.detections import DetectedPeople
from refine.errors import InputError
from refine.estimate import as_array
from refine.keypoint_formats import Wanted
from refine.keypoint_formats._sets import PIXEL_CENTER, people_of

POINTS = 134


def recognises(content: object) -> bool:
    """Say whether it is a pair, or a mapping with `keypoints` and `scores`, of arrays with 134 points a person."""
    return _arrays(content) is not None


def images(content: object) -> int:
    """Return 1: it is about one image."""
    return 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Args:
        content: The pair or mapping.
        wanted: The photo; only its origin is used.

    Returns:
        The people in the detector's order, in the set "openpose137".

    Raises:
        InputError: The scores are of another number of people, or a number is not finite.
    """
    arrays = _arrays(content)
    assert arrays is not None
    keypoints, scores = (array.astype(np.float64) for array in arrays)
    name = f"keypoints of {wanted.origin}"
    if scores.shape != keypoints.shape[:2]:
        raise InputError(f"{name}: scores", f"shape {keypoints.shape[:2]}", f"shape {scores.shape}", "")
    if not (np.isfinite(keypoints).all() and np.isfinite(scores).all()):
        raise InputError(name, "finite numbers", "NaN or infinity", "")
    rows = np.concatenate((keypoints + PIXEL_CENTER, scores[..., None]), 2)
    return people_of(list(rows), "dwpose134", wanted.origin)


def _arrays(content: object) -> tuple[np.ndarray, np.ndarray] | None:
    """Return keypoints and scores, None where this is something else."""
    if isinstance(content, dict) and {"keypoints", "scores"} <= set(content):
        pair = (content["keypoints"], content["scores"])
    elif isinstance(content, tuple | list) and len(content) == 2:
        pair = (content[0], content[1])
    else:
        return None
    if not all(hasattr(part, "shape") for part in pair):
        return None
    keypoints, scores = (as_array(part) for part in pair)
    return (keypoints, scores) if keypoints.ndim == 3 and keypoints.shape[1:] == (POINTS, 2) else None
