"""The solution of a batch of bodies, and for each body the reason the solver stopped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.batch import PER_ROW, in_one_line
from refine.solve.linearized import Linearized
from refine.solve.verdict import Decision, Verdict
from refine.state import State, Unknowns

__all__ = [
    "SOLVED",
    "STOP_REASONS",
    "UNOBSERVED_SHARE",
    "UNSOLVED",
    "Decision",
    "Solution",
    "StopReason",
    "Verdict",
    "inverse_information",
    "reasons",
]


class StopReason(Enum):
    """How the solver ended on a body; the value is a sentence for the user.

    Whether the update is accepted is in the verdict: a minimum may be of another person's evidence.
    """

    CONVERGED = "The cost no longer falls: this is a minimum."
    STEP_LIMIT = "The step limit came first: allow more steps if the last ones still lowered the cost."
    STALLED = "No step lowers the cost any further: evidence and priors are balanced, or the evidence is contradictory."
    NO_EVIDENCE = (
        "No evidence was given or visible: the estimate is returned as it came. Give keypoints, or another source."
    )
    NOT_FINITE = "The cost is not finite at the start: look at this body's pose, translation and evidence."
    BEHIND_CAMERA = (
        "The body lies behind the camera: check the translation's sign and the camera convention (OpenCV: +z forward)."
    )
    OUTSIDE_IMAGE = "The body lies outside the photo: check the camera, or that this estimate belongs to this photo."
    UNUSABLE = (
        "The estimate has no usable numbers for this person (NaN, or a place where no camera sees anybody): "
        "left as it came."
    )


STOP_REASONS = tuple(StopReason)
"""In the order of the codes kept while solving."""

SOLVED = (StopReason.CONVERGED, StopReason.STEP_LIMIT, StopReason.STALLED)
"""The solver ran on the body."""

UNSOLVED = tuple(reason for reason in StopReason if reason not in SOLVED)
"""The solver did not start: the estimate is returned unchanged, without an update."""


def reasons(codes: Int[Tensor, "B"]) -> tuple[StopReason, ...]:
    """Return the stop reasons of a tensor of codes (B,)."""
    return tuple(STOP_REASONS[int(code)] for code in codes.tolist())


@dataclass(frozen=True, eq=False)
class Solution:
    """The best state of a batch of bodies, with its cost and normal matrix.

    Attributes:
        state: The best state of each body.
        unknowns: The columns that were free.
        cost_before: (B,) robust cost at the start.
        cost: (B,) robust cost at the end.
        cost_by_term_before: (B, T) the start's parts, in the order of the terms.
        cost_by_term: (B, T) the end's.
        term_names: T names of the terms' classes.
        steps: (B,) accepted steps.
        stop: B reasons, of the solver alone.
        information: (B, P, P) undamped normal matrix at the end, robust weights applied, per unit step squared; of a
            row in a group (`Unknowns.groups`) the information of its marginal, all else of its group eliminated,
            or of its own terms where `LevenbergMarquardt.marginals` is false, as in rounds that another one follows.
        linear: The terms linearised at the end; None: the state is no longer the solver's.
    """

    state: State
    unknowns: Unknowns
    cost_before: Float[Tensor, "B"]
    cost: Float[Tensor, "B"]
    cost_by_term_before: Float[Tensor, "B T"]
    cost_by_term: Float[Tensor, "B T"]
    term_names: tuple[str, ...]
    steps: Int[Tensor, "B"]
    stop: Sequence[StopReason] = field(metadata=PER_ROW)
    information: Float[Tensor, "B P P"]
    linear: Linearized | None = field(default=None, repr=False)

    __repr__ = in_one_line

    def covariance(self, rank_tolerance: float = 1e-9) -> Float[Tensor, "B P P"]:
        """Return the undamped posterior covariance of a step.

        Directions that neither evidence nor prior observes have infinite variance: every column with a part in such a
        direction gets an infinite variance and no covariance with others, instead of a silently small one. Columns that
        do not exist for a body (`Unknowns.free`) have zero variance.

        Args:
            rank_tolerance: Eigenvalues of the normal matrix, scaled to unit diagonal, below this times P are zero;
                where the matrix was summed in float32, its rounding is the least tolerance.

        Returns:
            (B, P, P), in squared units of the columns (rad², unitless, m²), float64.
        """
        return inverse_information(self.information, rank_tolerance, self.unknowns.free)


UNOBSERVED_SHARE = 1e-6
"""A column with more than this squared part in an unobserved direction is itself unobserved."""


def inverse_information(
    information: Float[Tensor, "B P P"], rank_tolerance: float = 1e-9, exists: Bool[Tensor, "B P"] | None = None
) -> Float[Tensor, "B P P"]:
    """Return the covariance of information matrices; infinite variances in unobserved directions.

    Args:
        information: (B, P, P), per unit step squared.
        rank_tolerance: As for `Solution.covariance`.
        exists: (B, P) which columns exist for each body, zero variance elsewhere; None: all.

    Returns:
        (B, P, P) float64.
    """
    least, information = information.dtype, information.double()
    if exists is None:
        exists = torch.ones_like(information[..., 0], dtype=torch.bool)
    scale = information.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
    seen = scale > 0
    inverse_scale = torch.where(seen, 1 / scale.clamp(min=torch.finfo(torch.float64).tiny), torch.zeros_like(scale))
    scaled = information * inverse_scale[:, :, None] * inverse_scale[:, None, :]
    scaled = scaled + torch.diag_embed((~seen).double())  # keep unseen columns out of the other eigenvectors
    value, vector = torch.linalg.eigh(scaled)
    tolerance = max(rank_tolerance, torch.finfo(least).eps)
    observed = value > tolerance * exists.sum(1, keepdim=True)
    inverse = torch.where(observed, 1 / value.clamp(min=torch.finfo(torch.float64).tiny), torch.zeros_like(value))
    covariance = (vector * inverse[:, None, :]) @ vector.mT
    unseen_share = ((vector * vector) * (~observed)[:, None, :]).sum(-1)
    endless = ((unseen_share > UNOBSERVED_SHARE) | ~seen) & exists
    covariance = covariance * inverse_scale[:, :, None] * inverse_scale[:, None, :]
    covariance = covariance.masked_fill(endless[:, :, None] | endless[:, None, :], 0.0)
    return covariance + torch.diag_embed(torch.where(endless, torch.inf, 0.0).to(covariance))
