"""Rows that are solved together, against the same problem as one dense matrix and against scipy."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from priors import WhiteAcceleration
from refine import batch
from refine.errors import InputError
from refine.solve import Solution, StopReason
from refine.solve.coupling import CoupledLinearization
from refine.solve.damped import DIAGONAL_FLOOR
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.together import OF_COUPLINGS, Together
from refine.state import Groups, State, Tracks, Unknowns, one_shape
from refine.terms import Huber, LeastSquares
from tests.reference.solve.grouped import BODY, Problem, by_scipy, choice, dense, draw, mixed, part, shared_columns

EXACT = 1e-8
"""Of the largest entry: rounding of two ways to solve a matrix with a condition of a million."""
SAME_COST = 1e-6
PRECISE = LevenbergMarquardt(steps=60, cost_tolerance=1e-13)


def solve(problem: Problem, solver: LevenbergMarquardt = PRECISE) -> Solution:
    return solver.solve(BODY, problem.state, problem.terms, problem.unknowns)


def inverse(matrix: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix))


@pytest.mark.parametrize("constants", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_step_is_that_of_the_dense_matrix(masked: bool, constants: bool) -> None:
    problem = draw(9, mixed(constants))
    if masked:
        free = torch.ones(9, problem.unknowns.size, dtype=torch.bool)
        free[3, 3:6] = free[8, :9] = False
        problem = replace(problem, unknowns=replace(problem.unknowns, free=free))
    ties = Together.of(problem.unknowns, problem.state)
    state = ties.start(problem.state)
    equations = ties.linearize(BODY, state, problem.terms)
    damping = 10 ** torch.linspace(-3, 1, ties.damping(equations.cost, 0.0).shape[0], dtype=torch.float64)
    found = ties.step(equations, damping)
    assert bool(found.solved.all()) and found.step.abs().max() > 1e-3

    matrix, slope = dense(problem, equations.rows.information, equations.rows.gradient, state)
    select = choice(problem.unknowns, 9)
    exists = torch.ones(len(slope), dtype=torch.bool)
    if masked:
        exists = torch.einsum("bpv,bp->v", select, free.double()) > 0
    # Whose damping each value has: its row's, or that of what rows share, in the order in which they are numbered.
    owners = torch.cat((damping[:9], damping[9:]))
    shared = {
        ("shape", 5): 9,
        ("shape", 7): 10,
        ("focal", 0): 11,
        ("focal", 1): 12,
        ("constants", 0): 13,
        ("constants", 1): 14,
    }
    own = torch.zeros_like(slope)
    for row in range(9):
        for column in range(problem.unknowns.size):
            owner = row
            for kind, columns in shared_columns(problem.unknowns).items():
                labels = getattr(problem.unknowns.groups, kind)
                if labels is None:
                    continue
                if columns.start <= column < columns.stop and int(labels[row]) >= 0:
                    owner = shared[kind, int(labels[row])]
            own[select[row, column].argmax()] = owners[owner]
    of_terms = torch.einsum("bpv,bpq,bqv->v", select, equations.rows.information.double(), select)
    coupled = torch.lerp(of_terms, matrix.diagonal(), OF_COUPLINGS)  # couplings hardly count in what damps a row
    is_shared = torch.einsum("bpv->v", select) > 1
    diagonal = torch.where(is_shared, matrix.diagonal(), coupled)
    assert diagonal[exists].min() > 10 * DIAGONAL_FLOOR * diagonal.max(), "no floor is in play"
    damped = (matrix + torch.diag(own * diagonal))[exists][:, exists]
    step = torch.zeros_like(slope)
    step[exists] = -inverse(damped) @ slope[exists]
    assert (found.step - select @ step).abs().max() < EXACT * step.abs().max()
    predicted = 0.5 * (step * (own * diagonal * step - slope)).sum()
    assert abs(float(found.predicted.sum() - predicted)) < EXACT * float(predicted)
    assert abs(float(found.part.sum()) - float(predicted)) < 0.5 * float(predicted)


@pytest.mark.parametrize(("robust", "constants"), [(False, False), (True, False), (True, True)])
def test_the_minimum_of_a_group_is_that_of_scipy(robust: bool, constants: bool) -> None:
    problem = draw(9, mixed(constants), robust=robust)
    start = Together.of(problem.unknowns, problem.state).start(problem.state)
    problem = replace(problem, state=start)
    found = solve(problem)
    best = by_scipy(problem)
    assert float(found.cost_before.sum()) > 1.5 * best.cost
    assert abs(float(found.cost.sum()) - best.cost) < SAME_COST * best.cost
    assert found.term_names[-1] == "WhiteAcceleration" and found.cost_by_term.shape == (9, 6 + constants)
    assert torch.allclose(found.cost_by_term.sum(1), found.cost)


@pytest.mark.parametrize("constants", [False, True])
def test_covariances_are_the_blocks_of_the_dense_inverse(constants: bool) -> None:
    problem = draw(9, mixed(constants), robust=False)
    found = solve(problem)
    equations = Together.of(problem.unknowns, found.state).linearize(BODY, found.state, problem.terms)
    matrix, _ = dense(problem, equations.rows.information, equations.rows.gradient, found.state)
    select = choice(problem.unknowns, 9)
    plain = select @ inverse(matrix) @ select.mT
    scale = plain.diagonal(dim1=1, dim2=2).sqrt()
    assert ((found.covariance() - plain) / (scale[:, :, None] * scale[:, None])).abs().max() < EXACT


@dataclass(frozen=True)
class Touch:
    """Two people of one moment are half a metre apart: a coupling of two rows, in either order."""

    def couple(self, state: State, unknowns: Unknowns) -> CoupledLinearization:
        rows = torch.tensor([[2, 1], [0, 3], [5, 4]])
        place = state.bodies.translation
        jacobian = torch.zeros(3, 1, 3, unknowns.size, dtype=torch.float64)
        jacobian[..., unknowns.translation_columns] = torch.eye(3).double() / 0.05
        residual = (place[rows[:, 0]] - place[rows[:, 1]] - 0.5) / 0.05
        return CoupledLinearization(rows, residual[:, None], (jacobian, -jacobian), Huber(1.0))


def test_people_in_touch_are_solved_with_their_tracks() -> None:
    """Two tracks and what ties them at three moments: the half-bandwidth is four rows."""
    person, time = torch.tensor([0, 0, 1, 1, 0, 1]), torch.tensor([0.0, 0.1, 0.1, 0.0, 0.2, 0.2]).double()
    couplings = (WhiteAcceleration(2.0, 1.0, LeastSquares()), Touch())
    problem = draw(6, Groups(shape=person, tracks=Tracks(person, time), couplings=couplings))
    ties = Together.of(problem.unknowns, problem.state)
    assert ties.layout.bands.width > 2 and ties.layout.groups == 1
    found = solve(problem)
    equations = ties.linearize(BODY, found.state, problem.terms)
    matrix, slope = dense(problem, equations.rows.information, equations.rows.gradient, found.state)
    first = ties.linearize(BODY, ties.start(problem.state), problem.terms).rows.gradient
    assert slope.abs().max() < 1e-4 * first.abs().max()
    select = choice(problem.unknowns, 6)
    plain = select @ inverse(matrix) @ select.mT
    scale = plain.diagonal(dim1=1, dim2=2).sqrt()
    assert ((found.covariance() - plain) / (scale[:, :, None] * scale[:, None])).abs().max() < EXACT


def test_what_is_shared_is_the_same_in_all_rows_to_the_bit() -> None:
    found = solve(draw(9, mixed()))
    shape, focal = found.state.bodies.shape, found.state.camera.focal
    assert (shape[[0, 1, 3, 5]] == shape[0]).all() and (shape[[2, 4, 6, 7]] == shape[2]).all()
    assert (focal[:7] == focal[0]).all() and (focal[7:] == focal[7]).all() and (focal[0] != focal[7]).all()
    assert (shape[8] != shape[2]).all() and (shape[0] != shape[2]).all()


@pytest.mark.parametrize("constants", [False, True])
def test_groups_do_not_feel_each_other(constants: bool) -> None:
    problem = draw(9, replace(mixed(constants), focal=None))
    together = solve(problem)
    for rows in ([0, 1, 3, 5], [2, 4, 6, 7], [8]):
        alone = solve(part(problem, rows))
        assert (alone.state.bodies.pose - together.state.bodies.pose[rows]).abs().max() < 1e-6
        assert torch.allclose(alone.cost, together.cost[rows], rtol=1e-9)
        assert torch.allclose(alone.covariance(), together.covariance()[rows], rtol=1e-5, atol=1e-12)
        assert alone.stop == tuple(together.stop[row] for row in rows)


def test_a_permuted_group_has_permuted_results() -> None:
    problem, order = draw(9, mixed()), [8, 3, 0, 7, 5, 1, 6, 2, 4]
    one, other = solve(problem), solve(part(problem, order))
    assert (one.state.bodies.pose[order] - other.state.bodies.pose).abs().max() < 1e-6


@pytest.mark.parametrize("groups", [Groups(), Groups(focal=torch.arange(4)), Groups(shape=torch.full((4,), -1))])
def test_a_row_that_shares_nothing_has_the_result_of_a_row_alone(groups: Groups) -> None:
    problem = draw(4, groups)
    for steps in (1, 3, 30):
        solver = LevenbergMarquardt(steps=steps)
        one = solve(problem, solver)
        other = solve(replace(problem, unknowns=replace(problem.unknowns, groups=None)), solver)
        assert (one.state.bodies.pose - other.state.bodies.pose).abs().max() < 1e-9
        assert one.stop == other.stop and (one.steps == other.steps).all()
        assert torch.allclose(one.covariance(), other.covariance(), rtol=1e-6, atol=1e-12)


def test_a_row_that_is_not_finite_loses_its_evidence_and_stays_coupled() -> None:
    groups = replace(mixed(), focal=None)
    problem = draw(9, groups)
    place = problem.terms[2].translation.clone()
    place[3] = torch.nan
    blind = problem.terms[0].sqrt_information.clone()
    nearby = replace(problem.terms[2], translation=place)
    broken = solve(replace(problem, terms=[*problem.terms[:2], nearby, *problem.terms[3:]]))
    assert broken.stop[3] == StopReason.NOT_FINITE
    assert StopReason.NOT_FINITE not in [broken.stop[row] for row in (0, 1, 2, 4, 5, 6, 7, 8)]
    assert broken.state.bodies.pose.isfinite().all() and broken.cost.isfinite().all()
    blind[3] = 0.0
    silent = solve(replace(problem, terms=[replace(problem.terms[0], sqrt_information=blind), *problem.terms[1:]]))
    # But for its priors, which a silent row keeps, the neighbours have what they had with a row that says nothing.
    near = [0, 1, 5]
    sigma = silent.covariance().diagonal(dim1=1, dim2=2)[near, :9].sqrt()
    away = (broken.state.bodies.translation - silent.state.bodies.translation)[near].norm(dim=1)
    assert away.max() < sigma.max()
    assert (broken.state.bodies.shape[3] == broken.state.bodies.shape[0]).all()
    assert (broken.state.bodies.pose[3] != problem.state.bodies.pose[3]).any(), "its neighbours move it"
    assert torch.allclose(broken.state.bodies.pose[[2, 4, 6]], silent.state.bodies.pose[[2, 4, 6]], atol=1e-6)


def test_a_row_whose_pose_is_not_finite_is_left_and_harms_nobody() -> None:
    problem = draw(9, replace(mixed(), focal=None))
    pose = problem.state.bodies.pose.clone()
    pose[3] = torch.nan
    state = State(replace(problem.state.bodies, pose=pose), problem.state.camera)
    found = solve(replace(problem, state=state))
    others = [row for row in range(9) if row != 3]
    assert found.stop[3] == StopReason.NOT_FINITE and found.state.bodies.pose[3].isnan().any()
    assert found.state.bodies.pose[others].isfinite().all() and found.covariance()[others].isfinite().all()
    assert all(found.stop[row] == StopReason.CONVERGED for row in others)


def test_columns_that_nothing_observes_have_infinite_variance_in_their_group_alone() -> None:
    problem = draw(4, one_shape(["a", "a", "b", "b"]))
    blind = problem.terms[0].sqrt_information.clone()
    blind[:2] = 0.0
    keypoints = replace(problem.terms[0], sqrt_information=blind)
    found = solve(replace(problem, terms=[keypoints, *problem.terms[1:3], problem.terms[4]]))
    variance = found.covariance().diagonal(dim1=1, dim2=2)
    columns = problem.unknowns.shape_columns
    assert variance[:2, columns].isinf().all() and variance[2:, columns].isfinite().all()
    variance[:2, columns] = 1.0
    assert variance.isfinite().all()


@pytest.mark.parametrize("threads", [1, 2])
def test_single_precision_comes_as_near_as_it_can(threads: int) -> None:
    problem = draw(9, mixed())
    exact = solve(problem)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        body = BODY.to(dtype=torch.float32)
        terms = [single(term) for term in problem.terms]
        found = LevenbergMarquardt(steps=60).solve(body, problem.state.to(dtype=torch.float32), terms, problem.unknowns)
    finally:
        torch.set_num_threads(before)
    sigma = exact.covariance().diagonal(dim1=1, dim2=2)[:, problem.unknowns.translation_columns].sqrt()
    away = (found.state.bodies.translation - exact.state.bodies.translation).abs()
    assert found.state.bodies.pose.dtype == torch.float32 and found.cost.isfinite().all()
    assert (away < 0.1 * sigma).all()
    assert torch.allclose(found.cost.double(), exact.cost, rtol=1e-2, atol=1e-2)


def single(term: object) -> object:
    """A term with its tensors in single precision."""
    import dataclasses

    parts = {field.name: getattr(term, field.name) for field in dataclasses.fields(term)}  # type: ignore[arg-type]
    changed = {
        name: value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in parts.items()
    }
    if "points" in changed:
        changed["points"] = single(changed["points"])
    return dataclasses.replace(term, **changed)  # type: ignore[type-var]


def test_values_that_rows_share_start_at_their_mean() -> None:
    problem = draw(4, Groups(shape=torch.tensor([2, 2, -1, 2]), focal=torch.tensor([0, 0, 1, 1])))
    start = Together.of(problem.unknowns, problem.state).start(problem.state)
    shape, focal = problem.state.bodies.shape, problem.state.camera.focal
    assert torch.allclose(start.bodies.shape[0], shape[[0, 1, 3]].mean(0)) and (start.bodies.shape[2] == shape[2]).all()
    assert torch.allclose(start.camera.focal[2], focal[2:].log().mean(0).exp())
    again = Together.of(problem.unknowns, start).start(start)
    assert torch.equal(again.bodies.shape, start.bodies.shape) and torch.equal(again.camera.focal, start.camera.focal)


def test_rows_are_taken_joined_and_chosen_with_their_labels() -> None:
    problem = draw(9, mixed())
    some = batch.rows(problem.unknowns, [0, 7])
    assert some.groups is not None and some.groups.shape.tolist() == [5, 7]  # type: ignore[union-attr]
    both = batch.cat([some, some])
    assert both.groups.tracks.person.tolist() == [0, -1, 0, -1]  # type: ignore[union-attr]
    chosen = batch.where(torch.tensor([True, False]), some, batch.rows(problem.unknowns, [2, 3]))
    assert chosen.groups.shape.tolist() == [5, 5]  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"Unknowns\.groups: expected given for all rows"):
        batch.cat([some, replace(some, groups=None)])


@pytest.mark.usefixtures("unchecked")  # the checks of signatures would speak first
def test_labels_of_another_number_of_rows_are_refused() -> None:
    problem = draw(4, one_shape(["a", "a", "b"]))
    with pytest.raises(InputError, match=r"unknowns\.groups: expected labels of 4 rows"):
        solve(problem)
    with pytest.raises(InputError, match=r"groups\.focal"):
        Groups(shape=torch.zeros(3, dtype=torch.long), focal=torch.zeros(2, dtype=torch.long))
    assert Unknowns((0,), groups=one_shape(torch.tensor([0]))) == Unknowns((0,))
