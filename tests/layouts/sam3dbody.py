"""SAM 3D Body's npz of one person: 18,439 vertices, 70 keypoints, MHR's parameters, origin at the ground."""

from pathlib import Path

import numpy as np

from tests.layouts._built_in_people import drawn
from tests.regressor_files import HEIGHT, WIDTH

SUFFIX = ".npz"
FOCAL = 812.5
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
BODY = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_hip "
    "right_hip left_knee "
    "right_knee left_ankle right_ankle left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
).split()

LEFT_OUT = (
    "pred_pose_raw",
    "global_rot",
    "body_pose_params",
    "hand_pose_params",
    "pred_global_rots",
    "mhr_model_params",
)
EXEMPT = {
    "test_a_refined_file_keeps_keys_shapes_and_types_and_what_it_does_not_know": (
        "MHR's pose parameters are left out and the refined body's are added: test_fitted_surfaces.py looks at them"
    )
}


def keypoints(points: dict[str, np.ndarray]) -> np.ndarray:
    """The 70 points (N, 70, 3) of people whose points are known by name."""
    hands = []
    for side in ("right", "left"):
        hands += [f"{side}_{finger}{joint}" for finger in FINGERS for joint in (4, 3, 2, 1)] + [f"{side}_wrist"]
    behind = np.array([0.0, 0.0, 0.04])
    elbows = [points[f"{side}_elbow"] + sign * behind for sign in (1, -1) for side in ("left", "right")]
    acromions = [points[f"{side}_shoulder"] - np.array([0.0, 0.04, 0.0]) for side in ("left", "right")]
    return np.stack([*(points[name] for name in BODY + hands), *elbows, *acromions, points["neck"]], 1)


def person(n: int = 0) -> dict[str, np.ndarray]:
    """What the estimator returns for one person, without a mask."""
    mesh, points = drawn(18439)
    vertices, seen = mesh[n].astype(np.float32), keypoints(points)[n]
    draw = np.random.default_rng(n)
    place = points["pelvis"][n] + np.array([0.0, 0.9, 0.0])
    pixels = FOCAL * seen[:, :2] / seen[:, 2:] + (WIDTH / 2, HEIGHT / 2)
    joints = np.concatenate((np.zeros((1, 3)), draw.permutation(mesh[n])[:126] - place))
    rotations = np.linalg.qr(draw.standard_normal((127, 3, 3)))[0]
    numbers = {
        "bbox": np.concatenate((pixels.min(0), pixels.max(0))),
        "pred_keypoints_3d": seen - place,
        "pred_keypoints_2d": pixels,
        "pred_vertices": vertices - place,
        "pred_cam_t": place,
        "pred_pose_raw": np.zeros(266),
        "global_rot": draw.standard_normal(3),
        "body_pose_params": draw.standard_normal(133),
        "hand_pose_params": draw.standard_normal(108),
        "scale_params": draw.standard_normal(28),
        "shape_params": draw.standard_normal(45),
        "expr_params": np.zeros(72),
        "pred_joint_coords": joints,
        "pred_global_rots": rotations,
        "mhr_model_params": draw.standard_normal(204),
    }
    boxes = {"lhand_bbox": np.array([260.0, 220.0, 330.0, 290.0]), "rhand_bbox": np.array([75.0, 220.0, 146.0, 290.0])}
    return {name: value.astype(np.float32) for name, value in numbers.items()} | boxes


def write(path: Path, people: int = 2) -> Path:
    """One person's file, whatever `people` says, with a key of somebody else's."""
    np.savez(path, **person(), somebody_elses=np.arange(3))
    return path
