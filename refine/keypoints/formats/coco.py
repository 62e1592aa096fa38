"""COCO's keypoint JSON: annotations, and detectors' results; COCO-WholeBody's and Halpe's likewise.

    annotations   {"images": [{"id", "file_name", ...}], "annotations": [{"image_id", "keypoints": [x, y, v] · K, ...}]}
    results       [{"image_id", "category_id", "keypoints": [x, y, score] · K, "score"}, ...]
    WholeBody     beside 17 keypoints: foot_kpts · 6, face_kpts · 68, lefthand_kpts · 21, righthand_kpts · 21

K is 17, 26, 133 or 136. v is 0 (not labelled), 1 (labelled, hidden) or 2: a flag, no confidence; a labelled point
counts fully, hidden or not, and a note says so. People without a labelled point and crowds are left out. The photo's
image is found by its id, the tail of its path, its file name, or the number at the end of its name, which is the id
in COCO (000000000785.jpg, COCO_val2014_000000000785.jpg). Lists whose ids are names are AlphaPose's.

Pixels: COCO's keypoints are indices of pixels, they count from pixel centres; half a pixel is added.

Source: cocodataset.org (data and results format); jin-s13/COCO-WholeBody `data_format.md`; open-mmlab/mmpose@759b39c13f
`mmpose/evaluation/metrics/coco_wholebody_metric.py` l.180-225 (results); pixels: facebookresearch/detectron2@082d6361e1
`detectron2/data/datasets/coco.py` load_coco_json.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import find_image
from refine.keypoints.numbers import numbers
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, people_of

PARTS = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
"""COCO-WholeBody's parts behind the 17 points, in the order of coco133."""

NAMED = True
"""A photo is looked for by its name or number also where the content is about one image only."""


def recognises(content: object) -> bool:
    """Say whether it has `annotations` and `images`, or is a list of results with `image_id` and `keypoints`."""
    if isinstance(content, dict):
        return isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list)
    first = content[0] if isinstance(content, list) and content else None
    keys = {"image_id", "keypoints"}
    return isinstance(first, dict) and keys <= set(first) and isinstance(first["image_id"], int)


def images(content: object) -> int:
    """Return the number of images."""
    if isinstance(content, dict):
        return len(content["images"])
    return len({entry.get("image_id") for entry in content}) if isinstance(content, list) else 0


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order: "coco17", "coco133", "body25" (from Halpe's 26) or "openpose137" (from its 136).

    Raises:
        InputError: The photo is not in the file, the keypoints are another set's, or a number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    entries = content["annotations"] if isinstance(content, dict) else content
    assert isinstance(entries, list)
    people = [entry for entry in entries if isinstance(entry, dict) and "keypoints" in entry]
    chosen = _image_id(content, people, wanted)
    people = [person for person in people if person.get("image_id") == chosen and not person.get("iscrowd")]
    rows = [_person(f"{name}: person {index} of image {chosen}", person) for index, person in enumerate(people)]
    counts = {len(row) for row in rows}
    if len(counts) > 1:  # some of them were annotated with hands and face
        raise InputError(name, "people with as many keypoints each", f"some of {sorted(counts)}", "")
    rows = [row for row in rows if (row[:, 2] > 0).any()]
    return people_of(rows, BY_COUNT[counts.pop()] if counts else "coco17", wanted.origin)


def _image_id(content: object, people: list[dict[str, object]], wanted: Wanted) -> int | str | None:
    """Return the id of the wanted photo's image."""
    images = [image for image in content["images"] if isinstance(image, dict)] if isinstance(content, dict) else []
    named = {one["id"]: str(one.get("file_name", "")) for one in images if isinstance(one.get("id"), int | str)}
    ids = [person.get("image_id") for person in people]
    known = list(dict.fromkeys([*named] or [one for one in ids if isinstance(one, int | str)]))
    return find_image(known, wanted, named or None)


def _person(name: str, person: dict[str, object]) -> np.ndarray:
    """Return one person's (K, 3), with hands, feet and face where it has them."""
    points = numbers(f"{name}: keypoints", person["keypoints"], 3, BY_COUNT)
    if any(part in person for part in PARTS):
        parts = [np.zeros((count, 3)) for count in PARTS.values()]
        for index, (part, count) in enumerate(PARTS.items()):
            if part in person:
                parts[index] = numbers(f"{name}: {part}", person[part], 3, (count,))
        points = np.concatenate((points, *parts))
    points[:, :2] += PIXEL_CENTER
    return points
