"""The solver's memory: peak resident size of a process that solves one batch, and how it grows with the batch."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks._problem import MATCHES
from tests.benchmarks.measurement import Measurement

BATCH = 256
QUARTER = BATCH // 4
GIB = 2**30

# The peak is that of this process alone (VmHWM); getrusage's, used where there is no /proc, may include the parent's.
PROGRAM = """
import resource, sys
import torch
from refine.body import anny
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.terms.reprojection import Reprojection
from tests.benchmarks._problem import draw_problem
def peak():
    try:
        rows = open("/proc/self/status").read().splitlines()
        return 1024 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
torch.set_num_threads(2)
def solve(count):
    problem = draw_problem(anny.load(), count)
    term = Reprojection(problem.matches)
    LevenbergMarquardt(steps=3).solve(problem.body, problem.estimate, [term], problem.unknowns)
solve(1)
before = peak()
solve(int(sys.argv[1]))
print(before, peak())
"""


def measure() -> list[Measurement]:
    """Return memory.lm.512 and memory.lm.growth."""
    _, small = _peak(QUARTER)
    before, large = _peak(BATCH)
    growth = (large - before) / (4 * (small - before))
    return [
        Measurement(
            f"memory.lm.{MATCHES}",
            large / GIB,
            "GiB",
            "lower",
            0.2,
            f"peak of the process, batch {BATCH} x {MATCHES}",
            3.0,
        ),
        Measurement(
            "memory.lm.growth",
            growth,
            "x",
            "lower",
            0.2,
            f"batch {BATCH} over 4 x batch {QUARTER}, without what one body takes (1: linear in B)",
            1.2,
        ),
    ]


def _peak(count: int) -> tuple[int, int]:
    """Bytes before and after a batch of `count` bodies is solved in a process of its own."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, str(count)]
    before, after = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    return int(before), int(after)
