"""Puts a source on a body: its own family takes the parameters, another the pose, with fitted shape and place.

At fixed rotations every joint is linear in shape, so with joints T stored by the regressor, relative to its pelvis,

    (shape, k) = argmin Σ_j |B_j shape + b_j - k (T_j - T_0)|² / σ² + |shape|² + (log k)²/σ_k²,
    translation = k T_0 - J_0(shape)

is one small solve a body (`refine/body/size.py`). An adult's size is shape and k = 1; for a child on an adult's shape
space 1/k, the *scene scale*, is free: body and distance grow together and the picture stays the same.

Source: derived here; the rotations are shared because both skeletons follow SMPL's convention (Loper et al., SMPL,
2015).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.size import shape_and_scale
from refine.body.smpl_joints import BODY_JOINTS, copy_pose
from refine.estimate import Source, as_array
from refine.estimate.found import Found
from refine.estimate.pelvis import source_pelvis
from refine.estimate.usable import blank, without_numbers
from refine.geometry import rotation
from refine.state import Bodies

JOINT_SIGMA_M = 0.01
"""How well one skeleton's joint can stand for another's (m): joint centres of different models differ by about a
centimetre."""

SAID_PEOPLE = 5
"""So many people are named one by one in a note."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A source put on a body.

    Attributes:
        bodies: Pose, shape, expression, translation on the body, camera frame, m.
        scale: (B,) size of the source's scene in units of the body's: source pelvis = scale · pelvis. 1 for adults.
        distance_m: (B,) mean distance of the first 22 joints from the stored ones, in the source's scale; NaN where
            none are stored.
        notes: What was decided, a sentence each.
    """

    bodies: Bodies
    scale: Float[Tensor, "B"]
    distance_m: Float[Tensor, "B"]
    notes: tuple[str, ...]


def fit_bodies(source: Source, body: SkinnedBody) -> Fitted:
    """Return the source's bodies on a model: directly in its own family, else by copying the pose and fitting the rest.

    Args:
        source: What the regressor stored.
        body: The model.

    Returns:
        The bodies, the scale of their scene, how far the joints lie from the stored ones, and notes.
    """
    if source.model == body.model:
        return _direct(source, body)
    found = source.found
    if found is None or not found.fits(body):
        return _transferred(source, body)
    return _restored(source, body, found)


def _restored(source: Source, body: SkinnedBody, found: Found) -> Fitted:
    """Return the refined bodies stored beside the source's parameters, and these where they were changed since."""
    rows, changed = found.valid.nonzero()[:, 0], (~found.valid).nonzero()[:, 0]
    like = body.template
    bodies, scale, notes = found.bodies.to(like.device, like.dtype), found.scale.to(like), []
    if len(rows):
        notes.append(f"The refined body beside the parameters is read, on {body.name}: people {_people(rows)}.")
    if len(changed):
        fresh = _transferred(source.rows(changed), body)
        parts = ("pose", "shape", "expression", "translation")
        bodies = Bodies(*(getattr(bodies, part).index_copy(0, changed, getattr(fresh.bodies, part)) for part in parts))
        scale = scale.index_copy(0, changed, fresh.scale)
        said = (
            "Parameters were changed after refine wrote them: the refined body beside them is not used, people "
            f"{_people(changed)}."
        )
        notes += [said, *fresh.notes]
    return Fitted(bodies, scale, _distance(body, bodies, source, scale), tuple(notes))


def _people(rows: Tensor) -> str:
    """Return the numbers of some bodies in words, the first few by name."""
    named = [str(row + 1) for row in rows[:SAID_PEOPLE].tolist()]
    return ", ".join(named) + (f" and {len(rows) - SAID_PEOPLE} more" if len(rows) > SAID_PEOPLE else "")


def _direct(source: Source, body: SkinnedBody) -> Fitted:
    """Return the source's parameters on a model of its own family, as they are."""
    like = body.template
    rest = body.rest_bodies(len(source))
    shape, expression = _padded(source.betas, rest.shape), _padded(source.expression, rest.expression)
    pose = _with_hand_coefficients(source, body, copy_pose(source.pose.to(like), rest.pose))
    if adds_mean(source, body):
        pose = rotation.exp(rotation.log(pose) + body.mean_pose)
    if source.translation is not None:
        translation = source.translation.to(like)
    else:
        at_origin = pose_body(body, Bodies(pose, shape, expression, rest.translation)).joints[:, 0]
        translation = source_pelvis(source).to(like) - at_origin
    bodies = Bodies(pose, shape, expression, translation)
    notes = [f"The {source.model} parameters are used as they are, on {body.name}."]
    if adds_mean(source, body):
        notes.append(f"Hand poses are added to the mean hand of {body.name} (flat_hand_mean=False).")
    if source.betas.shape[1] > rest.shape.shape[1]:
        notes.append(
            f"{body.name} has {rest.shape.shape[1]} shape coefficients; the source's {source.betas.shape[1]} are cut "
            "to them."
        )
    return Fitted(
        bodies, like.new_ones(len(source)), _distance(body, bodies, source, like.new_ones(len(source))), tuple(notes)
    )


def hand_coefficients(source: Source) -> dict[int, np.ndarray]:
    """Return hands stored as coefficients of the model's hand space, (B, C) by side (0 left, 1 right)."""
    stored = {side: source.arrays.get(f"{name}_hand_pose") for side, name in enumerate(("left", "right"))}
    rows = {side: as_array(hand).reshape(len(source), -1) for side, hand in stored.items() if hand is not None}
    return {side: hand for side, hand in rows.items() if hand.shape[1] not in (45, 135)}


