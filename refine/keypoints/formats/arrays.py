"""Bare points: an array, tensor or nested list (P, K, 3) of x, y and confidence; (P, K, 2), (K, 3), (K, 2).

A pair of points (P, K, 2) and scores (P, K) with a K that is not rtmlib's (`rtmlib.py`) is the same in two parts.

    K = 17 COCO · 18 OpenPose's COCO · 25 BODY_25 · 26 Halpe · 33 MediaPipe · 70 MHR · 133 COCO-WholeBody · 134 DWPose
    · 136 Halpe · 137 OpenPose · 308 Sapiens

NaN is a missing point; without confidences, (0, 0) is one too, and all others count fully. 33 points may have four or
five numbers (x, y, z, visibility, presence). Points whose x and y lie between 0 and 1 are shares of the photo. An npz
holds one array of points under any name, beside others that are none.

An array in memory with a row a body of the estimate is taken row by row (`refine.inputs.keypoints`); in a file, rows
are people and are matched by place. One file about as many photos as it has rows holds one person a photo.

Pixels: as the caller counts them, from the image's corner ((0.5, 0.5) is the middle of the first pixel): nothing is
added.

Source: the orders are those of `_sets.py`; MediaPipe's five numbers: ai.google.dev, NormalizedLandmark.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.body25b import in_body25, is_body25b, note_of
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats.rtmlib import SETS_BY_COUNT as PAIRS
from refine.keypoints.formats.rtmlib import pair_of
from refine.keypoints.numbers import MISSING_ADVICE, floats, is_array, is_numeric, shape_of
from refine.keypoints.sets import THEIRS, UNUSUAL, are_percent, people_of
from refine.keypoints.shares import are_shares, from_shares

SETS_BY_COUNT = {len(names): name for name, (names, _) in THEIRS.items() if name != "coco25"}
"""Which set an array is taken for, by its number of points; easy_ViTPose's 25 are not BODY_25's."""

OF_RTMLIB = frozenset(PAIRS) | {134}
"""Numbers of points whose pairs of points and scores are rtmlib's, which count from pixel centres; others' do not."""

LANDMARKS = 33

NEGATIVE = -0.05
"""A third number below this is no confidence (interpolated ones may lie a little below 0)."""

CONFIDENT, FEW = 1.25, 0.25
"""Confidences may lie a little above 1 (SimCC); where more than this share lies above 1.25 they are another number."""


MOST_NAMES = 32
"""Arrays of an npz; a mapping with more is frames or images by name."""


def recognises(content: object) -> bool:
    """Say whether it is numbers of such a shape, or a mapping with exactly one array of them."""
    return _points(content) is not None


def images(content: object) -> int:
    """Return the number of rows, which may be frames."""
    shape = shape_of(_points(content))
    return shape[0] if len(shape) == 3 else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in their order.

    Raises:
        InputError: The third numbers are no confidences, a number is infinite, or the photo's size is needed and not
            known.
    """
    points = _points(content)
    assert points is not None
    rows, notes = rows_of(points, wanted.origin)
    index, photos = wanted.place
    rows = rows[index : index + 1] if photos == len(rows) > 1 else rows
    if are_shares(rows):
        rows = from_shares(rows, wanted, "the points are shares of it")
        notes += (said_of_shares(wanted.origin),)
    if SETS_BY_COUNT[rows.shape[1]] in ("body25", "openpose137") and is_body25b(rows):
        rows, notes = in_body25(rows), (*notes, note_of(wanted.origin))
    return people_of(list(rows), SETS_BY_COUNT[rows.shape[1]], wanted.origin, notes)


def said_of_shares(origin: str) -> str:
    """Return the note on points that were shares of the image."""
    return f"Keypoints of {origin} are shares of the image: they were taken times its size."


