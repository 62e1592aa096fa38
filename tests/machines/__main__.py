"""`python -m tests.machines [--quick] [--only NAME ...]`: the tests as other processors, thread counts and Pythons
would run them.

    extremes    the whole suite without vector instructions and one thread, and with all of them and two threads
    stand-ins   build of the body, demo and contract tests under the settings by which libraries are told of an older processor
    pythons     the whole suite in an own virtual environment of each supported Python found here (pyenv, PATH)

A table is printed, and the exit status is 1 if anything failed. Every run has a time limit: one that hangs has failed.
`--quick` runs, everywhere, only the tests that have told machines apart. Logs are kept in `.machines/`, and so are the
environments.

Source: pytorch.org/docs (ATEN_CPU_CAPABILITY), oneDNN (ONEDNN_MAX_CPU_ISA), oneMKL (MKL_ENABLE_INSTRUCTIONS), OpenBLAS
(OPENBLAS_CORETYPE), NumPy (NPY_DISABLE_CPU_FEATURES), OpenCV (OPENCV_CPU_DISABLE): each library's own documentation.
"""  # noqa: E501

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

from tests.machines.runs import HERE, QUICK, ROOT, Run, extremes, pythons, stand_ins

PASSED, FAILED, HUNG = "passed", "FAILED", "HUNG"


def main() -> int:
    """Run everything asked for, one after the other, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.machines", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the tests that have told machines apart")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="runs whose name begins so")
    parser.add_argument("--list", action="store_true", help="say what would be run")
    asked = parser.parse_args()
    HERE.mkdir(exist_ok=True)
    tests = QUICK if asked.quick else ()
    runs = [*extremes(tests), *stand_ins(tests), *pythons(tests)]
    runs = [run for run in runs if not asked.only or run.name.startswith(tuple(asked.only))]
    if asked.list:
        print("\n".join(f"{run.name:32s} {run.words}" for run in runs))
        return 0
    if not runs:
        print(f"nothing is called {' or '.join(asked.only)}", file=sys.stderr)
        return 2
    rows = [(run.name, *outcome(run)) for run in runs]
    print(f"\n{'run':32s} {'outcome':8s} {'minutes':>7s}  last words")
    for name, how, minutes, words in rows:
        print(f"{name:32s} {how:8s} {minutes:7.1f}  {words}")
    return int(any(how != PASSED for _, how, _, _ in rows))


def outcome(run: Run) -> tuple[str, float, str]:
    """Run one: how it ended, the minutes it took, and its last words."""
    log = HERE / f"{run.name.replace(' ', '_').replace('=', '-').replace(',', '-')}.log"
    print(f"{run.name}: {log.relative_to(ROOT)}", file=sys.stderr, flush=True)
    if run.fresh and run.fresh.exists():
        shutil.rmtree(run.fresh)
    start, how = time.monotonic(), PASSED
    with log.open("w") as out:
        for command in run.commands:
            left = run.limit_s - (time.monotonic() - start)
            how = ended(command, {**os.environ, **run.environment}, out, left)
            if how != PASSED:
                break
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return how, (time.monotonic() - start) / 60, lines[-1][:100] if lines else "nothing was said"


def ended(command: tuple[str, ...], environment: dict[str, str], out: object, seconds: float) -> str:
    """Run a command and whatever it starts; all of it is ended where the time is up."""
    try:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True  # type: ignore[call-overload]
        )  # fmt: skip
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return FAILED
    try:
        return PASSED if process.wait(max(seconds, 1.0)) == 0 else FAILED
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return HUNG


if __name__ == "__main__":
    sys.exit(main())
