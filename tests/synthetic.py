"""A small random skinned body with everything a model can have, for tests that need no model file."""

import torch

from refine.body import KeypointSet, SkinnedBody
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State


def random_body(
    joints: int = 24,
    vertices: int = 120,
    faces: int = 200,
    shapes: int = 10,
    expressions: int = 0,
    correctives: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> SkinnedBody:
    """A body of `joints` joints in a random tree; template about one metre large; four influences a vertex."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=dtype)

    parents = torch.tensor(
        [-1] + [int(torch.randint(max(0, j - 4), j, (1,), generator=draw)) for j in range(1, joints)]
    )
    weights = torch.rand(vertices, 4, generator=draw, dtype=dtype) + 0.1
    corner = torch.stack([torch.randperm(vertices, generator=draw)[:3] for _ in range(faces)])
    barycentric = torch.zeros(5, 3, dtype=dtype)
    barycentric[2:] = torch.tensor([0.2, 0.3, 0.5], dtype=dtype)
    joint_weights = torch.zeros(5, joints, dtype=dtype)
    joint_weights[0, 3], joint_weights[1, 4:6] = 1.0, 0.5
    points = KeypointSet(tuple("abcde"), joint_weights, torch.tensor([0, 0, 5, 6, 7]), barycentric)
    return SkinnedBody(
        name="random",
        model="random",
        template=0.4 * normal(vertices, 3),
        shape_basis=0.03 * normal(vertices, 3, shapes),
        expression_basis=0.01 * normal(vertices, 3, expressions),
        pose_basis=0.01 * normal(vertices, 3, 9 * (joints - 1) if correctives else 0),
        joint_template=0.3 * normal(joints, 3),
        joint_basis=0.02 * normal(joints, 3, shapes),
        joint_expression_basis=0.005 * normal(joints, 3, expressions),
        parents=parents,
        weight_joints=torch.stack([torch.randperm(joints, generator=draw)[:4] for _ in range(vertices)]),
        weight_values=weights / weights.sum(1, keepdim=True),
        faces=corner,
        uv=torch.zeros(0, 2, dtype=dtype),
        uv_faces=torch.zeros(0, 3, dtype=torch.int64),
        joint_names=tuple(f"joint{j}" for j in range(joints)),
        keypoint_sets={"five": points},
        vertex_parts=torch.zeros(vertices, dtype=torch.int64),
        part_names=("all",),
        vertex_colors=torch.rand(vertices, 3, generator=draw, dtype=dtype),
        mean_pose=torch.zeros(joints, 3, dtype=dtype),
        hand_basis=torch.zeros(2, 0, 45, dtype=dtype),
    )


def random_state(body: SkinnedBody, count: int, seed: int = 0, angle: float = 0.4) -> State:
    """`count` bodies of random pose and shape, three to four metres in front of cameras with fx != fy."""
    draw = torch.Generator().manual_seed(seed)
    like = body.template

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=like.dtype)

    pose = rotation.exp(angle * normal(count, len(body.joint_names), 3))
    translation = 0.1 * normal(count, 3) + torch.tensor([0.0, 0.0, 3.5], dtype=like.dtype)
    bodies = Bodies(
        pose, normal(count, body.shape_basis.shape[2]), normal(count, body.expression_basis.shape[2]), translation
    )
    focal = torch.tensor([500.0, 520.0], dtype=like.dtype).repeat(count, 1)
    center = torch.tensor([260.0, 230.0], dtype=like.dtype).repeat(count, 1)
    size = torch.tensor([480.0, 520.0], dtype=like.dtype).repeat(count, 1)
    return State(bodies, Camera(focal, center, size))
