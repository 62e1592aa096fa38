"""Analytic Jacobians of skinned surface points and joints (formulas in `refine/body/skinning.py`).

Memory order: columns first, points last, so that every loop runs along points; what is returned is a permuted view.

    lever_k = Σ_{j below k} (m_j - ω_j X_k)      d x / d step_k = (G_k e_i) x lever_k,  i = 1, 2, 3

Source: derived here; the levers of a kinematic tree are as in Featherstone, Rigid Body Dynamics Algorithms, sec. 4.1.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.bodies import Unknowns

if TYPE_CHECKING:
    from refine.body.skinning import PosedBody


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
        below = posed.body.descendants[free]  # (Jf, J); a joint does not move itself: its lever is zero anyway
        lever = below[None, :, None, :] * (joints.mT[:, None] - joints[:, free][..., None])  # (B, Jf, 3, J)
        out[:, unknowns.pose_columns] = _turn(posed.rotations[:, free], lever).flatten(1, 2)
    shape, expression = _joint_motion(posed)
    out[:, unknowns.shape_columns] = shape[..., : unknowns.shape].permute(0, 3, 2, 1)
    out[:, unknowns.expression_columns] = expression[..., : unknowns.expression].permute(0, 3, 2, 1)
    _translate(out, unknowns)
    return out.permute(0, 3, 2, 1)


def surface_jacobian(
    posed: "PosedBody", triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"], unknowns: Unknowns
) -> tuple[Float[Tensor, "B N 3"], Float[Tensor, "B N 3 P"]]:
    """Return surface points and their Jacobian.

    Args:
        posed: B posed bodies.
        triangle: (B, N) index into the body's faces.
        barycentric: (B, N, 3) weights of its corners.
        unknowns: The columns.

    Returns:
        point (B, N, 3) m and point_by_step (B, N, 3, P), m per unit step; the log-focal column is zero.
    """
    body, count = posed.body, len(posed.joints)
    corner = body.faces[triangle]  # (B, N, 3)
    rest = posed.rest_corners(corner)  # (B, N, 3 corners, 3)
    share = (body.dense_weights[corner] * barycentric[..., None]).permute(2, 0, 3, 1).contiguous()  # (3 corners, B, J, N): b_c w_cj
    by_joint = share.sum(0)  # (B, J, N): ω
    # Part of the point that each joint carries, moved by that joint: m_j. Written as a loop over corners, along points.
    along = rest.permute(2, 0, 3, 1)[:, :, None].contiguous()  # (3 corners, B, 1, 3, N)
    carried = share[0][:, :, None] * along[0]
    for c in (1, 2):
        carried.addcmul_(share[c][:, :, None], along[c])
    carried = posed.rotations @ carried  # (B, J, 3, N)
    carried.addcmul_(posed.rest_offsets[..., None], by_joint[:, :, None])
    point = carried.sum(1)  # (B, 3, N)
    out = torch.empty(count, unknowns.size, 3, point.shape[2], dtype=point.dtype, device=point.device)
    if unknowns.joints:
        free = torch.tensor(unknowns.joints, device=point.device)
        below = body.descendants[free]  # (Jf, J)
        lever = (below @ carried.flatten(2)).unflatten(2, (3, -1))  # (B, Jf, 3, N)
        lever.addcmul_(posed.joints[:, free][..., None], (below @ by_joint)[:, :, None], value=-1)
        _turn(posed.rotations[:, free], lever, out[:, unknowns.pose_columns].unflatten(1, (-1, 3)))
    if unknowns.shape or unknowns.expression or body.pose_basis.shape[2]:
        # (3 corners, B, 9, J) @ (3 corners, B, J, N): b_c A_c
        blended = (posed.rotations.flatten(2).mT @ share).unflatten(2, (3, 3))  # (3 corners, B, 3, 3, N)
        blended = blended.permute(1, 4, 2, 0, 3).flatten(3)  # (B, N, 3, 3 corners * 3)
        for columns, moved, basis in (
            (unknowns.shape_columns, _moved_joints(posed)[0], body.shape_basis[..., : unknowns.shape]),
            (unknowns.expression_columns, _moved_joints(posed)[1], body.expression_basis[..., : unknowns.expression]),
        ):
            if columns.stop > columns.start:
                rigid = moved[..., : basis.shape[2]].permute(0, 3, 2, 1).flatten(1, 2) @ by_joint  # (B, S*3, N)
                soft = blended @ basis[corner].flatten(2, 3)  # (B, N, 3, S)
                out[:, columns] = soft.permute(0, 3, 2, 1) + rigid.unflatten(1, (-1, 3))
        if body.pose_basis.shape[2] and unknowns.joints:
            _add_correctives(posed, corner, blended, unknowns, out)
    _translate(out, unknowns)
    return point.mT, out.permute(0, 3, 2, 1)


def _turn(rotation: Tensor, lever: Tensor, out: Tensor | None = None) -> Tensor:
    """Return (G e_i) x lever for i = 1, 2, 3: rotation (B, K, 3, 3), lever (B, K, 3, N) -> (B, K, 3 steps, 3 axes, N)."""
    if out is None:
        out = lever.new_empty(*lever.shape[:2], 3, 3, lever.shape[3])
    axis = rotation.mT[..., None]  # (B, K, 3 steps, 3 axes, 1)
    x, y, z = (lever[:, :, None, i] for i in range(3))  # (B, K, 1, N)
    for i, (j, k, a, b) in enumerate(((1, 2, z, y), (2, 0, x, z), (0, 1, y, x))):
        torch.mul(axis[..., j, :], a, out=out[..., i, :])
        out[..., i, :].addcmul_(axis[..., k, :], b, value=-1)
    return out


def _moved_joints(posed: "PosedBody") -> tuple[Tensor, Tensor]:
    """How shape and expression move each joint's rigid motion: dX_j - G_j dJ_j, (B, J, 3, S) and (B, J, 3, E)."""
    shape, expression = _joint_motion(posed)
    turned = [torch.einsum("bjxy,jys->bjxs", posed.rotations, b) for b in (posed.body.joint_basis, posed.body.joint_expression_basis)]
    return shape - turned[0], expression - turned[1]


