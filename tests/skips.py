"""What a run skipped and why is said at its end, and a reason that is not in `allowed_skips.txt` fails the run.

A plugin of pytest: tests that nobody can run any more are noticed, because their skips do not pass for success.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ALLOWED = Path(__file__).parent / "allowed_skips.txt"


def allowed() -> tuple[str, ...]:
    """How the reasons begin for which a test may be skipped."""
    lines = ALLOWED.read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def unexpected(reasons: Iterable[str]) -> list[str]:
    """The reasons that are not allowed, each once."""
    begin = allowed()
    return sorted({reason for reason in reasons if not reason.startswith(begin)})


def skipped(config: pytest.Config) -> Counter[str]:
    """The reasons of this run's skips, and how often each was given."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    found: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []) if reporter else []:
        words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found[words.removeprefix("Skipped: ")] += 1
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was skipped."""
    found = skipped(config)
    if not found:
        return
    terminalreporter.section("skipped, and why")
    for reason, count in sorted(found.items()):
        terminalreporter.line(f"{count:4d}  {reason}")
    for reason in unexpected(found):
        terminalreporter.line(f"not in {ALLOWED.name}, so the run failed: {reason}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where something was skipped for a reason nobody expects; with several processes, the one that
    reports."""
    if not hasattr(session.config, "workerinput") and unexpected(skipped(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
