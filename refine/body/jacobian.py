"""Analytic Jacobians of skinned surface points and joints (formulas in `refine/body/skinning.py`).

    lever_k = Σ_{j below k} (m_j - ω_j X_k)      d x / d step_k = (G_k e_i) x lever_k,  i = 1, 2, 3

What is wanted is seldom the Jacobian itself but a few rows of it, `rows @ point_by_step` with rows (D, 3) the derivative of a
whitened pixel by its point. Since r . (g x lever) = g . (lever x r), the rows are crossed with the levers first and turned
once: a third of the memory traffic. Memory order: columns first, points last, so that every loop runs along points.

Source: derived here; the levers of a kinematic tree are as in Featherstone, Rigid Body Dynamics Algorithms, sec. 4.1.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.bodies import Unknowns

if TYPE_CHECKING:
    from refine.body.skinned_body import SkinnedBody
    from refine.body.skinning import PosedBody


@dataclass(frozen=True)
class SurfacePoints:
    """Points of a body's surface with all that does not change while the body moves, gathered once.

    Attributes:
        corner: (B, N, 3) vertices of each point's triangle.
        share: (3 corners, B, J, N) b_c w_cj.
        by_joint: (B, J, N) ω, their sum over corners.
        template: (B, 9, N) m, corner by axis.
        basis: (B, S + E, 9, N) m per unit of shape and expression coefficients.
    """

    corner: Int[Tensor, "B N 3"]
    share: Float[Tensor, "3 B J N"]
    by_joint: Float[Tensor, "B J N"]
    template: Float[Tensor, "B 9 N"]
    basis: Float[Tensor, "B C 9 N"]


def surface_points(
    body: "SkinnedBody", triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"]
) -> SurfacePoints:
    """Gather what belongs to points of the surface.

    Args:
        body: The model.
        triangle: (B, N) index into its faces.
        barycentric: (B, N, 3) weights of the corners.

    Returns:
        The points.
    """
    corner = body.faces[triangle]
    share = (body.dense_weights[corner] * barycentric[..., None]).permute(2, 0, 3, 1).contiguous()
    basis = torch.cat((body.shape_basis, body.expression_basis), 2)[corner].permute(0, 4, 2, 3, 1)
    template = body.template[corner].permute(0, 2, 3, 1).flatten(1, 2)
    return SurfacePoints(corner, share, share.sum(0), template.contiguous(), basis.flatten(2, 3).contiguous())


@dataclass(frozen=True)
class PointJacobian:
    """How points move with a step, kept in factors.

    Attributes:
        posed: The bodies.
        points: The points.
        unknowns: The columns.
        lever: (B, K, 3, N) m, one for each free joint.
    """

    posed: "PosedBody"
    points: SurfacePoints
    unknowns: Unknowns
    lever: Float[Tensor, "B K 3 N"]

    def times(self, rows: Float[Tensor, "B N D 3"]) -> Float[Tensor, "B N D P"]:
        """Return rows @ point_by_step.

        Args:
            rows: (B, N, D, 3), e.g. the derivative of whitened pixels by their points.

        Returns:
            (B, N, D, P), the unit of rows times m per unit step; the log-focal column is zero.
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
        if unknowns.shape or unknowns.expression or self.posed.body.pose_basis.shape[2]:
            self._add_rest_columns(along, out)
        if unknowns.translation:
            out[:, unknowns.translation_columns] = along.transpose(1, 2)
        if unknowns.focal:
            out[:, unknowns.focal_column] = 0.0
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
            block = along[:, None, :, 0] * rigid[:, :, None, 0]  # (B, width, D, N)
            for axis in (1, 2):
                block.addcmul_(along[:, None, :, axis], rigid[:, :, None, axis])
            for entry in range(9):
                block.addcmul_(seen[:, None, :, entry], basis[:, :, None, entry])
            out[:, columns] = block
        if posed.body.pose_basis.shape[2]:
            self._add_correctives(seen, out)

    def _add_correctives(self, seen: Tensor, out: Tensor) -> None:
        """Add rows @ Σ_c b_c A_c P_c vec(R_k [e_i]x) to the rotation columns of the joints that have correctives (all but the root)."""
        generators = torch.zeros(3, 3, 3, dtype=out.dtype, device=out.device)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            generators[i, k, j], generators[i, j, k] = 1.0, -1.0
        rows = seen.permute(0, 3, 1, 2)  # (B, N, D, 9)
        for place, joint in enumerate(self.unknowns.joints):
            if joint == 0:
                continue
            basis = self.posed.body.pose_basis[..., 9 * (joint - 1) : 9 * joint]  # (V, 3, 9)
            by_entry = rows @ basis[self.points.corner].flatten(2, 3)  # (B, N, D, 9)
            entry_by_step = (self.posed.bodies.pose[:, joint, None] @ generators).flatten(2).mT  # (B, 9, 3)
            columns = by_entry @ entry_by_step[:, None]  # (B, N, D, 3 steps)
            out[:, 3 * place : 3 * place + 3] += columns.permute(0, 3, 2, 1)


def point_jacobian(
    posed: "PosedBody", points: SurfacePoints, unknowns: Unknowns
) -> tuple[Float[Tensor, "B N 3"], PointJacobian]:
    """Return surface points and how they move.

    Args:
        posed: B posed bodies.
        points: N points of each.
        unknowns: The columns.

    Returns:
        point (B, N, 3) m, and the Jacobian in factors.
    """
    rest = rest_of(posed, points)  # (B, 9, N)
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
    return point.mT, PointJacobian(posed, points, unknowns, lever)


def rest_of(posed: "PosedBody", points: SurfacePoints) -> Float[Tensor, "B 9 N"]:
    """Return the rest positions of the points' corners, m, correctives included: (B, corner by axis, N)."""
    bodies = posed.bodies
    coefficients = torch.cat((bodies.shape, bodies.expression), 1)
    rest = points.template + (coefficients[:, None] @ points.basis.flatten(2)).reshape(points.template.shape)
    if posed.body.pose_basis.shape[2]:
        basis = posed.body.pose_basis[points.corner].flatten(1, 3)  # (B, N * 9, D)
        corrective = (basis @ posed.pose_feature[..., None]).reshape(len(rest), rest.shape[2], 9)
        rest = rest + corrective.mT
    return rest


def joint_jacobian(posed: "PosedBody", unknowns: Unknowns) -> Float[Tensor, "B J 3 P"]:
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


def _joints_by_coefficients(posed: "PosedBody") -> Tensor:
    """How shape and expression move the joints: dX_j, (B, J, 3, S + E)."""
    body = posed.body
    basis = torch.cat((body.joint_basis, body.joint_expression_basis), 2)
    parents = body.parents.clamp(min=0)
    above = posed.rotations[:, parents].clone()
    above[:, 0] = torch.eye(3, dtype=above.dtype, device=above.device)
    bone = torch.cat((basis[:1], (basis - basis[parents])[1:]))
    turned = above @ bone  # (B, J, 3, S + E)
    return (body.descendants.T @ turned.flatten(2)).unflatten(2, turned.shape[2:])


def joint_offsets_by_coefficients(posed: "PosedBody") -> Float[Tensor, "B J 3 C"]:
    """Return how shape and expression move each joint's rigid motion: dX_j - G_j dJ_j, (B, J, 3, S + E) m per unit."""
    basis = torch.cat((posed.body.joint_basis, posed.body.joint_expression_basis), 2)
    return _joints_by_coefficients(posed) - posed.rotations @ basis
