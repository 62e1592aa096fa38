"""EasyMocap's annotations of one photo, `annots/<camera>/<frame>.json`: a copy of what a detector found.

    {"filename", "height", "width", "annots": [{"personID", "bbox", "keypoints": [[x, y, c] · 25 (17, 33)],
    "handl2d": · 21, "handr2d", "face2d": · 70}]}

25 points are BODY_25 (HRNet's 17 are put into it), 33 are MediaPipe's; a face of another number of points
(MediaPipe's mesh) is not read. Points are pixels of an image of `width` x `height`, and are scaled to the photo's.

Pixels: OpenPose's body counts from the image's corner and is stored as it is, MediaPipe's shares too; hands, face and
17 points count from pixel centres: half a pixel is added. HRNet's 25 cannot be told from OpenPose's and are read as
these.

Source: zju3dv/EasyMocap@d2a0a2da31 `easymocap/estimator/openpose_wrapper.py` load_openpose,
`easymocap/estimator/wrapper_base.py` create_annot_file, `easymocap/estimator/HRNet/hrnet_api.py` coco17tobody25,
`easymocap/estimator/mediapipe_wrapper.py`, `easymocap/annotator/file_utils.py` annot2string.
"""

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.formats.openpose import PARTS, people_of_parts
from refine.keypoints.numbers import numbers
from refine.keypoints.sets import PIXEL_CENTER, people_of
from refine.keypoints.shares import from_canvas

BODIES = {25: "body25", 17: "coco17", 33: "mediapipe33"}
KEYS = {"hand_left": "handl2d", "hand_right": "handr2d", "face": "face2d"}
"""EasyMocap's names of OpenPose's parts."""

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is an object with `annots`, a list, and the image's `height` and `width`."""
    return isinstance(content, dict) and {"height", "width"} <= set(content) and isinstance(content.get("annots"), list)


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order.

    Raises:
        InputError: The points are no known set, of different ones, or a number is infinite.
    """
    assert isinstance(content, dict)
    name = f"keypoints of {wanted.origin}"
    people = [person for person in content["annots"] if isinstance(person, dict) and person.get("keypoints")]
    rows = [_person(f"{name}: person {index}", person) for index, person in enumerate(people)]
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        raise InputError(name, "people with as many keypoints each", f"some of {sorted(counts)}", "")
    if not rows:
        return people_of([], "body25", wanted.origin)
    canvas = (round(float(content["height"])), round(float(content["width"])))
    points, notes = from_canvas(np.stack(rows), canvas, wanted)
    if counts == {sum(PARTS.values())}:
        return people_of_parts(points, wanted.origin, notes)
    return people_of(list(points), BODIES[counts.pop()], wanted.origin, notes)


def _person(name: str, person: dict[str, object]) -> np.ndarray:
    """Return one person's points: 137 with hands and face around a BODY_25, else 17 or 33."""
    body = numbers(f"{name}: keypoints", person["keypoints"], 3, BODIES)
    if len(body) == 17:
        body[:, :2] += PIXEL_CENTER
    if len(body) != PARTS["pose"]:
        return body
    parts = [body]
    for part, key in KEYS.items():
        points = numbers(f"{name}: {key}", person.get(key), 3)
        points = points if len(points) == PARTS[part] else np.zeros((PARTS[part], 3))
        parts.append(points + np.array([PIXEL_CENTER, PIXEL_CENTER, 0.0]))
    return np.concatenate(parts)
