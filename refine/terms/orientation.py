"""Orientations of joints: of a head, a trunk or a sensor, as a rotation or as the way a part faces.

    Orientation    residual = sqrt_information @ log(G_j offset targetᵀ)          rad, along the axes of the bodies' frame
    Facing         residual = (h - |h| (sin yaw, cos yaw)) / sigma_rad,   h = G_j forward, its part in the camera's x, z

G_j is the global rotation of joint j: d G_j = [ω]x G_j with ω = Σ G_k step_k over j and the joints above it. A chord
takes the place of the angle in `Facing`: smooth at half a turn, alike for small ones, and silent for a body that lies
down, which faces nowhere in the horizontal plane.

Source: Sola et al., A micro Lie theory (arXiv 1812.01537), eq. 143-146 (left Jacobian of SO(3)); yaw: Wu et al., MEBOW,
CVPR 2020, and hnuzhy/JointBDOE@3788e62dba `demos/image.py` (0° faces away from the camera, 90° to the image's left).
"""  # noqa: E501

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness

ROTATION_TOLERANCE = 1e-2
"""How far a given rotation's entries may be off: from rounding in a file."""
FORWARD = (0.0, 0.0, 1.0)
"""The way a body faces at rest, and each of its joints with it."""


def turned_by_step(posed: PosedBody, joints: tuple[int, ...], unknowns: Unknowns) -> Float[Tensor, "B K 3 P"]:
    """Return how joints turn by a step: ω (rad, the bodies' frame) per unit step, with d G = [ω]x G.

    Args:
        posed: B bodies.
        joints: K of them.
        unknowns: P columns.
    """
    rotations = posed.rotations
    out = rotations.new_zeros(len(rotations), len(joints), 3, unknowns.size)
    if unknowns.joints:
        free = torch.tensor(unknowns.joints, device=rotations.device)
        above = posed.body.descendants[free][:, list(joints)].mT  # (K, free): one where the free joint is above
        turns = rotations[:, None, free] * above[None, :, :, None, None].to(rotations)  # (B, K, free, 3, 3)
        out[..., unknowns.pose_columns] = turns.permute(0, 1, 3, 2, 4).flatten(3)
    return out


def joint_numbers(posed: PosedBody, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the places of joints in a body.

    Raises:
        InputError: The body has no joint of that name.
    """
    own = posed.body.joint_names
    if missing := [name for name in names if name not in own]:
        raise InputError("joints", f"joints of {posed.body.name} ({', '.join(own[:24])}, ...)", repr(missing[0]))
    return tuple(own.index(name) for name in names)


def check_rotations(name: str, matrix: Tensor) -> None:
    """Refuse matrices (..., 3, 3) that are no rotations.

    Raises:
        InputError: One scales, shears or mirrors.
    """
    off = (matrix @ matrix.mT - torch.eye(3).to(matrix)).abs().amax() if matrix.numel() else torch.zeros(())
    if float(off) > ROTATION_TOLERANCE or bool(
        (torch.linalg.cross(matrix[..., 0], matrix[..., 1]) * matrix[..., 2]).sum(-1).lt(0).any()
    ):
        raise InputError(
            name, "rotation matrices", "matrices that scale or mirror", "See refine.geometry.rotation.exp."
        )


@dataclass(frozen=True, eq=False)
class Orientation:
    """The term of a joint's global rotation.

    Attributes:
        joint: Its name ("head", "spine3", "pelvis", ...).
        target: (B, 3, 3) rotation of what was measured, in the bodies' frame: columns are its axes.
        sqrt_information: (B, 3, 3) 1/rad, along the axes of the bodies' frame; zero: not known.
        offset: (3, 3) what was measured, in the joint's axes: target = G_j offset. The identity for the joint itself.

    Raises:
        InputError: Shapes disagree, a value is not finite, or a matrix is no rotation.
    """

    joint: str
    target: Float[Tensor, "B 3 3"]
    sqrt_information: Float[Tensor, "B 3 3"]
    offset: Float[Tensor, "3 3"] | None = None
    kernel: Kernel = GemanMcClure(scale=5.0)
    """Scale in standard deviations: a network that takes front for back is 10 and more off."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("orientation.target", self.target, "B 3 3")
        check_shape("orientation.sqrt_information", self.sqrt_information, "B 3 3", **sizes)
        check_finite(
            "orientation.target", self.target, "Give zero information (and any rotation) where it is not known."
        )
        check_finite("orientation.sqrt_information", self.sqrt_information, "Zero means no information.")
        check_rotations("orientation.target", self.target)
        if self.offset is not None:
            check_shape("orientation.offset", self.offset, "A B", A=3, B=3)
            check_rotations("orientation.offset", self.offset)
        check_witness("orientation", self.correlation, self.share, sizes["B"])

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, 3), unitless, and its Jacobian (B, 1, 3, P) per unit step."""
        check_shape("Orientation.target", self.target, "B 3 3", B=len(state))
        joints = joint_numbers(posed, (self.joint,))
        turned = posed.rotations[:, joints[0]]
        turned = turned if self.offset is None else turned @ self.offset.to(turned)
        angle = rotation.log(turned @ self.target.mT)  # (B, 3) rad
        root = self.sqrt_information
        # log(exp(ω) exp(v)) = v + Jl⁻¹(v) ω, and Jl⁻¹(v) = Jr⁻¹(-v)
        slope = root @ rotation.right_jacobian_inverse(-angle)
        jacobian = slope[:, None] @ turned_by_step(posed, joints, unknowns)
        residual = (root @ angle[..., None])[:, None, :, 0]
        return Linearization(residual, jacobian, self.kernel, part=self.share)


@dataclass(frozen=True, eq=False)
class Facing:
    """The term of the way a joint faces in the horizontal plane: a body's yaw.

    Attributes:
        yaw: (B,) rad about the camera's vertical axis: 0 faces away from the camera, π/2 to the image's left, π to the
            camera. Any value where it is not known.
        sigma_rad: (B,) rad; infinite where it is not known.
        joint: Its name; the trunk's upper part, which is what annotators of body orientation look at.

    Raises:
        InputError: Shapes disagree, a sigma is not above zero, or a known yaw is not finite.
    """

    yaw: Float[Tensor, "B"]
    sigma_rad: Float[Tensor, "B"]
    joint: str = "spine3"
    camera: Camera | None = None
    """B fixed cameras that it was seen with; None: the bodies' own."""
    kernel: Kernel = GemanMcClure(scale=5.0)
    """Scale in standard deviations."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("facing.yaw", self.yaw, "B")
        check_shape("facing.sigma_rad", self.sigma_rad, "B", **sizes)
        check_positive("facing.sigma_rad", self.sigma_rad, "rad", "Use infinity where it is not known.")
        check_finite("facing.yaw", self.yaw.masked_fill(self.sigma_rad.isinf(), 0.0))
        check_witness("facing", self.correlation, self.share, sizes["B"])

    @property
    def informed(self) -> Tensor:
        """(B,) bodies it has any information about."""
        return self.sigma_rad.isfinite()

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, 2), unitless, and its Jacobian (B, 1, 2, P) per unit step."""
        check_shape("Facing.yaw", self.yaw, "B", B=len(state))
        joints = joint_numbers(posed, (self.joint,))
        camera = self.camera or state.camera
        front = posed.rotations[:, joints[0]] @ posed.rotations.new_tensor(FORWARD)  # (B, 3)
        # d front = ω x front = -[front]x ω
        front_by_step = -rotation.cross_matrix(front) @ turned_by_step(posed, joints, unknowns)[:, 0]
        if camera.camera_from_world is not None:
            turn = camera.camera_from_world[:, :, :3]
            front, front_by_step = (turn @ front[..., None])[..., 0], turn @ front_by_step
        level, level_by_step = front[:, [0, 2]], front_by_step[:, [0, 2]]  # (B, 2), (B, 2, P)
        length = level.norm(dim=1, keepdim=True).clamp(min=torch.finfo(level.dtype).tiny)
        known = self.informed[:, None]
        yaw = self.yaw.masked_fill(~self.informed, 0.0).to(level)
        wanted = torch.stack((-yaw.sin(), yaw.cos()), 1)
        sigma = self.sigma_rad.to(level)[:, None]
        residual = torch.where(known, (level - length * wanted) / sigma, 0.0)
        along = (level / length)[:, None] @ level_by_step  # (B, 1, P)
        jacobian = torch.where(known[..., None], (level_by_step - wanted[..., None] * along) / sigma[..., None], 0.0)
        return Linearization(residual[:, None], jacobian[:, None], self.kernel, part=self.share)


