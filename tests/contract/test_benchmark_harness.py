"""The benchmark harness: what it finds, what it refuses, and what its gate catches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import refine
from refine.body import SkinnedBody
from refine.demo.scene import make_scene
from tests.benchmarks.__main__ import HERE, discover, main
from tests.benchmarks._yardstick import yardstick_seconds
from tests.benchmarks.displacement import timed
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.priors import check_all_are_measured

BENCHMARK = """
from tests.benchmarks.measurement import Measurement

def measure():
    return [
        Measurement("walk.time", {time}, "ms", "lower", 0.1),
        Measurement("walk.share", {share}, "%", "higher", 0.1),
        Measurement("walk.size", {size}, "MiB", "report"),
    ]
"""


@pytest.fixture(autouse=True)
def yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.yardstick_seconds", lambda: 0.1)


@pytest.fixture
def folder(tmp_path: Path, yardstick: None) -> Path:
    write(tmp_path, time=10.0, share=50.0, size=1.0)
    main(["--update-baseline"], tmp_path)
    return tmp_path


def write(folder: Path, *, time: float, share: float, size: float) -> None:
    (folder / "walk.py").write_text(BENCHMARK.format(time=time, share=share, size=size))


def test_the_gate_passes_what_stays_within_its_tolerance(folder: Path) -> None:
    write(folder, time=10.9, share=45.1, size=90.0)
    assert main(["--gate"], folder) == 0


@pytest.mark.parametrize(
    ("time", "share", "named"),
    [(11.1, 50.0, "walk.time"), (10.0, 44.9, "walk.share"), ("float('nan')", 50.0, "walk.time")],
)
def test_the_gate_names_a_figure_that_got_worse(
    folder: Path, capsys: pytest.CaptureFixture[str], time: float, share: float, named: str
) -> None:
    write(folder, time=time, share=share, size=1.0)
    assert main(["--gate"], folder) == 1
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("REGRESSION")]
    assert len(rows) == 1 and named in rows[0]


@pytest.mark.parametrize(("time", "share", "passes"), [(21.0, 50.0, True), (23.0, 50.0, False), (20.0, 44.0, False)])
def test_times_are_compared_over_the_yardsticks_of_the_machines_and_nothing_else_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, time: float, share: float, passes: bool
) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.yardstick_seconds", lambda: 0.2)
    write(folder, time=time, share=share, size=1.0)
    assert main(["--gate"], folder) == int(not passes)
    main(["--update-baseline", "--only", "walk"], folder)
    kept = json.loads((folder / "baseline.json").read_text())
    assert kept["yardstick_s"] == 0.1 and kept["values"]["walk.time"] == time / 2
    main(["--update-baseline"], folder)
    assert json.loads((folder / "baseline.json").read_text())["values"]["walk.time"] == time


def test_the_yardstick_is_a_time() -> None:
    assert 0 < yardstick_seconds() < 60


def test_the_gate_misses_a_figure_that_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "walk.py").read_text()
    (folder / "walk.py").write_text(text.replace('Measurement("walk.share"', '# Measurement("walk.share"'))
    assert main(["--gate"], folder) == 1
    assert "walk.share: in the baseline, but no longer measured" in capsys.readouterr().out


def test_only_takes_a_file_or_a_figure(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    main(["--only", "walk", "--json", str(report)], folder)
    assert len(json.loads(report.read_text())["measurements"]) == 3
    main(["--only", "walk.share", "--json", str(report)], folder)
    written = json.loads(report.read_text())
    assert [one["key"] for one in written["measurements"]] == ["walk.share"]
    assert set(written["machine"]) == {"hardware", "system", "versions", "yardstick"}


@pytest.mark.parametrize("name", ["run", "walk.sha", "walk.time.slow"])
def test_an_unknown_only_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--only", name], folder)
    assert stop.value.code == 2
    assert "--only" in capsys.readouterr().err


def test_updating_one_figure_keeps_the_others(folder: Path) -> None:
    write(folder, time=5.0, share=99.0, size=1.0)
    main(["--only", "walk.time", "--update-baseline"], folder)
    values = json.loads((folder / "baseline.json").read_text())["values"]
    assert values == {"walk.time": 5.0, "walk.share": 50.0}  # walk.size is only reported


def test_a_key_begins_with_its_file(folder: Path) -> None:
    (folder / "swim.py").write_text(BENCHMARK.format(time=1, share=1, size=1))
    with pytest.raises(ValueError, match=r"swim\.py"):
        main([], folder)


def test_every_public_prior_has_a_row() -> None:
    check_all_are_measured()


def test_what_a_fit_with_the_network_spends_its_time_on_is_found(builtin_body: SkinnedBody) -> None:
    """The benchmark watches functions by their names, which move."""
    scene = make_scene(builtin_body, 1)
    with timed() as spent:
        refine.fit(scene.photos[0].pixels, scene.estimate, refiner=replace(refine.Refiner.default(), rounds=1))
    assert set(spent) == {"render", "network", "match"} and min(spent.values()) > 0


def test_every_benchmark_file_measures() -> None:
    files = {path.stem for path in HERE.glob("*.py") if path.stem != "measurement" and path.stem[0] != "_"}
    packages = {path.parent.name for path in HERE.glob("*/__init__.py")}
    assert set(discover(HERE)) == files | packages


def test_a_package_is_a_benchmark_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = folder / "swim"
    package.mkdir()
    (package / "pool.py").write_text("LENGTH = 50.0\n")
    (package / "__init__.py").write_text(
        "from tests.benchmarks.measurement import Measurement\n"
        "from tests.benchmarks.swim.pool import LENGTH\n"
        "def measure():\n"
        "    return [Measurement('swim.length', LENGTH, 'm', 'report')]\n"
    )
    assert main(["--only", "swim"], folder) == 0
    assert "swim.length" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "reached"), [(9.0, True), (11.0, False)])
def test_a_target_is_reached_or_missed(value: float, reached: bool) -> None:
    assert Measurement("walk.time", value, "ms", "lower", target=10.0).reached is reached
    assert Measurement("walk.time", value, "ms", "higher", target=10.0).reached is not reached
    assert Measurement("walk.time", value, "ms", "lower").reached is None
