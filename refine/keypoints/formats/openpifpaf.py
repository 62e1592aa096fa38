"""OpenPifPaf's predictions of one photo, `<photo>.predictions.json`, and flat lists of people like it.

    [{"keypoints": [x, y, confidence] · K, "bbox": [x, y, w, h], "score", "category_id"}, ...]

K is 17 (COCO) or 133 (COCO-WholeBody), and Halpe's 26 and 136. A joint that was not found is (0, 0, 0). PoseFlow's
people of one image ("scores" and "idx" beside flat keypoints) are the same.

Pixels: the package keeps COCO's annotations as its coordinates, indices of pixels: half a pixel is added.

Source: openpifpaf/openpifpaf@37aacead57 `src/openpifpaf/annotation.py` Annotation.json_data,
`src/openpifpaf/predict.py` l.108-114; MVIG-SJTU/AlphaPose@c60106d19a `trackers/PoseFlow/poseflow_infer.py`
(final_results).
"""

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted, one_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import BY_COUNT, PIXEL_CENTER, people_of

BESIDE = {"score", "scores", "bbox", "category_id", "idx"}
"""One of these stands beside the keypoints."""

images = one_image


def recognises(content: object) -> bool:
    """Say whether it is a list of people with flat `keypoints`, and no image's id beside them."""
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict) or not BESIDE & set(first) or {"image_id", "keypoint_scores", "labels"} & set(first):
        return False
    return len(shape_of(first.get("keypoints"))) == 1 and shape_of(first["keypoints"])[0] in {
        3 * count for count in BY_COUNT
    }


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order.

    Raises:
        InputError: People have different numbers of points, or a number is infinite.
    """
    assert isinstance(content, list)
    rows = []
    for index, person in enumerate(content):
        name = f"keypoints of {wanted.origin}: person {index}"
        if not isinstance(person, dict) or "keypoints" not in person:
            raise InputError(name, "an object with keypoints", type(person).__name__, "")
        points = numbers(name, person["keypoints"], 3, BY_COUNT)
        points[:, :2] += PIXEL_CENTER
        rows.append(points)
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        raise InputError(
            f"keypoints of {wanted.origin}", "people with as many keypoints each", f"some of {sorted(counts)}", ""
        )
    return people_of(rows, BY_COUNT[counts.pop()], wanted.origin)
