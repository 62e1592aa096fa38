"""What the generated files of `tests/layouts` are made of: drawn numbers, no model file, no real person.

The skeleton is SMPL's rest skeleton rounded to centimetres; points on it stand for the joints and vertices a regressor
makes from its surface.
"""

import numpy as np
from scipy.spatial.transform import Rotation

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

BONES = np.array(
    [
        (0.0, -0.23, 0.03), (0.06, -0.09, -0.02), (-0.06, -0.09, -0.02), (0.0, 0.12, -0.04), (0.04, -0.39, 0.0),
        (-0.04, -0.39, 0.0),
        (0.0, 0.14, 0.03), (-0.02, -0.42, -0.04), (0.02, -0.42, -0.04), (0.0, 0.06, 0.0), (0.04, -0.06, 0.13),
        (-0.04, -0.06, 0.13),
        (-0.01, 0.21, -0.03), (0.08, 0.11, -0.02), (-0.08, 0.11, -0.02), (0.01, 0.09, 0.05), (0.12, 0.05, -0.01),
        (-0.12, 0.05, -0.01),
        (0.26, -0.02, -0.03), (-0.26, -0.02, -0.03), (0.27, 0.01, -0.01), (-0.27, 0.01, -0.01), (0.09, -0.01, -0.01),
        (-0.09, -0.01, -0.01),
    ]
)  # fmt: skip
"""Offset of each of SMPL's 24 joints from its parent at rest, m; the first is the pelvis."""

# Points of the surface, and points regressed from it: the joint that carries each, and its offset at rest (m), guessed
# to the centimetre on a
# mannequin: x left, y up, z front.
RIDERS = {
    "nose": (15, (0.0, 0.05, 0.11)), "neck_lsp": (12, (0.0, 0.01, 0.01)), "head_top": (15, (0.0, 0.2, -0.03)),
    "pelvis_mpii": (0, (0.0, 0.03, -0.02)),
    "thorax_mpii": (12, (0.0, -0.04, 0.01)), "spine_h36m": (9, (0.0, -0.03, -0.03)),
    "jaw_h36m": (15, (0.0, 0.01, 0.04)),
    "head_h36m": (15, (0.0, 0.13, -0.02)),
} | {
    f"{side}_{part}": (joint + right, (sign * x, y, z))
    for right, side, sign in ((0, "left", 1), (1, "right", -1))
    for part, joint, (x, y, z) in (
        ("bigtoe", 10, (-0.05, 0.0, 0.07)), ("smalltoe", 10, (0.03, -0.01, 0.03)), ("heel", 7, (0.02, -0.05, -0.06)),
        ("thumb", 22, (0.02, -0.01, 0.11)),
        ("index", 22, (0.1, 0.0, 0.04)), ("middle", 22, (0.11, 0.0, 0.0)), ("ring", 22, (0.09, 0.0, -0.03)),
        ("pinky", 22, (0.05, -0.01, -0.06)),
        ("knee", 4, (0.0, 0.04, -0.01)), ("ankle", 7, (0.01, 0.04, -0.03)), ("wrist", 20, (-0.01, 0.01, 0.03)),
        ("elbow", 18, (0.01, 0.04, 0.01)),
        ("shoulder", 16, (-0.04, -0.01, 0.02)),
    )
} | {
    f"{side}_{part}": (joint, (sign * x, y, z))
    for side, sign in (("left", 1), ("right", -1))
    for part, joint, (x, y, z) in (("eye", 15, (0.03, 0.09, 0.06)), ("ear", 15, (0.08, 0.06, -0.03)),
        ("hip", 0, (0.14, 0.03, 0.0)))
}  # fmt: skip

PICKED = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear", "left_bigtoe", "left_smalltoe", "left_heel",
    "right_bigtoe", "right_smalltoe", "right_heel",
    *(f"{side}_{finger}" for side in ("left", "right") for finger in ("thumb", "index", "middle", "ring", "pinky")),
)  # fmt: skip
"""What the package smplx picks from SMPL's surface: places 24 to 44 of its joints."""

LSP14 = (
    *(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
    ),
    *("left_elbow", "left_wrist", "neck_lsp", "head_top"),
)
REGRESSED5 = ("pelvis_mpii", "thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m")

BEHIND = (
    *PICKED, "right_hip", "left_hip", "neck_lsp", "head_top", *REGRESSED5,
    *LSP14[:13], "head_h36m", "pelvis_mpii", "spine_h36m", "jaw_h36m",
)  # fmt: skip
"""ROMP's 47 behind SMPL's 24."""

VERTICES = 300
WIDTH, HEIGHT = 640, 480


def random_pose(people: int, seed: int = 0) -> np.ndarray:
    """Axis-angle (N, 24, 3) rad of people who stand upright in a camera frame (y down) and face it."""
    pose = 0.25 * np.random.default_rng(seed).standard_normal((people, 24, 3))
    upright = Rotation.from_rotvec([np.pi, 0.0, 0.0])
    pose[:, 0] = (upright * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    pose[:, 22:] = 0
    return pose


def skeleton(pose: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 24, 3) m without translation and global rotations (N, 24, 3, 3) of axis-angle poses (N, 24, 3)."""
    local = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(*pose.shape[:2], 3, 3)
    turned = [local[:, 0]]
    joints = [np.broadcast_to(scale * BONES[0], (len(pose), 3))]
    for joint in range(1, 24):
        parent = PARENTS[joint]
        joints.append(joints[parent] + turned[parent] @ (scale * BONES[joint]))
        turned.append(turned[parent] @ local[:, joint])
    return np.stack(joints, 1), np.stack(turned, 1)


def dressed(pose: np.ndarray, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """71 joints (m, without translation) as ROMP has them, and some vertices that ride on them."""
    draw = np.random.default_rng(seed)
    joints, turned = skeleton(pose, scale)
    riding = riders(joints, turned, tuple(RIDERS[name] for name in BEHIND), scale)
    carrier = draw.integers(0, 24, VERTICES)
    offset = 0.04 * scale * draw.standard_normal((VERTICES, 3))
    surface = joints[:, carrier] + np.einsum("njab,jb->nja", turned[:, carrier], offset)
    return np.concatenate((joints, riding), 1), surface


def riders(
    joints: np.ndarray, turned: np.ndarray, points: tuple[tuple[int, tuple[float, float, float]], ...], scale: float
) -> np.ndarray:
    """Points (N, P, 3) m that ride on joints: (joint, offset at rest)."""
    carrier = [joint for joint, _ in points]
    offset = scale * np.array([place for _, place in points])
    return joints[:, carrier] + np.einsum("njab,jb->nja", turned[:, carrier], offset)


OPENPOSE = (12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7)
"""SMPL's joints at BODY_25's places 1 to 14 (SPIN's `constants.py`, JOINT_MAP)."""


def spin49(pose: np.ndarray) -> np.ndarray:
    """SPIN's 49 joints (N, 49, 3) m, without translation, of axis-angle poses (N, 24, 3)."""
    joints, turned = skeleton(pose)
    face, sides = ("nose", "left_eye", "right_eye", "left_ear", "right_ear"), PICKED[1:11]

    def seen(*names: str) -> np.ndarray:
        return riders(joints, turned, tuple(RIDERS[name] for name in names), 1.0)

    return np.concatenate((seen("nose"), joints[:, OPENPOSE], seen(*sides), seen(*LSP14, *REGRESSED5, *face)), 1)


def float32(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays, doubles as floats: what a network's output is stored as."""
    return {name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in arrays.items()}
