"""Motion: how fast people's joints and pelvis accelerate, at the clip's frame rate, with the tails that motion has.

For three rows of a track that follow each other (`priors.second_differences`), Δ = (Δ0 + Δ1) / 2,

    residual[j] = turning[j] / (Δ scale sigma_rad[j](Δ) √(ν / (ν + 3))),    kernel Student's t, ν = degrees[j](Δ)
    residual    = moving     / (Δ scale sigma_m(Δ)      √(ν / (ν + 3)))

Speed itself costs nothing. Sigma falls as the interval grows, since a long interval averages; both are tables over the
interval, measured on recorded people. A Gaussian of the same variance would take the peaks of fast swings, which are
rare and large; Student's t says so: its weight falls as (ν + 3) / (ν + 3 + s).

What is no motion is not coupled: rows further apart than the table reaches, and joints that turn by nearly π in one
step (`broken`), as where an estimate swaps sides or a clip is cut.

Source: the table's file (`priors/data/README.md`); Student's t: `refine.terms.student_t`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from priors.motion_file import MotionTable, read_motion_table
from priors.prior_file import FOLDER
from priors.second_differences import columns_of, triples
from refine.check import check_positive, check_shape, check_type
from refine.geometry import rotation
from refine.solve.coupling import CoupledLinearization
from refine.state import State, Tracks, Unknowns
from refine.terms.student_t import StudentT, core

MOST_STEP_RAD = 2.6
"""A joint that turns by more between two frames is cut or swapped, not moved: 150 degrees, where the direction of the
turn is a guess; the fastest recorded joint turns by 60 in a thirtieth of a second."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Couples every three rows that follow each other in a track (`Groups.tracks`).

    Attributes:
        table: Sigmas and tails of the body's J joints and of the translation, over the interval.
        scale: (B,) multiple of the sigmas in each row's track; None: one.
        broken: (B, J) whether the step to a row from the one before is no motion; None: nowhere.

    Raises:
        InputError: A scale is not above zero, or, when linearised, the unknowns have no tracks, or the joints
            are another body's.
    """

    table: MotionTable
    scale: Float[Tensor, "B"] | None = None
    broken: Bool[Tensor, "B J"] | None = None

    def __post_init__(self) -> None:
        check_type("table", self.table, MotionTable, "priors.motion.motion_of(body.joint_names)")
        if self.scale is not None:
            check_positive("scale", self.scale, "unitless")

    def scaled(self, scale: Float[Tensor, "B"]) -> "Motion":
        """Return the coupling with sigmas a multiple (B,) as wide."""
        return replace(self, scale=scale if self.scale is None else self.scale * scale)

    def couple(self, state: State, unknowns: Unknowns) -> CoupledLinearization:
        """Return residuals (M, J_free + 1, 3), unitless, and Jacobians in the three rows, in three columns each.

        A joint that is not free in one of the three rows is a constant there; one that is in none is silent.
        """
        place, three = state.bodies.translation, triples(state, unknowns, fixed=True)
        check_shape("motion.table", self.table.sigma, "D N", N=state.bodies.pose.shape[1] + 1)
        joints = torch.tensor((*unknowns.joints, -1), dtype=torch.long, device=place.device)
        sigma, degrees = (each.to(place)[:, joints] for each in self.table.at(three.middle.double().cpu()))  # (M, N)
        tail = degrees.median(0).values if len(degrees) else degrees.new_ones(len(joints))  # one a joint
        factor = 1 / (three.middle[:, None] * sigma * core(tail))
        if self.scale is not None:
            factor = factor / self.scale.to(place)[three.rows[:, 1], None]
        far = torch.maximum(three.before, three.after) > self.table.longest_s
        factor = factor.masked_fill(far[:, None], 0.0)
        if self.broken is not None:
            broken = torch.nn.functional.pad(self.broken.to(place.device), (0, 1))[:, joints]
            factor = factor.masked_fill(broken[three.rows[:, 1]] | broken[three.rows[:, 2]], 0.0)
        whole = three.weighted(state, unknowns, factor[:, :-1], factor[:, -1])
        return CoupledLinearization(three.rows, *whole, StudentT(tail), columns=columns_of(unknowns, place.device))


@cache
def shipped_table() -> MotionTable:
    """Return the table that ships with the library."""
    return read_motion_table(FOLDER / "motion.safetensors")


def motion_of(joint_names: Sequence[str], table: MotionTable | None = None) -> Motion:
    """Return the coupling for a body.

    Args:
        joint_names: Of the body; a joint the table lacks (fingers, a tail) moves like the median of those it has.
        table: Of measured joints; None: the one that ships with the library.
    """
    return Motion((table or shipped_table()).of(joint_names))


def breaks(state: State, tracks: Tracks) -> Bool[Tensor, "B J"]:
    """Return which joints turn by nearly π from the row before in their track: no motion.

    Args:
        state: B rows.
        tracks: Who they are.
    """
    pose = state.bodies.pose
    found = torch.zeros(pose.shape[:2], dtype=torch.bool, device=pose.device)
    pairs = tracks.windows(2).to(pose.device)
    turn = rotation.log(pose[pairs[:, 0]].mT @ pose[pairs[:, 1]]).norm(dim=-1)  # (M, J) rad
    found[pairs[:, 1]] = turn > MOST_STEP_RAD
    return found
