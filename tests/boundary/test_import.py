"""What `import refine` may cost: it loads torch and numpy, starts nothing and touches no GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Threads are counted by the operating system where it tells (Linux), by Python elsewhere.
PROGRAM = """
import json, os, sys, threading
def threads():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else threading.active_count()
import numpy, torch
before = set(sys.modules), threads()
import PACKAGE
print(json.dumps({
    "added": sorted({name.split(".")[0] for name in set(sys.modules) - before[0]}),
    "threads": threads() - before[1],
    "gpu": torch.cuda.is_initialized(),
}))
"""


def imported(package: str) -> dict[str, object]:
    program = PROGRAM.replace("PACKAGE", package)
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.count("\n") == 1, "importing prints to standard output"
    return json.loads(run.stdout)


@pytest.fixture(scope="module", params=["refine", "displacement_net", "priors"])
def cost(request: pytest.FixtureRequest) -> dict[str, object]:
    return imported(request.param)


@pytest.mark.parametrize(
    "package", ["scipy", "cv2", "kornia", "warp", "smplx", "anny", "pytorch3d", "typer", "rich", "PIL", "filelock"]
)
def test_an_import_leaves_the_heavy_packages_alone(cost: dict[str, object], package: str) -> None:
    assert package not in cost["added"]


def test_an_import_starts_no_thread(cost: dict[str, object]) -> None:
    assert cost["threads"] == 0


def test_an_import_touches_no_gpu(cost: dict[str, object]) -> None:
    assert cost["gpu"] is False


def test_the_probe_sees_a_heavy_package_and_a_thread() -> None:
    """The tests above could pass because the probe is blind; so it is shown both."""
    seen = imported("scipy.optimize, threading; threading.Thread(target=threading.Event().wait, daemon=True).start()")
    assert "scipy" in seen["added"]
    assert seen["threads"] > 0
