"""A test that is skipped for a reason nobody expects fails the run; those that are expected are listed at its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.skips import allowed, unexpected

TEST = """
import pytest

def test_that_runs():
    pass

def test_that_does_not():
    pytest.skip({reason!r})
"""


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["one process", "two processes"])
@pytest.mark.parametrize(
    ("reason", "status"),
    [("real data is not here: /nowhere", 0), ("the moon is full", 1)],
    ids=["expected", "unexpected"],
)
def test_a_run_with_a_new_reason_to_skip_fails_and_says_so(
    tmp_path: Path, reason: str, status: int, processes: list[str]
) -> None:
    (tmp_path / "test_one.py").write_text(TEST.format(reason=reason))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-p", "no:cacheprovider", *processes, str(tmp_path)],  # noqa: E501
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,  # noqa: E501
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert f"   1  {reason}" in done.stdout
    assert ("so the run failed" in done.stdout) == bool(status)


def test_reasons_are_compared_by_how_they_begin() -> None:
    assert allowed() and all(reason.strip() == reason for reason in allowed())
    assert unexpected([f"{allowed()[0]}, really", "no idea", "no idea"]) == ["no idea"]
