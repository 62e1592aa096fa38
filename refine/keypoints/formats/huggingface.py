"""Hugging Face transformers' pose results (ViTPose): what `post_process_pose_estimation` returns, in memory or saved.

    [[{"keypoints": (k, 2) px, "scores": (k,), "labels": (k,), "bbox": (4,)}, ... people], ... images],
    or the list of one image

`labels` are the points' numbers; with a `threshold` only those above it are there, so points go where their label
says. Up to 17 is COCO, more is COCO-WholeBody's 133, of which COCO is the beginning. A list of dictionaries is the
people of one photo; a list of lists has one for each.

Pixels: boxes are COCO's, the decoding is UDP's, trained on COCO's annotations (indices of pixels): half a pixel is
added.

Source: transformers 5.24.0 (PyPI) `transformers/models/vitpose/image_processing_vitpose.py`
post_process_pose_estimation, keypoints_from_heatmaps.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import nth_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import PIXEL_CENTER, THEIRS, people_of

COCO, WHOLE = "coco17", "coco133"


def recognises(content: object) -> bool:
    """Say whether it is people, or lists of them, with `keypoints` and `scores` beside `labels` or `bbox`."""
    return _pages(content) is not None


def images(content: object) -> int:
    """Return the number of lists of people."""
    return len(_pages(content) or [])


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the detector's order, in the set "coco17" or "coco133".

    Raises:
        InputError: Labels are none of COCO-WholeBody's points, or numbers disagree.
    """
    pages = _pages(content)
    assert pages is not None
    people = pages[nth_image(len(pages), wanted)]
    name = f"keypoints of {wanted.origin}"
    parts = [_person(f"{name}: person {index}", person) for index, person in enumerate(people)]
    theirs = WHOLE if any(labels.max(initial=0) >= len(THEIRS[COCO][0]) for labels, _ in parts) else COCO
    rows = []
    for labels, points in parts:
        full = np.zeros((len(THEIRS[theirs][0]), 3))
        full[labels] = points
        rows.append(full)
    return people_of(rows, theirs, wanted.origin)


def _pages(content: object) -> list[Sequence[dict[str, Any]]] | None:
    """Return each image's people, None where this is something else."""
    if not isinstance(content, list | tuple) or not content:
        return None
    if all(_is_person(part) for part in content):
        return [content]
    if all(isinstance(part, list | tuple) for part in content) and any(content):
        return list(content) if all(_is_person(person) for part in content for person in part) else None
    return None


def _is_person(person: object) -> bool:
    if (
        not isinstance(person, dict)
        or not {"keypoints", "scores"} <= set(person)
        or not {"labels", "bbox"} & set(person)
    ):
        return False
    shape = shape_of(person["keypoints"])
    paired = len(shape) == 2 and shape[1] == 2 and len(shape_of(person["scores"])) == 1
    return paired or shape in ((0,), (0, 2))  # a threshold that no point reached


def _person(name: str, person: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels (k,) and points (k, 3)."""
    points = numbers(f"{name}: keypoints", person["keypoints"], 2)
    scores = numbers(f"{name}: scores", person["scores"], 1, (len(points),) if len(points) else ())
    labels = person.get("labels")
    known = (len(THEIRS[COCO][0]), len(THEIRS[WHOLE][0]))
    if labels is None and len(points) not in known:
        raise InputError(
            name, f"labels, or {known[0]} or {known[1]} points", f"{len(points)} points without labels", ""
        )
    place = np.arange(len(points)) if labels is None else numbers(f"{name}: labels", labels, 1)[:, 0].astype(int)
    if len(place) != len(points) or place.min(initial=0) < 0 or place.max(initial=0) >= known[1]:
        raise InputError(f"{name}: labels", f"{len(points)} numbers below {known[1]}", f"{place.tolist()[:5]} ...", "")
    return place, np.concatenate((points + PIXEL_CENTER, scores), 1)
