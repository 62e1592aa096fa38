"""Staying near the estimate: how far a regressor's joints are usually wrong.

    residual[b, j] = log(R_estimate[b, j]ᵀ R[b, j]) / sigma_rad[j]           one row of three per free joint
    residual[b]    = R[b] (translation[b] - translation_estimate[b]) / sigma_m      R: the camera's turn in the world

Where frames of a track are solved together, the part of an error that is the same in all of them is taken off once it
is known (`beside_constant`): of errors of variance sigma², a share c of which is constant,

    residual = (away - constant) / (sigma √(1 - c)),     constant = mean away of the track c / (c + (1 - c) / n)

with n independent frames: n frames are then no n witnesses of one mistake. Who judges the estimate takes its whole
error (`whole`).

Source: Sola, Deray and Atchuthan, arXiv 1812.01537, eq. 79 and 144 (right difference and its Jacobian).
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_positive, check_shape
from refine.geometry import rotation
from refine.state import State, Tracks, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization
from refine.terms.correlation import REGRESSED, Correlation


@dataclass(frozen=True, eq=False)
class NearEstimate:
    """Pulls the free joints back to the rotations an estimate gave them.

    Attributes:
        pose: (B, J, 3, 3) the estimate's local rotations.

    Raises:
        InputError: `sigma_rad` is not above zero, or its shape does not go with `pose`.
    """

    pose: Float[Tensor, "B J 3 3"]
    sigma_rad: Float[Tensor, "J"] | Float[Tensor, "B J"] | None = None
    """Standard deviation per axis, rad; None: the body's `usual_sigma_rad`."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: a joint does not escape its estimate."""
    scale: Float[Tensor, "B"] | None = None
    """(B,) multiple of the sigmas for each body; None: one."""
    correlation: Correlation = REGRESSED
    """How far an estimate's errors hang together over the frames of a track."""
    share: Float[Tensor, "B"] | None = None
    """(B,) share of an independent estimate that each body's is (`refine.method.witnesses`); None: one, zero: none."""
    constant: Float[Tensor, "B J 3"] | None = None
    """(B, J, 3) rad, the part of the errors that is the same in a track's frames; None: it is in the sigmas."""

    def __post_init__(self) -> None:
        sizes = check_shape("pose", self.pose, "B J 3 3")
        if self.scale is not None:
            check_shape("scale", self.scale, "B", B=sizes["B"])
            check_positive("scale", self.scale, "unitless")
        if self.sigma_rad is not None:
            pattern = "J" if self.sigma_rad.dim() == 1 else "B J"
            check_shape("sigma_rad", self.sigma_rad, pattern, **sizes)
            check_positive(
                "sigma_rad",
                self.sigma_rad,
                "rad",
                "To leave a joint free give it a large sigma; to fix it leave it out of `Unknowns`.",
            )

    def scaled(self, scale: Float[Tensor, "B"]) -> "NearEstimate":
        """Return the prior with sigmas a multiple (B,) as wide."""
        return replace(self, scale=scale if self.scale is None else self.scale * scale)

    def beside_constant(self, state: State, tracks: Tracks) -> "NearEstimate":
        """Return the prior without the constant part of its errors, as a state shows it.

        Args:
            state: B bodies near the solution.
            tracks: Whose frames they are.
        """
        away = rotation.log(self.pose.mT @ state.bodies.pose)
        return replace(self, constant=self.correlation.constant_of(away, tracks, self.share))

    def whole(self) -> "NearEstimate":
        """Return the prior with the constant part in its sigmas, as wide as regressors usually err."""
        return replace(self, scale=None, constant=None)

    def with_root_turned(self, turn: Float[Tensor, "B 3 3"]) -> "NearEstimate":
        """Return the prior around the same estimates with their roots turned by `turn` (B, 3, 3) in the body's axes."""
        return replace(self, pose=torch.cat((self.pose[:, :1] @ turn[:, None].to(self.pose), self.pose[:, 1:]), 1))

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, J_free, 3), unitless, and its Jacobian (B, J_free, 3, P) per unit step."""
        pose = state.bodies.pose
        check_shape("NearEstimate.pose", self.pose, "B J 3 3", B=pose.shape[0], J=pose.shape[1])
        joints = torch.tensor(unknowns.joints, dtype=torch.long, device=pose.device)
        away = rotation.log(self.pose[:, joints].mT @ pose[:, joints])  # (B, J_free, 3) rad
        sigma = posed.body.usual_sigma_rad if self.sigma_rad is None else self.sigma_rad
        sigma = sigma.to(pose)[..., joints, None]  # (J_free, 1) or (B, J_free, 1)
        if self.scale is not None:
            sigma = sigma * self.scale.to(pose)[:, None, None]
        free = unknowns.free_joints(unknowns.joints)
        if free is not None:
            away = torch.where(free[..., None], away, 0.0)
        by_step = rotation.right_jacobian_inverse(away) / sigma[..., None]
        if self.constant is not None:
            change = (1 - self.correlation.constant) ** -0.5
            constant = self.constant[:, joints].to(away)
            constant = constant if free is None else torch.where(free[..., None], constant, 0.0)
            away, by_step = (away - constant) * change, by_step * change
        jacobian = spread(by_step, torch.arange(len(joints)), unknowns)
        return Linearization(away / sigma, jacobian, self.kernel, part=self.share)


@dataclass(frozen=True, eq=False)
class NearTranslation:
    """Pulls the translation back to where an estimate put it.

    Attributes:
        translation: (B, 3) m, the estimate's, in the frame of the bodies.

    Raises:
        InputError: `sigma_m` is not above zero.
    """

    translation: Float[Tensor, "B 3"]
    sigma_m: tuple[float, float, float] = (0.3, 0.3, 1.0)
    """Standard deviation along x, y, z of the camera, m. Wide, a judgement: the image says where a body is
    across the view to a few pixels, and how far away only through its size; this keeps a body without evidence from
    drifting."""
    kernel: Kernel = field(default_factory=LeastSquares)
    correlation: Correlation = REGRESSED
    """How far an estimate's errors hang together over the frames of a track."""
    share: Float[Tensor, "B"] | None = None
    """(B,) share of an independent estimate that each body's is (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        check_shape("translation", self.translation, "B 3")
        check_positive("sigma_m", torch.tensor(self.sigma_m), "m")

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, 3), unitless, and its Jacobian (B, 1, 3, P) per unit step."""
        here = state.bodies.translation
        check_shape("NearTranslation.translation", self.translation, "B 3", B=len(here))
        sigma, world = here.new_tensor(self.sigma_m), state.camera.camera_from_world
        whiten = torch.diag(1 / sigma) if world is None else world[:, :, :3] / sigma[:, None]  # (3, 3) or (B, 3, 3) 1/m
        jacobian = here.new_zeros(len(here), 1, 3, unknowns.size)
        if unknowns.translation:
            jacobian[..., unknowns.translation_columns] = whiten if world is None else whiten[:, None]
        away = here - self.translation
        residual = away / sigma if world is None else (whiten @ away[..., None])[..., 0]
        return Linearization(residual[:, None], jacobian, self.kernel, part=self.share)


def spread(blocks: Float[Tensor, "B N D 3"], slot: Tensor, unknowns: Unknowns) -> Float[Tensor, "B N D P"]:
    """Put one 3-column block per residual in the columns of its joint.

    Args:
        blocks: (B, N, D, 3) derivative of residual n by the step of its own joint.
        slot: (N,) that joint's place among `unknowns.joints`.
        unknowns: The columns.

    Returns:
        (B, N, D, P), zero elsewhere.
    """
    count, rows, width, _ = blocks.shape
    jacobian = blocks.new_zeros(count, rows, width, unknowns.size)
    columns = (3 * slot[:, None] + torch.arange(3, device=slot.device)).to(blocks.device)  # (N, 3)
    jacobian.scatter_(3, columns[None, :, None].expand(count, rows, width, 3), blocks)
    return jacobian
