"""OpenPose's JSON of one photo (releases 1.2 to 1.7), others' in its layout, and lists of these, one a frame.

    people[p].pose_keypoints_2d = [x, y, confidence] · 25 (BODY_25) or 18 (COCO), hands · 21, face · 70

`person_id`, 3D points and part candidates may stand beside and are not read; parts may be empty, null or missing;
before release 1.3 the keys have no `_2d`. The Python API's datum is read likewise (`poseKeypoints`, `handKeypoints`,
`faceKeypoints`). A joint that was not found is (0, 0, 0), or has NaN in it. COCO's 18 are put into BODY_25's order.

Pixels: OpenPose's body points are heatmap maxima (counted from pixel centres, image and network sharing the first
pixel's centre) to which it adds half a pixel itself: they count from the image's corner. Its hand and face points are
maxima without that half: it is added here. Shares of the image (`--keypoint_scale 3`) are taken times the photo's
size. A file without OpenPose's key `version` is another detector's (ViTPose, ...), which counts from pixel centres
throughout.

Source: CMU-Perceptual-Computing-Lab/openpose@5c5d96523e `doc/02_output.md`, `doc/03_python_api.md` (datum),
`src/openpose/filestream/fileStream.cpp`; pixels: `src/openpose/pose/poseExtractorCaffe.cpp` l.316 (0.5 px of the
output), `net/nmsBase.cpp` l.104, `utilities/openCvPrivate.cpp` l.34, `hand/handExtractorCaffe.cpp` l.44-92,
`net/maximumBase.cpp`.
"""

import numpy as np

from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.keypoints.body25b import in_body25, is_body25b, note_of
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import in_order, nth_image
from refine.keypoints.numbers import numbers, shape_of
from refine.keypoints.sets import COCO18, PIXEL_CENTER, people_of
from refine.keypoints.shares import are_shares, from_shares

PARTS = {"pose": 25, "hand_left": 21, "hand_right": 21, "face": 70}
"""Points of each part, in the order of the set openpose137."""

BODY25_OF_COCO18 = tuple(SETS["body25"].index(name) for name in COCO18)
"""Where COCO's 18 points stand in BODY_25, which has the middle of the hips in between (OpenPose
`doc/02_output.md`)."""


def recognises(content: object) -> bool:
    """Say whether it is an object with a list `people`, or a list of such, without another program's marks."""
    if isinstance(content, list):
        return in_order(content) and all(_is_one(part) for part in content)
    return _is_one(content) or hasattr(content, "poseKeypoints")


def _of_datum(datum: object) -> dict[str, object]:
    """Return what the Python API's datum holds as the JSON has it."""
    arrays = {"pose": datum.poseKeypoints, "face": getattr(datum, "faceKeypoints", None)}  # type: ignore[attr-defined]
    hands = getattr(datum, "handKeypoints", None)
    if hands is not None and len(hands) == 2:
        arrays |= {"hand_left": hands[0], "hand_right": hands[1]}
    there = {part: array for part, array in arrays.items() if len(shape_of(array)) == 3}
    count = len(there["pose"]) if "pose" in there else 0
    people = [{f"{part}_keypoints_2d": array[person] for part, array in there.items()} for person in range(count)]
    return {"version": "datum", "people": people}


def _is_one(content: object) -> bool:
    theirs = isinstance(content, dict) and (
        "canvas_width" in content or str(content.get("version")).startswith("Alpha")
    )
    return isinstance(content, dict) and isinstance(content.get("people"), list) and not theirs


def images(content: object) -> int:
    """Return 1, or the number of frames of a list."""
    return len(content) if isinstance(content, list) else 1


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order, "openpose137" where hands or faces were found, else "body25".

    Raises:
        InputError: A part has another number of points, a number is infinite, or the points are not pixels.
    """
    if isinstance(content, list):
        content = content[nth_image(len(content), wanted)]
    if hasattr(content, "poseKeypoints"):
        content = _of_datum(content)
    assert isinstance(content, dict)
    own = "version" in content
    rows = part_rows(content["people"], wanted.origin, half=not own)
    whole = np.stack(rows) if rows else np.zeros((0, sum(PARTS.values()), 3))
    notes: tuple[str, ...] = ()
    if are_shares(whole):
        if np.nanmin(whole[..., :2]) < 0:
            advice = "Run OpenPose again with --keypoint_scale 0."
            raise InputError(f"keypoints of {wanted.origin}", "pixels of the photo", "points from -1 to 1", advice)
        if not own:
            whole[..., :2] -= PIXEL_CENTER
        else:  # the half pixel that hands and face got
            whole[:, PARTS["pose"] :, :2] -= PIXEL_CENTER
        whole = from_shares(whole, wanted, "the points are shares of it (or run OpenPose with --keypoint_scale 0)")
        notes = (f"Keypoints of {wanted.origin} are shares of the image: they were taken times its size.",)
    if is_body25b(whole):
        whole, notes = in_body25(whole), (*notes, note_of(wanted.origin))
    return people_of_parts(whole, wanted.origin, notes)


def part_rows(people: list[object], origin: str, half: bool, alike: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Return each person's points (137, 3) in the order of openpose137, zeros where the file has none.

    Args:
        people: Objects with the parts' keys.
        origin: Where they came from.
        half: Whether the body counts from pixel centres; hands and face always do.
        alike: Parts that count as the body does.

    Raises:
        InputError: A part has another number of points, or a number is infinite.
    """
    name = f"keypoints of {origin}"
    if not all(isinstance(person, dict) for person in people):
        raise InputError(name, 'a list "people" of objects', "something else in it", "Write it with --write_json.")
    halves = {part: half if part in ("pose", *alike) else True for part in PARTS}
    found = [person for person in people if isinstance(person, dict)]
    return [np.concatenate([_part(name, person, part, add) for part, add in halves.items()]) for person in found]


def people_of_parts(rows: np.ndarray, origin: str, notes: tuple[str, ...] = ()) -> DetectedPeople:
    """Return people (P, 137, 3) with hands and face where any were found."""
    body = PARTS["pose"]
    if not (rows[:, body:, 2] > 0).any():
        return people_of(list(rows[:, :body]), "body25", origin, notes)
    return people_of(list(rows), "openpose137", origin, notes)


def _part(name: str, person: dict[str, object], part: str, half: bool) -> np.ndarray:
    """Return one part's points (n, 3), zeros where the file has none."""
    count = PARTS[part]
    key = f"{part}_keypoints_2d" if f"{part}_keypoints_2d" in person else f"{part}_keypoints"
    counts = (0, count, len(COCO18)) if part == "pose" else (0, count)
    points = numbers(f"{name}: {key}", person.get(key), 3, counts)
    full = np.zeros((count, 3))
    full[list(BODY25_OF_COCO18) if part == "pose" and len(points) == len(COCO18) else slice(len(points))] = points
    if half:
        full[:, :2] += PIXEL_CENTER
    return full
