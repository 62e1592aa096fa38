"""OpenPose's JSON of one photo (releases 1.2 to 1.7), and of detectors that write in its layout.

    people[p].pose_keypoints_2d = [x, y, confidence] · 25 (BODY_25) or 18 (COCO), hands · 21, face · 70

`person_id`, 3D points and part candidates may stand beside and are not read; parts may be empty or missing; before release 1.3 the keys
have no `_2d`. A joint that was not found is (0, 0, 0). COCO's 18 are put into BODY_25's order.

Pixels: OpenPose's body points are heatmap maxima (counted from pixel centres, image and network sharing the first pixel's centre) to
which it adds half a pixel itself: they count from the image's corner. Its hand and face points are maxima without that half: it is added
here. A file without OpenPose's key `version` is another detector's (ViTPose, ...), which counts from pixel centres throughout.

Source: CMU-Perceptual-Computing-Lab/openpose@5c5d96523e `doc/02_output.md`, `src/openpose/filestream/fileStream.cpp`; pixels:
`src/openpose/pose/poseExtractorCaffe.cpp` l.316 (0.5 px of the output), `net/nmsBase.cpp` l.104, `utilities/openCvPrivate.cpp` l.34,
`hand/handExtractorCaffe.cpp` l.44-92, `net/maximumBase.cpp`.
"""

import numpy as np

from refine.body.keypoint_names import SETS
from refine.detections import DetectedPeople
from refine.errors import InputError
from refine.keypoint_formats import Wanted
from refine.keypoint_formats._numbers import numbers
from refine.keypoint_formats._sets import COCO18, PIXEL_CENTER, people_of

PARTS = {"pose": 25, "hand_left": 21, "hand_right": 21, "face": 70}
"""Points of each part, in the order of the set openpose137."""

BODY25_OF_COCO18 = tuple(SETS["body25"].index(name) for name in COCO18)
"""Where COCO's 18 points stand in BODY_25, which has the middle of the hips in between (OpenPose `doc/02_output.md`)."""

NORMALISED = 1.0
"""Points that all lie within this are shares of the image (`--keypoint_scale` 3 to 6), not pixels."""


def recognises(content: object) -> bool:
    """Say whether it is an object with a list `people`."""
    return isinstance(content, dict) and isinstance(content.get("people"), list)


def images(content: object) -> int:
    """Return 1: it is about one image."""
    return 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Args:
        content: The JSON object.
        wanted: The photo; only its origin is used.

    Returns:
        The people in the file's order, "openpose137" where hands or faces were found, else "body25".

    Raises:
        InputError: A part has another number of points, its numbers are not finite, or they are not pixels.
    """
    assert isinstance(content, dict)
    people = content["people"]
    name = f"keypoints of {wanted.origin}"
    if not all(isinstance(person, dict) for person in people):
        raise InputError(name, 'a list "people" of objects', "something else in it", "Write it with --write_json.")
    own = "version" in content
    rows = [np.concatenate([_part(name, person, part, own) for part in PARTS]) for person in people]
    for row in rows:
        there = row[row[:, 2] > 0, :2]
        if len(there) > 1 and np.abs(there).max() <= NORMALISED + PIXEL_CENTER:
            advice = "Run OpenPose again with --keypoint_scale 0."
            raise InputError(name, "pixels of the photo", "points from -1 to 1", advice)
    whole = any((row[PARTS["pose"] :, 2] > 0).any() for row in rows)
    if not whole:
        return people_of([row[: PARTS["pose"]] for row in rows], "body25", wanted.origin)
    return people_of(rows, "openpose137", wanted.origin)


def _part(name: str, person: dict[str, object], part: str, own: bool) -> np.ndarray:
    """Return one part's points (n, 3), zeros where the file has none."""
    count = PARTS[part]
    key = f"{part}_keypoints_2d" if f"{part}_keypoints_2d" in person else f"{part}_keypoints"
    counts = (0, count, len(COCO18)) if part == "pose" else (0, count)
    points = numbers(f"{name}: {key}", person.get(key, []), 3, counts)
    full = np.zeros((count, 3))
    full[list(BODY25_OF_COCO18) if part == "pose" and len(points) == len(COCO18) else slice(len(points))] = points
    if not (own and part == "pose"):
        full[:, :2] += PIXEL_CENTER
    return full
