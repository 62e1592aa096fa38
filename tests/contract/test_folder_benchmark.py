"""The benchmark of folders, on a folder too small for its figures: it runs, and every result is refined."""

import pytest

from tests.benchmarks import run


@pytest.mark.slow
def test_the_folder_benchmark_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ITEMS", 4)
    monkeypatch.setattr(run, "SCALE", 1)
    found = {one.key: one for one in run.measure()}
    assert set(found) == {"run.folder.wall", "run.folder.rate", "run.folder.memory"}
    assert found["run.folder.rate"].value > 0 and found["run.folder.wall"].note.startswith("4 results")
