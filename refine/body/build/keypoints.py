"""The body's keypoint sets: each point a mix of joints or a point on the surface.

    keypoint = joint_weights @ joints + barycentric @ vertices[faces[triangle]]

Surface points are found on one reference body in the T pose, as points of its triangles.

Source: COCO-WholeBody (Jin et al., ECCV 2020) for toes, heels and finger tips; names and order:
`refine.body.keypoint_names`.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body.build import face
from refine.body.build.skeleton import JOINT_NAMES
from refine.body.build.surface import SurfacePoint, first_of_the_largest, seen_from, vertex_point
from refine.body.build.weights import by_size
from refine.body.keypoint_names import SETS

SKIN = 13380
"""Base-mesh vertices below this number are skin; above follow tongue, teeth, eyes and helpers."""
SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")

MIXES: dict[str, dict[str, float]] = {
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5},
    "left_hand_root": {"left_wrist": 1.0},
    "right_hand_root": {"right_wrist": 1.0},
    "left_hand": {"left_middle1": 1.0},
    "right_hand": {"right_middle1": 1.0},
}
"""Points that are means of joints with other names. SMPL's hand joints (22, 23) are put at the knuckle of the middle
finger."""

DETECTOR_NECK = {"left_shoulder": 0.5, "right_shoulder": 0.5}
"""The neck of OpenPose lies between the shoulders; that of `smpl24` and `smplx55` is the joint."""

OF_JOINTS = ("smpl24", "smplx55")
"""Sets of joints only."""

SMALL_TOE = (0.9, 0.45)
"""(outward, forward) direction in which the small toe's tip is the foot's farthest point."""


def surface_points(
    vertices: Float[Tensor, "V 3"],
    joints: Float[Tensor, "55 3"],
    weights: Float[Tensor, "V 55"],
    faces: Int[Tensor, "F 3"],
    skin: Bool[Tensor, "V"],
) -> dict[str, SurfacePoint]:
    """Find every point of the surface on the reference body.

    Args:
        vertices: (V, 3) m, the reference body in the T pose.
        joints: (55, 3) m.
        weights: (V, 55) skinning weights.
        faces: (F, 3).
        skin: (V,) whether a vertex is skin (not eye or tongue).

    Returns:
        The points by name: head, finger tips, toes and heels.
    """
    surface = _face_points(vertices, joints, faces, skin)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for finger in FINGERS:
            last = JOINT_NAMES.index(f"{side}_{finger}3")
            along = torch.nn.functional.normalize(joints[last] - joints[last - 1], dim=0)
            surface[f"{side}_{finger}4"] = _farthest(vertices, faces, by_size(weights)[:, 0] == last, along)
        ball = JOINT_NAMES.index(f"{side}_foot")
        toes = (weights[:, ball] > 0.5) & skin
        inner = toes & (sign * (vertices[:, 0] - joints[ball, 0]) < 0)
        surface[f"{side}_big_toe"] = _farthest(vertices, faces, inner, torch.tensor([0.0, 0.0, 1.0]))
        surface[f"{side}_small_toe"] = _farthest(
            vertices, faces, toes, torch.tensor([sign * SMALL_TOE[0], 0.0, SMALL_TOE[1]])
        )
        foot = (weights[:, JOINT_NAMES.index(f"{side}_ankle")] > 0.5) & skin
        surface[f"{side}_heel"] = _farthest(vertices, faces, foot, torch.tensor([0.0, -0.5, -1.0]))
    return surface


def _farthest(vertices: Tensor, faces: Tensor, among: Tensor, direction: Tensor) -> SurfacePoint:
    """Return the vertex of a region that lies farthest along a direction."""
    reach = torch.where(among, vertices @ direction.to(vertices.dtype), -torch.inf)
    return vertex_point(faces, first_of_the_largest(reach))


def _face_points(vertices: Tensor, joints: Tensor, faces: Tensor, skin: Tensor) -> dict[str, SurfacePoint]:
    """Return the points of the head: 68 face points, pupils, eyes, ears and nose."""
    eyes = [joints[JOINT_NAMES.index(f"{side}_eye_smplhf")] for side in SIDES]
    middle = (eyes[0] + eyes[1]) / 2
    kept = skin[faces].all(1).nonzero()[:, 0]  # triangles of skin

    def find(offset: tuple[float, float, float], axis: int, sign: float = 1.0) -> SurfacePoint:
        target = middle + torch.tensor([sign * offset[0], *offset[1:]], dtype=middle.dtype) / 1000
        found = seen_from(vertices, faces[kept], target, axis, sign if axis == 0 else 1.0)
        return SurfacePoint(int(kept[found.triangle]), found.barycentric)

    points: dict[str, SurfacePoint] = {}
    for n in range(68):
        left = face.MIRROR.get(n, n)
        sign = -1.0 if left != n else 1.0
        if left in face.FRONT:
            points[f"face_{n}"] = find((*face.FRONT[left], 0.0), 2, sign)
        else:
            z, y = face.SIDE[left]
            points[f"face_{n}"] = find((0.0, y, z), 0, sign)
    points["nose"] = points["face_30"]
    for side, eye, sign in (("left", eyes[0], 1.0), ("right", eyes[1], -1.0)):
        points[f"{side}_ear"] = find((0.0, face.EAR[1], face.EAR[0]), 0, sign)
        points[f"{side}_pupil"] = points[f"{side}_eye"] = seen_from(vertices, faces, eye, 2, 1.0)
    return points


def assemble(
    name: str, surface: dict[str, SurfacePoint]
) -> tuple[Float[Tensor, "K 55"], Int[Tensor, "K"], Float[Tensor, "K 3"]]:
    """Build one set.

    Args:
        name: A name of `SETS`.
        surface: The points of the surface.

    Returns:
        joint_weights (K, 55), triangle (K,), barycentric (K, 3).
    """
    names = SETS[name]
    joint_weights = torch.zeros(len(names), len(JOINT_NAMES), dtype=torch.float64)
    triangle = torch.zeros(len(names), dtype=torch.int64)
    barycentric = torch.zeros(len(names), 3, dtype=torch.float64)
    for row, point in enumerate(names):
        if point in surface:
            triangle[row] = surface[point].triangle
            barycentric[row] = torch.tensor(surface[point].barycentric)
            continue
        mix = DETECTOR_NECK if point == "neck" and name not in OF_JOINTS else MIXES.get(point, {point: 1.0})
        for joint, share in mix.items():
            joint_weights[row, JOINT_NAMES.index(joint)] = share
    return joint_weights, triangle, barycentric
