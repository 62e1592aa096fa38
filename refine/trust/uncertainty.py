"""Posterior covariance of the free unknowns, and standard deviations of joints and vertices in millimetres.

    A = N + H / t²,     covariance = A⁻¹ (N + a H / t² + b Σ_k s_k s_kᵀ / t⁴) A⁻¹
    a, b = 0.8, ½; of correlated evidence 3, 1
    t² = max(1, median |r|² / median of χ²)        above one: the evidence is worse than its sigmas
    s_k = Σ_{rows of part k} w J ᵀ r               the score of one part of the body

N: information of the priors, as wide as the estimate is wrong; H: of the evidence, robust weights applied. Errors are
correlated within a part of the body: the sandwich takes the parts, not the pixels, as its independent units. The plain
posterior is added, since fifteen parts cannot span eighty unknowns. What was put back has no evidence, and priors as
wide as regressors usually err. What constant parts of a track's errors add: `refine.trust.level`.
Rows of a track weigh as witnesses of how people move (`Correlation.of_motion`); their covariance is larger by as much
as they weigh more than their share of the level.

Source: Huber, Proc. 5th Berkeley Symp. 1, 1967, and White, Econometrica 50(1), 1982 (sandwich); Liang and Zeger,
Biometrika 73(1), 1986 (clusters as units); Rousseeuw and Croux, JASA 88, 1993 (scale from a median).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.solve import Solution, inverse_information
from refine.solve.normal_equations import normal_equations, row_sizes, summed
from refine.solve.round import Round
from refine.state import State, Unknowns
from refine.terms import Linearization, Term, is_correlated
from refine.terms.witness import overcounted
from refine.trust.level import of_constants
from refine.trust.limbs import free_limbs
from refine.trust.quality import MOST_NOISE, scaled, usual_width
from refine.trust.rows import joint_of_rows, typical
from refine.trust.sizes import columns_of

MM_PER_M = 1000.0
PARTS_SHARE = 0.5
"""b: weight of the sandwich, which is not trusted alone."""
PLAIN_SHARE = 0.8
"""a: weight of the plain posterior, more than a half: at the minimum the score of a part that alone sees a joint is
zero."""
CORRELATED_SHARE = 3.0
"""a of correlated evidence (a network's field), whose error is not only noise but also the share of the displacement
that the network does not report. Fitted to the errors of the benchmark's first set of people."""
BEST_SCALE = 0.13
"""Least error scale of an estimate, that of one of 10 mm PA-MPJPE (`refine.evaluate.disturbance`, "near"): evidence
hardly determines smaller ones."""
CHUNK = 1024
"""Vertices whose Jacobians are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of B bodies after refining.

    Attributes:
        unknowns: The columns.
        covariance: (B, P, P) of a step from the result: rad², unitless, m²; float64; infinite variances where neither
            evidence nor prior determines a column, zero in columns that do not exist for a body.
        noise: (B,) t, typical residual of the evidence in its own sigmas, one or more.
    """

    unknowns: Unknowns
    covariance: Float[Tensor, "B P P"]
    noise: Float[Tensor, "B"]


def posterior(body: SkinnedBody, last: Round) -> Posterior:
    """Return the posterior of a result.

    Args:
        body: The model.
        last: The last round, judged or not, with its evidence and priors; B bodies.
    """
    unknowns, count = last.solution.unknowns, len(last.state)
    parts = max(body.anatomy.core_joints) + 1  # joints beyond (fingers, face) count as the last of them
    updated = _updated(body, last)  # (B, P)
    prior = _prior_information(body, last, updated) + _of_others(body, last, updated)
    linear = last.evidence_at_end(body).terms
    noise = _noise(linear, last.solution)
    variance = noise.double().square()[:, None, None]
    information, spread = torch.zeros_like(prior), torch.zeros_like(prior)
    for term, each in zip(last.evidence, linear, strict=True):
        squared, _ = row_sizes(each)
        # Evidence that is not finite has no information.
        sound = each.residual.isfinite().flatten(1).all(1) & each.jacobian.isfinite().flatten(1).all(1)
        used = (sound[:, None] & (updated > 0))[:, None, None]
        weight = torch.where(sound[:, None], each.kernel.weight(squared), 0.0).double()  # (B, N)
        rows = torch.where(used, each.jacobian, 0.0).double()  # (B, N, D, P)
        if each.discount is not None:
            weight = weight * each.discount.double().square()
        if each.part is not None:
            weight = weight * each.part.double()[:, None]
        residual = torch.where(sound[:, None, None], each.residual, 0.0).double()
        informed = torch.einsum("bn,bndp,bndq->bpq", weight, rows, rows)
        score = torch.einsum("bn,bnd,bndp->bnp", weight, residual, rows)
        by_part = score.new_zeros(count, parts, unknowns.size)
        by_part.scatter_add_(1, joint_of_rows(each, unknowns).clamp(max=parts - 1)[..., None].expand_as(score), score)
        meat = by_part.mT @ by_part
        information += informed
        # Correlated errors reach from one part to the next, which the parts' scores alone do not show.
        spread += (
            CORRELATED_SHARE * informed + meat / variance
            if is_correlated(term)
            else PLAIN_SHARE * informed + PARTS_SHARE * meat / variance
        )
    bread = inverse_information(prior + information / variance, exists=unknowns.free)
    endless = bread.diagonal(dim1=-2, dim2=-1).isinf()
    finite = torch.where(bread.isfinite(), bread, 0.0)
    middle = prior + spread / variance
    covariance = finite @ middle @ finite + torch.diag_embed(torch.where(endless, torch.inf, 0.0).to(bread))
    factor = overcounted((*last.evidence, *last.priors), unknowns)
    if factor is not None:
        covariance = covariance * factor.to(covariance)[:, None, None]
    constants = of_constants(body, last)
    return Posterior(unknowns, covariance if constants is None else covariance + constants, noise)


def joint_sigma_mm(body: SkinnedBody, state: State, found: Posterior) -> Float[Tensor, "B J 3"]:
    """Return the standard deviation of every joint relative to the pelvis, and of the pelvis' own position.

    Args:
        body: The model.
        state: B bodies.
        found: Their posterior.

    Returns:
        (B, J, 3) mm along image-x, image-y and depth.
    """
    _, by_step = pose_body(body, state.bodies).joints_with_jacobian(found.unknowns)
    by_step = torch.cat((by_step[:, :1], by_step[:, 1:] - by_step[:, :1]), 1)
    return _deviation(_in_camera(state, by_step), found.covariance).to(state.bodies.translation)


def vertex_sigma_mm(
    body: SkinnedBody, state: State, found: Posterior, vertices: Int[Tensor, "N"]
) -> Float[Tensor, "B N 3"]:
    """Return the standard deviation of vertices relative to the pelvis.

    Args:
        body: The model.
        state: B bodies.
        found: Their posterior.
        vertices: (N,) indices.

    Returns:
        (B, N, 3) mm along image-x, image-y and depth.
    """
    posed = pose_body(body, state.bodies)
    _, joints = posed.joints_with_jacobian(found.unknowns)
    triangle, corner = _corner_of(body, vertices)
    sigmas = []
    for some, corners in zip(triangle.split(CHUNK), corner.split(CHUNK), strict=True):
        barycentric = torch.nn.functional.one_hot(corners, 3).to(state.bodies.translation)
        many = barycentric.expand(len(state), -1, -1)
        _, moved = posed.surface(some.expand(len(state), -1), many, found.unknowns)
        sigmas.append(_deviation(_in_camera(state, moved - joints[:, :1]), found.covariance))
    empty = state.bodies.translation.new_zeros(len(state), 0, 3)
    return torch.cat([empty.double(), *sigmas], 1).to(state.bodies.translation)


def _in_camera(state: State, by_step: Tensor) -> Tensor:
    """Return a Jacobian (B, N, 3, P) of points of the bodies' frame along the camera's axes."""
    world = state.camera.camera_from_world
    return by_step if world is None else world[:, None, :, :3] @ by_step


def _deviation(by_step: Tensor, covariance: Tensor) -> Tensor:
    """Return standard deviations (B, N, 3) mm from a Jacobian (B, N, 3, P) m and a covariance (B, P, P).

    They are infinite where the variance of a column that moves the point is.
    """
    endless = covariance.diagonal(dim1=-2, dim2=-1).isinf()
    finite = torch.where(covariance.isfinite(), covariance, 0.0)
    rows = by_step.double().flatten(1, 2)
    variance = ((rows @ finite) * rows).sum(-1)
    unobserved = ((rows != 0) & endless[:, None]).any(-1)
    deviation = torch.where(unobserved, torch.inf, variance.clamp(min=0).sqrt() * MM_PER_M)
    return deviation.unflatten(1, (-1, 3))


def _corner_of(body: SkinnedBody, vertices: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each vertex (N,) a triangle it is a corner of, and which of its corners it is."""
    first = body.faces.new_zeros(len(body.template))
    flat = body.faces.flatten()
    first[flat] = torch.arange(len(flat), device=flat.device)
    place = first[vertices]
    return place // 3, place % 3


def _updated(body: SkinnedBody, last: Round) -> Float[Tensor, "B P"]:
    """Return zero in columns that were put back or do not exist for a body, one elsewhere; float64."""
    unknowns, by_name = last.solution.unknowns, free_limbs(body, last.solution.unknowns)
    device = last.solution.cost.device
    accepted = [verdict.accepted for verdict in last.verdict] or [True] * len(last.state)
    updated = torch.tensor(accepted, device=device).double()[:, None].expand(-1, unknowns.size)
    for name, joints in by_name.items():
        kept = torch.tensor([name in verdict.kept for verdict in last.verdict], dtype=torch.bool, device=device)
        if last.verdict:
            updated = torch.where(kept[:, None] & columns_of(joints, unknowns, device), 0.0, updated)
    return updated if unknowns.free is None else updated * unknowns.free


def _prior_information(body: SkinnedBody, last: Round, updated: Tensor) -> Float[Tensor, "B P P"]:
    """Return the priors' information, float64; at their usual width where the estimate was put back."""

    def information(priors: Sequence[Term]) -> Tensor:
        found = normal_equations(body, last.state, priors, last.solution.unknowns).information.double()
        return torch.where(found.isfinite().flatten(1).all(1)[:, None, None], found, 0.0)

    usual = information(usual_width(last.priors))
    narrow = usual
    if last.quality is not None:
        wide = last.quality.scale.clamp(min=BEST_SCALE)
        narrow = information(scaled(usual_width(last.priors), wide))
    both = updated[:, :, None] * updated[:, None, :]
    return both * narrow + (1 - both) * usual


def _of_others(body: SkinnedBody, last: Round, updated: Tensor) -> Float[Tensor, "B P P"]:
    """Return what the other rows of its group say of each row: its marginal's information, less its own; float64."""
    if last.solution.unknowns.groups is None:
        return torch.zeros_like(last.solution.information, dtype=torch.float64)
    own = summed(last.linearized(body)).information.double()
    others = (last.solution.information.double() - own) * updated[:, :, None] * updated[:, None, :]
    value, vector = torch.linalg.eigh(torch.where(others.isfinite().flatten(1).all(1)[:, None, None], others, 0.0))
    return (vector * value.clamp(min=0)[:, None]) @ vector.mT  # what rounding made negative is nothing


def _noise(linear: Sequence[Linearization], solution: Solution) -> Float[Tensor, "B"]:
    """Return t: the largest typical residual of the terms in their own sigmas, at least one."""
    noise = torch.ones_like(solution.cost)
    for each in linear:
        noise = torch.maximum(noise, typical(each).nan_to_num(nan=1.0).to(noise))
    return noise.clamp(max=MOST_NOISE)
