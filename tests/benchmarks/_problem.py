"""The problem the solver's benchmarks share: the demo's people, medium estimates, noisy matches of their surface."""

from dataclasses import dataclass

import torch

from refine.body import SkinnedBody, pose_body
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.state import State, Unknowns
from refine.terms.correspondences import Correspondences

MATCHES = 512
SIGMA_PX = 2.0
"""Noise of a match."""
POSES = 64
"""People the demo can make; larger batches repeat them."""
BODY_JOINTS = tuple(range(22))
"""SMPL-X's joints without jaw, eyes and fingers."""


@dataclass(frozen=True)
class Problem:
    """Bodies to be found.

    Attributes:
        body: The model.
        estimate: B bodies as a regressor has them.
        matches: 512 surface points a body, spread over the whole surface, with noisy targets.
        unknowns: The columns.
    """

    body: SkinnedBody
    estimate: State
    matches: Correspondences
    unknowns: Unknowns


def draw_problem(body: SkinnedBody, count: int, joints: tuple[int, ...] = BODY_JOINTS) -> Problem:
    """Draw a problem of `count` bodies, the same for the same arguments."""
    true = people(body, min(count, POSES))[[row % POSES for row in range(count)]]
    estimate = disturb(body, true, "medium", range(count))
    draw = torch.Generator().manual_seed(0)
    triangle = torch.randint(len(body.faces), (count, MATCHES), generator=draw)
    corner = torch.rand(count, MATCHES, 3, generator=draw)
    barycentric = corner / corner.sum(2, keepdim=True)
    point, _ = pose_body(body, true.bodies).surface(triangle, barycentric, Unknowns(()))
    target = true.camera.project(point) + SIGMA_PX * torch.randn(count, MATCHES, 2, generator=draw)
    root = (torch.eye(2) / SIGMA_PX).repeat(count, MATCHES, 1, 1)
    matches = Correspondences(triangle, barycentric, target, root)
    return Problem(body, estimate, matches, Unknowns(joints, shape=body.shape_basis.shape[2]))
