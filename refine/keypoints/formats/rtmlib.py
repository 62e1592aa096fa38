"""rtmlib's arrays, and any detector's pair: keypoints (P, K, 2) px and scores (P, K), in memory or saved.

    keypoints, scores = Body(...)(image)
    a tuple, or an npz or JSON with these names; one person's (K, 2) and (K,) too

K is 17 (COCO), 18 (`to_openpose`: OpenPose's order), 26 (Halpe), 133 (COCO-WholeBody), and 136 (Halpe); 134
(`to_openpose` of the whole body) is DWPose's (`dwpose.py`). The scores may be called `keypoint_scores` (MMPose's
arrays), `scores`, `confidence` or `conf`. The neck of the 18 is made from the shoulders and says nothing new. A point
whose score is not above zero is missing (rtmlib puts it beside the image).

Pixels are those of COCO's annotations, on which the models were trained, and of cv2.warpAffine: they count from pixel
centres; half a pixel is added.

Source: Tau-J/rtmlib@2f36e3b62d `rtmlib/tools/pose_estimation/rtmpose.py`, `post_processings.py` get_simcc_maximum,
convert_coco_to_openpose; orders: `rtmlib/visualization/skeleton/{coco17,halpe26,coco133,openpose18}.py`.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, people_of
from refine.keypoints.shares import are_shares, from_shares

SETS_BY_COUNT = BY_COUNT | {18: "coco18"}
POINTS = ("keypoints", "kpts", "kps", "points", "keypoints_2d")
SCORES = ("scores", "keypoint_scores", "confidence", "conf")

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is a pair, or a mapping, of keypoints (P, K, 2) and scores (P, K) with a known K."""
    pair = pair_of(content)
    if pair is None:
        return False
    points, scores = shape_of(pair[0]), shape_of(pair[1])
    return len(points) in (2, 3) and points[-1] == 2 and points[-2] in SETS_BY_COUNT and len(scores) == len(points) - 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the detector's order.

    Raises:
        InputError: The scores are of another number of people or points, or a number is infinite.
    """
    pair = pair_of(content)
    assert pair is not None
    return people_of_pair(*pair, SETS_BY_COUNT[shape_of(pair[0])[-2]], wanted)


def pair_of(content: object) -> tuple[object, object] | None:
    """Return keypoints and scores of a pair or mapping, None where this is something else."""
    if isinstance(content, dict):
        points, scores = (next((content[n] for n in names if n in content), None) for names in (POINTS, SCORES))
        return None if points is None or scores is None else (points, scores)
    return (content[0], content[1]) if isinstance(content, tuple | list) and len(content) == 2 else None


def people_of_pair(keypoints: object, scores: object, theirs: str, wanted: Wanted) -> DetectedPeople:
    """Return people from keypoints (P, K, 2), which count from pixel centres, and scores (P, K).

    Raises:
        InputError: The scores are of other people or points, or a number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    notes: tuple[str, ...] = ()
    shape, given = shape_of(keypoints), shape_of(scores)
    if given != shape[:-1]:
        raise InputError(f"{name}: scores", f"shape {shape[:-1]}", f"shape {given}", "")
    shape = shape if len(shape) == 3 else (1, *shape)
    flat = numbers(name, keypoints, 2), numbers(f"{name}: scores", scores, 1)
    if len(flat[0]) != len(flat[1]):
        raise InputError(f"{name}: scores", f"{len(flat[0])} numbers", str(len(flat[1])), "")
    rows = np.concatenate(flat, 1).reshape(*shape[:2], 3)
    if are_shares(rows):
        rows = from_shares(rows, wanted, "the points are shares of it")
        notes = (f"Keypoints of {wanted.origin} are shares of the image: they were taken times its size.",)
    else:
        rows[..., :2] += PIXEL_CENTER
    return people_of(list(rows), theirs, wanted.origin, notes)
