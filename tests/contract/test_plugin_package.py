"""A package of somebody else's, installed as pip installs it: everything it adds is found, and works."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in a folder of its own; its source is copied first, for building leaves files behind."""
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "site"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    done = subprocess.run([*pip, "--target", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def run(arguments: list[str], installed: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(installed), str(ROOT)))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_what_a_package_adds_is_found_and_works(installed: Path, tmp_path: Path) -> None:
    done = run([str(PACKAGE / "use.py"), str(tmp_path)], installed)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["formats"] and found["regressors"] and found["format"] == "tiny"
    assert 4 < found["moved_px"] < 8
    assert found["file_agrees"] < 0.02
    assert found["taller"] == pytest.approx(1.1, abs=1e-4)
    assert found["asked"] == 1 and found["rendered"]
    inspected = run(
        ["-m", "refine", "inspect", str(tmp_path / "refined.json"), "--out", str(tmp_path / "seen.png")], installed
    )
    assert inspected.returncode == 0, inspected.stderr
    assert "format        tiny: The regressor's result file" in inspected.stdout
    assert (tmp_path / "seen.png").is_file()


@pytest.mark.slow
def test_without_the_package_its_file_is_unknown(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    file.write_text('{"tiny": 1, "side": 128, "pose": [1], "betas": [2], "camera": [3]}')
    done = run(["-m", "refine", "inspect", str(file)], ROOT)
    assert done.returncode == 2 and "a JSON file with betas, camera, pose, side, tiny" in done.stderr