def _joint_motion(posed: "PosedBody") -> tuple[Tensor, Tensor]:
    """How shape and expression move the joints: dX_j, (B, J, 3, S) and (B, J, 3, E)."""
    body = posed.body
    parents = body.parents.clamp(min=0)
    eye = torch.eye(3, dtype=posed.joints.dtype, device=posed.joints.device)
    above = posed.rotations[:, parents].clone()
    above[:, 0] = eye
    moved = []
    for basis in (body.joint_basis, body.joint_expression_basis):
        bone = basis - basis[parents]
        bone = torch.cat((basis[:1], bone[1:]))
        turned = torch.einsum("bjxy,jys->bjxs", above, bone)
        moved.append((body.descendants.T @ turned.flatten(2)).unflatten(2, turned.shape[2:]))
    return moved[0], moved[1]


def _add_correctives(posed: "PosedBody", corner: Tensor, blended: Tensor, unknowns: Unknowns, out: Tensor) -> None:
    """Add Σ_c b_c A_c P_c vec(R_k [e_i]x) to the rotation columns of the joints that have correctives (all but the root)."""
    generators = torch.zeros(3, 3, 3, dtype=out.dtype, device=out.device)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        generators[i, k, j], generators[i, j, k] = 1.0, -1.0
    for place, joint in enumerate(unknowns.joints):
        if joint == 0:
            continue
        basis = posed.body.pose_basis[..., 9 * (joint - 1) : 9 * joint]  # (V, 3, 9)
        by_entry = blended @ basis[corner].flatten(2, 3)  # (B, N, 3, 9)
        entry_by_step = (posed.bodies.pose[:, joint, None] @ generators).flatten(2).mT  # (B, 9, 3)
        columns = by_entry @ entry_by_step[:, None]  # (B, N, 3, 3 steps)
        out[:, 3 * place : 3 * place + 3] += columns.permute(0, 3, 2, 1)


def _translate(out: Tensor, unknowns: Unknowns) -> None:
    """Fill the translation columns with the identity and log-focal's with zero; out is (B, P, 3, N)."""
    if unknowns.translation:
        out[:, unknowns.translation_columns] = torch.eye(3, dtype=out.dtype, device=out.device)[..., None]
    if unknowns.focal:
        out[:, unknowns.focal_column] = 0.0
