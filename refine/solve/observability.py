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
from refine.solve.linearized import Linearized, linearized
from refine.solve.normal_equations import NormalEquations, diagonal, summed
from refine.state import State, Unknowns
from refine.terms import Term, is_correlated

EXTRA_SIGMA_RAD = 0.3
"""Standard deviation of a regressor's fingers, jaw and eyes (see `priors.near_estimate`)."""


@dataclass(frozen=True, eq=False)
class Observed:
    """The evidence of B bodies linearised at a state.

    Attributes:
        unknowns: The columns to solve for: those that some body of the batch needs, with the mask of each body's own.
        seen: (B,) whether some column has information, by couplings that of other rows of its track; a body whose
            evidence is not finite counts as seen.
        evidence: The terms, in these columns.
        whole: Equations of the evidence with independent rows, in these columns.
        shared: Of the correlated evidence.
    """

    unknowns: Unknowns
    seen: Bool[Tensor, "B"]
    evidence: Linearized
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
        evidence = linearized(body, state, terms, unknowns)
        return _observed(evidence, terms)
    wide = Unknowns(tuple(range(count)), body.shape_basis.shape[2], body.expression_basis.shape[2], 3)
    evidence = linearized(body, state, terms, wide)
    known = diagonal(evidence)[:, wide.pose_columns]
    clear = known.unflatten(1, (count, 3)).amax(2) * EXTRA_SIGMA_RAD**2 >= 1  # (B, J)
    clear[:, core] = True
    jaw = body.anatomy.expressive
    talks = torch.zeros_like(clear[:, 0]) if jaw is None else clear[:, jaw]  # (B,)
    free = torch.ones(len(state), wide.size, dtype=torch.bool, device=known.device)
    free[:, wide.pose_columns] = clear.repeat_interleave(3, 1)
    free[:, wide.expression_columns] = talks[:, None]
    joints = tuple(joint for joint, needed in enumerate(clear.any(0).tolist()) if needed)
    layout = Unknowns(joints, wide.shape, wide.expression if bool(talks.any()) else 0, 3)
    free = free[:, wide.places_of(layout, known.device)]
    return _observed(evidence.narrowed(layout if bool(free.all()) else replace(layout, free=free)), terms)


def _observed(evidence: Linearized, terms: Sequence[Term]) -> Observed:
    """Return the equations of the independent and of the correlated terms, and which bodies (B,) have any evidence."""
    both = list(zip(terms, evidence.terms, strict=True))
    parts = [tuple(each for term, each in both if is_correlated(term) is kind) for kind in (False, True)]
    whole, shared = (summed(replace(evidence, terms=part).alone) for part in parts)
    seen = [(each.information.diagonal(dim1=-2, dim2=-1) != 0).any(1) for each in (whole, shared)]
    return Observed(evidence.unknowns, _carried(seen[0] | seen[1], evidence.unknowns), evidence, whole, shared)


def _carried(seen: Bool[Tensor, "B"], unknowns: Unknowns) -> Bool[Tensor, "B"]:
    """Return which rows (B,) have information of their own or, by couplings, of another row of their track."""
    groups = unknowns.groups
    if groups is None or groups.tracks is None or not groups.couplings or not len(seen):
        return seen
    person = groups.tracks.person.to(seen.device)
    names, which = torch.unique(person, return_inverse=True)
    known = seen.new_zeros(len(names)).index_put((which,), seen, accumulate=True)
    return seen | (known[which] & (person >= 0))


def choose_unknowns(body: SkinnedBody, state: State, terms: Sequence[Term]) -> Unknowns:
    """Return the columns to solve for; see `observe`."""
    return observe(body, state, terms).unknowns
