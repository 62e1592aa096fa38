"""Multi-HMR's npy of one photo: SMPL-X vertices in the camera frame, with those that have names where the names say."""

from pathlib import Path

import numpy as np

from tests.layouts._built_in_people import drawn
from tests.regressor_files import HEIGHT, WIDTH

SUFFIX = ".npy"
SIZES = [[float(HEIGHT), float(WIDTH)]]
_ANEW = "the file has room for vertices alone: bodies are fitted to them anew"
EXEMPT = {
    "test_a_refined_estimate_is_read_back_as_it_was_written": _ANEW,
    "test_a_refined_estimate_keeps_its_sources_shape": _ANEW,
    "test_what_was_refined_through_another_camera_is_written_in_the_sources_own": _ANEW,
}

POINTS = {
    "nose": 9120, "left_eye": 9448, "right_eye": 9929, "left_ear": 6, "right_ear": 616, "left_big_toe": 5770,
    "left_small_toe": 5780,
    "left_heel": 8846, "right_big_toe": 8463, "right_small_toe": 8474, "right_heel": 8635, "left_thumb4": 5361,
    "left_index4": 4933,
    "left_middle4": 5058, "left_ring4": 5169, "left_pinky4": 5286, "right_thumb4": 8079, "right_index4": 7669,
    "right_middle4": 7794,
    "right_ring4": 7905, "right_pinky4": 8022,
}  # fmt: skip
SIDES = {
    "left_elbow": (4302, 4369), "right_elbow": (7040, 7105), "left_wrist": (4848, 4721), "right_wrist": (7584, 7457),
    "left_knee": (3640, 3646), "right_knee": (6401, 6407), "left_ankle": (5882, 8892), "right_ankle": (8576, 8680),
}  # fmt: skip
PELVIS_WIDTH = 0.24


def vertices(people: int = 2) -> np.ndarray:
    """(P, 10475, 3) m."""
    mesh, points = drawn(10475)
    mesh = mesh.copy()
    for name, vertex in POINTS.items():
        mesh[:, vertex] = points[name]
    for name, pair in SIDES.items():
        for vertex, sign in zip(pair, (1, -1), strict=True):
            mesh[:, vertex] = points[name] + sign * np.array([0.03, 0.0, 0.0])
    # Bony points of a pelvis and shoulders of usual size.
    hips = [points["left_hip"], points["right_hip"]]
    left = (hips[0] - hips[1]) / np.linalg.norm(hips[0] - hips[1], axis=1, keepdims=True)
    neck = points["neck"] - (hips[0] + hips[1]) / 2
    front = np.cross(left, neck) / np.linalg.norm(np.cross(left, neck), axis=1, keepdims=True)
    up = np.cross(front, left)
    for n, sign in ((0, 1), (1, -1)):
        asis = hips[n] + PELVIS_WIDTH * (sign * 0.14 * left + 0.30 * up + 0.19 * front)
        mesh[:, (5727, 8421)[n]] = asis
        mesh[:, (5677, 8371)[n]] = asis - 0.15 * front
        mesh[:, (3878, 6629)[n]] = points[("left", "right")[n] + "_shoulder"] + 0.06 * up
    return mesh[:people].astype(np.float32)


def write(path: Path, people: int = 2) -> Path:
    """The photo's file; a bare array has no room for anything of somebody else's."""
    np.save(path, vertices(people))
    return path
