"""MediaPipe's 33 pose landmarks: the objects its solutions and tasks return, their dictionaries, and JSON of these.

    pixel = (x W, y H)      confidence = visibility, where it has one, else 1

Understood: an object or mapping with `pose_landmarks` (Python), `poseLandmarks` or `landmarks` (JavaScript) or
`landmark` (protobuf as JSON), or a bare list; each landmark an object or mapping with x and y. The tasks return a
list of people, the older solutions one person; None or an empty list is nobody. A bare list of lists of landmarks is
the people of one photo; where the call has as many photos as it has lists, it is one person a frame. Frames with a
number or name beside their landmarks: `frames.py`. x and y in pixels, as scripts save them, are taken for pixels.
World landmarks (m) are not read. x and y are shares of the photo's width and height: the photo's size is needed.

Pixels: shares span the whole image, 0 is its left border and 1 its right: they count from the corner. MediaPipe's own
painter takes floor(x W) for the pixel's index.

Source: ai.google.dev, MediaPipe API reference, NormalizedLandmark and PoseLandmarkerResult; google/mediapipe@4c3a97bb7d
`mediapipe/python/solutions/drawing_utils.py` _normalized_to_pixel_coordinates.
"""

from collections.abc import Sequence

import numpy as np

from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.numbers import numbers
from refine.keypoints.sets import people_of
from refine.keypoints.shares import are_shares, from_shares

POINTS = 33
LISTS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark")
"""Names under which landmarks or people stand, in Python, JavaScript and protobuf."""


def recognises(content: object) -> bool:
    """Say whether it holds lists of 33 landmarks, or a result in which nobody was found."""
    people = _people(content)
    return people is not None and all(len(person) == POINTS for person in people)


def images(content: object) -> int:
    """Return the number of lists of landmarks in a bare list, which may be frames; else 1."""
    return max(1, len(_people(content) or [])) if isinstance(content, list) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in MediaPipe's order, in the set "body25".

    Raises:
        InputError: The photo's size is not known, or a number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    people = _people(content) or []
    index, photos = wanted.place
    if photos > 1 and isinstance(content, list) and len(people) == photos:
        people = people[index : index + 1]
    rows = []
    for index, person in enumerate(people):
        values = [[_field(point, part) for part in ("x", "y", "visibility")] for point in person]
        values = [[x, y, 1.0 if seen is None else seen] for x, y, seen in values]
        rows.append(numbers(f"{name}: person {index}", values, 3, (POINTS,)))
    if rows and (are_shares(np.stack(rows)) or not np.isfinite(np.stack(rows)).any()):
        rows = list(from_shares(np.stack(rows), wanted, "MediaPipe's landmarks are shares of it"))
    return people_of(rows, "mediapipe33", wanted.origin)


def _field(item: object, name: str) -> object:
    """Return a field of a mapping or object, None where it has none."""
    return item.get(name) if isinstance(item, dict) else getattr(item, name, None)


def _has(item: object, name: str) -> bool:
    return name in item if isinstance(item, dict) else hasattr(item, name)


def _people(content: object) -> list[Sequence[object]] | None:
    """Return the landmarks of each person, None where the content is something else."""
    for name in LISTS:
        if _has(content, name):
            inner = _field(content, name)
            return [] if inner is None else _people(inner) if _nested(inner) else []
    if isinstance(content, str | bytes | dict) or not isinstance(content, Sequence) or not len(content):
        return None
    if _is_landmark(content[0]):
        return [content]
    people = []
    for person in content:
        marks = _field(person, "landmark") if _has(person, "landmark") else person
        if isinstance(marks, str | bytes | dict) or not isinstance(marks, Sequence) or not marks:
            return None
        if not _is_landmark(marks[0]):
            return None
        people.append(marks)
    return people


def _nested(inner: object) -> bool:
    """Say whether there is anything inside: another container or a list that is not empty."""
    return any(_has(inner, name) for name in LISTS) or not isinstance(inner, Sequence) or len(inner) > 0


def _is_landmark(item: object) -> bool:
    return _has(item, "x") and _has(item, "y") and not _has(item, "keypoints")
