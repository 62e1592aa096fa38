"""What `import refine` adds to `import torch`, in seconds: the best of seven fresh processes.

Modules are compiled once, by a process before them, as at a user's second start; where the environment forbids that
Python keeps what it compiled (PYTHONDONTWRITEBYTECODE), every start would compile the library anew.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measurement import Measurement

PROGRAM = "import time, numpy, torch; start = time.perf_counter(); import refine; print(time.perf_counter() - start)"
PROCESSES = 7


def measure() -> list[Measurement]:
    """Return imports.refine."""
    root = Path(__file__).parents[2]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**kept, "PYTHONPYCACHEPREFIX": compiled}
        _, *durations = [
            float(
                subprocess.run(
                    [sys.executable, "-c", PROGRAM],
                    cwd=root,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(1 + PROCESSES)
        ]
    note = f"import refine after import torch, best of {PROCESSES} fresh processes"
    return [Measurement("imports.refine", min(durations), "s", "lower", 0.5, note, target=0.3)]
