"""Error scales of an estimate and of its evidence, from the evidence itself: two numbers a body.

    s: error of the estimate over regressors' usual error      t: error of the evidence over its stated sigma
    u = step from the estimate,   prior  u ~ N(0, s² inverse(N)),   evidence  |r + J u|² / t²
    n numbers,   H = J'J,   g = J'r
    log p(evidence | s, t) = -n log t - ½ |r|² / t² + Σ_i (½ s² q_i² / t⁴ / (1 + s² h_i / t²) - ½ log(1 + s² h_i / t²))
    h, V: eigenvalues and vectors of L⁻¹ H L⁻ᵀ,   N = L Lᵀ,   q = Vᵀ L⁻¹ g
    log s, log t: their means under that and the priors, on a grid

Good estimates hardly disagree with the evidence: their s is small and the priors around them are narrow. Columns
without a prior around the estimate (the translation) are integrated out: H, g and |r|² are their Schur complement.

Source: MacKay, Bayesian Interpolation, Neural Computation 4(3), 1992, sec. 4 (the evidence for a prior's width and for
the noise).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.solve import cholesky
from refine.solve.linearized import Linearized
from refine.solve.normal_equations import NormalEquations, summed
from refine.solve.observability import Observed
from refine.solve.round import Quality
from refine.state import State, Unknowns
from refine.terms import RelativePrior, Term

USUAL, SPREAD = 0.5, 1.0
"""Median of s and the standard deviation of its logarithm: estimates of 10 to 80 mm PA-MPJPE have 0.13 to 1.0
(`refine.evaluate.disturbance` has the sizes), and lie within 2 of these deviations."""
LEAST, MOST, GRID = 0.02, 2.0, 25
"""Ends and number of the s that are tried, evenly in the logarithm."""
NOISE_SPREAD, LEAST_NOISE, MOST_NOISE, NOISE_GRID = 0.35, 0.6, 4.0, 13
"""Standard deviation of log t, whose median is zero: detectors' sigmas are right within a third. Ends and number of the
t that are tried."""
BEND_FACTOR, BEND_POWER = 1.37, 1.17
"""s <- 1.37 s^1.17: a linear model underestimates large errors. On the benchmark's first set of people with clean
keypoints it finds 0.82, 0.55, 0.36 for weak, medium and strong estimates, which have 1.09, 0.68, 0.41."""
RIDGE = 1e-9
"""Added to what is integrated out, relative to its largest diagonal: a direction may be unobserved."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The evidence around the estimate in the prior's own directions.

    Attributes:
        eigenvalue: (B, Q) h of the module's formula, float64.
        amount: (B, Q) q² of it.
        energy: (B,) |r|² at the estimate.
        count: (B,) n, less the columns that were integrated out.
        around: (B,) whether some prior is around the body's estimate; elsewhere the other numbers are undefined.
    """

    eigenvalue: Float[Tensor, "B Q"]
    amount: Float[Tensor, "B Q"]
    energy: Float[Tensor, "B"]
    count: Float[Tensor, "B"]
    around: Bool[Tensor, "B"]


def split(priors: Sequence[Term]) -> tuple[list[Term], list[Term]]:
    """Return the priors around the estimate, and the others.

    Args:
        priors: Terms that need no image.
    """
    near: list[Term] = [prior for prior in priors if isinstance(prior, RelativePrior)]
    return near, [prior for prior in priors if not isinstance(prior, RelativePrior)]


def scaled(priors: Sequence[Term], scale: Float[Tensor, "B"]) -> list[Term]:
    """Return the priors, those around the estimate wider by a number (B,) above zero for each body.

    Args:
        priors: Terms that need no image.
        scale: (B,) the numbers.
    """
    return [prior.scaled(scale) if isinstance(prior, RelativePrior) else prior for prior in priors]


def usual_width(priors: Sequence[Term]) -> list[Term]:
    """Return the priors as wide as regressors usually err.

    Args:
        priors: At any width.
    """
    wide = (prior.whole() if hasattr(prior, "whole") else prior for prior in priors)
    return [replace(prior, scale=None) if getattr(prior, "scale", None) is not None else prior for prior in wide]  # type: ignore[type-var]


def quality(observed: Observed, priors: Sequence[Term], there: Linearized) -> Quality:
    """Estimate the error scales of B estimates and of their evidence.

    Args:
        observed: The linearised evidence of B bodies, at states that need not be the estimates.
        priors: All priors at their usual width.
        there: The same priors, linearised at the same states in the same columns.

    Returns:
        The scales (B,); one for a body whose evidence is not finite, and where no prior is around the estimate.
        Correlated evidence does not enter the noise: its effective number of rows was fixed when it was built.
    """
    kinds = [(isinstance(prior, RelativePrior), each) for prior, each in zip(priors, there.terms, strict=True)]
    around, rest = (
        summed(replace(there, terms=tuple(each for near, each in kinds if near is kind)).alone)
        for kind in (True, False)
    )
    one = torch.ones_like(observed.whole.count)
    options = {"dtype": torch.float64, "device": one.device}
    scale = torch.logspace(math.log10(LEAST), math.log10(MOST), GRID, **options)  # type: ignore[call-overload]
    grid = torch.logspace(math.log10(LEAST_NOISE), math.log10(MOST_NOISE), NOISE_GRID, **options)  # type: ignore[call-overload]
    usual = -0.5 * ((scale / USUAL).log() / SPREAD).square()
    evidence = _with_constants(observed.whole, there.state, observed.unknowns)
    independent = spectrum(around, evidence, rest)
    if independent is None:
        return Quality(one, one)
    usual_noise = -0.5 * (grid.log() / NOISE_SPREAD).square()
    joint = log_evidence(independent, scale, grid) + usual[:, None] + usual_noise  # (B, G, T)
    noise = torch.where(independent.around & (observed.whole.count > 0), _mean(joint.logsumexp(1), grid), 1.0)
    sound, by_scale = independent.around & independent.energy.isfinite(), joint.logsumexp(2)
    shared = observed.shared.count > 0
    both = None
    if bool(shared.any()):
        both = spectrum(around, evidence.discounted(noise).plus(observed.shared), rest)
    if both is not None:  # a body without correlated evidence keeps the density with the noise integrated out
        density = log_evidence(both, scale, torch.ones(1, **options))[..., 0] + usual  # type: ignore[call-overload]
        by_scale = torch.where(shared[:, None], density, by_scale)
        sound &= both.energy.isfinite() | ~shared
    bent = BEND_FACTOR * _mean(by_scale, scale) ** BEND_POWER
    return Quality(torch.where(sound, bent.clamp(LEAST, MOST), 1.0).to(one), noise.to(one))


def _with_constants(evidence: NormalEquations, state: State, unknowns: Unknowns) -> NormalEquations:
    """Return the evidence of rows by themselves: constants are open, and each row has the whole of their prior.

    Integrated out, they are in the sigmas again. Taken as found, they would explain what the estimate is wrong by.
    """
    where, constants = unknowns.constant_columns, state.constants
    if constants is None or not unknowns.constants:
        return evidence
    information, gradient = evidence.information.clone(), evidence.gradient.clone()
    information[:, where, where] += torch.eye(unknowns.constants).to(information)
    gradient[:, where] += constants.to(gradient)
    return replace(
        evidence,
        information=information,
        gradient=gradient,
        energy=evidence.energy + constants.square().sum(1).to(evidence.energy),
        count=evidence.count + unknowns.constants,
    )


def _mean(logarithm: Float[Tensor, "B G"], grid: Float[Tensor, "G"]) -> Float[Tensor, "B"]:
    """Return the geometric mean of a grid under log densities; one where they are not finite."""
    mean = (logarithm.softmax(1) @ grid.log()).exp()
    return torch.where(mean.isfinite(), mean, 1.0)


def log_evidence(found: Spectrum, scale: Float[Tensor, "G"], noise: Float[Tensor, "T"]) -> Float[Tensor, "B G T"]:
    """Return log p(evidence | s, t) (B, G, T), up to a constant, float64.

    Args:
        found: The evidence of B bodies.
        scale: (G,) errors of the estimate, s.
        noise: (T,) errors of the evidence, t.
    """
    inverse = noise.square().reciprocal()[:, None]  # (T, 1)
    ratio = scale.square()[:, None, None] * inverse  # (G, T, 1)
    known = 1 + ratio * found.eigenvalue[:, None, None]  # (B, G, T, Q)
    explained = (ratio * inverse * found.amount[:, None, None] / known - known.log()).sum(-1)
    alone = found.count[:, None] * noise.log() + 0.5 * found.energy[:, None] * inverse[:, 0]  # (B, T)
    return 0.5 * explained - alone[:, None]


def _is_finite(matrix: Float[Tensor, "B P P"], vector: Float[Tensor, "B P"]) -> Bool[Tensor, "B"]:
    return matrix.isfinite().flatten(1).all(1) & vector.isfinite().all(1)


def spectrum(around: NormalEquations, evidence: NormalEquations, rest: NormalEquations) -> Spectrum | None:
    """Return the evidence around the estimate in the directions of the priors around it; None without such priors.

    Each body has its own columns: those with a prior around the estimate, and those that are integrated out. Other
    columns have a unit diagonal and no evidence, and do not count.

    Args:
        around: Of the priors around the estimate, at their usual width.
        evidence: Of the evidence, linearised at the same state, which need not be the estimate.
        rest: Of the other priors there.
    """
    held = around.information.diagonal(dim1=-2, dim2=-1) > 0  # (B, P)
    if not bool(held.any()):
        return None
    information = (evidence.information + rest.information).double()
    gradient, energy = (evidence.gradient + rest.gradient).double(), evidence.energy.double()
    finite = _is_finite(information, gradient) & energy.isfinite() & _is_finite(around.information, around.gradient)
    # Such a body must not fail the decompositions of the others; its energy NaN marks its numbers as undefined.
    held, energy = held & finite[:, None], torch.where(finite, energy, torch.nan)
    loose = ~held & finite[:, None] & (information.diagonal(dim1=-2, dim2=-1) > 0)
    one, other = (each.any(0).nonzero()[:, 0] for each in (held, loose))
    inside, outside = held[:, one], loose[:, other]  # (B, Q), (B, R)
    core, pull = _block(information, one, one, inside, inside), torch.where(inside, gradient[:, one], 0.0)
    if len(other):
        block = _block(information, other, other, outside, outside)
        cross = _block(information, other, one, outside, inside)
        push = torch.where(outside, gradient[:, other], 0.0)[..., None]
        largest = block.diagonal(dim1=-2, dim2=-1).amax(1, keepdim=True)
        ridge = torch.where(outside, RIDGE * largest, 1.0)
        gone = cholesky.solve(block + torch.diag_embed(ridge), torch.cat((cross, push), 2))
        solved = gone.isfinite().flatten(1).all(1)
        gone, energy = torch.where(solved[:, None, None], gone, 0.0), torch.where(solved, energy, torch.nan)
        energy = energy - (push.mT @ gone[..., -1:])[:, 0, 0]
        core, pull = core - cross.mT @ gone[..., :-1], pull - (cross.mT @ gone[..., -1:])[..., 0]
    width = _block(around.information.double(), one, one, inside, inside) + torch.diag_embed((~inside).double())
    back = torch.where(inside, around.gradient[:, one].double(), 0.0)
    factor, _ = torch.linalg.cholesky_ex(width)
    # The prior's gradient is N u at the state: the evidence at the estimate itself is one step -u away.
    away = torch.cholesky_solve(back[..., None], factor)
    bend = core @ away
    energy = energy - 2 * (pull[:, None] @ away)[:, 0, 0] + (away.mT @ bend)[:, 0, 0]
    pull = pull - bend[..., 0]
    half = torch.linalg.solve_triangular(factor, core, upper=False)
    whitened = torch.linalg.solve_triangular(factor, half.mT, upper=False)
    eigenvalue, vector = torch.linalg.eigh((whitened + whitened.mT) / 2)
    along = (vector.mT @ torch.linalg.solve_triangular(factor, pull[..., None], upper=False))[..., 0]
    count = (evidence.count.double() - outside.sum(1)).clamp(min=1.0)
    return Spectrum(eigenvalue.clamp(min=0), along.square(), energy.clamp(min=0), count, held.any(1))


def _block(matrix: Tensor, rows: Tensor, columns: Tensor, own_rows: Tensor, own_columns: Tensor) -> Tensor:
    """Return a block (B, R, C) of matrices, zero beyond the rows (B, R) and columns (B, C) that are a body's own."""
    return torch.where(own_rows[:, :, None] & own_columns[:, None, :], matrix[:, rows[:, None], columns], 0.0)
