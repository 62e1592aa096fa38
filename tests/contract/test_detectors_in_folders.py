"""Detectors in place of keypoints: in runs over folders and on the command line."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.detectors import find
from refine.detectors.find import detectors
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from refine.folder.store import Store
from tests.folders import make_folder
from tests.people import case
from tests.stand_in_detector import StandIn, module_of


@pytest.fixture
def standing_in(builtin_body: SkinnedBody, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a detector that knows the people of `make_folder(count=3)`, each photo having one of them."""
    true = case(builtin_body, 3, 0, angle=0.15).true.keypoints_2d("body25")
    known = detectors() | {"standing_in": module_of(StandIn(true, name="standing_in 1.0"), ready=True)}
    monkeypatch.setattr(find, "detectors", lambda: known)
    find._loaded.cache_clear()
    return "standing_in"


def test_a_run_and_a_call_find_the_same(builtin_body: SkinnedBody, tmp_path: Path, standing_in: str) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    settings = Settings(folder.results, folder.images, detector=standing_in, save_npz=True)
    summary = run_folder(settings, tmp_path / "out", jobs=1)
    assert summary.exit_status == 0
    assert all("standing_in 1.0 looked at the photo" in " ".join(one.notes) for one in summary.outcomes)
    photo, result = folder.images / "person_00000.jpg", folder.results / "person_00000.npz"
    called = refine.fit(photo, result, keypoints=standing_in)
    stored = refine.load(tmp_path / "out" / "person_00000_refine.npz")
    assert torch.allclose(called.joints, stored.joints, atol=1e-3)  # another batch, another rounding
    with Store(tmp_path / "out") as store:
        assert "standing_in 1.0" in store.manifest.read_text()  # another version is another run


def test_the_commands_take_a_detector_in_place_of_keypoints(
    builtin_body: SkinnedBody, tmp_path: Path, standing_in: str
) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    photo, result = folder.images / "person_00000.jpg", folder.results / "person_00000.npz"
    fit = ["fit", str(photo), "--init", str(result), "--out", str(tmp_path / "one")]
    run = ["run", str(folder.results), "--images", str(folder.images), "--out", str(tmp_path / "many"), "--jobs", "1"]
    for call in (fit, run):
        assert CliRunner().invoke(app, [*call, "--detector", standing_in]).exit_code == 0
        for wrong in (["--detector", "nobodys"], ["--detector", standing_in, "--keypoints", str(folder.keypoints)]):
            failed = CliRunner().invoke(app, [*call, *wrong])
            assert failed.exit_code == 2 and "detector: expected" in failed.output
