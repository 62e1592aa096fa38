"""Analytic Jacobians of skinned surface points and joints (formulas in `refine/body/skinning.py`).

    lever_k = Σ_{j below k} (m_j - ω_j X_k)      d x / d step_k = (G_k e_i) x lever_k,  i = 1, 2, 3

Callers mostly need products `rows @ point_by_step` with rows (D, 3) the derivative of a whitened pixel by its point.
Since r . (g x lever) = g . (lever x r), the rows are crossed with the levers first and turned once: a third of the
memory traffic. Memory order: columns first, points last, so that every loop runs along points.

Pose correctives P_k of joint k move the corners of a point at rest, by vec(R_k - I), and by vec(R_k [e_i]x) per unit of
step i. They are 81 numbers a joint and point, so they are gathered anew at every step, once for both.

Source: derived here; the levers of a kinematic tree are as in Featherstone, Rigid Body Dynamics Algorithms, sec. 4.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.skinned_body import SkinnedBody
from refine.body.surface import SurfacePoints
from refine.state import Bodies, Unknowns

CORRECTIVES_AT_ONCE = {"cpu": 4 * 2**20, "other": 256 * 2**20}
"""Bytes of pose correctives that are gathered at once, by device: the size of a core's caches (512 points of SMPL are
3.8 MB, those of SMPL-X 9 MB), or enough to keep a GPU busy. Working memory at any batch is this or one body's,
whichever is more."""


@runtime_checkable
class Posed(Protocol):
    """The interface of posed bodies that the Jacobians use (`refine.body.PosedBody` has it)."""

    @property
    def body(self) -> SkinnedBody:
        """The model."""

    @property
    def bodies(self) -> Bodies:
        """The bodies that were posed."""

    @property
    def rotations(self) -> Float[Tensor, "B J 3 3"]:
        """(B, J, 3, 3) global rotations."""

    @property
    def joints(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m."""

    @property
    def rest_offsets(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m, the translation of each joint's rigid motion."""

    @property
    def pose_feature(self) -> Float[Tensor, "B D"]:
        """(B, D) the weights of the pose correctives."""


@dataclass(frozen=True, eq=False)
class PointJacobian:
    """The Jacobian of points by a step, stored in factors.

    Attributes:
        posed: The bodies.
        points: The points.
        unknowns: The columns.
        lever: (B, K, 3, N) m, one for each free joint.
        corrective: (B, Q, 9, N) m per unit step, how the pose correctives move the corners at rest; Q = 3 for each free
            joint but the root, 0 for a body without correctives.
    """

    posed: Posed
    points: SurfacePoints
    unknowns: Unknowns
    lever: Float[Tensor, "B K 3 N"]
    corrective: Float[Tensor, "B Q 9 N"]

    def times(self, rows: Float[Tensor, "B N D 3"]) -> Float[Tensor, "B N D P"]:
        """Return rows @ point_by_step.

        Args:
            rows: (B, N, D, 3), e.g. the derivative of whitened pixels by their points.

        Returns:
            (B, N, D, P), the unit of rows times m per unit step; columns that move no point are zero.
        """
        unknowns = self.unknowns
        along = rows.permute(0, 2, 3, 1).contiguous()  # (B, D, 3, N)
        count, depth, _, size = along.shape
        out = along.new_empty(count, unknowns.size, depth, size)
        if unknowns.joints:
            free = torch.tensor(unknowns.joints, device=along.device)
            crossed = _cross(self.lever, along)  # (B, K, 3, D, N)
            turn = self.posed.rotations[:, free].mT  # (B, K, 3 steps, 3 axes)
            pose = (turn.flatten(0, 1) @ crossed.flatten(3).flatten(0, 1)).reshape(count, 3 * len(free), depth, size)
            out[:, unknowns.pose_columns] = pose
        if unknowns.shape or unknowns.expression or self.corrective.shape[1]:
            self._add_rest_columns(along, out)
        if unknowns.translation:
            out[:, unknowns.translation_columns] = along.transpose(1, 2)
        out[:, unknowns.translation_columns.stop :] = 0.0
        return out.permute(0, 3, 2, 1)

    def _add_rest_columns(self, along: Tensor, out: Tensor) -> None:
        """Fill the columns of shape and expression, and add the pose correctives to those of the joints."""
        posed, points, unknowns = self.posed, self.points, self.unknowns
        # b_c A_c, then rows @ b_c A_c: how a row sees the rest position of each corner.
        blended = (posed.rotations.flatten(2).mT @ points.share).unflatten(2, (3, 3))  # (3 corners, B, 3, 3, N)
        seen = torch.zeros(along.shape[0], along.shape[1], 3, 3, along.shape[3], dtype=along.dtype, device=along.device)
        for axis in range(3):  # (B, D, 3 corners, 3, N)
            seen.addcmul_(along[:, :, axis, None, None], blended[:, :, axis].transpose(0, 1)[:, None])
        seen = seen.flatten(2, 3)  # (B, D, 9, N)
        shapes = posed.body.shape_basis.shape[2]
        moved = joint_offsets_by_coefficients(posed)  # (B, J, 3, S + E)
        for columns, first in ((unknowns.shape_columns, 0), (unknowns.expression_columns, shapes)):
            width = columns.stop - columns.start
            if not width:
                continue
            basis = points.basis[:, first : first + width]  # (B, width, 9, N)
            rigid = moved[..., first : first + width].permute(0, 3, 2, 1).flatten(1, 2) @ points.by_joint
            rigid = rigid.unflatten(1, (width, 3))  # (B, width, 3, N)
            block = out[:, columns]
            torch.mul(along[:, None, :, 0], rigid[:, :, None, 0], out=block)
            for axis in (1, 2):
                block.addcmul_(along[:, None, :, axis], rigid[:, :, None, axis])
            for entry in range(9):
                block.addcmul_(seen[:, None, :, entry], basis[:, :, None, entry])
        if self.corrective.shape[1]:
            pose = unknowns.pose_columns
            block = out[:, pose.stop - self.corrective.shape[1] : pose.stop]  # the root is the first joint, if free
            for entry in range(9):
                block.addcmul_(seen[:, None, :, entry], self.corrective[:, :, None, entry])


def point_jacobian(
    posed: Posed, points: SurfacePoints, unknowns: Unknowns
) -> tuple[Float[Tensor, "B N 3"], PointJacobian]:
    """Return surface points and their Jacobian in factors.

    Args:
        posed: B posed bodies.
        points: N points of each.
        unknowns: The columns.

    Returns:
        point (B, N, 3) m, and the Jacobian in factors.
    """
    rest, corrective = _rest_by_step(posed, points, unknowns)  # (B, 9, N), (B, Q, 9, N)
    # Part of the point that each joint carries, moved by that joint: m_j. A loop over corners, along points.
    corners = rest.unflatten(1, (3, 3))
    carried = points.share[0][:, :, None] * corners[:, 0, None]
    for corner in (1, 2):
        carried.addcmul_(points.share[corner][:, :, None], corners[:, corner, None])
    carried = (posed.rotations.flatten(0, 1) @ carried.flatten(0, 1)).reshape(carried.shape)  # (B, J, 3, N)
    carried.addcmul_(posed.rest_offsets[..., None], points.by_joint[:, :, None])
    point = carried.sum(1)  # (B, 3, N)
    free = torch.tensor(unknowns.joints, dtype=torch.long, device=point.device)
    below = posed.body.descendants[free]  # (K, J)
    lever = (below @ carried.flatten(2)).unflatten(2, (3, carried.shape[3]))  # (B, K, 3, N)
    lever.addcmul_(posed.joints[:, free][..., None], (below @ points.by_joint)[:, :, None], value=-1)
    return point.mT, PointJacobian(posed, points, unknowns, lever, corrective)


def _rest_by_step(posed: Posed, points: SurfacePoints, unknowns: Unknowns) -> tuple[Tensor, Tensor]:
    """Return the corners' rest positions (B, 9, N) m, and their derivative by pose correctives (B, Q, 9, N) m."""
    bodies = posed.bodies
    coefficients = torch.cat((bodies.shape, bodies.expression), 1)
    rest = points.template + (coefficients[:, None] @ points.basis.flatten(2)).reshape(points.template.shape)
    if not posed.body.pose_basis.shape[2]:
        return rest, rest.new_empty(len(rest), 0, *rest.shape[1:])
    joints = [joint for joint in unknowns.joints if joint]  # the root has no correctives
    # (B, K, 4, 9): a fourth row of zeros, because matrix products of three rows take three times as long as of four.
    entries = torch.nn.functional.pad(_entries_by_step(bodies.pose[:, joints]), (0, 0, 0, 1))
    table = posed.body.pose_basis.flatten(0, 1)  # (3 V, D)
    row = (3 * points.corner.mT[:, :, None] + torch.arange(3, device=table.device)[:, None]).flatten(1)  # (B, 9 N)
    by_step = table.new_empty(len(rest), len(joints), 3, row.shape[1])
    each = row.shape[1] * table.shape[1] * table.element_size()
    chunk = max(1, CORRECTIVES_AT_ONCE.get(table.device.type, CORRECTIVES_AT_ONCE["other"]) // max(1, each))
    room = table.new_empty(min(chunk, len(row)) * row.shape[1], table.shape[1])
    for first in range(0, len(row), chunk):
        some = slice(first, first + chunk)
        chosen = row[some]
        basis = torch.index_select(table, 0, chosen.flatten(), out=room[: chosen.numel()]).unflatten(0, chosen.shape)
        rest[some] += (basis @ posed.pose_feature[some, :, None]).reshape(rest[some].shape)
        by_joint = basis.unflatten(2, (-1, 9)).permute(0, 2, 3, 1)  # (b, J - 1, 9, 9 N)
        for place, joint, length in _runs(joints):
            run = slice(place, place + length)
            by_step[some, run] = (entries[some, run] @ by_joint[:, joint - 1 : joint - 1 + length])[:, :, :3]
    return rest, by_step.reshape(len(rest), 3 * len(joints), *rest.shape[1:])


def _entries_by_step(pose: Tensor) -> Tensor:
    """Return vec(R [e_i]x) (B, K, 3 steps, 9), the derivative of rotations (B, K, 3, 3) by a step."""
    generators = torch.zeros(3, 3, 3, dtype=pose.dtype, device=pose.device)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        generators[i, k, j], generators[i, j, k] = 1.0, -1.0
    return (pose[:, :, None] @ generators).flatten(3)


def _runs(joints: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield runs of consecutive joints as (index of the first, its joint, length); a run is a view, not a copy."""
    start = 0
    for place in range(1, len(joints) + 1):
        if place == len(joints) or joints[place] != joints[place - 1] + 1:
            yield start, joints[start], place - start
            start = place


def joint_jacobian(posed: Posed, unknowns: Unknowns) -> Float[Tensor, "B J 3 P"]:
    """Return the Jacobian of all joints.

    Args:
        posed: B posed bodies.
        unknowns: The columns.

    Returns:
        (B, J, 3, P) m per unit step; the log-focal column is zero.
    """
    joints = posed.joints
    out = joints.new_zeros(len(joints), unknowns.size, 3, joints.shape[1])  # (B, P, 3, J)
    if unknowns.joints:
        free = torch.tensor(unknowns.joints, device=joints.device)
        below = posed.body.descendants[free]  # (K, J); a joint does not move itself: its lever is zero anyway
        lever = below[None, :, None, :] * (joints.mT[:, None] - joints[:, free][..., None])  # (B, K, 3, J)
        eye = torch.eye(3, dtype=joints.dtype, device=joints.device)[None, :, :, None].expand(
            len(joints), -1, -1, lever.shape[3]
        )
        crossed = _cross(lever, eye)  # (B, K, 3, 3, J)
        turned = posed.rotations[:, free].mT.flatten(0, 1) @ crossed.flatten(3).flatten(0, 1)
        out[:, unknowns.pose_columns] = turned.reshape(len(joints), 3 * len(free), 3, joints.shape[1])
    moved = _joints_by_coefficients(posed).permute(0, 3, 2, 1)  # (B, S + E, 3, J)
    shapes = posed.body.shape_basis.shape[2]
    out[:, unknowns.shape_columns] = moved[:, : unknowns.shape]
    out[:, unknowns.expression_columns] = moved[:, shapes : shapes + unknowns.expression]
    if unknowns.translation:
        out[:, unknowns.translation_columns] = torch.eye(3, dtype=out.dtype, device=out.device)[..., None]
    return out.permute(0, 3, 2, 1)


def _cross(lever: Tensor, rows: Tensor) -> Tensor:
    """Return lever x row: lever (B, K, 3, N), rows (B, D, 3, N) -> (B, K, 3, D, N)."""
    out = lever.new_empty(*lever.shape[:3], rows.shape[1], lever.shape[3])
    x, y, z = (lever[:, :, axis, None] for axis in range(3))  # (B, K, 1, N)
    u, v, w = (rows[:, None, :, axis] for axis in range(3))  # (B, 1, D, N)
    for axis, (a, b, c, d) in enumerate(((y, w, z, v), (z, u, x, w), (x, v, y, u))):
        torch.mul(a, b, out=out[:, :, axis])
        out[:, :, axis].addcmul_(c, d, value=-1)
    return out


def _joints_by_coefficients(posed: Posed) -> Tensor:
    """Return dX_j (B, J, 3, S + E) m per unit, the derivative of the joints by shape and expression."""
    body = posed.body
    basis = torch.cat((body.joint_basis, body.joint_expression_basis), 2)
    parents = body.parents.clamp(min=0)
    above = posed.rotations[:, parents].clone()
    above[:, 0] = torch.eye(3, dtype=above.dtype, device=above.device)
    bone = torch.cat((basis[:1], (basis - basis[parents])[1:]))
    turned = above @ bone  # (B, J, 3, S + E)
    return (body.descendants.T @ turned.flatten(2)).unflatten(2, turned.shape[2:])


def joint_offsets_by_coefficients(posed: Posed) -> Float[Tensor, "B J 3 C"]:
    """Return dX_j - G_j dJ_j (B, J, 3, S + E) m per unit, the derivative of each joint's rigid motion."""
    basis = torch.cat((posed.body.joint_basis, posed.body.joint_expression_basis), 2)
    return _joints_by_coefficients(posed) - posed.rotations @ basis
