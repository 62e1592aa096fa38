"""What the solver is compared with: Adam and L-BFGS on the same unknowns, residuals and robust cost, by autograd.

Written to be as fast as a careful user would have them (`refine.evaluate.harm.sampled_skin`); the rotations are steps
from the estimate as in the solver.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from refine.evaluate.harm.sampled_skin import vertices_of
from refine.geometry import rotation
from refine.terms import Kernel
from tests.benchmarks._problem import Problem

ADAM_RATES = (3e-3, 1e-2, 3e-2)
ADAM_STEPS = 300
LBFGS_EVALUATIONS = 1000
"""Where L-BFGS is given up."""


class DirectCost:
    """The robust reprojection cost (B,) of a step (B, P) from the estimate, differentiable."""

    def __init__(self, problem: Problem, kernel: Kernel) -> None:
        matches = problem.matches
        self.kernel, self.unknowns, self.camera = kernel, problem.unknowns, problem.estimate.camera
        self.estimate = problem.estimate.bodies
        self.skin = vertices_of(problem.body, problem.body.faces[matches.triangle].flatten(1))
        self.barycentric = matches.barycentric[..., None]  # (B, N, 3, 1)
        self.target, self.root = matches.target, matches.sqrt_information
        self.free = torch.tensor(problem.unknowns.joints)

    def __call__(self, step: Tensor, which: slice = slice(None)) -> Tensor:
        unknowns, bodies = self.unknowns, self.estimate
        turn = rotation.exp(step[:, unknowns.pose_columns].unflatten(1, (-1, 3)))
        pose = bodies.pose[which]
        pose = pose.index_copy(1, self.free, pose[:, self.free] @ turn)
        shape = bodies.shape[which] + step[:, unknowns.shape_columns]
        translation = bodies.translation[which] + step[:, unknowns.translation_columns]
        corners, _ = self.skin(pose, shape, translation, which)
        point = (corners.unflatten(1, (-1, 3)) * self.barycentric[which]).sum(2)
        off = self.camera[which].project(point) - self.target[which]
        residual = (self.root[which] @ off[..., None])[..., 0]
        return 0.5 * self.kernel.rho((residual * residual).sum(-1)).sum(1)


@dataclass(frozen=True)
class Run:
    """How a rival fared.

    Attributes:
        seconds: Time until the target was reached, or until it was given up.
        cost: (B,) best cost.
        reached: Whether the target was reached.
        evaluations: Evaluations of cost and gradient.
    """

    seconds: float
    cost: Tensor
    reached: bool
    evaluations: int


def adam(cost: DirectCost, count: int, rate: float) -> Run:
    """300 steps of Adam; the cost is the best one each body saw."""
    step = torch.zeros(count, cost.unknowns.size, requires_grad=True)
    optimizer = torch.optim.Adam([step], lr=rate)
    best = torch.full((count,), torch.inf)
    start = time.perf_counter()
    for _ in range(ADAM_STEPS):
        optimizer.zero_grad()
        costs = cost(step)
        costs.sum().backward()  # bodies are independent: the gradient of the sum is each one's own
        optimizer.step()
        best = torch.minimum(best, costs.detach())
    return Run(time.perf_counter() - start, best, True, ADAM_STEPS)


class _Reached(Exception):
    """Ends L-BFGS in the evaluation that reaches the target."""


def lbfgs(cost: DirectCost, target: Tensor, which: slice) -> Run:
    """L-BFGS with strong Wolfe line search on the summed cost of some bodies, until the summed target is reached."""
    goal = float(target[which].sum())
    step = torch.zeros(len(target[which]), cost.unknowns.size, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [step],
        max_iter=LBFGS_EVALUATIONS,
        max_eval=LBFGS_EVALUATIONS,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    evaluations, best = 0, torch.full((len(step),), torch.inf)

    def closure() -> Tensor:
        nonlocal evaluations, best
        optimizer.zero_grad()
        costs = cost(step, which)
        total = costs.sum()
        total.backward()
        evaluations += 1
        best = torch.minimum(best, costs.detach())
        if float(total.detach()) <= goal:
            raise _Reached
        return total

    reached = False
    start = time.perf_counter()
    try:
        optimizer.step(closure)
    except _Reached:
        reached = True
    return Run(time.perf_counter() - start, best, reached, evaluations)
