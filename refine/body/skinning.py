"""Linear blend skinning of the mesh, of keypoints and of surface points, with Jacobians (`refine/body/jacobian.py`).

    joints      X_k = X_parent + G_parent (J_k - J_parent),   G_k = G_parent R_k,   X_0 = J_0 + translation
    point       x   = Σ_j [ G_j (q_j - ω_j J_j) + ω_j X_j ],   ω_j = Σ_c b_c w_cj,   q_j = Σ_c b_c w_cj p_c
    rotation    d x / d step_k = -[ Σ_{j below k} (m_j - ω_j X_k) ]x G_k,   m_j the j-th summand of x
    shape       d x / d β = Σ_c b_c A_c S_c + Σ_j ω_j (dX_j - G_j dJ_j),   A_c = Σ_j w_cj G_j

for a point with barycentric weights b_c on three corners with rest positions p_c (shape, expression and pose
correctives included; the correctives add their own part to the rotation columns). Steps are on the right: R_k
exp(step_k).

Source: Loper et al., SMPL, 2015, eq. 2-4; derivatives derived here, tested against autograd.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.body.jacobian import PointJacobian, joint_jacobian, point_jacobian
from refine.body.skinned_body import KeypointSet, SkinnedBody
from refine.body.surface import SurfacePoints, surface_points
from refine.check import check_shape
from refine.state import Bodies, Unknowns


@dataclass(frozen=True, eq=False)
class PosedBody:
    """Posed bodies: joints, and on access vertices, keypoints, surface points and Jacobians.

    Attributes:
        body: The model.
        bodies: The B bodies that were posed.
        rest_joints: (B, J, 3) m, joints of the shaped body at rest, without translation.
        rotations: (B, J, 3, 3) global rotations.
        joints: (B, J, 3) m.
    """

    body: SkinnedBody
    bodies: Bodies
    rest_joints: Float[Tensor, "B J 3"]
    rotations: Float[Tensor, "B J 3 3"]
    joints: Float[Tensor, "B J 3"]

    __repr__ = in_one_line

    @cached_property
    def vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, in the frame of the translation; differentiable."""
        body = self.body
        rest = self._rest_points(slice(None))  # (B, V, 3)
        # Blend the rigid motions: (3x3 | 3) per joint, weighted per vertex.
        motion = torch.cat((self.rotations, self.rest_offsets[..., None]), -1)  # (B, J, 3, 4)
        blended = torch.zeros(len(rest), rest.shape[1], 3, 4, dtype=rest.dtype, device=rest.device)
        for slot in range(body.weight_joints.shape[1]):
            blended = blended + body.weight_values[:, slot, None, None] * motion[:, body.weight_joints[:, slot]]
        return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]

    def vertices_at(self, vertex: Int[Tensor, "U"]) -> Float[Tensor, "B U 3"]:
        """Return some vertices, the same of every body, by one matrix product.

        It takes a fifteenth of the time of `vertices`.

        Args:
            vertex: (U,) indices.

        Returns:
            (B, U, 3) m, in the frame of the translation; its memory runs along the vertices.
        """
        body, bodies = self.body, self.bodies
        rest = body.template[vertex].mT[None]  # (1, 3, U)
        for basis, weights in (
            (body.shape_basis, bodies.shape),
            (body.expression_basis, bodies.expression),
            (body.pose_basis, self.pose_feature),
        ):
            if basis.shape[2]:
                rest = rest + (weights @ basis[vertex].permute(2, 1, 0).flatten(1)).unflatten(1, (3, len(vertex)))
        motion = torch.cat((self.rotations, self.rest_offsets[..., None]), -1).permute(0, 2, 3, 1)  # (B, 3, 4, J)
        blended = motion @ body.dense_weights[vertex].mT  # (B, 3, 4, U)
        moved = blended[:, :, 3]
        for axis in range(3):
            moved = torch.addcmul(moved, blended[:, :, axis], rest[:, axis, None])
        return moved.mT

    def keypoints(self, points: KeypointSet) -> Float[Tensor, "B K 3"]:
        """Return the points of a keypoint set; only its triangles are skinned.

        Args:
            points: A set of this body.

        Returns:
            (B, K, 3) m, in the frame of the translation.
        """
        count = len(self.joints)
        on_surface = (points.barycentric != 0).any(1).nonzero()[:, 0]
        triangle = points.triangle[on_surface].expand(count, -1)
        barycentric = points.barycentric[on_surface].expand(count, -1, -1)
        from_joints = points.joint_weights @ self.joints
        surface = self.surface_position(triangle, barycentric)
        return from_joints.index_add(1, on_surface, surface)

    def surface(
        self, triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"], unknowns: Unknowns
    ) -> tuple[Float[Tensor, "B N 3"], Float[Tensor, "B N 3 P"]]:
        """Return surface points and their Jacobian, without the full mesh and without an autograd graph.

        Args:
            triangle: (B, N) index into the body's faces.
            barycentric: (B, N, 3) weights of its corners.
            unknowns: The columns.

        Returns:
            point (B, N, 3) m and point_by_step (B, N, 3, P), m per unit step; the log-focal column is zero.
        """
        point, jacobian = self.surface_at(surface_points(self.body, triangle, barycentric), unknowns)
        eye = torch.eye(3, dtype=point.dtype, device=point.device)
        return point, jacobian.times(eye.expand(*point.shape[:2], 3, 3))

    def surface_at(self, points: SurfacePoints, unknowns: Unknowns) -> tuple[Float[Tensor, "B N 3"], PointJacobian]:
        """Return gathered surface points, and their Jacobian in factors (see `PointJacobian.times`).

        Args:
            points: N points of each body.
            unknowns: The columns.

        Returns:
            point (B, N, 3) m and its Jacobian.
        """
        return point_jacobian(self, points, unknowns)

    def joints_with_jacobian(self, unknowns: Unknowns) -> tuple[Float[Tensor, "B J 3"], Float[Tensor, "B J 3 P"]]:
        """Return the joints and their Jacobian.

        Args:
            unknowns: The columns.

        Returns:
            joints (B, J, 3) m and joints_by_step (B, J, 3, P), m per unit step; the log-focal column is zero.
        """
        return self.joints, joint_jacobian(self, unknowns)

    def keypoints_with_jacobian(
        self, points: KeypointSet, unknowns: Unknowns
    ) -> tuple[Float[Tensor, "B K 3"], Float[Tensor, "B K 3 P"]]:
        """Return the points of a keypoint set and their Jacobian.

        Args:
            points: A set of this body.
            unknowns: The columns.

        Returns:
            point (B, K, 3) m and point_by_step (B, K, 3, P), m per unit step; the log-focal column is zero.
        """
        joints, joints_by_step = self.joints_with_jacobian(unknowns)
        count = len(joints)
        point = points.joint_weights @ joints
        point_by_step = (points.joint_weights @ joints_by_step.flatten(2)).unflatten(2, (3, -1))
        on_surface = (points.barycentric != 0).any(1).nonzero()[:, 0]
        if len(on_surface):
            triangle = points.triangle[on_surface].expand(count, -1)
            barycentric = points.barycentric[on_surface].expand(count, -1, -1)
            surface, surface_by_step = self.surface(triangle, barycentric, unknowns)
            point = point.index_add(1, on_surface, surface)
            point_by_step = point_by_step.index_add(1, on_surface, surface_by_step)
        return point, point_by_step

    @cached_property
    def rest_offsets(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m, X_j - G_j J_j: the translation of each joint's rigid motion."""
        return self.joints - (self.rotations @ self.rest_joints[..., None])[..., 0]

    @cached_property
    def pose_feature(self) -> Float[Tensor, "B D"]:
        """(B, D) vec(R_j - I) of joints 1..J-1, row-major; empty for a body without pose correctives."""
        eye = torch.eye(3, dtype=self.rotations.dtype, device=self.rotations.device)
        if not self.body.pose_basis.shape[2]:
            return self.bodies.shape.new_zeros(len(self.bodies), 0)
        return (self.bodies.pose[:, 1:] - eye).flatten(1)

    def _rest_points(self, vertex: Tensor | slice) -> Tensor:
        """Return rest positions (B, V', 3) of vertices shared by the batch, correctives included."""
        body = self.body
        points = body.template[vertex] + torch.einsum("vks,bs->bvk", body.shape_basis[vertex], self.bodies.shape)
        if body.expression_basis.shape[2]:
            points = points + torch.einsum("vks,bs->bvk", body.expression_basis[vertex], self.bodies.expression)
        if body.pose_basis.shape[2]:
            points = points + torch.einsum("vks,bs->bvk", body.pose_basis[vertex], self.pose_feature)
        return points

    def rest_corners(self, corner: Int[Tensor, "B N 3"]) -> Float[Tensor, "B N 3 3"]:
        """Return rest positions of each body's own vertices, correctives included.

        Args:
            corner: (B, N, 3) vertex indices.

        Returns:
            (B, N, 3, 3) m: corner, then axis.
        """
        body, bodies = self.body, self.bodies
        point = body.template[corner]
        for basis, weights in (
            (body.shape_basis, bodies.shape),
            (body.expression_basis, bodies.expression),
            (body.pose_basis, self.pose_feature),
        ):
            if basis.shape[2]:
                point = (
                    point
                    + (basis[corner].flatten(1, 3) @ weights[..., None]).unflatten(1, (*corner.shape[1:], 3))[..., 0]
                )
        return point

    def surface_position(
        self, triangle: Int[Tensor, "B N"], barycentric: Float[Tensor, "B N 3"]
    ) -> Float[Tensor, "B N 3"]:
        """Return surface points by plain skinning, differentiable.

        Args:
            triangle: (B, N) index into the body's faces.
            barycentric: (B, N, 3) weights of its corners.

        Returns:
            (B, N, 3) m, in the frame of the translation.
        """
        corner = self.body.faces[triangle]  # (B, N, 3)
        motion = torch.cat((self.rotations, self.rest_offsets[..., None]), -1)  # (B, J, 3, 4)
        joint = self.body.weight_joints[corner]  # (B, N, 3, K)
        batch = torch.arange(len(corner), device=corner.device).reshape(-1, 1, 1, 1)
        blended = (self.body.weight_values[corner][..., None, None] * motion[batch, joint]).sum(3)  # (B, N, 3, 3, 4)
        rest = self.rest_corners(corner)
        posed = (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]
        return (barycentric[..., None] * posed).sum(2)


def pose_body(body: SkinnedBody, bodies: Bodies) -> PosedBody:
    """Pose bodies: joints by forward kinematics.

    Args:
        body: The model.
        bodies: B bodies of this model, on its device and of its dtype.

    Returns:
        The posed body.

    Raises:
        InputError: The bodies have other numbers of joints or coefficients than the model.
    """
    check_shape("bodies.pose", bodies.pose, "B J 3 3", J=len(body.joint_names))
    check_shape("bodies.shape", bodies.shape, "B S", S=body.shape_basis.shape[2])
    check_shape("bodies.expression", bodies.expression, "B E", E=body.expression_basis.shape[2])
    rest = body.joint_template + torch.einsum("jks,bs->bjk", body.joint_basis, bodies.shape)
    if body.expression_basis.shape[2]:
        rest = rest + torch.einsum("jks,bs->bjk", body.joint_expression_basis, bodies.expression)
    rotations, joints = [bodies.pose[:, :1]], [rest[:, :1] + bodies.translation[:, None]]
    for own, above in body.generations:  # all joints of a depth at once: a body has ten depths, and 55 joints
        turned = rotations[-1][:, above]
        bone = rest[:, own] - rest[:, body.parents[own]]
        rotations.append(turned @ bodies.pose[:, own])
        joints.append(joints[-1][:, above] + (turned @ bone[..., None])[..., 0])
    order = body.place_in_generations
    return PosedBody(body, bodies, rest, torch.cat(rotations, 1)[:, order], torch.cat(joints, 1)[:, order])
