"""Detectors' keypoint sets in ours: a point goes where ours has one of the same name; the others are left out.

    coco18     OpenPose's and DWPose's body, its neck the middle of the shoulders           -> body25
    halpe26    coco17, head, neck, hip, feet                                                -> body25
    halpe136   halpe26, 68 face points, left and right hand                                 -> openpose137
    dwpose134  coco18 with a neck made from the shoulders, feet, 68 face points, hands      -> openpose137
    coco25     coco17 with neck and hip between, feet (easy_ViTPose)                        -> body25
    mhr70      body, feet, fingers (SAM 3D Body)                                            -> coco133
    sapiens308 mhr70, then 238 points of face, ears and eyes                                -> coco133
    mediapipe33                                                                             -> body25

Halpe's neck and hip are points that were clicked on photos (nape, pelvis), not the middles of shoulders and hips that
OpenPose's are: they have no counterpart. DWPose computes its neck from its own shoulders and gives it confidence 1:
it says nothing new. MediaPipe's eye and mouth corners have no counterpart, its "pinky", "index" and "thumb" are
coarse points of the hand; its "foot index" is the big toe: it lies where OpenPose sees that, 1 % of the person's box
off in the median, as its heel does (100 frames, four cameras). coco25's neck and hip come from annotations of its own.
Of Sapiens' face points none is one of iBUG's.

A point with NaN in it, or whose confidence is not above zero, is missing. COCO's flags (0 not labelled, 1 hidden, 2
visible) are no confidences: where only these occur, every labelled point counts fully, and a note says so.

Source: Halpe: Fang-Haoshu/Halpe-FullBody@5b4887d9bd `README.md`, open-mmlab/mmpose@759b39c13f
`configs/_base_/datasets/halpe26.py`; DWPose: IDEA-Research/DWPose@98d727edea
`ControlNet-v1-1-nightly/annotator/dwpose/wholebody.py`; MediaPipe: ai.google.dev, pose landmarker guide; COCO-18:
OpenPose `doc/02_output.md`; coco25: JunkyByte/easy_ViTPose@4f2ba445c9 `easy_ViTPose/vit_utils/visualization.py`
joints_dict; Sapiens: facebookresearch/sapiens@3e829ac274 `pose/configs/_base_/datasets/goliath.py` dataset_info.
"""

from collections.abc import Sequence

import numpy as np
import torch

from refine.body.keypoint_names import COCO17, FACE68, FEET, LEFT_HAND, MHR70, RIGHT_HAND, SETS
from refine.keypoints.detections import DetectedPeople

PIXEL_CENTER = 0.5
"""From a count from pixel centres to coordinates in which the image's corner is (0, 0), px."""

COCO18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip",
    "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear",
    "left_ear",
)  # fmt: skip

HALPE26 = (
    *COCO17, "top of the head", "nape", "pelvis",
    *(f"{side}_{part}" for part in ("big_toe", "small_toe", "heel") for side in ("left", "right")),
)  # fmt: skip

MEDIAPIPE33 = (
    "nose", "left eye's inner corner", "left_eye", "left eye's outer corner", "right eye's inner corner", "right_eye",
    "right eye's outer corner", "left_ear", "right_ear", "left mouth corner", "right mouth corner", "left_shoulder",
    "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left pinky", "right pinky", "left index", "right index",
    "left thumb",
    "right thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel",
    "left_big_toe", "right_big_toe",
)  # fmt: skip

DWPOSE134 = (COCO18[0], "neck made from the shoulders", *COCO18[2:], *FEET, *FACE68, *LEFT_HAND, *RIGHT_HAND)

COCO25 = (*COCO17[:5], "neck's annotation", *COCO17[5:13], "hip's annotation", *COCO17[13:], *FEET)

SAPIENS308 = (*MHR70, *(f"face point {n}" for n in range(len(MHR70), 308)))

