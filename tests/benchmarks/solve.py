"""The solver's speed: milliseconds a body, and the time to a cost that Adam and L-BFGS reach on the same problem."""

from functools import partial

import torch

from refine.body import anny
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.terms import GemanMcClure
from refine.terms.reprojection import Reprojection
from tests.benchmarks._chain import chains
from tests.benchmarks._problem import MATCHES, Problem, draw_problem
from tests.benchmarks._rivals import ADAM_RATES, DirectCost, adam, lbfgs
from tests.benchmarks.measurement import Measurement, best_seconds

BATCH = 16
STEPS = 10
CORES = 2
MOST_STEPS = 100
SLACK = 1.001
"""A cost counts as reached when it is within a tenth of a percent."""


def measure() -> list[Measurement]:
    """Return solve.lm.*, solve.chain.*, solve.vs_adam and solve.vs_lbfgs.*."""
    threads = torch.get_num_threads()
    torch.set_num_threads(CORES)
    try:
        body = anny.load()
        small = draw_problem(body, BATCH)
        whole = draw_problem(body, BATCH, joints=tuple(range(len(body.joint_names))))
        return [
            _speed("solve.lm.512.cpu", small, target=12.0),
            _speed("solve.lm.512.all.cpu", whole, target=35.0),
            *chains(body),
            *_against_rivals(small),
        ]
    finally:
        torch.set_num_threads(threads)


def _speed(key: str, problem: Problem, target: float) -> Measurement:
    # No early end: ten steps are ten linearisations and ten factorisations for every body.
    solver = LevenbergMarquardt(steps=STEPS, cost_tolerance=0.0)
    term = Reprojection(problem.matches)
    seconds = best_seconds(lambda: solver.solve(problem.body, problem.estimate, [term], problem.unknowns), 7)
    note = f"per body: {STEPS} steps, {MATCHES} matches, P = {problem.unknowns.size}, batch {BATCH}, {CORES} cores"
    return Measurement(key, 1e3 * seconds / BATCH, "ms", "lower", 0.5, note, target)


def _against_rivals(problem: Problem) -> list[Measurement]:
    kernel = GemanMcClure(scale=10.0)
    term = Reprojection(problem.matches, kernel)
    cost = DirectCost(problem, kernel)
    _check_same_cost(problem, cost, term)

    runs = {rate: adam(cost, BATCH, rate) for rate in ADAM_RATES}
    best_rate = min(runs, key=lambda rate: float(runs[rate].cost.sum()))
    by_adam = min((adam(cost, BATCH, best_rate) for _ in range(2)), key=lambda run: run.seconds)
    goal = SLACK * by_adam.cost

    ours, steps = _time_to(problem, term, goal)
    summed = min((lbfgs(cost, goal, slice(None)) for _ in range(3)), key=lambda run: run.seconds)
    torch.set_num_threads(1)  # one body is too little work for two threads: L-BFGS is faster so
    single = [lbfgs(cost, goal, slice(i, i + 1)) for i in range(BATCH)]
    single_seconds = sum(run.seconds for run in single)
    lost = sum(not run.reached for run in single)
    to_the_cost = f"to the cost Adam (rate {best_rate:g}, best of three) has after 300 steps"
    return [
        Measurement(
            "solve.lm.to_adam", 1e3 * ours, "ms", "report", note=f"{steps} steps, {BATCH} bodies, {to_the_cost}"
        ),
        Measurement("solve.adam", 1e3 * by_adam.seconds, "ms", "report", note=f"300 steps, {BATCH} bodies"),
        Measurement("solve.vs_adam", by_adam.seconds / ours, "x", "higher", 0.5, "Adam's time over ours", target=8.0),
        Measurement(
            "solve.vs_lbfgs.batch",
            summed.seconds / ours,
            "x",
            "higher",
            0.5,
            f"L-BFGS (strong Wolfe) on the summed cost over ours: {summed.evaluations} evaluations, "
            + ("reached" if summed.reached else "given up before that cost: at least this ratio"),
            target=5.0,
        ),
        Measurement(
            "solve.vs_lbfgs.each",
            single_seconds / ours,
            "x",
            "higher",
            0.5,
            f"L-BFGS body by body over ours, {sum(run.evaluations for run in single)} evaluations"
            + (f", {lost} of {BATCH} bodies given up" if lost else ""),
            target=5.0,
        ),
    ]


def _check_same_cost(problem: Problem, cost: DirectCost, term: Reprojection) -> None:
    """The rivals must minimise what the solver minimises."""
    ours = LevenbergMarquardt(steps=0).solve(problem.body, problem.estimate, [term], problem.unknowns).cost
    torch.testing.assert_close(cost(torch.zeros(BATCH, problem.unknowns.size)), ours, rtol=1e-4, atol=1e-3)


def _time_to(problem: Problem, term: Reprojection, goal: torch.Tensor) -> tuple[float, int]:
    """Seconds and steps until the batch's summed cost is at most that of the goal."""

    def run(steps: int) -> torch.Tensor:
        solver = LevenbergMarquardt(steps=steps, cost_tolerance=0.0)
        return solver.solve(problem.body, problem.estimate, [term], problem.unknowns).cost.sum()

    for steps in range(1, MOST_STEPS + 1):
        if run(steps) <= goal.sum():
            return best_seconds(partial(run, steps)), steps
    raise RuntimeError(f"the solver ends at {float(run(MOST_STEPS)):g}, above Adam's {float(goal.sum()):g}")
