"""What `import refine` adds to `import torch`, in seconds: the best of seven fresh processes."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measurement import Measurement

PROGRAM = "import time, numpy, torch; start = time.perf_counter(); import refine; print(time.perf_counter() - start)"
PROCESSES = 7


def measure() -> list[Measurement]:
    """Return imports.refine."""
    root = Path(__file__).parents[2]
    durations = [
        float(
            subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True).stdout
        )
        for _ in range(PROCESSES)
    ]
    note = f"import refine after import torch, best of {PROCESSES} fresh processes"
    return [Measurement("imports.refine", min(durations), "s", "lower", 0.5, note, target=0.3)]
