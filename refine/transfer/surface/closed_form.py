"""Closed-form rotations between two sets of points, part by part down the tree.

    R = argmax tr(Rᵀ (Σ_n t_n p_nᵀ + ε R_0)) = U diag(1, 1, det UVᵀ) Vᵀ,   U S Vᵀ the singular values of the bracket

R_0 is what the part does when nothing says otherwise (its parent's rotation); with ε small it only decides what the
points leave open. At fixed rotations every surface point is linear in shape and translation, so one undamped step of
the solver is that least-squares solve.

Source: Kabsch, Acta Cryst. A 32(5), 1976; Arun, Huang and Blostein, IEEE TPAMI 9(5), 1987 (the sign).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody

PART_VERTICES = 24
"""Vertices of a part its rotation is taken from, at most."""

OWN_WEIGHT = 0.5
"""A vertex belongs to a part whose joint moves it by more than this share."""

TIE = 1e-2
"""ε relative to the points' own size: settles a twist about a line of points, moves a well-spread part by less than a
degree."""


def rotation_between(
    source: Float[Tensor, "*B N 3"], target: Float[Tensor, "*B N 3"], fallback: Float[Tensor, "*B 3 3"]
) -> Float[Tensor, "*B 3 3"]:
    """Return the rotation that turns points onto others, both about the origin.

    Args:
        source: (..., N, 3) m.
        target: (..., N, 3) m.
        fallback: (..., 3, 3) the rotation where the points leave it open.

    Returns:
        (..., 3, 3).
    """
    spread = target.mT @ source
    size = (source.square().sum((-1, -2)) * target.square().sum((-1, -2))).sqrt()
    least = torch.finfo(size.dtype).eps
    left, _, right = torch.linalg.svd(spread + (TIE * size + least)[..., None, None] * fallback)
    sign = torch.linalg.det(left @ right).sign()
    left = torch.cat((left[..., :2], left[..., 2:] * sign[..., None, None]), -1)
    turned: Tensor = left @ right
    return turned


def part_vertices(body: SkinnedBody) -> list[Int[Tensor, "M"]]:
    """Return the vertices of each joint's part, spread over it; empty where a joint carries none."""
    weights = body.dense_weights
    chosen = []
    for joint in range(weights.shape[1]):
        own = (weights[:, joint] > OWN_WEIGHT).nonzero()[:, 0]
        step = max(1, len(own) // PART_VERTICES)
        chosen.append(own[::step])
    return chosen


def pose_from_vertices(body: SkinnedBody, vertices: Float[Tensor, "B V 3"]) -> Float[Tensor, "B J 3 3"]:
    """Return local rotations from vertices of the body's own topology, each part turned onto its own.

    Args:
        body: The model.
        vertices: (B, V, 3) m.

    Returns:
        (B, J, 3, 3), without regard to shape: a start.
    """
    count = len(vertices)
    identity = torch.eye(3, dtype=vertices.dtype, device=vertices.device).expand(count, 3, 3)
    turned: list[Tensor] = []
    for joint, part in enumerate(part_vertices(body)):
        parent = body.parent_list[joint]
        above = identity if parent < 0 else turned[parent]
        rest = body.template[part]
        seen = vertices[:, part]
        if not len(part):
            turned.append(above)
            continue
        rest = (rest - rest.mean(0)).expand(count, -1, 3)
        turned.append(rotation_between(rest, seen - seen.mean(1, keepdim=True), above))
    return local_rotations(turned, body.parent_list)


def local_rotations(turned: list[Tensor], parents: list[int]) -> Float[Tensor, "B J 3 3"]:
    """Return rotations relative to the parent (B, J, 3, 3) from J global ones (B, 3, 3)."""
    local = [turned[0], *(turned[parent].mT @ turned[joint] for joint, parent in enumerate(parents) if joint)]
    return torch.stack(local, 1)
