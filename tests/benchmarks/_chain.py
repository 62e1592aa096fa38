"""Chains of coupled rows: time a row and step to factorise and solve, how it grows with their number, and memory."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from priors import GaussianShape, NearEstimate, WhiteAcceleration
from refine.body import SkinnedBody
from refine.solve.banded import Banded, Bands
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.linear_solver import factorize, invert, substitute
from refine.state import Groups, Tracks
from refine.terms.reprojection import Reprojection
from tests.benchmarks._problem import draw_problem
from tests.benchmarks.measurement import Measurement, best_seconds

COLUMNS, BORDER = 85, 20
"""Of a row: 22 joints, 16 shape coefficients and a translation; shared by all: a shape, a focal length, three more."""
ROWS, FEW, MANY = 1000, 100, 3000
REPEATS = 5
FRAMES, STEPS = 64, 5

# As in `memory.py`: the peak of a process of its own, without what it takes to start.
PROGRAM = """
import sys
from tests.benchmarks._chain import drawn, solve
def peak():
    rows = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM"))
solve(drawn(10, int(sys.argv[2])))
before = peak()
solve(drawn(int(sys.argv[1]), int(sys.argv[2])))
print(peak() - before)
"""


def drawn(rows: int, width: int) -> Banded:
    """A positive system of one chain."""
    system = Banded.zeros(Bands((1,) * rows, COLUMNS, width, BORDER))
    draw = torch.Generator().manual_seed(0)
    system.diagonal.diagonal(dim1=1, dim2=2).fill_(10.0)
    for distance in range(1, width + 1):
        system.beside(distance)[: rows - distance] = 0.02 * torch.randn(COLUMNS, COLUMNS, generator=draw)
    system.border.copy_(0.02 * torch.randn(BORDER, COLUMNS, generator=draw))
    system.right.fill_(1.0)
    system.corner[:, :-1, :-1] = float(rows) * torch.eye(BORDER)
    return system


def solve(system: Banded) -> torch.Tensor:
    """Factorise, solve the border and substitute; return the border's factor."""
    if not bool(factorize(system).all()):
        raise RuntimeError("the drawn system is not positive")
    factor = torch.linalg.cholesky(system.corner[:, :-1, :-1])
    substitute(system, torch.cholesky_solve(system.corner[:, -1, :-1, None], factor)[..., 0])
    return factor


def chains(body: SkinnedBody) -> list[Measurement]:
    """Return solve.chain.*."""
    measured = []
    of = f"P = {COLUMNS}, border {BORDER}, float64"
    for width in (1, 2):
        took, inverted = _seconds(ROWS, width)
        measured += [
            Measurement(
                f"solve.chain.{width}.cpu", 1e3 * took / ROWS, "ms", "lower", 0.5,
                f"factorise and solve, a row and step: half-bandwidth {width}, {of}, {ROWS} rows", 0.8,
            ),
            Measurement(
                f"solve.chain.{width}.marginals", 1e3 * inverted / ROWS, "ms", "lower", 0.5,
                f"selected inversion, a row: half-bandwidth {width}, {of}, {ROWS} rows",
            ),
        ]  # fmt: skip
    few, many = _seconds(FEW, 2)[0] / FEW, _seconds(MANY, 2)[0] / MANY
    grown = (_peak(MANY, 2) - _peak(FEW, 2)) / (MANY - FEW)
    return [
        *measured,
        Measurement(
            "solve.chain.linear", many / few, "x", "lower", 0.5,
            f"time a row, {MANY} over {FEW} rows, half-bandwidth 2 (1: linear)", 1.3,
        ),
        Measurement(
            "solve.chain.memory", grown / 1e6, "MB", "lower", 0.1,
            f"a row: peak of the process, {MANY} less {FEW} rows, half-bandwidth 2, {of}", 0.2,
        ),
        Measurement(
            "solve.chain.lm", 1e3 * _levenberg_marquardt(body), "ms", "report",
            note=f"a row and step of the whole solver: {FRAMES} frames, one shape, white acceleration, 512 matches",
        ),
    ]  # fmt: skip


def _seconds(rows: int, width: int) -> tuple[float, float]:
    """The shortest of some times to factorise and solve, and to invert."""
    solving, inverting = [], []
    for _ in range(REPEATS):
        system = drawn(rows, width)
        start = time.perf_counter()
        factor = solve(system)
        solving.append(time.perf_counter() - start)
        start = time.perf_counter()
        invert(system, torch.cholesky_inverse(factor))
        inverting.append(time.perf_counter() - start)
    return min(solving), min(inverting)


def _peak(rows: int, width: int) -> int:
    """Bytes that a process takes for a chain."""
    command = [sys.executable, "-c", PROGRAM, str(rows), str(width)]
    root = Path(__file__).parents[2]
    return int(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def _levenberg_marquardt(body: SkinnedBody) -> float:
    """Seconds a row and step of a chain of people, start and marginals included."""
    problem = draw_problem(body, FRAMES)
    one = torch.zeros(FRAMES, dtype=torch.long)
    groups = Groups(one, tracks=Tracks(one, torch.arange(FRAMES) / 30), couplings=(WhiteAcceleration(),))
    unknowns = replace(problem.unknowns, groups=groups)
    terms = [Reprojection(problem.matches), NearEstimate(problem.estimate.bodies.pose), GaussianShape()]
    solver = LevenbergMarquardt(steps=STEPS, cost_tolerance=0.0)
    return best_seconds(lambda: solver.solve(body, problem.estimate, terms, unknowns), 3) / (FRAMES * STEPS)
