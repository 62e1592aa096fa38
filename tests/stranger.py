"""A mesh that lies where a body lies and shares no vertex with it: what another body model's surface is to ours."""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.state import Bodies

VERTICES = 6890
"""As many as SMPL has."""

AWAY_M = 0.004
"""How far the stranger's surface lies off ours, in or out, differently at every vertex but the same in every body."""


def stranger_mesh(body: SkinnedBody, bodies: Bodies, vertices: int = VERTICES, seed: int = 0) -> Float[Tensor, "B W 3"]:
    """Points drawn evenly over the surface at rest, lifted off it along its normal; (B, vertices, 3) m."""
    draw = torch.Generator().manual_seed(seed)
    a, b, c = body.template[body.faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=1)
    triangle = torch.multinomial(area, vertices, replacement=True, generator=draw)
    corner = torch.rand(vertices, 3, generator=draw)
    barycentric = corner / corner.sum(1, keepdim=True)
    lift = AWAY_M * torch.randn(vertices, 1, generator=draw).clamp(-2, 2)
    every = pose_body(body, bodies).vertices_at(torch.arange(len(body.template)))
    corners = every[:, body.faces[triangle]]  # (B, W, 3, 3)
    p, q, r = corners.unbind(2)
    normal = torch.nn.functional.normalize(torch.linalg.cross(q - p, r - p), dim=-1)
    return (barycentric[..., None] * corners).sum(2) + lift * normal
