"""The skinned body against its slow twins: a loop over joints and autograd."""

import torch

from refine.body import SkinnedBody, pose_body
from refine.state import State, Unknowns
from tests.synthetic import random_body, random_state

EXACT = 1e-8
ROUNDING = 1e-12


def sampled(body: SkinnedBody, count: int, points: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    triangle = torch.randint(0, len(body.faces), (count, points), generator=draw)
    barycentric = torch.rand(count, points, 3, generator=draw, dtype=body.template.dtype)
    return triangle, barycentric / barycentric.sum(-1, keepdim=True)


def plain_vertices(body: SkinnedBody, state: State) -> torch.Tensor:
    """Skinning as the paper writes it: one body, one vertex, one joint at a time, with 4x4 matrices."""
    bodies, out = state.bodies, []
    for b in range(len(state)):
        rest = body.template + body.shape_basis @ bodies.shape[b] + body.expression_basis @ bodies.expression[b]
        if body.pose_basis.shape[2]:
            rest = rest + body.pose_basis @ (bodies.pose[b, 1:] - torch.eye(3, dtype=rest.dtype)).flatten()
        joints = (
            body.joint_template
            + body.joint_basis @ bodies.shape[b]
            + body.joint_expression_basis @ bodies.expression[b]
        )
        motion: list[torch.Tensor] = []
        for joint, parent in enumerate(body.parent_list):
            local = torch.eye(4, dtype=rest.dtype)
            local[:3, :3] = bodies.pose[b, joint]
            local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
            motion.append(motion[parent] @ local if parent >= 0 else local)
        posed = torch.zeros_like(rest)
        for joint, matrix in enumerate(motion):
            weight = body.dense_weights[:, joint : joint + 1]
            posed += weight * ((rest - joints[joint]) @ matrix[:3, :3].T + matrix[:3, 3])
        out.append(posed + bodies.translation[b])
    return torch.stack(out)


def test_skinning_equals_the_loop_over_joints() -> None:
    body = random_body(expressions=4)
    state = random_state(body, 3)
    assert (pose_body(body, state.bodies).vertices - plain_vertices(body, state)).abs().max() < ROUNDING


def test_surface_points_lie_on_the_mesh() -> None:
    body = random_body()
    state = random_state(body, 2)
    triangle, barycentric = sampled(body, 2, 40)
    posed = pose_body(body, state.bodies)
    corner = posed.vertices[torch.arange(2)[:, None, None], body.faces[triangle]]
    point, _ = posed.surface(triangle, barycentric, Unknowns((0, 3), 2))
    assert (point - (barycentric[..., None] * corner).sum(2)).abs().max() < ROUNDING


def test_jacobians_equal_autograd_for_points_joints_keypoints_and_pixels() -> None:
    body = random_body(expressions=4)
    state = random_state(body, 2)
    triangle, barycentric = sampled(body, 2, 12)
    five = body.keypoint_set("five")
    for unknowns in (
        Unknowns(tuple(range(24)), 10, 4, 3, 1),
        Unknowns((0, 5, 11), 3, 0, 0, 0),
        Unknowns((), 0, 2, 3, 1),
    ):

        def everything(step: torch.Tensor, unknowns: Unknowns = unknowns) -> tuple[torch.Tensor, ...]:
            moved = state.retract(unknowns, step)
            posed = pose_body(body, moved.bodies)
            corner = posed.vertices[torch.arange(2)[:, None, None], body.faces[triangle]]
            point = (barycentric[..., None] * corner).sum(2)
            return point, posed.joints, posed.keypoints(five), moved.camera.project(point)

        zero = torch.zeros(2, unknowns.size, dtype=torch.float64)
        slow = torch.autograd.functional.jacobian(everything, zero)
        own = torch.arange(2)
        posed = pose_body(body, state.bodies)
        point, point_by_step = posed.surface(triangle, barycentric, unknowns)
        fast = (
            point_by_step,
            posed.joints_with_jacobian(unknowns)[1],
            posed.keypoints_with_jacobian(five, unknowns)[1],
            state.camera.project_with_jacobian(point, point_by_step, unknowns.focal_column)[1],
        )
        for slow_part, fast_part in zip(slow, fast, strict=True):
            error = (slow_part[own, :, :, own] - fast_part).abs().max()
            assert error < EXACT * max(1.0, float(fast_part.abs().max()))


def test_keypoints_of_joints_and_surface_agree_with_their_definition() -> None:
    body = random_body()
    posed = pose_body(body, random_state(body, 2).bodies)
    five = body.keypoint_set("five")
    surface = (five.barycentric[..., None] * posed.vertices[:, body.faces[five.triangle]]).sum(2)
    assert (posed.keypoints(five) - (five.joint_weights @ posed.joints + surface)).abs().max() < ROUNDING