def is_points(value: object) -> bool:
    """Say whether it is numbers of a shape that holds points."""
    shape = shape_of(value)
    if len(shape) not in (2, 3) or shape[-2] not in SETS_BY_COUNT or not is_numeric(value):
        return False
    if isinstance(value, list | tuple) and any(shape_of(part) != shape[1:] for part in value):
        return False  # a pair of points and scores
    return shape[-1] in (2, 3) or (shape[-2] == LANDMARKS and shape[-1] in (4, 5))


def rows_of(points: object, origin: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return points as (P, K, 3) float64, NaN where one is missing, and what was decided.

    Raises:
        InputError: They are ragged, infinite, or their third numbers are no confidences.
    """
    name = f"keypoints of {origin}"
    try:
        array = floats(points)
    except (TypeError, ValueError):
        raise InputError(name, "people with as many points of as many numbers each", "something else", "") from None
    array = array[None] if array.ndim == 2 else array
    if np.isinf(array).any():
        row, point = np.argwhere(np.isinf(array).any(2))[0].tolist()
        raise InputError(
            name, "finite numbers", f"infinity in row {row}, point {point} (counted from 0)", MISSING_ADVICE
        )
    notes: tuple[str, ...] = ()
    if array.shape[2] == 2:
        there = np.isfinite(array).all(2) & (array != 0).any(2)
        array = np.concatenate((array, there[..., None]), 2)
        notes = (f"Keypoints of {origin} have no confidences: all but those at (0, 0) count fully.",)
    elif array.shape[2] > 3:
        array = array[..., [0, 1, 3]]
    if np.nanmin(array[..., 2], initial=0.0) < NEGATIVE:
        advice = "Is it a depth (z)? Give (P, K, 2), or the confidence as the third number."
        got = f"down to {np.nanmin(array[..., 2]):.3g}"
        raise InputError(f"{name}: third numbers", "confidences from 0 to 1", got, advice)
    if array.shape[2] == 3:
        notes += _said_of_third(array[..., 2], origin)
    return np.where(np.isnan(array).any(2, keepdims=True), np.nan, array), notes


def _said_of_third(third: np.ndarray, origin: str) -> tuple[str, ...]:
    """Return a note on third numbers far above 1: those of a bare array may be anything, a depth as well.

    Raises:
        InputError: They are no confidences of any scale.
    """
    there = third[np.isfinite(third) & (third > 0)]
    above = float((there > CONFIDENT).mean()) if len(there) else 0.0
    flags = bool(np.isin(there, (1, 2)).all())  # COCO's: told in `people_of`
    if above <= FEW or flags or are_percent(third):
        return ()
    low, high = float(there.min()), float(there.max())
    got = f"{low:.3g} to {high:.3g}"
    if low > CONFIDENT or high > UNUSUAL:
        advice = (
            "Is it a depth (z)? Give (P, K, 2), or the confidence as the third number; divide scores of another scale "
            "by their largest."
        )
        raise InputError(f"keypoints of {origin}: third numbers", "confidences from 0 to 1", got, advice)
    words = "those above 1 count as 1. If they are a depth (z), give (P, K, 2), or the confidence as the third number."
    return (f"Keypoints of {origin}: the third numbers, taken as confidences, are {got}; {words}",)


def _points(content: object) -> object | None:
    """Return the array, None where this is something else; a pair of points and scores that is one array in two."""
    pair = pair_of(content)
    if pair is not None:
        points, scores = (shape_of(part) for part in pair)
        known = len(points) in (2, 3) and points[-1] == 2 and points[-2] in SETS_BY_COUNT and scores == points[:-1]
        if known and points[-2] not in OF_RTMLIB and all(map(is_numeric, pair)):
            return np.concatenate((floats(pair[0]), floats(pair[1])[..., None]), -1)
    if isinstance(content, dict):
        if len(content) > MOST_NAMES:
            return None
        inside = [
            value for value in content.values() if (is_array(value) or isinstance(value, list)) and is_points(value)
        ]
        alone = len(inside) == 1 and "people" not in content and pair_of(content) is None
        return inside[0] if alone else None
    return content if is_points(content) else None
