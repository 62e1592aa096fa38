"""People that are balls: bodies whose projections are known discs, for tests of pictures."""

import math

import torch

from refine.body import KeypointSet, SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.state import Bodies, State

HEIGHT, WIDTH, FOCAL, RADIUS = 480, 640, 500.0, 0.5


def ball(rings: int = 16, around: int = 24) -> SkinnedBody:
    """A ball of radius `RADIUS` on one joint at its centre, closed, seen from outside counter-clockwise."""
    polar = torch.linspace(0, math.pi, rings)[:, None]
    turn = torch.arange(around) * 2 * math.pi / around
    ones = torch.ones(around)
    points = RADIUS * torch.stack((polar.sin() * turn.cos(), polar.cos() * ones, polar.sin() * turn.sin()), -1).reshape(
        -1, 3
    )
    row, column = torch.meshgrid(torch.arange(rings - 1), torch.arange(around), indexing="ij")
    a, b = (row * around + column).reshape(-1), (row * around + (column + 1) % around).reshape(-1)
    faces = torch.cat((torch.stack((a, b, b + around), 1), torch.stack((a, b + around, a + around), 1)))
    count = len(points)
    centre = KeypointSet(("centre",), torch.ones(1, 1), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 3))
    return SkinnedBody(
        name="ball",
        model="ball",
        template=points,
        shape_basis=torch.zeros(count, 3, 1),
        expression_basis=torch.zeros(count, 3, 0),
        pose_basis=torch.zeros(count, 3, 0),
        joint_template=torch.zeros(1, 3),
        joint_basis=torch.zeros(1, 3, 1),
        joint_expression_basis=torch.zeros(1, 3, 0),
        parents=torch.tensor([-1]),
        weight_joints=torch.zeros(count, 1, dtype=torch.int64),
        weight_values=torch.ones(count, 1),
        faces=faces,
        uv=torch.zeros(0, 2),
        uv_faces=torch.zeros(0, 3, dtype=torch.int64),
        joint_names=("centre",),
        keypoint_sets={"one": centre},
        vertex_parts=torch.zeros(count, dtype=torch.int64),
        part_names=("all",),
        vertex_colors=torch.zeros(count, 3),
        mean_pose=torch.zeros(1, 3),
        hand_basis=torch.zeros(2, 0, 45),
    )


def balls(*centers: tuple[float, float, float], images: list[int] | None = None) -> Estimate:
    """Balls at the given places (m, camera frame) before a WIDTH x HEIGHT photo."""
    count = len(centers)
    pose = torch.eye(3).expand(count, 1, 3, 3).contiguous()
    bodies = Bodies(pose, torch.zeros(count, 1), torch.zeros(count, 0), torch.tensor(centers).reshape(count, 3))
    camera = Camera(
        torch.full((count, 2), FOCAL),
        torch.tensor([[WIDTH / 2, HEIGHT / 2]]).repeat(count, 1),
        torch.tensor([[float(HEIGHT), float(WIDTH)]]).repeat(count, 1),
    )
    source = Source("parameters", "ball", pose, bodies.shape, bodies.expression)
    return Estimate(ball(), State(bodies, camera), torch.tensor(images or [0] * count, dtype=torch.int64), source)
