"""The command line: what it writes, what it says, and how it ends."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from refine.body import SkinnedBody
from refine.commands.cli import app, main
from refine.export.files import write_image
from refine.geometry import rotation
from tests.folders import smplx_translation
from tests.people import case


@pytest.fixture(scope="module")
def files(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, an npz of parameters and an array of keypoints as OpenPose writes them."""
    import json

    folder = tmp_path_factory.mktemp("files")
    people = case(builtin_body, count=1)
    write_image(folder / "photo.png", people.photos[0])
    bodies = people.estimate.bodies
    np.savez(
        folder / "estimate.npz",
        global_orient=rotation.log(bodies.pose[:, 0]).numpy(),
        body_pose=rotation.log(bodies.pose[:, 1:22]).flatten(1).numpy(),
        transl=smplx_translation(people.estimate),
        focal=np.array([[480.0, 480.0]]),
        size=np.array([[480.0, 400.0]]),
    )
    points = np.concatenate((people.detections.pixel[0].numpy(), np.ones((25, 1))), 1)
    written = {"version": 1.3, "people": [{"pose_keypoints_2d": [float(number) for number in points.flatten()]}]}
    (folder / "keypoints.json").write_text(json.dumps(written))
    return folder


def test_fit_writes_every_file_and_prints_a_row_a_person(files: Path, tmp_path: Path) -> None:
    arguments = [
        "fit",
        str(files / "photo.png"),
        "--init",
        str(files / "estimate.npz"),
        "--keypoints",
        str(files / "keypoints.json"),
    ]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "deep" / "out")])
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "deep" / "out").iterdir()}
    written = ("_refine.npz", "_refined.npz", "_overlay.jpg", "_report.png", ".obj", ".glb", ".html")
    assert names == {f"photo{ending}" for ending in written}
    assert "CONVERGED" in done.stdout and "nan" not in done.stdout


def test_without_evidence_the_exit_status_says_that_nothing_was_refined(files: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["fit", str(files / "photo.png"), "--init", str(files / "estimate.npz"), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 1 and "NO_EVIDENCE" in done.stdout


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"--init": "none.npz"}, "none.npz"),
        ({"--keypoints": "none.json"}, "none.json"),
        ({"--camera": "fisheye"}, "diagonal"),
        ({"--body-model": "none/SMPL_NEUTRAL.npz"}, "smpl"),
        ({"--out": "photo.png"}, "--out"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(
    files: Path,
    tmp_path: Path,
    change: dict[str, str],
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(files)
    options = {"--init": "estimate.npz", "--out": str(tmp_path / "out"), **change}
    before = {path.name for path in files.iterdir()}
    monkeypatch.setattr(
        "sys.argv", ["refine", "fit", "photo.png", *(part for pair in options.items() for part in pair)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and word in said and "expected" in said and "Traceback" not in said
    assert not (tmp_path / "out").exists() and {path.name for path in files.iterdir()} == before
