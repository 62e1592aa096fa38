"""Rows that share columns and are coupled, small enough to be solved densely: the same problem in one vector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import OptimizeResult, least_squares
from torch import Tensor

from priors import GaussianShape, NearEstimate, NearFocal, NearTranslation, WhiteAcceleration
from refine import batch
from refine.body import pose_body
from refine.geometry import rotation
from refine.solve.coupling import CoupledLinearization, couple
from refine.state import Groups, State, Tracks, Unknowns
from refine.terms import AnalyticTerm, Huber, Kernel, LeastSquares, Term
from refine.terms.constants import ConstantPart, UnitConstants
from refine.terms.keypoints import keypoints_from_sigma
from tests.synthetic import random_body, random_state

BODY = random_body(joints=6, vertices=30, faces=30, shapes=3, seed=2)
FIVE = BODY.keypoint_set("five")
NOBODY = -1


@dataclass(frozen=True)
class Problem:
    """B rows: where the search starts, terms, and columns with groups."""

    state: State
    terms: list[Term]
    unknowns: Unknowns


def draw(count: int, groups: Groups | None, noise_px: float = 1.0, seed: int = 0, robust: bool = True) -> Problem:
    """Keypoints of people whose shape and camera are the same, moving a little, and priors."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    one = random_state(BODY, 1, seed=1)[[0] * count]
    drift = torch.linspace(0, 1, count, dtype=torch.float64)[:, None, None] * 0.3 * normal(1, 6, 3)
    pose = one.bodies.pose @ rotation.exp(drift + 0.02 * normal(count, 6, 3))
    place = one.bodies.translation + 0.02 * normal(count, 3).cumsum(0)
    true = State(replace(one.bodies, pose=pose, translation=place), one.camera)
    pixel = true.camera.project(pose_body(BODY, true.bodies).keypoints(FIVE))
    pixel = pixel + noise_px * normal(*pixel.shape)
    constants = 0 if groups is None or groups.constants is None else 2 * len(FIVE.names)
    unknowns = Unknowns((0, 1, 3), 3, 0, 3, 1, constants, groups=groups)
    true = replace(true, constants=pixel.new_zeros(count, constants)) if constants else true
    start = true.retract(replace(unknowns, groups=None), 0.1 * normal(count, unknowns.size))
    sigma = torch.full(pixel.shape[:2], max(noise_px, 0.1), dtype=torch.float64)
    kernel = Huber(2.0) if robust else LeastSquares()
    part = ConstantPart(0, len(FIVE.names), 0.4) if constants else None
    terms: list[Term] = [
        replace(keypoints_from_sigma(FIVE, pixel, sigma), kernel=kernel, constant=part),
        NearEstimate(start.bodies.pose, torch.full((6,), 0.2, dtype=torch.float64)),
        NearTranslation(start.bodies.translation),
        GaussianShape(),
        NearFocal(start.camera.focal, 0.1),
        *([UnitConstants()] if constants else []),
    ]
    return Problem(start, terms, unknowns)


def mixed(constants: bool = False) -> Groups:
    """Two tracks of four and three rows with a gap, a row alone, one with a shape shared across; three cameras.

    With `constants`, the points' errors have a part that is the same in all rows of a track.
    """
    person = torch.tensor([0, 0, 1, 0, 1, 0, 1, NOBODY, NOBODY])
    time = torch.tensor([0.3, 0.0, 0.0, 0.1, 0.2, 0.8, 0.25, 0.0, 0.0], dtype=torch.float64)
    return Groups(
        shape=torch.tensor([5, 5, 7, 5, 7, 5, 7, 7, NOBODY]),
        focal=torch.tensor([0, 0, 0, 0, 0, 0, 0, 1, 1]),
        constants=person if constants else None,
        tracks=Tracks(person, time),
        couplings=(WhiteAcceleration(2.0, 1.0, Huber(1.0)),),
    )


def shared_columns(unknowns: Unknowns) -> dict[str, slice]:
    """The columns that rows may share, by the name of their labels."""
    return {
        "shape": unknowns.shape_columns,
        "focal": unknowns.focal_column,
        "constants": unknowns.constant_columns,
    }


def choice(unknowns: Unknowns, count: int) -> Tensor:
    """The matrix (B, P, V) from all values there are, each shared one once, to the columns of every row."""
    groups, names = unknowns.groups, dict[tuple[object, ...], int]()
    places = torch.zeros(count, unknowns.size, dtype=torch.long)
    for row in range(count):
        for column in range(unknowns.size):
            label: object = ("row", row)
            for kind, columns in shared_columns(unknowns).items():
                labels = None if groups is None else getattr(groups, kind)
                if labels is not None and columns.start <= column < columns.stop and int(labels[row]) >= 0:
                    label = (kind, int(labels[row]))
            places[row, column] = names.setdefault((label, column), len(names))
    return torch.nn.functional.one_hot(places, len(names)).double()


