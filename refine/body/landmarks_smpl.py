"""Keypoint sets of SMPL, SMPL-H and SMPL-X.

    point = a joint,  or a vertex (a corner of one of its triangles),  or barycentric weights on a triangle

Vertices of nose, eyes, ears, toes, heels and finger tips are not in the model files. Their numbers below are those of
`vertex_ids.py` of the package smplx (vchoutas/smplx; Max Planck Institute for Intelligent Systems, licensed for
non-commercial research); they are of use only with a model file, whose licence the user accepted. The 51 face points
and the 17 of the jaw line are in the SMPL-X file (`lmk_*`, `dynamic_lmk_*`); the jaw line moves with the head's turn
there, and is fixed to that of a frontal face here.

Source: smplx 0.1.28; Pavlakos et al., Expressive Body Capture, CVPR 2019, sec. 3.1.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.body.keypoint_names import DETECTOR_SETS, SETS
from refine.body.skinned_body import KeypointSet
from refine.errors import InputError

SMPL_VERTICES = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_pupil": 2800, "right_pupil": 6260, "left_ear": 583,
    "right_ear": 4071, "left_big_toe": 3216, "left_small_toe": 3226, "left_heel": 3387,
    "right_big_toe": 6617, "right_small_toe": 6624, "right_heel": 6787,
    "left_thumb4": 2746, "left_index4": 2319, "left_middle4": 2445, "left_ring4": 2556, "left_pinky4": 2673,
    "right_thumb4": 6191, "right_index4": 5782, "right_middle4": 5905, "right_ring4": 6016, "right_pinky4": 6133,
}  # fmt: skip
"""SMPL and SMPL-H (6890 vertices). Source and licence: the module's docstring."""

SMPLX_VERTICES = {
    "nose": 9120, "left_eye": 9448, "right_eye": 9929, "left_pupil": 9448, "right_pupil": 9929, "left_ear": 6,
    "right_ear": 616, "left_big_toe": 5770, "left_small_toe": 5780, "left_heel": 8846,
    "right_big_toe": 8463, "right_small_toe": 8474, "right_heel": 8635,
    "left_thumb4": 5361, "left_index4": 4933, "left_middle4": 5058, "left_ring4": 5169, "left_pinky4": 5286,
    "right_thumb4": 8079, "right_index4": 7669, "right_middle4": 7794, "right_ring4": 7905, "right_pinky4": 8022,
}  # fmt: skip
"""SMPL-X (10475 vertices). Source and licence: the module's docstring."""

MIXES: Mapping[str, Mapping[str, float]] = {
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5},
    "left_hand_root": {"left_wrist": 1.0},
    "right_hand_root": {"right_wrist": 1.0},
    "left_hand": {"left_middle1": 1.0},
    "right_hand": {"right_middle1": 1.0},
}
"""Means of joints, where the body has no joint of that name. OpenPose's mid-hip is the middle of its hips. SMPL's hand
joints lie at the palm's end, where SMPL-H and SMPL-X have the middle finger's knuckle."""

DETECTOR_NECK: Mapping[str, float] = {"left_shoulder": 0.5, "right_shoulder": 0.5}
"""OpenPose's neck is the middle of its shoulders, SMPL's is a joint at the nape."""

LANDMARK_SOURCE = (
    "nose, eyes, ears, toes, heels and finger tips: vertex numbers of smplx/vertex_ids.py (vchoutas/smplx, Max Planck "
    "Institute for Intelligent Systems, non-commercial research licence); face points: the model file"
)
"""Text in a body's provenance."""

VERTICES_BY_COUNT = {6890: SMPL_VERTICES, 10475: SMPLX_VERTICES}
"""A mesh of another size (a third party's) has none of these points."""

INNER_FACE = 17
"""The first of the 51 face points a SMPL-X file holds, in the order of the 68; those before are the jaw line."""

Surface = tuple[int, tuple[float, float, float]]
Array = NDArray[np.generic]


def vertex_points(faces: Array, vertices: Mapping[str, int]) -> dict[str, Surface]:
    """Return named vertices as points of triangles.

    Args:
        faces: (F, 3).
        vertices: Vertex by point name.

    Returns:
        Triangle and barycentric weights by point name; vertices no triangle uses are left out.
    """
    first_use = {int(vertex): place for place, vertex in reversed(list(enumerate(faces.ravel().tolist())))}
    corners = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    used = {name: first_use[vertex] for name, vertex in vertices.items() if vertex in first_use}
    return {name: (place // 3, corners[place % 3]) for name, place in used.items()}


def face_points(triangle: Array, barycentric: Array, faces: int, first: int) -> dict[str, Surface]:
    """Return the face points of a model file by name.

    Args:
        triangle: (L,) index into the faces.
        barycentric: (L, 3).
        faces: F, the number of faces.
        first: Number of the first point in the 68 of iBUG.

    Returns:
        Triangle and barycentric weights by name (`face_17`, ...).

    Raises:
        InputError: A triangle is none of the faces, or weights do not sum to 1.
    """
    if triangle.size and not (0 <= int(triangle.min()) and int(triangle.max()) < faces):
        raise InputError("face landmarks", f"triangles from 0 to {faces - 1}", f"{triangle.min()} to {triangle.max()}")
    if triangle.size and not np.allclose(barycentric.astype(np.float64).sum(-1), 1.0, atol=1e-3):
        raise InputError("face landmarks", "barycentric weights that sum to 1", "others")
    return {
        f"face_{first + n}": (int(where), (float(weights[0]), float(weights[1]), float(weights[2])))
        for n, (where, weights) in enumerate(zip(triangle, barycentric, strict=True))
    }


def _keypoint_set(
    set_name: str, joints: Mapping[str, int], surface: Mapping[str, Surface], like: Tensor
) -> KeypointSet | None:
    """Return the set, or None where the body lacks one of its points."""
    names = SETS[set_name]
    joint_weights = like.new_zeros(len(names), len(joints))
    triangle = torch.zeros(len(names), dtype=torch.int64)
    barycentric = like.new_zeros(len(names), 3)
    for row, name in enumerate(names):
        mix = {name: 1.0} if name in joints else MIXES.get(name, {name: 1.0})
        mix = DETECTOR_NECK if name == "neck" and set_name in DETECTOR_SETS else mix
        if all(joint in joints for joint in mix):
            for joint, share in mix.items():
                joint_weights[row, joints[joint]] = share
        elif name in surface:
            triangle[row] = surface[name][0]
            barycentric[row] = torch.tensor(surface[name][1])
        else:
            return None
    return KeypointSet(names, joint_weights, triangle, barycentric)


def keypoint_sets(joint_names: Sequence[str], surface: Mapping[str, Surface], like: Tensor) -> dict[str, KeypointSet]:
    """Return every set of `keypoint_names` of which a body has all points.

    Args:
        joint_names: J names.
        surface: Points on the surface by name.
        like: A tensor of the weights' type.

    Returns:
        The sets by name.
    """
    joints = {name: joint for joint, name in enumerate(joint_names)}
    sets = {name: _keypoint_set(name, joints, surface, like) for name in SETS}
    return {name: points for name, points in sets.items() if points is not None}
