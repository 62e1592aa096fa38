"""`python -m tests.machines`: what fails is told from what passes, and what hangs is ended with all it started."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.machines import __main__ as machines
from tests.machines.runs import STAND_INS, SUPPORTED, Run, extremes, interpreters, pythons, stand_ins, version_of


def ran(code: str, limit_s: float = 60.0, **environment: str) -> tuple[str, str]:
    how, _, words = machines.outcome(Run("a test", ((sys.executable, "-c", code),), limit_s, environment))
    return how, words


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "HERE", tmp_path)
    monkeypatch.setattr(machines, "ROOT", tmp_path)


def test_a_run_passes_or_fails_by_its_exit_status_and_its_settings_reach_it() -> None:
    assert ran("import os; print(os.environ['SETTING'])", SETTING="on") == ("passed", "on")
    assert ran("raise SystemExit('no')") == ("FAILED", "no")


def test_a_command_that_is_not_there_has_failed() -> None:
    assert machines.outcome(Run("a test", (("/nowhere/python",),), 5.0))[0] == "FAILED"


def test_a_run_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(300)"
    )
    started = time.monotonic()
    assert ran(code, 10.0)[0] == "HUNG" and time.monotonic() - started < 60
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("its child is still running")


def test_every_run_has_a_time_limit_and_runs_this_checkout() -> None:
    runs = [*extremes(()), *stand_ins(()), *pythons(())]
    assert {run.name for run in runs} >= set(STAND_INS)
    assert all(run.limit_s > 0 and run.environment["PYTHONPATH"] == str(ROOT) for run in runs)
    variables = {name for settings in STAND_INS.values() for name in settings}
    assert len(variables) == len(STAND_INS), "each stands for another library"


def test_the_pythons_found_are_supported_and_start() -> None:
    found = interpreters()
    assert set(found) <= set(SUPPORTED)
    for version, path in found.items():
        assert version_of(path) == version
    assert version_of(Path("/nowhere/python")) is None


def test_the_list_is_printed_without_running_anything() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.machines", "--list", "--only", "native"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("native, 2 threads") and len(done.stdout.splitlines()) == 1
