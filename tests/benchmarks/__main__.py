"""`python -m tests.benchmarks [--json FILE] [--only NAME] [--gate] [--update-baseline]`: measure, report, compare."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from refine.evaluate.machine import describe_machine
from tests.benchmarks._yardstick import yardstick_seconds
from tests.benchmarks.measurement import Measurement, regressions

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    """Run the benchmarks of a folder.

    Args:
        arguments: The command line; that of the process by default.
        folder: Holds the benchmark files and baseline.json.

    Returns:
        Exit status: 1 where the gate found a regression, 0 else. (An unknown --only exits with 2.)
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument(
        "--only", metavar="NAME", help="a file (solve), a figure (solve.lm.512.cpu) or a part of its name from the left"
    )
    parser.add_argument(
        "--gate", action="store_true", help="exit with 1 where a figure is worse than baseline.json allows"
    )
    parser.add_argument("--update-baseline", action="store_true", help="write what was measured into baseline.json")
    options = parser.parse_args(arguments)

    benchmarks = discover(folder)
    only: str = options.only or ""
    chosen = [name for name in benchmarks if not only or name == only.partition(".")[0]]
    if not chosen:
        parser.error(f"--only: expected a name that begins with one of {', '.join(benchmarks)}, got {only!r}")
    yardstick = yardstick_seconds()
    machine = {**describe_machine(), "yardstick": f"{1000 * yardstick:.0f} ms"}
    print("\n".join(f"{name}: {words}" for name, words in machine.items()))
    measured: list[Measurement] = []
    for name in chosen:
        found = benchmarks[name]()
        strangers = [one.key for one in found if one.key.partition(".")[0] != name]
        if strangers:
            raise ValueError(f"tests/benchmarks/{name}.py: expected keys that begin with '{name}.', got {strangers}")
        kept = [one for one in found if matches(one.key, only)]
        measured += kept
        for one in kept:
            print(line(one), flush=True)
    if not measured:
        parser.error(f"--only: no figure of {chosen[0]} is called {only!r}")

    path = folder / "baseline.json"
    stored = json.loads(path.read_text()) if path.exists() else {"machine": {}, "values": {}}
    # What is kept of a baseline was measured at its yardstick, and what is put beside it is told at the same.
    fresh = options.update_baseline and not only
    then = yardstick if fresh else stored.get("yardstick_s", yardstick)
    slower = yardstick / then
    if options.json:
        report = {"machine": machine, "measurements": [asdict(one) for one in measured]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.update_baseline:
        values = stored["values"] if only else {}
        values |= {one.key: float(f"{one.elsewhere(1 / slower):.4g}") for one in measured if one.direction != "report"}
        report = {"machine": machine, "yardstick_s": float(f"{then:.4g}"), "values": dict(sorted(values.items()))}
        path.write_text(json.dumps(report, indent=1) + "\n")
    if options.gate:
        expected = {key for key in stored["values"] if matches(key, only)}
        print(f"gate: this machine takes {slower:.2f} times as long as the baseline's")
        worse = regressions(measured, stored["values"], expected, slower)
        print("\n".join(f"REGRESSION {sentence}" for sentence in worse) or "gate: no regression")
        return 1 if worse else 0
    return 0


def discover(folder: Path) -> dict[str, Callable[[], list[Measurement]]]:
    """Return the `measure` function of every benchmark of a folder, a file or a package, by its name."""
    found = {}
    packages = (path.parent for path in folder.glob("*/__init__.py"))
    for path in sorted((*folder.glob("*.py"), *packages)):
        if path.stem.startswith("_") or path.stem == "measurement":
            continue
        package = path.is_dir()
        spec = importlib.util.spec_from_file_location(
            f"tests.benchmarks.{path.stem}",
            path / "__init__.py" if package else path,
            submodule_search_locations=[str(path)] if package else None,
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        if hasattr(module, "measure"):
            found[path.stem] = module.measure
    return found


def matches(key: str, only: str) -> bool:
    """Say whether a figure is meant by --only: all of its name, or its first parts."""
    return not only or f"{key}.".startswith(f"{only}.")


def line(one: Measurement) -> str:
    """Return one figure as a line of the report."""
    verdict = {None: "", True: "  reaches", False: "  MISSES"}[one.reached]
    target = f"{verdict} {one.target:g}" if verdict else ""
    return f"{one.key:32} {one.value:10.4g} {one.unit:5}{target:16} {one.note}"


if __name__ == "__main__":
    sys.exit(main())
