"""One of every term of evidence in space, drawn, with bodies at which it has something to say."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from refine.body import pose_body
from refine.geometry import rotation
from refine.terms import LeastSquares
from refine.terms.alternatives import alternatives
from refine.terms.clicks import Click, clicks
from refine.terms.clouds import point_cloud
from refine.terms.joints3d import joints3d
from refine.terms.lifted import joints25d
from refine.terms.orientation import Facing, orientation
from refine.terms.point_cloud import Cloth
from refine.terms.trackers import trackers
from tests.drawn_terms import COUNT, PERSON, Situation, normal, turned_camera
from tests.synthetic import random_state

EGG = replace(PERSON, pose_basis=PERSON.pose_basis[..., :0])
"""Without pose correctives, whose buffer autograd cannot look behind where there are many points."""


def lifted(scale: bool, depth: str = "axis") -> Situation:
    """Pixels and relative depths of points, one of which is not known; squares, for which the Jacobian is exact."""
    sigma = torch.tensor([[3.0, 4.0, 5.0, math.inf, 2.0]], dtype=torch.float64).repeat(COUNT, 1)
    target = torch.cat((200 + 50 * normal(COUNT, 5, 2), normal(COUNT, 5, 1, seed=6)), 2)
    term = joints25d(PERSON.keypoint_set("five"), target, sigma, sigma / 50, scale=scale, depth=depth)  # type: ignore[arg-type]
    return Situation(replace(term, kernel=LeastSquares()))


def in_space(shift: bool, scale: bool) -> Situation:
    """Joints in space with covariances, one of which is not known."""
    root = 0.05 * normal(COUNT, 5, 3, 3, seed=8)
    covariance = root @ root.mT + 1e-4 * torch.eye(3, dtype=torch.float64)
    covariance[:, 3] = torch.diag_embed(torch.full((3,), math.inf, dtype=torch.float64))
    target = normal(COUNT, 5, 3) if not scale else 1000 * points_of_others()
    term = joints3d(PERSON.keypoint_set("five"), target, covariance=covariance, shift=shift, scale=scale)
    return Situation(replace(term, kernel=LeastSquares()))


def points_of_others() -> Tensor:
    """Where other bodies have the points: as wide as bodies are."""
    return pose_body(PERSON, random_state(PERSON, COUNT, seed=4, angle=0.3).bodies).keypoints(
        PERSON.keypoint_set("five")
    )


def several() -> Situation:
    """Two readings, of which the second is the last body's likelier one."""
    first = in_space(True, False).term
    second = replace(first, target=normal(COUNT, 5, 3, seed=9))  # type: ignore[type-var]
    likely = torch.tensor([[0.7, 0.3], [0.7, 0.3], [0.1, 0.9]], dtype=torch.float64)
    return Situation(alternatives((first, second), likely))


def cloud(cloth: Cloth | None) -> Situation:
    """Points around bodies, some of them far off, and of one body none; squares, and all rows count."""
    state = random_state(PERSON, COUNT, seed=1, angle=0.8)
    posed = pose_body(EGG, state.bodies)
    skin = posed.vertices[:, ::2]
    off = 0.03 * normal(*skin.shape, seed=11)
    clouds = [*(skin + off)[:2], None]
    normals = [*torch.nn.functional.normalize(skin - skin.mean(1, keepdim=True), dim=2)[:2], None]
    term = point_cloud(clouds, normals=normals, joints=posed.joints, sigma_m=0.02, cloth=cloth)
    return Situation(replace(term, kernel=LeastSquares(), kept=1.0), EGG, state)


def tracked() -> Situation:
    """Three sensors, one of which lacks its rotation, and one its place."""
    place, turn = normal(COUNT, 3, 3), rotation.exp(0.8 * normal(COUNT, 3, 3, seed=5))
    place[1, 2], turn[2, 0] = math.nan, math.nan
    return Situation(
        trackers(
            ("head", "left_wrist", "pelvis"), position=place, rotation=turn, up_on_joint=normal(COUNT, 3, 3, seed=6),
            place_on_joint=0.1 * normal(3, 3, seed=7), turn_on_joint=rotation.exp(normal(3, 3, seed=8)),
        )
    )  # fmt: skip


def clicked() -> Situation:
    """Clicks in the photo and in space, on a joint, a keypoint and a vertex; nobody clicks on the last body."""
    state = random_state(PERSON, COUNT)
    given = [Click("left_wrist", (300.0, 200.0)), Click("head", (0.1, 0.2, 3.0), 1), Click(7, (100.0, 90.0), 1, 5.0)]
    return Situation(clicks(PERSON, state, given))


def turn_of_a_sensor() -> Tensor:
    """How a sensor sits on its joint."""
    return rotation.exp(normal(3, seed=12))


IN_SPACE: dict[str, Callable[[], Situation]] = {
    "Joints3D": lambda: in_space(False, False),
    "Joints3D: relative to a root": lambda: in_space(True, False),
    "Joints3D: up to scale": lambda: in_space(True, True),
    "Joints25D": lambda: lifted(False),
    "Joints25D: along lines of sight": lambda: lifted(False, "sight"),
    "Joints25D: up to scale": lambda: lifted(True),
    "Alternatives": several,
    "PointCloud": lambda: cloud(None),
    "PointCloud: clothed": lambda: cloud(Cloth()),
    "Orientation": lambda: Situation(
        orientation("head", rotation.exp(normal(COUNT, 3)), normal(COUNT, 3, seed=4).abs(), offset=turn_of_a_sensor())
    ),
    "Facing": lambda: Situation(Facing(2 * normal(COUNT), normal(COUNT, seed=4).abs())),
    "Facing: in the world": lambda: Situation(
        Facing(2 * normal(COUNT), normal(COUNT, seed=4).abs(), camera=turned_camera())
    ),
    "Trackers": tracked,
    "Clicks": clicked,
}
"""By the term's class, and what is special about it."""
