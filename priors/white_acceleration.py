"""White acceleration: over time, rotations and the translation change their speed little.

For three rows of a track that follow each other, at times t-, t, t+, with intervals Δ0 = t - t- and Δ1 = t+ - t,

    residual[j] = (log(R_tᵀ R_t+) / Δ1 - log(R_t-ᵀ R_t) / Δ0) / (sigma_rad √((Δ0 + Δ1) / 2))        in frame t
    residual    = ((x_t+ - x_t) / Δ1 - (x_t - x_t-) / Δ0) / (sigma_m √((Δ0 + Δ1) / 2))

The speed between two frames, taken at the middle of their interval, is a random walk: its change from one middle to the
next, (Δ0 + Δ1) / 2 later, has the variance sigma² (Δ0 + Δ1) / 2, whatever the times, and changes are independent. (Of
acceleration that is white at every moment, mean speeds of neighbouring intervals are correlated besides; at frequencies
below half the frame rate the two are the same.) With v = log(R_aᵀ R_b),

    ∂v / ∂step_b = Jr⁻¹(v),     ∂v / ∂step_a = -Jl⁻¹(v) = -Jr⁻¹(v)ᵀ

Source: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, sec. 6.2 (white
noise acceleration); Sola, Deray and Atchuthan, arXiv 1812.01537, eq. 79, 82 and 144 (Jacobians).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_positive, check_shape, check_type
from refine.errors import InputError
from refine.geometry import rotation
from refine.solve.coupling import CoupledLinearization
from refine.state import State, Unknowns
from refine.terms import Huber, Kernel


@dataclass(frozen=True, eq=False)
class WhiteAcceleration:
    """Couples every three rows that follow each other in a track (`Groups.tracks`).

    Attributes:
        sigma_rad: Root of the rotations' power spectral density of acceleration, rad / s^1.5: after a second, a speed
            has changed by this (standard deviation per axis). One number, or one for each of the body's joints.
        sigma_m: The same of the translation, m / s^1.5.

    Raises:
        InputError: A sigma is not above zero, or, when linearised, the unknowns have no tracks.
    """

    sigma_rad: Float[Tensor, "J"] | float = 10.0
    """A judgement: within a tenth of a second a limb's speed changes by 3 rad/s, half of what a fast swing has."""
    sigma_m: float = 3.0
    """A judgement: within a tenth of a second the body's speed changes by 1 m/s, as in a step or a jump."""
    kernel: Kernel = Huber(3.0)
    """Of each rotation and the translation: a blow or a landing is a few sigmas, and no reason to bend the rest."""

    def __post_init__(self) -> None:
        check_type("sigma_rad", self.sigma_rad, float | int | Tensor, "In rad / s^1.5.")
        check_type("sigma_m", self.sigma_m, float | int, "In m / s^1.5.")
        check_positive("sigma_rad", torch.as_tensor(self.sigma_rad), "rad / s^1.5")
        check_positive("sigma_m", torch.tensor(self.sigma_m), "m / s^1.5")

    def couple(self, state: State, unknowns: Unknowns) -> CoupledLinearization:
        """Return residuals (M, J_free + 1, 3), unitless, and their Jacobians in the three rows, per unit step.

        A joint that is not free in one of the three rows is silent.
        """
        if unknowns.groups is None or unknowns.groups.tracks is None:
            raise InputError("unknowns.groups.tracks", "tracks, whose rows are coupled", "none")
        pose, place, tracks = state.bodies.pose, state.bodies.translation, unknowns.groups.tracks
        rows = tracks.windows(3).to(place.device)  # (M, 3)
        time = tracks.time_s.to(place.device)[rows]
        before, after = (time[:, 1] - time[:, 0]).to(place), (time[:, 2] - time[:, 1]).to(place)  # (M,) s
        width = ((before + after) / 2).sqrt()
        joints = torch.tensor(unknowns.joints, dtype=torch.long, device=place.device)
        turns = pose[rows[:, :, None], joints]  # (M, 3, J, 3, 3)
        first, second = (rotation.log(turns[:, i].mT @ turns[:, i + 1]) for i in (0, 1))  # (M, J, 3) rad
        by_second, by_first = rotation.right_jacobian_inverse(second), rotation.right_jacobian_inverse(first)
        sigma = torch.as_tensor(self.sigma_rad).to(place)
        if sigma.dim():
            check_shape("sigma_rad", sigma, "J", J=pose.shape[1])
        sigma = sigma[joints] if sigma.dim() else sigma.expand(len(joints))
        scale = self._free(rows, unknowns).to(place) / (sigma * width[:, None])  # (M, J)
        old, new = scale / before[:, None], scale / after[:, None]
        turning = new[..., None] * second - old[..., None] * first
        parts = (
            old[..., None, None] * by_first.mT,
            -new[..., None, None] * by_second.mT - old[..., None, None] * by_first,
            new[..., None, None] * by_second,
        )
        moved = 1 / (self.sigma_m * width)  # (M,)
        old, new = (moved / before)[:, None], (moved / after)[:, None]
        moving = new * (place[rows[:, 2]] - place[rows[:, 1]]) - old * (place[rows[:, 1]] - place[rows[:, 0]])
        steps = old, -(old + new), new
        residual = torch.cat((turning, moving[:, None]), 1)
        jacobians = tuple(_jacobian(part, step, unknowns) for part, step in zip(parts, steps, strict=True))
        return CoupledLinearization(rows, residual, jacobians, self.kernel)

    @staticmethod
    def _free(rows: Int[Tensor, "M 3"], unknowns: Unknowns) -> Tensor:
        """Return which joints are free in all three rows (M, J_free)."""
        free = unknowns.free_joints(unknowns.joints)
        if free is None:
            return torch.ones(len(rows), len(unknowns.joints), dtype=torch.bool, device=rows.device)
        return free.to(rows.device)[rows].all(1)


def _jacobian(turn: Float[Tensor, "M J 3 3"], move: Float[Tensor, "M 1"], unknowns: Unknowns) -> Tensor:
    """Return the Jacobian (M, J + 1, 3, P) in one row: a block for each joint, and a multiple of one for the place."""
    count, joints = turn.shape[:2]
    jacobian = turn.new_zeros(count, joints + 1, 3, unknowns.size)
    blocks = jacobian[:, :joints, :, unknowns.pose_columns].unflatten(3, (joints, 3)) if joints else None
    if blocks is not None:
        blocks.diagonal(dim1=1, dim2=3).copy_(turn.permute(0, 2, 3, 1))
    if unknowns.translation:
        eye = torch.eye(3, dtype=turn.dtype, device=turn.device)
        jacobian[:, joints, :, unknowns.translation_columns] = move[..., None] * eye
    return jacobian
