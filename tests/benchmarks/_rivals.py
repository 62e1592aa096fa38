"""What the solver is compared with: Adam and L-BFGS on the same unknowns, residuals and robust cost, by reverse-mode autograd.

Written to be as fast as a careful user would have them: only the sampled points are skinned, everything that does not depend on
the unknowns is gathered once, the tree is walked level by level, and the rotations are steps from the estimate as in the solver.
"""

import time
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from refine import rotation
from refine.terms import Kernel
from tests.benchmarks._problem import Problem

ADAM_RATES = (3e-3, 1e-2, 3e-2)
ADAM_STEPS = 300
LBFGS_EVALUATIONS = 1000
"""Where L-BFGS is given up."""


class DirectCost:
    """The robust reprojection cost (B,) of a step (B, P) from the estimate, differentiable."""

    def __init__(self, problem: Problem, kernel: Kernel) -> None:
        body, estimate, matches = problem.body, problem.estimate, problem.matches
        count, points = matches.triangle.shape
        corner = body.faces[matches.triangle].flatten(1)  # (B, 3 N)
        self.kernel, self.unknowns, self.camera = kernel, problem.unknowns, estimate.camera
        self.estimate = estimate.bodies
        self.weights = torch.zeros(count, 3 * points, len(body.joint_names))  # (B, 3 N, J)
        self.weights.scatter_add_(2, body.weight_joints[corner], body.weight_values[corner])
        self.rest = body.template[corner]  # (B, 3 N, 3)
        self.basis = body.shape_basis[corner].flatten(1, 2)  # (B, 9 N, S)
        self.barycentric = matches.barycentric[..., None]  # (B, N, 3, 1)
        self.target, self.root = matches.target, matches.sqrt_information
        self.joint_template, self.joint_basis = body.joint_template, body.joint_basis.flatten(0, 1)
        # The joints of one depth of the tree are moved together; `order` puts their results back into the body's order.
        parents = body.parents.tolist()
        depth = [0] * len(parents)
        for joint, parent in enumerate(parents[1:], 1):
            depth[joint] = depth[parent] + 1
        by_depth = [[j for j in range(len(parents)) if depth[j] == level] for level in range(max(depth) + 1)]
        self.order = torch.tensor([j for level in by_depth for j in level]).argsort()
        self.levels = []
        for above, level in pairwise(by_depth):
            place = torch.tensor([above.index(parents[j]) for j in level])
            self.levels.append((torch.tensor(level), torch.tensor([parents[j] for j in level]), place))
        self.free = torch.tensor(problem.unknowns.joints)

    def __call__(self, step: Tensor, which: slice = slice(None)) -> Tensor:
        unknowns, bodies = self.unknowns, self.estimate
        turn = rotation.exp(step[:, unknowns.pose_columns].unflatten(1, (-1, 3)))
        pose = bodies.pose[which]
        pose = pose.index_copy(1, self.free, pose[:, self.free] @ turn)
        shape = bodies.shape[which] + step[:, unknowns.shape_columns]
        translation = bodies.translation[which] + step[:, unknowns.translation_columns]
        joints = self.joint_template + (shape @ self.joint_basis.mT).unflatten(1, (-1, 3))  # (B, J, 3) at rest
        rotations = [pose[:, :1]]
        places = [(joints[:, 0] + translation)[:, None]]
        for level, parent, place in self.levels:
            above = rotations[-1][:, place]
            rotations.append(above @ pose[:, level])
            bone = joints[:, level] - joints[:, parent]
            places.append(places[-1][:, place] + (above @ bone[..., None])[..., 0])
        rotation_by_joint = torch.cat(rotations, 1)[:, self.order]
        place_by_joint = torch.cat(places, 1)[:, self.order]
        offset = place_by_joint - (rotation_by_joint @ joints[..., None])[..., 0]
        motion = torch.cat((rotation_by_joint, offset[..., None]), -1).flatten(2)  # (B, J, 12)
        blended = (self.weights[which] @ motion).unflatten(2, (3, 4))  # (B, 3 N, 3, 4)
        rest = self.rest[which] + (self.basis[which] @ shape[..., None])[..., 0].unflatten(1, (-1, 3))
        corners = (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]
        point = (corners.unflatten(1, (-1, 3)) * self.barycentric[which]).sum(2)
        camera = self.camera[which]
        off = camera.project(point) - self.target[which]
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