def _with_hand_coefficients(source: Source, body: SkinnedBody, pose: Tensor) -> Tensor:
    """Put hands that are stored as coefficients into the pose, without the mean hand."""
    if "full_pose" in source.arrays:
        return pose
    for side, values in hand_coefficients(source).items():
        joints = slice(pose.shape[1] - 30 + 15 * side, pose.shape[1] - 15 + 15 * side)
        basis = body.hand_basis[side, : values.shape[1]]
        flat = torch.as_tensor(values).to(basis)[:, : len(basis)] @ basis
        turn = flat.reshape(-1, 15, 3)  # the mean hand is added to all of the pose, by the caller
        pose = torch.cat((pose[:, : joints.start], rotation.exp(turn), pose[:, joints.stop :]), 1)
    return pose


def hands_are_relative(source: Source) -> bool:
    """Say whether the source's hand poses may stand on a mean hand: axis-angles and coefficients may, matrices not."""
    if source.hand_mean:
        return source.hand_mean == "mean"
    hands = [source.arrays.get(f"{side}_hand_pose") for side in ("left", "right")]
    return any(hand is not None and as_array(hand).size != 135 * len(source) for hand in hands)


def adds_mean(source: Source, body: SkinnedBody) -> bool:
    """Say whether the model's mean hand pose is still to be added: a full pose has it already."""
    return bool(body.mean_pose.any()) and hands_are_relative(source) and "full_pose" not in source.arrays


def _padded(values: Tensor, like: Tensor) -> Tensor:
    """Return coefficients cut or filled with zeros to the width of `like`."""
    width = min(values.shape[1], like.shape[1])
    return torch.cat((values[:, :width].to(like), like[:, width:]), 1)


def _transferred(source: Source, body: SkinnedBody) -> Fitted:
    """The source's pose on another model, shape, translation and scale fitted to its joints."""
    rest = body.rest_bodies(len(source))
    pose = copy_pose(source.pose.to(rest.pose), rest.pose)
    pelvis = source_pelvis(source).to(rest.translation)
    if source.joints is None or source.joints.shape[1] < BODY_JOINTS:
        scale, shape = torch.ones_like(pelvis[:, 0]), rest.shape
        how = "the mean shape is used and the pelvis put where SMPL's mean body has it, as no joints are stored"
    else:
        shape, scale = _fit_shape(body, pose, source.joints[:, :BODY_JOINTS].to(torch.float64))
        how = "shape and translation are fitted to the stored joints"
    first = torch.einsum("ks,bs->bk", body.joint_basis[0], shape) + body.joint_template[0]
    bodies = Bodies(pose, shape, rest.expression, pelvis / scale[:, None] - first)
    distance = _distance(body, bodies, source, scale)
    lost = without_numbers(source).to(scale.device)
    known = distance[~lost]
    told = len(known) > 0 and bool(known.isfinite().all())
    said = f"; they lie {1000 * float(known.mean()):.0f} mm apart on average" if told else ""
    notes = [f"The pose of {source.model} is transferred to {body.name}: {how}{said}."]
    if hand_coefficients(source):
        notes.append(f"Hands stored as coefficients mean nothing without the {source.model} file: they are flat here.")
    elif source.hand_mean == "mean":
        notes.append(
            f"The fingers stand on the mean hand of the {source.model} file, which is not here: they are a little too "
            "straight."
        )
    notes += scale_notes(scale.masked_fill(lost, 1.0), body)
    return Fitted(bodies, scale, distance, tuple(notes))


def _fit_shape(body: SkinnedBody, pose: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return shape (B, S) and scale (B,) that put the joints onto `target` (B, 22, 3) m, float64, rotations fixed."""
    count, coefficients = len(pose), body.joint_basis.shape[2]
    # Joints relative to the pelvis, as columns: one per coefficient, and the template last.  (J, 3, S + 1)
    rest = torch.cat((body.joint_basis, body.joint_template[..., None]), 2).to(target)
    parents = body.parent_list
    turned, columns = [pose[:, 0].to(target)], [rest.new_zeros(count, 3, coefficients + 1)]
    for joint in range(1, BODY_JOINTS):
        parent = parents[joint]
        columns.append(columns[parent] + turned[parent] @ (rest[joint] - rest[parent]))
        turned.append(turned[parent] @ pose[:, joint].to(target))
    basis = torch.stack(columns[1:], 1).flatten(1, 2) / JOINT_SIGMA_M  # (B, 63, S + 1)
    seen = ((target - target[:, :1])[:, 1:]).flatten(1) / JOINT_SIGMA_M  # (B, 63)
    found = shape_and_scale(basis[..., :-1], basis[..., -1], seen, coefficients)
    return found.free.to(pose), found.scale.to(pose)


def scale_notes(scale: Float[Tensor, "B"], body: SkinnedBody) -> list[str]:
    """Return a sentence for each body that stands at another scale than its source's."""
    sentences = []
    for row, size in enumerate(scale.tolist()):
        if size != 1:
            who = "a child's size" if size < 1 else "larger than people are"
            sentences.append(
                f"Person {row + 1} is {size:.2f} times as large as the shape of {body.name} reaches, {who}: body and "
                "distance are divided by that, which leaves the picture as it is."
            )
    return sentences


def _distance(body: SkinnedBody, bodies: Bodies, source: Source, scale: Tensor) -> Tensor:
    """Return the mean distance (B,) m of the first 22 joints, NaN where the source stores none."""
    if source.joints is None or source.joints.shape[1] < BODY_JOINTS:
        return torch.full_like(scale, torch.nan)
    joints = pose_body(body, bodies).joints[:, :BODY_JOINTS] * scale[:, None, None]
    apart: Tensor = (joints - source.joints[:, :BODY_JOINTS].to(joints)).norm(dim=-1)
    return blank(apart.mean(1), source)
