"""Ultralytics' YOLO pose results: `Results` and `Keypoints` in memory, lists of them, and `to_json`'s file.

    memory   results[i].keypoints.data (P, 17, 3) px and confidence, or (P, 17, 2)
             one result an image, named by its `path`
    JSON     [{"name", "class", "confidence", "box": {...}, "keypoints": {"x": [17], "y": [17], "visible": [17]}}, ...]
             one image

`to_json(normalize=True)` saves shares of the image: they are taken times the photo's size. A point at exactly (0, 0)
is missing: earlier releases put points of a confidence below 0.5 there, and kept the confidence. The points are
COCO's 17; a model with others is refused.

Pixels: the network is trained on COCO's annotations over the image's size, which are indices of pixels: half a pixel
is added.

Source: ultralytics 8.4.190 (PyPI) `ultralytics/engine/results.py` Results.summary, Keypoints;
ultralytics/ultralytics@001c4c821e, same file (points below 0.5).
"""

from typing import Any

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import find_image, nth_image
from refine.keypoints.numbers import is_array, numbers, shape_of
from refine.keypoints.sets import PIXEL_CENTER, people_of
from refine.keypoints.shares import are_shares, from_shares

POINTS = 17
ADVICE = "Run a pose model trained on COCO (yolo11n-pose.pt, ...), or give (points, confidence) in COCO's order."


def recognises(content: object) -> bool:
    """Say whether it is a result, its keypoints, a list of results, or a list of what `to_json` writes."""
    if isinstance(content, list):
        return bool(content) and (
            all(_is_result(part) for part in content) or all(_is_summary(part) for part in content)
        )
    return _is_result(content) or _is_keypoints(content)


def images(content: object) -> int:
    """Return the number of results in a list, else 1."""
    return len(content) if isinstance(content, list) and _is_result(content[0]) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the detector's order, in the set "coco17".

    Raises:
        InputError: The model found no keypoints, or others than COCO's 17.
    """
    name = f"keypoints of {wanted.origin}"
    if isinstance(content, list) and _is_result(content[0]):
        content = _of_photo(content, wanted)
    if isinstance(content, list):
        rows = [_saved(f"{name}: person {index}", person["keypoints"]) for index, person in enumerate(content)]
    else:
        rows = _in_memory(name, content)
    points = np.stack(rows) if rows else np.zeros((0, POINTS, 3))
    notes: tuple[str, ...] = ()
    points[(points[..., :2] == 0).all(-1), 2] = 0
    if are_shares(points):
        points = from_shares(points, wanted, "to_json(normalize=True) saved shares of it")
        notes = (f"Keypoints of {wanted.origin} are shares of the image: they were taken times its size.",)
    points[..., :2] += PIXEL_CENTER
    return people_of(list(points), "coco17", wanted.origin, notes)


def _is_result(content: object) -> bool:
    return all(hasattr(content, name) for name in ("keypoints", "orig_shape", "boxes"))


def _is_keypoints(content: object) -> bool:
    return all(hasattr(content, name) for name in ("data", "orig_shape", "xyn"))


def _is_summary(person: object) -> bool:
    inner = person.get("keypoints") if isinstance(person, dict) else None
    return isinstance(inner, dict) and {"x", "y"} <= set(inner)


def _of_photo(results: list[Any], wanted: Wanted) -> object:
    """Return the result of a photo: by its path, else by its place."""
    paths = [str(getattr(result, "path", "")) for result in results]
    if len(results) == 1 or len(set(paths)) < len(paths) or wanted.image is None:
        return results[nth_image(len(results), wanted)]
    try:
        return results[paths.index(str(find_image(paths, wanted)))]
    except InputError:  # of arrays, which the package calls image0.jpg, image1.jpg, ...
        if wanted.place[1] != len(results):
            raise
        return results[wanted.place[0]]


def _in_memory(name: str, content: Any) -> list[np.ndarray]:
    keypoints = content.keypoints if _is_result(content) else content
    if keypoints is None:
        raise InputError(name, "a result with keypoints", "one without (of a model that finds boxes only)", ADVICE)
    data = keypoints.data
    shape = shape_of(data)
    if not is_array(data) or len(shape) != 3 or (shape[0] and (shape[1] != POINTS or shape[2] not in (2, 3))):
        raise InputError(name, f"{POINTS} keypoints a person", f"an array {shape}", ADVICE)
    if not shape[0]:
        return []
    points = numbers(name, data, shape[2]).reshape(shape)
    return list(points if shape[2] == 3 else np.concatenate((points, np.ones((*shape[:2], 1))), 2))


def _saved(name: str, keypoints: dict[str, object]) -> np.ndarray:
    parts = [numbers(f"{name}: {part}", keypoints[part], 1) for part in ("x", "y")]
    seen = numbers(f"{name}: visible", keypoints["visible"], 1) if "visible" in keypoints else np.ones_like(parts[0])
    if {len(part) for part in (*parts, seen)} != {POINTS}:
        raise InputError(name, f"{POINTS} keypoints", f"{len(parts[0])}", ADVICE)
    return np.concatenate((*parts, seen), 1)
