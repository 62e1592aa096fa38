"""This library on the harm benchmark's evidence: the whole method, with and without its gate.

    mahalanobis = errorᵀ covariance⁻¹ error / columns,   error the step from the result to the truth

Source: `refine.trust`.
"""

import time
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from refine.api import fit_prepared
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate.harm.evidence import CROP_PX, Evidence
from refine.evaluate.harm.outcome import Outcome, everybody
from refine.evaluate.harm.scene import Case
from refine.geometry import rotation
from refine.inputs.prepared import Prepared
from refine.refiner import Refiner
from refine.solve import cholesky
from refine.solve.round import Round
from refine.state import State, Unknowns
from refine.terms import Term
from refine.trust.gate import Gate
from refine.trust.uncertainty import MM_PER_M, Posterior, joint_sigma_mm, posterior


@torch.no_grad()
def ours(case: Case, evidence: Evidence, gate: bool = True, terms: Sequence[Term] = ()) -> Outcome:
    """Refine a case as `refine.fit` would.

    Args:
        case: People and their estimates.
        evidence: What is seen of them.
        gate: Whether updates that are not believed are rolled back.
        terms: Further evidence of the case's bodies.
    """
    refiner = Refiner(
        displacer=evidence.displacer, matching=evidence.matching, crop_px=CROP_PX, gate=Gate() if gate else None
    )
    detections = evidence.detections
    start = time.perf_counter()
    fitted = fit_prepared(Prepared(case.estimate, case.photos, detections), refiner=refiner, evidence=terms)
    seconds = time.perf_counter() - start
    last = fitted.rounds[-1]
    found = posterior(case.estimate.body, last)
    sigma = joint_sigma_mm(case.estimate.body, last.state, found)[:, :BODY_JOINTS] / MM_PER_M
    size = mahalanobis(case.true, last.state, found)
    return Outcome(last.state, accepted_of(last), seconds, sigma, size)


def accepted_of(last: Round) -> Tensor:
    """Return whose update was believed, (B,); everybody's where nobody asked."""
    if not last.verdict:
        return everybody(len(last.state))
    return torch.tensor([verdict.accepted for verdict in last.verdict])


def mahalanobis(true: State, state: State, found: Posterior) -> Float[Tensor, "B"]:
    """Return (B,) errorᵀ covariance⁻¹ error over the columns the covariance knows; NaN where it knows none.

    Args:
        true: B bodies as they are.
        state: B bodies as they were found.
        found: What is said of them.
    """
    error = step_to(state, true, found.unknowns).double()
    sizes = []
    for row in range(len(error)):
        known = found.covariance[row].diagonal().isfinite()
        covariance = found.covariance[row][known][:, known]
        own = error[row][known]
        size = own @ cholesky.solve(covariance[None], own[None, :, None])[0, :, 0] / max(len(own), 1)
        sizes.append(size if len(own) else size.new_tensor(torch.nan))
    return torch.stack(sizes)


def step_to(state: State, true: State, unknowns: Unknowns) -> Float[Tensor, "B P"]:
    """Return the step that leads from bodies to others along the free columns.

    Args:
        state: B bodies.
        true: B others of the same model.
        unknowns: P columns.
    """
    here, there = state.bodies, true.bodies
    joints = torch.tensor(unknowns.joints)
    parts = [rotation.log(here.pose[:, joints].mT @ there.pose[:, joints]).flatten(1)]
    parts.append((there.shape - here.shape)[:, : unknowns.shape])
    parts.append((there.expression - here.expression)[:, : unknowns.expression])
    if unknowns.translation:
        parts.append(there.translation - here.translation)
    if unknowns.focal:
        parts.append((true.camera.focal / state.camera.focal).log().mean(1, keepdim=True))
    return torch.cat(parts, 1)
