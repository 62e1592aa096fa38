"""AlphaPose's results: its list about all images, its `--format open` and `cmu`, and what its API returns.

    list   [{"image_id": "<file name>", "category_id": 1, "keypoints": [x, y, c] · K, "score", "box", "idx"}, ...]
    open   {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": [x, y, c] · 18}]}
           the file sep-json/<image>.json
    cmu    {"version": "AlphaPose v0.3", "bodies": [{"joints": [x, y, c] · 18}]}
           the file sep-json/<image>.json
    API    {"imgname", "result": [{"keypoints": (K, 2), "kp_score": (K, 1), "proposal_score"}]}

K is 17 (COCO), 26 or 136 (Halpe) or 133. Images are known by their file names; the frames of a video are named
"0.jpg", "1.jpg", ...: a frame that is not in the list is one in which nobody was found. The files about all images in
`open` and `cmu` are objects of these by image name (`frames.py`). Confidences of some models go beyond 1. The neck of
the 18 is the middle of the shoulders.

Pixels: maxima of heatmaps taken back through the box' affine map, trained on COCO's annotations (indices of pixels):
half a pixel is added.

Source: MVIG-SJTU/AlphaPose@c60106d19a `alphapose/utils/pPose_nms.py` write_json, `docs/output.md`,
`alphapose/utils/detector.py` l.218 (names of frames), `alphapose/utils/writer.py` l.155-170,
`alphapose/utils/transforms.py` heatmap_to_coord_simple.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import find_image
from refine.keypoints.numbers import numbers
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, people_of

COCO18_POINTS = 18

NAMED = True
"""A photo is looked for by its name or number also where the content is about one image only."""


def recognises(content: object) -> bool:
    """Say whether it has `image_id`s that are names, a version "AlphaPose ...", or `imgname` and `result`."""
    if isinstance(content, dict):
        marked = str(content.get("version")).startswith("AlphaPose") and any(
            part is not None for part in _parts(content)
        )
        return marked or ("imgname" in content and isinstance(content.get("result"), list))
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and isinstance(first.get("image_id"), str) and "keypoints" in first


def images(content: object) -> int:
    """Return the number of images."""
    return len({entry.get("image_id") for entry in content}) if isinstance(content, list) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order: "coco17", "coco133", "body25" (from 18 and Halpe's 26) or "openpose137" (from
        Halpe's 136).

    Raises:
        InputError: The photo is not in the file, the keypoints are another set's, or a number is infinite.
    """
    name = f"keypoints of {wanted.origin}"
    if isinstance(content, dict):
        bodies = [part for part in _parts(content) if part is not None]
        people, counts = bodies[0] if bodies else content["result"], {COCO18_POINTS: "coco18"} if bodies else BY_COUNT
    else:
        people, counts = _of_image(content, wanted), BY_COUNT
    rows = [_person(f"{name}: person {index}", person, counts) for index, person in enumerate(people)]
    found = {len(row) for row in rows}
    if len(found) > 1:
        raise InputError(name, "people with as many keypoints each", f"some of {sorted(found)}", "")
    return people_of(rows, counts[found.pop()] if found else "coco17", wanted.origin)


def _parts(content: dict[str, object]) -> tuple[list[object] | None, ...]:
    """Return the people of `open` and of `cmu`, None where there are none."""
    return tuple(part if isinstance(part, list) else None for part in (content.get("people"), content.get("bodies")))


def _of_image(entries: object, wanted: Wanted) -> list[object]:
    """Return the entries of the wanted photo."""
    assert isinstance(entries, list)
    known = list(dict.fromkeys(str(entry.get("image_id")) for entry in entries if isinstance(entry, dict)))
    chosen = find_image(known, wanted)
    return [entry for entry in entries if isinstance(entry, dict) and str(entry.get("image_id")) == chosen]


def _person(name: str, person: object, counts: dict[int, str]) -> np.ndarray:
    """Return one person's (K, 3)."""
    if not isinstance(person, dict):
        raise InputError(name, "an object with keypoints", type(person).__name__, "")
    if "kp_score" in person:
        points = numbers(f"{name}: keypoints", person["keypoints"], 2, counts)
        points = np.concatenate((points, numbers(f"{name}: kp_score", person["kp_score"], 1, (len(points),))), 1)
    else:
        key = next((key for key in ("keypoints", "pose_keypoints_2d", "joints") if key in person), "keypoints")
        points = numbers(f"{name}: {key}", person.get(key), 3, counts)
    points[:, :2] += PIXEL_CENTER
    return points