def orientation(
    joint: str,
    target: Float[Tensor, "B 3 3"],
    sigma_rad: Float[Tensor, "B"] | Float[Tensor, "B 3"],
    *,
    offset: Float[Tensor, "3 3"] | None = None,
    correlation: Correlation = INDEPENDENT,
) -> Orientation:
    """Build the term of a joint's rotation.

    Args:
        joint: Its name.
        target: (B, 3, 3) rotations in the bodies' frame.
        sigma_rad: (B,) rad, or (B, 3) along the frame's axes; infinite where it is not known.
        offset: (3, 3) what was measured in the joint's axes.
        correlation: How far the errors hang together over frames and views.
    """
    sizes = check_shape("target", target, "B 3 3")
    if sigma_rad.dim() == 1:
        sigma_rad = sigma_rad[:, None].expand(-1, 3)
    check_shape("sigma_rad", sigma_rad, "B A", A=3, **sizes)
    check_positive("sigma_rad", sigma_rad, "rad", "Use infinity where it is not known.")
    root = 1 / sigma_rad.to(target)
    unknown = (root == 0).all(1)[:, None, None]
    known = torch.where(unknown, torch.eye(3).to(target), target)
    return Orientation(joint, known, torch.diag_embed(root), offset, correlation=correlation)


def head_turn(yaw: Float[Tensor, "B"], pitch: Float[Tensor, "B"], roll: Float[Tensor, "B"]) -> Float[Tensor, "B 3 3"]:
    """Return the rotation, in the camera's frame, of a head whose pose is given in angles.

    At zero the face looks into the camera, upright. A head turns to the image's right (to its own left) by yaw, up by
    pitch, and clockwise in the image by roll, in this order from the outside.

    Args:
        yaw: (B,) rad.
        pitch: (B,) rad.
        roll: (B,) rad.
    """
    towards = rotation.exp(yaw.new_tensor([torch.pi, 0.0, 0.0]))  # y up and z forward to y down and z into the camera
    zero = torch.zeros_like(yaw)
    about = (
        rotation.exp(torch.stack((zero, -yaw, zero), 1)) @ rotation.exp(torch.stack((-pitch, zero, zero), 1))
        @ rotation.exp(torch.stack((zero, zero, roll), 1))
    )  # fmt: skip
    return about @ towards
