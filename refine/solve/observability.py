"""Observability: the joints the evidence determines, the bodies without evidence, and those out of sight.

    a joint is freed if  max_axis (information of its step) sigma² >= 1,   information = diag Σ_n w_n J_nᵀ J_n

that is, if its standard deviation from the evidence alone is below `EXTRA_SIGMA_RAD`; for each body by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M
from refine.solve import Solution, StopReason
from refine.solve.normal_equations import NormalEquations, normal_equations
from refine.state import State, Unknowns, choose
from refine.terms import Term, is_correlated

EXTRA_SIGMA_RAD = 0.3
"""Standard deviation of a regressor's fingers, jaw and eyes (see `priors.near_estimate`)."""


@dataclass(frozen=True, eq=False)
class Observed:
    """The evidence of B bodies linearised at a state.

    Attributes:
        unknowns: The columns to solve for: those that some body of the batch needs, with the mask of each body's own.
        seen: (B,) whether some column has information; a body whose evidence is not finite counts as seen.
        whole: Equations of the evidence with independent rows, in these columns.
        shared: Of the correlated evidence.
    """

    unknowns: Unknowns
    seen: Bool[Tensor, "B"]
    whole: NormalEquations
    shared: NormalEquations


def observe(body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns | None = None) -> Observed:
    """Linearise the evidence and choose the columns it determines.

    Args:
        body: The model.
        state: B bodies and cameras.
        terms: The evidence, without priors.
        unknowns: The columns; None: trunk, limbs, shape and translation, and those hands, jaws and eyes that the
            evidence determines.
    """
    count, core = len(body.joint_names), body.anatomy.core_joints
    if unknowns is not None or count <= len(core) or not terms or not len(state):
        unknowns = unknowns or Unknowns(core, body.shape_basis.shape[2], 0, 3)
        unknowns.check_bodies(state.bodies)
        return _observed(_by_kind(body, state, terms, unknowns), unknowns)
    wide = Unknowns(tuple(range(count)), body.shape_basis.shape[2], body.expression_basis.shape[2], 3)
    whole, shared = _by_kind(body, state, terms, wide)
    known = (whole.information + shared.information).diagonal(dim1=-2, dim2=-1)[:, wide.pose_columns]
    clear = known.unflatten(1, (count, 3)).amax(2) * EXTRA_SIGMA_RAD**2 >= 1  # (B, J)
    clear[:, core] = True
    jaw = body.anatomy.expressive
    talks = torch.zeros_like(clear[:, 0]) if jaw is None else clear[:, jaw]  # (B,)
    free = torch.ones(len(state), wide.size, dtype=torch.bool, device=known.device)
    free[:, wide.pose_columns] = clear.repeat_interleave(3, 1)
    free[:, wide.expression_columns] = talks[:, None]
    joints = tuple(joint for joint, needed in enumerate(clear.any(0).tolist()) if needed)
    layout = Unknowns(joints, wide.shape, wide.expression if bool(talks.any()) else 0, 3)
    places = wide.places_of(layout, known.device)
    free = free[:, places]
    unknowns = layout if bool(free.all()) else replace(layout, free=free)
    return _observed((whole.columns(places), shared.columns(places)), unknowns)


def _by_kind(
    body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns
) -> tuple[NormalEquations, NormalEquations]:
    """Return the equations of the independent and of the correlated evidence."""
    shared = [term for term in terms if is_correlated(term)]
    whole = [term for term in terms if not is_correlated(term)]
    return normal_equations(body, state, whole, unknowns), normal_equations(body, state, shared, unknowns)


def _observed(equations: tuple[NormalEquations, NormalEquations], unknowns: Unknowns) -> Observed:
    """Return the equations without columns that do not exist, and which bodies (B,) have any evidence."""
    equations = equations[0].masked(unknowns.free), equations[1].masked(unknowns.free)
    seen = [(each.information.diagonal(dim1=-2, dim2=-1) != 0).any(1) for each in equations]
    return Observed(unknowns, seen[0] | seen[1], *equations)


def choose_unknowns(body: SkinnedBody, state: State, terms: Sequence[Term]) -> Unknowns:
    """Return the columns to solve for; see `observe`."""
    return observe(body, state, terms).unknowns


def check_focal_is_free_for_one(unknowns: Unknowns | None, estimate: Estimate) -> None:
    """Refuse a free focal length where several people share a photo: it would differ between them.

    Raises:
        InputError: Log-focal is a column and two bodies have the same `image_index`.
    """
    if unknowns is not None and unknowns.focal and len(estimate.image_index.unique()) < len(estimate):
        raise InputError(
            "unknowns.focal",
            "0 where several people share a photo",
            "1",
            "Refine them one at a time, or keep the focal length.",
        )


def out_of_sight(estimate: Estimate) -> tuple[StopReason | None, ...]:
    """Return why bodies cannot be refined: unusable numbers, or out of the camera's sight.

    Args:
        estimate: B bodies and cameras.

    Returns:
        For each body UNUSABLE, BEHIND_CAMERA, OUTSIDE_IMAGE, or None where it is seen (or is not finite, which the
        solver reports).
    """
    joints = estimate.joints
    behind = joints[:, 0, 2] <= NEAR_M  # the pelvis: no photo shows a body that straddles the camera
    unusable = estimate.source.unusable
    gone = [False] * len(estimate) if unusable is None else unusable.tolist()
    extent = estimate.camera.size.flip(-1)[:, None]
    pixel = estimate.camera.local.project(joints)
    outside = (pixel < 0).all(1) | (pixel > extent).all(1)  # all joints beyond the same border, (B, 2)
    return tuple(
        StopReason.UNUSABLE if u else StopReason.BEHIND_CAMERA if b else StopReason.OUTSIDE_IMAGE if o else None
        for u, b, o in zip(gone, behind.tolist(), outside.any(1).tolist(), strict=True)
    )


def withhold(
    solution: Solution,
    before: State,
    excluded: Sequence[StopReason | None],
    seen: Bool[Tensor, "B"],
    still: Bool[Tensor, "B"] | None = None,
) -> Solution:
    """Put back the bodies that are out of sight, without evidence or still, and set their stop reasons.

    Args:
        solution: The solver's.
        before: B bodies before it.
        excluded: For each body why it is out of sight, or None.
        seen: (B,) whether it has evidence.
        still: (B,) whether it waits for the last round; None: none does.
    """
    stop = [
        reason or (found if has_evidence else StopReason.NO_EVIDENCE)
        for reason, found, has_evidence in zip(excluded, solution.stop, seen.tolist(), strict=True)
    ]
    keep = seen & torch.tensor([reason is None for reason in excluded], dtype=torch.bool, device=seen.device)
    keep = keep if still is None else keep & ~still
    cost = torch.where(keep, solution.cost, solution.cost_before)
    return replace(
        solution, state=choose(keep, solution.state, before), cost=cost, steps=solution.steps * keep, stop=tuple(stop)
    )
