"""What `python -m tests.machines` runs: which commands, under which settings, for how long at most."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
HERE = ROOT / ".machines"
"""Logs, caches and virtual environments of these runs."""
SUITE_S, PART_S, INSTALL_S = 7200, 3600, 3600
"""Limits: of the whole suite, which takes half an hour on two cores without vector instructions; of a part; with an
installation before."""
SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))

QUICK = (
    "tests/boundary/test_no_lu.py", "tests/boundary/test_equality.py", "tests/reference/solve/test_cholesky.py", "tests/reference/demo/test_demo.py",  # noqa: E501
    "tests/reference/trust/test_quality.py", "tests/reference/trust/test_uncertainty.py", "tests/properties/test_rasterize.py",  # noqa: E501
)  # fmt: skip
"""Tests that have failed or hung on one machine and not on another."""
BETWEEN = ("tests/reference/body/test_build.py", "tests/reference/demo/test_demo.py", "tests/contract")
"""What is run under the settings between the extremes."""

STAND_INS: dict[str, dict[str, str]] = {
    "ATEN=avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "oneDNN=SSE41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "MKL=SSE4_2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "OpenBLAS=Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    # All it has beyond its baseline; what these are called changes with its version.
    "NumPy baseline": {"NPY_DISABLE_CPU_FEATURES": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])},
    "OpenCV without AVX2": {"OPENCV_CPU_DISABLE": "AVX2,FP16,FMA3,AVX512-SKX"},
}
"""Settings by which a library is told of an older processor."""


@dataclass(frozen=True)
class Run:
    """One row of the table: commands that have to end well, one after the other, within `limit_s` seconds."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    limit_s: float
    environment: dict[str, str] = field(default_factory=dict)
    fresh: Path | None = None
    """A folder that is emptied before."""

    @property
    def words(self) -> str:
        """The settings and the last command, to be read."""
        settings = [f"{name}={value}" for name, value in self.environment.items() if name not in ("PYTHONPATH",)]
        return " ".join([*settings, *self.commands[-1][1:]])


def pytest(python: str, tests: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs some tests, or the whole suite."""
    return (python, "-m", "pytest", "-q", "-n", "2", *tests)


def settings(threads: int, **other: str) -> dict[str, str]:
    """Variables of a run: this checkout's code, so many threads in every library, and the settings asked for."""
    count = str(threads)
    numbers = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "REFINE_TEST_THREADS"), count
    )
    return {"PYTHONPATH": str(ROOT), **numbers, **other}


def extremes(tests: tuple[str, ...]) -> Iterator[Run]:
    """The whole suite at both ends: no vector instructions and one thread; all of them and two threads."""
    command = (pytest(sys.executable, tests),)
    yield Run("default, 1 thread", command, SUITE_S, settings(1, ATEN_CPU_CAPABILITY="default"))
    yield Run("native, 2 threads", command, SUITE_S, settings(2))


def stand_ins(tests: tuple[str, ...]) -> Iterator[Run]:
    """Body build, demo and contract tests under each setting; the body is built anew for each, with caches of its
    own."""
    for name, other in STAND_INS.items():
        caches = HERE / "caches" / name.replace(" ", "_")
        own = {"XDG_CACHE_HOME": str(caches), "ANNY_CACHE_DIR": str(caches / "anny")}
        if tests:  # quickly: without the build, which takes minutes
            yield Run(name, (pytest(sys.executable, tests),), PART_S, settings(1, **other))
        else:
            yield Run(name, (pytest(sys.executable, BETWEEN),), PART_S, settings(1, **other, **own), caches)


def pythons(tests: tuple[str, ...]) -> Iterator[Run]:
    """The suite under each supported Python found here, each in an environment made from constraints.txt."""
    for version, interpreter in sorted(interpreters().items()):
        place = HERE / f"python{version[0]}.{version[1]}"
        python = str(place / "bin" / "python")
        install = (python, "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[dev]")
        make = () if Path(python).exists() else ((str(interpreter), "-m", "venv", str(place)),)
        name = f"Python {version[0]}.{version[1]}"
        yield Run(name, (*make, install, pytest(python, tests)), SUITE_S + INSTALL_S, settings(1))


def interpreters() -> dict[tuple[int, int], Path]:
    """The supported Pythons of this machine, by version: those of pyenv, and those that PATH names."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found: dict[tuple[int, int], Path] = {}
    named = [shutil.which(f"python{major}.{minor}") for major, minor in SUPPORTED]
    for path in [*sorted(root.glob("versions/*/bin/python")), *(Path(path) for path in named if path)]:
        version = version_of(path)
        if version in SUPPORTED:
            found.setdefault(version, path)
    return found


def version_of(python: Path) -> tuple[int, int] | None:
    """Major and minor version of an interpreter; None where it does not start, as pyenv's shims of versions that are
    not chosen."""
    asked = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(said[0]), int(said[1])
