"""A body's pose, shape and place from named points alone: each part is turned onto its points, root first.

    part j    R_j = rotation between (p_n - anchor_j) at rest and (t_n - anchor_j) seen, n the points the part carries

Knee and elbow are hinges: their angle is read off three points first, so that the foot (hand) tells how the thigh
(upper arm) is twisted. With rotations found, points are linear in shape and translation, and the scene's scale is a
child's alone (`refine/body/size.py`).

Source: Kabsch 1976 (part by part); hinges as in Wu et al., ISB recommendation on joint coordinate systems, J. Biomech.
35(4), 2002.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import KeypointSet, SkinnedBody, pose_body
from refine.body.size import shape_and_scale
from refine.geometry import rotation
from refine.state import Bodies, Unknowns
from refine.transfer.surface.closed_form import local_rotations, rotation_between

Points = Mapping[str, Float[Tensor, "B 3"]]

SETS = ("smplx55", "smpl24", "coco133", "body25")
"""Where a name is looked for, joints of the skeleton before a detector's points."""

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


def _side(side: str) -> dict[str, tuple[str, ...]]:
    """Return the points each part of one side is turned onto; the first is its anchor."""
    at = {part: f"{side}_{part}" for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist", "big_toe",
        "small_toe", "heel")}  # fmt: skip
    parts = {
        at["hip"]: (at["hip"], at["knee"], at["ankle"]),
        at["knee"]: (at["knee"], at["ankle"]),
        at["ankle"]: (at["ankle"], at["big_toe"], at["small_toe"], at["heel"]),
        at["shoulder"]: (at["shoulder"], at["elbow"], at["wrist"]),
        at["elbow"]: (at["elbow"], at["wrist"]),
        at["wrist"]: (at["wrist"], *(f"{side}_{finger}1" for finger in _FINGERS)),
    }
    for finger in _FINGERS:
        for n in (1, 2, 3):
            parts[f"{side}_{finger}{n}"] = (f"{side}_{finger}{n}", f"{side}_{finger}{n + 1}")
    return parts


PARTS: dict[str, tuple[str, ...]] = {
    "pelvis": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "spine3": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "head": ("left_ear", *_HEAD),
    **_side("left"),
    **_side("right"),
}
"""Points by part: the first is where the part's points are measured from."""

HINGES = {
    "left_hip": ("left_knee", "left_ankle", (1.0, 0.0, 0.0)),
    "right_hip": ("right_knee", "right_ankle", (1.0, 0.0, 0.0)),
    "left_shoulder": ("left_elbow", "left_wrist", (0.0, -1.0, 0.0)),
    "right_shoulder": ("right_elbow", "right_wrist", (0.0, 1.0, 0.0)),
}
"""The hinge below a ball joint, the point that it moves, and the axis a bent limb turns about at rest (x left, y up, z
front)."""

SIGMA_M = 0.04
"""How well a named point of one model stands for another's, before the surface is looked at: hips and shoulders differ
by centimetres."""


def point_set(body: SkinnedBody, names: tuple[str, ...]) -> KeypointSet:
    """Return named points of a body as a set of their own; names the body does not have are left out."""
    found: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for points in (body.keypoint_sets[name] for name in SETS if name in body.keypoint_sets):
        for row, name in enumerate(points.names):
            found.setdefault(name, (points.joint_weights[row], points.triangle[row], points.barycentric[row]))
    kept = tuple(name for name in names if name in found)
    parts = [torch.stack(column) for column in zip(*(found[name] for name in kept), strict=True)]
    return KeypointSet(kept, *parts)


@dataclass(frozen=True, eq=False)
class Placed:
    """Bodies put onto named points.

    Attributes:
        bodies: The bodies, m, in their own scale.
        scale: (B,) size of the scene in units of the bodies': seen point = scale · point. 1 for adults.
    """

    bodies: Bodies
    scale: Float[Tensor, "B"]


def place_on_points(body: SkinnedBody, target: Points) -> Placed:
    """Find bodies from named points.

    Args:
        body: The model.
        target: By name, (B, 3) m; hips and shoulders at least.

    Returns:
        The bodies and the scale of their scene.
    """
    points = point_set(body, tuple(target))
    seen = torch.stack([target[name] for name in points.names], 1).to(body.template)  # (B, K, 3)
    rest = pose_body(body, body.rest_bodies(1)).keypoints(points)[0]
    pose = _pose(body, dict(zip(points.names, rest, strict=True)), dict(zip(points.names, seen.unbind(1), strict=True)))
    return _shape_and_place(body, pose, points, seen)


def _pose(body: SkinnedBody, rest: dict[str, Tensor], seen: dict[str, Tensor]) -> Tensor:
    """Return local rotations (B, J, 3, 3) that turn the mean body's parts onto their points."""
    like = next(iter(seen.values()))
    identity = torch.eye(3).to(like).expand(len(like), 3, 3)
    turned: list[Tensor] = []
    for joint, name in enumerate(body.joint_names):
        parent = body.parent_list[joint]
        above = identity if parent < 0 else turned[parent]
        names = [point for point in PARTS.get(name, ()) if point in rest]
        if len(names) < 2 or PARTS[name][0] not in rest:
            turned.append(above)
            continue
        at_rest = {point: rest[point].expand_as(like) for point in names}
        if name in HINGES and set(HINGES[name][:2]) <= set(names):
            at_rest |= _bent(names[0], HINGES[name], rest, seen)
        anchor = names[0]
        one = torch.stack([at_rest[point] - at_rest[anchor] for point in names[1:]], 1)
        other = torch.stack([seen[point] - seen[anchor] for point in names[1:]], 1)
        turned.append(rotation_between(one, other, above))
    return local_rotations(turned, body.parent_list)


def _bent(
    root: str, hinge: tuple[str, str, tuple[float, float, float]], rest: dict[str, Tensor], seen: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return where the end of a limb lies at rest (B, 3) when its hinge is bent as far as it is seen to be."""
    middle, end, axis = hinge
    upper, lower = seen[middle] - seen[root], seen[end] - seen[middle]
    cosine = torch.nn.functional.cosine_similarity(upper, lower, dim=1).clamp(-1, 1)
    turn = rotation.exp(torch.acos(cosine)[:, None] * torch.tensor(axis).to(seen[root]))
    return {end: rest[middle] + (turn @ (rest[end] - rest[middle])[..., None])[..., 0]}


def _shape_and_place(body: SkinnedBody, pose: Tensor, points: KeypointSet, seen: Tensor) -> Placed:
    """Return shape, translation and scale of bodies whose pose is known."""
    start = body.rest_bodies(len(pose))
    bodies = Bodies(pose, start.shape, start.expression, start.translation)
    width = start.shape.shape[1]
    columns = Unknowns((), shape=width)
    point, by_step = pose_body(body, bodies).keypoints_with_jacobian(points, columns)  # (B, K, 3), (B, K, 3, S + 3)
    design, mean, wanted = (by_step / SIGMA_M).flatten(1, 2), (point / SIGMA_M).flatten(1), (seen / SIGMA_M).flatten(1)
    found = shape_and_scale(design, mean, wanted, width)
    step, scale = found.free.to(pose), found.scale.to(pose)
    return Placed(Bodies(pose, step[:, :width], start.expression, step[:, width:]), scale)
