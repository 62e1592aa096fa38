"""Names and order of the keypoint sets of detectors and benchmarks.

    coco133 = coco17 + 6 foot points + 68 face points + 21 points of the left hand + 21 of the right
    openpose137 = body25 + 21 points of the left hand + 21 of the right + 70 face points

Face points are numbered as in iBUG 300-W (0-16 jaw line from the person's right ear to the left, 17-26 brows, 27-35
nose, 36-47 eyes, 48-67 mouth); 68 and 69 are the right and left pupil. A hand is its root (the wrist), then four points
a finger from the palm to the tip.

Source: COCO (cocodataset.org), COCO-WholeBody (Jin et al., ECCV 2020), OpenPose's output format (BODY_25, 70 face and
21 hand points); MHR-70: facebookresearch/sam-3d-body, `sam_3d_body/metadata/mhr70.py`.
"""

_SIDES = ("left", "right")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")

COCO17 = (
    "nose",
    *(
        f"{side}_{part}"
        for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in _SIDES
    ),
)

FEET = tuple(f"{side}_{part}" for side in _SIDES for part in ("big_toe", "small_toe", "heel"))

LEFT_HAND, RIGHT_HAND = (
    (f"{side}_hand_root", *(f"{side}_{finger}{n}" for finger in _FINGERS for n in (1, 2, 3, 4))) for side in _SIDES
)
"""Points 1 to 3 of a finger are its joints, 4 is its tip."""

FACE68 = tuple(f"face_{n}" for n in range(68))

COCO133 = COCO17 + FEET + FACE68 + LEFT_HAND + RIGHT_HAND

BODY25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
    "left_eye", "right_ear", "left_ear", *FEET,
)  # fmt: skip

OPENPOSE137 = BODY25 + LEFT_HAND + RIGHT_HAND + FACE68 + ("right_pupil", "left_pupil")

SMPL22 = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
"""The joints SMPL, SMPL-H and SMPL-X share, in their order."""

SMPL24 = (*SMPL22, "left_hand", "right_hand")

FINGER_JOINTS = tuple(
    f"{side}_{finger}{n}"
    for side in _SIDES
    for finger in ("index", "middle", "pinky", "ring", "thumb")
    for n in (1, 2, 3)
)
"""MANO's order: the little finger before the ring finger."""

SMPLH52 = SMPL22 + FINGER_JOINTS

SMPLX55 = (*SMPL22, "jaw", "left_eye_smplhf", "right_eye_smplhf", *FINGER_JOINTS)

MHR70 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", *FEET,
    *(f"right_{finger}{n}" for finger in _FINGERS for n in (4, 3, 2, 1)), "right_wrist",
    *(f"left_{finger}{n}" for finger in _FINGERS for n in (4, 3, 2, 1)), "left_wrist",
    "left_olecranon", "right_olecranon", "left_cubital_fossa", "right_cubital_fossa", "left_acromion",
    "right_acromion", "c7",
)  # fmt: skip
"""MHR's 70 keypoints; a finger is its tip, then its joints towards the palm."""

SETS = {
    "coco17": COCO17,
    "coco133": COCO133,
    "body25": BODY25,
    "openpose137": OPENPOSE137,
    "smpl24": SMPL24,
    "smplx55": SMPLX55,
}
"""Every set by name."""

DETECTOR_SETS = ("coco17", "coco133", "body25", "openpose137")
"""Sets of detectors; the others are joints of skeletons."""
