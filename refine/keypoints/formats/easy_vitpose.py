"""easy_ViTPose's JSON (`--save-json`): of each frame, each person's points as y, x, score, and the names of the points.

    {"keypoints": [{"<person>": [[y, x, score] · K], ...}, ... frames], "skeleton": {"0": "nose", ...}}

The names say the set: COCO's 17, 25 of its own order (neck and hip between, then feet), COCO-WholeBody's 133; by the
number of points where there are no names. Sets of animals, MPII and AI Challenger are refused. A file of one photo
has one frame; frames have no names and go by their place.

What `VitInference.inference` returns in memory, {person: (K, 3)}, says neither that y comes first nor which set it
is: give {"keypoints": [that], "skeleton": joints_dict()[model.dataset]["keypoints"]}, or the detector's points as
(points, scores).

Pixels: decoded with UDP in the crop and moved by whole pixels, indices of pixels: half a pixel is added.

Source: JunkyByte/easy_ViTPose@4f2ba445c9 `README.md` (output JSON), `inference.py` l.95-141,
`easy_ViTPose/vit_utils/visualization.py` joints_dict, `easy_ViTPose/inference.py` l.195-281.
"""

from collections.abc import Mapping

import numpy as np

from refine.errors import InputError
from refine.keypoints.detections import DetectedPeople
from refine.keypoints.formats import Wanted
from refine.keypoints.formats._images import nth_image
from refine.keypoints.numbers import numbers
from refine.keypoints.sets import PIXEL_CENTER, THEIRS, people_of

KNOWN = {17: "coco17", 25: "coco25", 133: "coco133"}
COMPARED = {"neck's annotation": "neck", "hip's annotation": "hip"}
"""Our names of points whose name there is another."""


def recognises(content: object) -> bool:
    """Say whether it is an object with `skeleton` and a list `keypoints` of objects of people."""
    frames = content.get("keypoints") if isinstance(content, dict) and "skeleton" in content else None
    return isinstance(frames, list) and all(isinstance(frame, dict) for frame in frames)


def images(content: object) -> int:
    """Return the number of frames."""
    return len(content["keypoints"]) if isinstance(content, dict) else 0


def read(content: object, wanted: Wanted) -> DetectedPeople:
    """Read the people of a photo.

    Returns:
        The people in the file's order: "coco17", "body25" (from its 25) or "coco133".

    Raises:
        InputError: The points are of another set, or the frame is not known.
    """
    assert isinstance(content, dict)
    name, frames = f"keypoints of {wanted.origin}", content["keypoints"]
    if not frames:
        return people_of([], "coco17", wanted.origin)
    frame = frames[nth_image(len(frames), wanted)]
    rows = []
    for person, values in frame.items():
        points = numbers(f"{name}: person {person}", values, 3, KNOWN)
        rows.append(points[:, [1, 0, 2]] + np.array([PIXEL_CENTER, PIXEL_CENTER, 0.0]))
    counts = {len(row) for row in rows} or {17}
    if len(counts) > 1:
        raise InputError(name, "people with as many keypoints each", f"some of {sorted(counts)}", "")
    theirs = KNOWN[counts.pop()]
    _check_names(name, content["skeleton"], theirs)
    return people_of(rows, theirs, wanted.origin)


def _check_names(name: str, skeleton: object, theirs: str) -> None:
    """Refuse another set of the same size, where the file names the points."""
    if not isinstance(skeleton, Mapping) or not skeleton:
        return
    given = [str(skeleton.get(str(index), skeleton.get(index))) for index in range(len(skeleton))]
    ours = [COMPARED.get(point, point) for point in THEIRS[theirs][0]]
    first = next((index for index, pair in enumerate(zip(given, ours, strict=False)) if pair[0] != pair[1]), len(ours))
    if len(given) != len(ours) or first < min(23, len(ours)):  # whose 133 call face and hands by other names
        advice = "Use a model trained on COCO, its 25 or COCO-WholeBody."
        got = f"{', '.join(given[:5])}, ... ({len(given)} points)"
        raise InputError(name, f"the points of {theirs}", got, advice)
