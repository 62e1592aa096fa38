"""COCO's keypoint JSON: annotations, and detectors' results; COCO-WholeBody's and Halpe's likewise.

    annotations   {"images": [{"id", "file_name", ...}], "annotations": [{"image_id", "keypoints": [x, y, v] · K, ...}]}
    results       [{"image_id", "category_id", "keypoints": [x, y, score] · K, "score"}, ...]
    WholeBody     beside 17 keypoints: foot_kpts · 6, face_kpts · 68, lefthand_kpts · 21, righthand_kpts · 21

K is 17, 26, 133 or 136. v is 0 (not labelled), 1 (labelled, hidden) or 2: a labelled point counts fully, hidden or not. People without a labelled
point and crowds are left out. The photo's image is found by its id, its file name, or the number at the end of its name, which is the id
in COCO (000000000785.jpg, COCO_val2014_000000000785.jpg).

Pixels: COCO's keypoints are indices of pixels, they count from pixel centres; half a pixel is added.

Source: cocodataset.org (data and results format); jin-s13/COCO-WholeBody `data_format.md`; open-mmlab/mmpose@759b39c13f
`mmpose/evaluation/metrics/coco_wholebody_metric.py` l.180-225 (results); pixels: facebookresearch/detectron2@082d6361e1
`detectron2/data/datasets/coco.py` load_coco_json.
"""

import re
from pathlib import PurePath

import numpy as np

from refine.detections import DetectedPeople
from refine.errors import InputError
from refine.keypoint_formats import Wanted
from refine.keypoint_formats._numbers import numbers
from refine.keypoint_formats._sets import BY_COUNT, PIXEL_CENTER, people_of

PARTS = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
"""COCO-WholeBody's parts behind the 17 points, in the order of coco133."""

SHOWN = 3
"""How many images' names a message lists."""


def recognises(content: object) -> bool:
    """Say whether it is an object with `annotations` and `images`, or a list of results with `image_id` and `keypoints`."""
    if isinstance(content, dict):
        return isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list)
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and {"image_id", "keypoints"} <= set(first)


def images(content: object) -> int:
    """Return the number of images."""
    if isinstance(content, dict):
        return len(content["images"])
    return len({entry.get("image_id") for entry in content}) if isinstance(content, list) else 0


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Args:
        content: The object or list.
        wanted: The photo: its name or image id. Not needed where the file is about one image.

    Returns:
        The people in the file's order: "coco17", "coco133", "body25" (from Halpe's 26) or "openpose137" (from its 136).

    Raises:
        InputError: The photo is not in the file, the keypoints are another set's, or a number is not finite.
    """
    name = f"keypoints of {wanted.origin}"
    entries = content["annotations"] if isinstance(content, dict) else content
    assert isinstance(entries, list)
    people = [entry for entry in entries if isinstance(entry, dict) and "keypoints" in entry]
    chosen = _image_id(name, content, people, wanted)
    people = [person for person in people if person.get("image_id") == chosen and not person.get("iscrowd")]
    rows = [_person(f"{name}: person {index} of image {chosen}", person) for index, person in enumerate(people)]
    counts = {len(row) for row in rows}
    if len(counts) > 1:  # some of them were annotated with hands and face
        raise InputError(name, "people with as many keypoints each", f"some of {sorted(counts)}", "")
    rows = [row for row in rows if (row[:, 2] > 0).any()]
    return people_of(rows, BY_COUNT[counts.pop()] if counts else "coco17", wanted.origin)


def _image_id(name: str, content: object, people: list[dict[str, object]], wanted: Wanted) -> int | str:
    """Return the id of the wanted photo's image."""
    images = [image for image in content["images"] if isinstance(image, dict)] if isinstance(content, dict) else []
    named = {one["id"]: str(one.get("file_name", "")) for one in images if isinstance(one.get("id"), int | str)}
    ids = [person.get("image_id") for person in people]
    known = list(dict.fromkeys([*named] or [one for one in ids if isinstance(one, int | str)]))
    if wanted.image is None:
        found = known
    elif isinstance(wanted.image, int):
        found = [one for one in known if one == wanted.image]
    else:
        found = _by_name(named, known, PurePath(wanted.image))
    if len(found) != 1:
        names = [named.get(one) or str(one) for one in known]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        advice = "Name the image by its file name or id: refine.read_keypoints(FILE, image=...)."
        got = f"images {', '.join(names[:SHOWN])}{more}" if names else "no image"
        raise InputError(name, "one image" if wanted.image is None else f"the image {wanted.image!r}", got, advice)
    return found[0]


def _by_name(named: dict[int | str, str], known: list[int | str], photo: PurePath) -> list[int | str]:
    """Return the ids of the images a photo can be: the same path as far as it goes, else the same name, stem, or number."""
    paths = {one: PurePath(name) for one, name in named.items() if name}
    same = [one for one, path in paths.items() if photo.parts[-len(path.parts) :] == path.parts]
    same = same or [one for one, path in paths.items() if path.name == photo.name]
    same = same or [one for one, path in paths.items() if path.stem == photo.stem]
    number = re.search(r"[0-9]+$", photo.stem)
    own = {str(photo), photo.name, photo.stem} | ({int(number.group())} if number else set())
    return same or [one for one in known if one in own]


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
