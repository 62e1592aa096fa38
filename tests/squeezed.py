"""People whose arms lie in the trunk and whose legs cross, for tests of self-penetration."""

from dataclasses import replace

import torch

from refine.body import SkinnedBody
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State

ACROSS: dict[str, tuple[float, float, float]] = {
    "left_shoulder": (0, 0, -98),
    "left_elbow": (0, -30, 0),
    "right_shoulder": (0, 0, 98),
    "left_hip": (0, 0, -20),
    "right_hip": (0, 0, 20),
}


def posed_state(body: SkinnedBody, turns: dict[str, tuple[float, float, float]], count: int = 1) -> State:
    """`count` people alike, three metres away, joints turned by rotation vectors in degrees."""
    rest, pose = body.rest_bodies(count), body.rest_bodies(count).pose.clone()
    for name, turn in turns.items():
        pose[:, body.joint_names.index(name)] = rotation.exp(torch.tensor(turn).deg2rad().to(pose))
    camera = Camera(*(rest.translation.new_full((count, 2), value) for value in (500.0, 250.0, 500.0)))
    return State(Bodies(pose, rest.shape, rest.expression, rest.translation + torch.tensor([0, 0, 3.0])), camera)


def squeezed(body: SkinnedBody, count: int = 3, seed: int = 0) -> State:
    """People of drawn shapes whose arms lie in the trunk and whose legs cross."""
    draw = torch.Generator().manual_seed(seed)
    state = posed_state(body, ACROSS, count)
    turn = torch.zeros(count, len(body.joint_names), 3, dtype=torch.float64)
    turn[:, :22] = 0.15 * torch.randn(count, 22, 3, generator=draw, dtype=torch.float64)
    coefficients = [
        torch.randn(part.shape, generator=draw, dtype=torch.float64)
        for part in (state.bodies.shape, state.bodies.expression)
    ]
    pose = state.bodies.pose @ rotation.exp(turn).to(body.template)
    shape, expression = (part.to(body.template) for part in coefficients)
    return replace(state, bodies=replace(state.bodies, pose=pose, shape=shape, expression=expression))