def dense(problem: Problem, information: Tensor, gradient: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """The normal matrix and gradient of all values, from the rows' and by one large Jacobian of each coupling."""
    select = choice(problem.unknowns, len(state))
    matrix = torch.einsum("bpv,bpq,bqw->vw", select, information.double(), select)
    slope = torch.einsum("bpv,bp->v", select, gradient.double())
    groups = problem.unknowns.groups
    for each in couple(groups.couplings if groups else (), state, problem.unknowns):
        whole = large_jacobian(each, select)
        matrix = matrix + torch.einsum("mndv,mn,mndw->vw", whole, each.weight, whole)
        slope = slope + torch.einsum("mndv,mn,mnd->v", whole, each.weight, each.residual)
    return matrix, slope


def large_jacobian(linear: CoupledLinearization, select: Tensor) -> Tensor:
    return torch.stack(
        [
            sum(each[m] @ select[linear.rows[m, i]] for i, each in enumerate(linear.whole(select.shape[1]).jacobians))
            for m in range(len(linear.rows))
        ]  # type: ignore[misc]
    )


def residuals(problem: Problem, step: Tensor) -> tuple[Tensor, Tensor]:
    """All residuals after a step of all values (V,), scaled so that half their squares sum to the robust cost, and
    their Jacobian by a step from there."""
    select = choice(problem.unknowns, len(problem.state))
    moved = problem.state.retract(problem.unknowns, select @ step)
    posed, groups = pose_body(BODY, moved.bodies), problem.unknowns.groups
    parts: list[tuple[Tensor, Tensor]] = []
    for term in problem.terms:
        assert isinstance(term, AnalyticTerm)
        linear = term.linearize(moved, posed, problem.unknowns)
        whole = torch.einsum("bndp,bpv->bndv", linear.jacobian, select)
        share = torch.ones_like(linear.residual[..., 0]) if linear.share is None else linear.share
        parts.append(scaled(linear.residual, whole, share, linear.kernel))
    for each in couple(groups.couplings if groups else (), moved, problem.unknowns):
        one = torch.ones_like(each.residual[..., 0])
        parts.append(scaled(each.residual, large_jacobian(each, select), one, each.kernel))
    return torch.cat([one for one, _ in parts]), torch.cat([other for _, other in parts])


def scaled(residual: Tensor, jacobian: Tensor, share: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """A residual times √(ρ(s) / s), and its Jacobian, flat."""
    squared = (residual.square().sum(-1) / share.square()).clamp(min=1e-100)
    root = (kernel.rho(squared) / squared).sqrt()
    slope = (kernel.weight(squared) * squared - kernel.rho(squared)) / (2 * root * squared.square())
    along = torch.einsum("bnd,bndv->bnv", residual, jacobian) * (2 * slope / share.square())[..., None]
    whole = root[..., None, None] * jacobian + residual[..., None] * along[:, :, None]
    return (root[..., None] * residual).flatten(), whole.flatten(0, 2)


def by_scipy(problem: Problem) -> OptimizeResult:
    """The minimum by scipy, the start the best point so far: rotations are never far from where they are linearised."""
    best, state = None, problem.state
    for _ in range(4):
        here = replace(problem, state=state)
        size = choice(problem.unknowns, len(state)).shape[2]
        best = least_squares(
            lambda step, here=here: residuals(here, torch.from_numpy(step))[0].numpy(),
            np.zeros(size),
            jac=lambda step, here=here: derivative(here, torch.from_numpy(step)).numpy(),
            xtol=1e-13, ftol=1e-13, gtol=1e-13, max_nfev=100,
        )  # fmt: skip
        state = state.retract(problem.unknowns, choice(problem.unknowns, len(state)) @ torch.from_numpy(best.x))
    assert best is not None
    return best


def derivative(problem: Problem, step: Tensor) -> Tensor:
    """The residuals' derivative by the step itself: exp(step + d) = exp(step) exp(Jr d)."""
    select = choice(problem.unknowns, len(problem.state))
    columns, rows = problem.unknowns.pose_columns, select @ step
    turn = rotation.right_jacobian(rows[:, columns].unflatten(1, (-1, 3)))  # (B, J, 3, 3)
    by = torch.eye(problem.unknowns.size, dtype=torch.float64).repeat(len(rows), 1, 1)
    for joint in range(turn.shape[1]):
        at = slice(3 * joint, 3 * joint + 3)
        by[:, at, at] = turn[:, joint]
    whole = residuals(problem, step)[1]
    # Values of rotations belong to one row each: the change of variables is block-diagonal.
    change = torch.einsum("bpv,bpq,bqw->vw", select, by, select)
    times = select.sum((0, 1))  # rows that share a value: their unit entries add
    return whole @ (change / times[:, None])


def part(problem: Problem, rows: Sequence[int]) -> Problem:
    """Some of the rows; keypoints, priors and labels go with them."""
    index = list(rows)
    terms = [batch.rows(term, index) for term in problem.terms]
    return Problem(problem.state[index], terms, batch.rows(problem.unknowns, index))
