"""Linear Gaussian problems small enough to be solved densely."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from priors import NearEstimate, NearShape, NearTranslation
from refine.body import PosedBody, pose_body
from refine.solve.linearized import linearized
from refine.solve.normal_equations import NormalEquations, normal_equations
from refine.solve.observability import observe
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, LeastSquares, Linearization, Term
from refine.terms.correspondences import Correspondences
from refine.terms.reprojection import Reprojection
from refine.terms.whiten import isotropic
from refine.trust.quality import quality
from tests.synthetic import random_body, random_state

BODY = random_body(joints=8, vertices=40, faces=60, shapes=4)
FREE = Unknowns((1, 2, 3), 2)
EXACT = 1e-8
WIDE = 1e4
"""Standard deviation of a prior that stands for none."""
WIDE_TOLERANCE = 1e-5
"""What a prior of that width still says, and the ridge."""
SCALES = torch.logspace(-1, 0.5, 7, dtype=torch.float64)
NOISES = torch.logspace(-0.3, 0.6, 5, dtype=torch.float64)
HONEST = torch.ones(1, dtype=torch.float64)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_rows(jacobian: Tensor, residual: Tensor) -> NormalEquations:
    """The equations of rows (B, N, P) and residuals (B, N), without robustness."""
    energy = residual.square().sum(1)
    count = torch.full_like(energy, residual.shape[1])
    gradient = (jacobian.mT @ residual[..., None])[..., 0]
    return NormalEquations(jacobian.mT @ jacobian, gradient, 0.5 * energy[:, None], energy, count)


def of_prior(information: Tensor, away: Tensor) -> NormalEquations:
    """The equations of a Gaussian prior with information (B, P, P), a step (B, P) away from its middle."""
    pull = (information @ away[..., None])[..., 0]
    energy = (pull * away).sum(1)
    return NormalEquations(information, pull, 0.5 * energy[:, None], energy, torch.full_like(energy, 1.0))


def inverse(information: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(information))


@dataclass(frozen=True)
class Linear:
    """Evidence that is linear in the step from where it is asked: J and r (B, N) as they are."""

    jacobian: Tensor
    residual: Tensor

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        return Linearization(self.residual[..., None], self.jacobian[:, :, None], LeastSquares())


def toy(count: int, wrong: float, noise: float, seed: int = 0) -> tuple[State, Linear, tuple[Term, ...]]:
    """Estimates that are `wrong` times as wrong as their priors say, seen by evidence `noise` times as noisy as it
    says."""
    state = random_state(BODY, count, seed)
    priors: tuple[Term, ...] = (
        NearEstimate(state.bodies.pose), NearShape(state.bodies.shape), NearTranslation(state.bodies.translation),
    )  # fmt: skip
    width = normal_equations(BODY, state, priors, FREE).information.diagonal(dim1=-2, dim2=-1).rsqrt()
    jacobian = 30 * normal(count, 60, FREE.size, seed=seed + 1)
    step = wrong * width * normal(count, FREE.size, seed=seed + 2)
    residual = -(jacobian @ step[..., None])[..., 0] + noise * normal(count, 60, seed=seed + 3)
    return state, Linear(jacobian, residual), priors


def told(state: State, evidence: Sequence[Term], priors: Sequence[Term]) -> tuple[Tensor, Tensor]:
    found = quality(observe(BODY, state, evidence, FREE), priors, linearized(BODY, state, priors, FREE))
    return found.scale, found.noise


def shared_matches(times: int, kernel: Kernel | None = None) -> tuple[State, Reprojection, Reprojection]:
    """The same matches whole, and each split into `times` shares."""
    kernel, state = kernel or GemanMcClure(3.0), random_state(BODY, 1, 2)
    draw = torch.Generator().manual_seed(3)
    triangle = torch.randint(0, len(BODY.faces), (1, 9), generator=draw)
    barycentric = torch.full((1, 9, 3), 1 / 3, dtype=torch.float64)
    target = state.camera.project(
        pose_body(BODY, state.bodies).surface(triangle, barycentric, Unknowns((), 0, 0, 0))[0]
    )
    target = target + 8 * torch.randn(1, 9, 2, generator=draw, dtype=torch.float64)
    root = isotropic(torch.full((1, 9), 3.0, dtype=torch.float64))
    whole = Correspondences(triangle, barycentric, target, root)
    share = torch.full((1, 9 * times), times**-0.5, dtype=torch.float64)
    parts = Correspondences(
        triangle.repeat(1, times), barycentric.repeat(1, times, 1), target.repeat(1, times, 1),
        root.repeat(1, times, 1, 1) * times**-0.5, share,
    )  # fmt: skip
    return state, Reprojection(whole, kernel), Reprojection(parts, kernel)
