"""Changes of speed over three rows of a track that follow each other, and their Jacobians.

    turning[j] = log(R_tᵀ R_t+) / Δ1 - log(R_t-ᵀ R_t) / Δ0        rad/s, in frame t
    moving     = (x_t+ - x_t) / Δ1 - (x_t - x_t-) / Δ0            m/s

with the intervals Δ0 = t - t-, Δ1 = t+ - t. With v = log(R_aᵀ R_b),

    ∂v / ∂step_b = Jr⁻¹(v),     ∂v / ∂step_a = -Jl⁻¹(v) = -Jr⁻¹(v)ᵀ

Source: Sola, Deray and Atchuthan, arXiv 1812.01537, eq. 79, 82 and 144.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns


@dataclass(frozen=True, eq=False)
class Triples:
    """Every three rows that follow each other in a track.

    Attributes:
        rows: (M, 3) their numbers.
        before: (M,) s, from the first to the second.
        after: (M,) s, from the second to the third.
        free: (M, J_free) joints that are coupled.
    """

    rows: Int[Tensor, "M 3"]
    before: Float[Tensor, "M"]
    after: Float[Tensor, "M"]
    free: Tensor

    @property
    def middle(self) -> Float[Tensor, "M"]:
        """(M,) s between the middles of the two intervals."""
        return (self.before + self.after) / 2

    def weighted(
        self, state: State, unknowns: Unknowns, by_joint: Float[Tensor, "M J"], by_place: Float[Tensor, "M"]
    ) -> tuple[Float[Tensor, "M N 3"], tuple[Float[Tensor, "M N 3 3"], ...]]:
        """Return the changes of speed, each times a factor, and their Jacobians in the three rows, N = J_free + 1.

        A joint's depend on its own three columns, the translation's, the last, on its (`columns_of`).

        Args:
            state: B rows.
            unknowns: The columns.
            by_joint: (M, J_free) factors of the joints; one that is not coupled is silent.
            by_place: (M,) of the translation.
        """
        pose, place, rows = state.bodies.pose, state.bodies.translation, self.rows
        joints = torch.tensor(unknowns.joints, dtype=torch.long, device=place.device)
        turns = pose[rows[:, :, None], joints]  # (M, 3, J, 3, 3)
        first, second = (rotation.log(turns[:, i].mT @ turns[:, i + 1]) for i in (0, 1))  # (M, J, 3) rad
        by_second, by_first = rotation.right_jacobian_inverse(second), rotation.right_jacobian_inverse(first)
        scale = self.free.to(place) * by_joint
        old, new = scale / self.before[:, None], scale / self.after[:, None]
        turning = new[..., None] * second - old[..., None] * first
        parts = (
            old[..., None, None] * by_first.mT,
            -new[..., None, None] * by_second.mT - old[..., None, None] * by_first,
            new[..., None, None] * by_second,
        )
        old, new = (by_place / self.before)[:, None], (by_place / self.after)[:, None]
        moving = new * (place[rows[:, 2]] - place[rows[:, 1]]) - old * (place[rows[:, 1]] - place[rows[:, 0]])
        steps = old, -(old + new), new
        eye = torch.eye(3, dtype=place.dtype, device=place.device) * float(unknowns.translation > 0)
        jacobians = tuple(
            torch.cat((part, step[..., None, None] * eye), 1) for part, step in zip(parts, steps, strict=True)
        )
        return torch.cat((turning, moving[:, None]), 1), jacobians


def triples(state: State, unknowns: Unknowns, *, fixed: bool = False) -> Triples:
    """Return the rows that follow each other, of B rows.

    Args:
        state: B rows.
        unknowns: The columns.
        fixed: Whether a joint that is free in some of the three rows is coupled to where it is fixed in the others;
            else it must be free in all three.

    Raises:
        InputError: The unknowns have no tracks, or two rows of a track have the same time.
    """
    if unknowns.groups is None or unknowns.groups.tracks is None:
        raise InputError("unknowns.groups.tracks", "tracks, whose rows are coupled", "none")
    place, tracks = state.bodies.translation, unknowns.groups.tracks
    rows = tracks.windows(3).to(place.device)  # (M, 3)
    time = tracks.time_s.to(place.device)[rows]
    free = unknowns.free_joints(unknowns.joints)
    free = (
        torch.ones(len(rows), len(unknowns.joints), dtype=torch.bool, device=rows.device)
        if free is None
        else free.to(rows.device)[rows].any(1)
        if fixed
        else free.to(rows.device)[rows].all(1)
    )
    return Triples(rows, (time[:, 1] - time[:, 0]).to(place), (time[:, 2] - time[:, 1]).to(place), free)


def columns_of(unknowns: Unknowns, device: torch.device) -> Int[Tensor, "N 3"]:
    """Return the columns of each free joint and, last, of the translation (not free: any, it has no slope)."""
    count = len(unknowns.joints)
    start = unknowns.translation_columns.start if unknowns.translation else 0
    first = torch.tensor([*range(0, 3 * count, 3), start], device=device)
    return (first[:, None] + torch.arange(3, device=device)).clamp(max=max(unknowns.size - 1, 0))