THEIRS = {
    "coco17": (COCO17, "coco17"),
    "coco18": (COCO18, "body25"),
    "coco25": (COCO25, "body25"),
    "halpe26": (HALPE26, "body25"),
    "halpe136": ((*HALPE26, *FACE68, *LEFT_HAND, *RIGHT_HAND), "openpose137"),
    "coco133": (SETS["coco133"], "coco133"),
    "dwpose134": (DWPOSE134, "openpose137"),
    "mediapipe33": (MEDIAPIPE33, "body25"),
    "mhr70": (MHR70, "coco133"),
    "sapiens308": (SAPIENS308, "coco133"),
    "body25": (SETS["body25"], "body25"),
    "openpose137": (SETS["openpose137"], "openpose137"),
}
"""Names of each set's points, and the set of ours they go into."""

BY_COUNT = {len(THEIRS[name][0]): name for name in ("coco17", "halpe26", "coco133", "halpe136")}
"""The sets of files that do not say theirs (MMPose, COCO), by the number of points."""

SHOWN = 8
"""How many points without a counterpart a note names."""

UNUSUAL = 2.0
"""A confidence above this is on another scale than 0 to 1; maxima of SimCC vectors lie below it."""

PERCENT = 20.0
"""Confidences that reach beyond this are percent; logits of heatmaps end below it."""


def people_of(rows: Sequence[np.ndarray], theirs: str, origin: str, notes: tuple[str, ...] = ()) -> DetectedPeople:
    """Put detected people into a set of ours.

    Args:
        rows: P arrays (K, 3) of x, y (px, counted from the photo's corner) and confidence; NaN: the point is missing.
        theirs: A name in `THEIRS`.
        origin: Where they came from.
        notes: What was decided so far.

    Returns:
        The people; points whose confidence is not above zero have no place, confidences above 1 count as 1, percent are
        divided by 100.
    """
    names, ours = THEIRS[theirs]
    place = {name: index for index, name in enumerate(SETS[ours])}
    pairs = [(index, place[name]) for index, name in enumerate(names) if name in place]
    points = np.stack(rows) if len(rows) else np.zeros((0, len(names), 3))
    points = np.where(np.isnan(points).any(2, keepdims=True), 0.0, points)
    full = np.zeros((len(points), len(place), 3))
    full[:, [there for _, there in pairs]] = points[:, [here for here, _ in pairs]]
    found = torch.as_tensor(full, dtype=torch.float32)
    pixel = torch.where(found[..., 2:] > 0, found[..., :2], 0.0)
    lost = [name for name in names if name not in place]
    if lost and len(rows):
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN + len(MEDIAPIPE33) else ""
        lost = lost[:SHOWN] if more else lost
        notes += (f"Keypoints of {origin}: {theirs} is read as {ours}, without {', '.join(lost)}{more}.",)
    share = 0.01 if are_percent(points[..., 2]) else 1.0
    said = notes + said_of_confidence(points[..., 2], origin)
    return DetectedPeople(ours, pixel, (share * found[..., 2]).clamp(0, 1), origin, said)


def are_percent(confidence: np.ndarray) -> bool:
    """Say whether confidences count from 0 to 100: most above 1, one is beyond what logits reach, none above 100."""
    there = confidence[confidence > 0]
    return bool(len(there)) and PERCENT < float(there.max()) <= 100 and float(np.median(there)) > 1


def said_of_confidence(confidence: np.ndarray, origin: str) -> tuple[str, ...]:
    """Return the note on numbers that are no confidences between 0 and 1: COCO's flags, another scale."""
    most = float(confidence.max(initial=0.0))
    if most == 2 and np.isin(confidence, (0, 1, 2)).all():
        return (
            f"Keypoints of {origin}: the third numbers are COCO's flags (0 not labelled, 1 hidden, 2 visible), not "
            "confidences: every labelled point counts fully.",
        )
    if are_percent(confidence):
        return (
            f"Keypoints of {origin}: confidences reach {most:.3g}: they are taken as percent, and were divided by 100.",
        )
    if most > UNUSUAL:
        scale = " Divide by 100 if they are percent." if most <= 100 else ""
        return (f"Keypoints of {origin}: confidences reach {most:.3g}; those above 1 count as 1.{scale}",)
    return ()
