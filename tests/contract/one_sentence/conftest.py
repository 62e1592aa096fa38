"""A person as files, and the command line called as a shell does."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refine.body import SkinnedBody
from refine.commands.cli import main
from refine.export.files import write_image
from refine.geometry import rotation
from tests.contract.one_sentence.calls import Call, Ended
from tests.folders import smplx_translation
from tests.people import case


@pytest.fixture(scope="module")
def files(builtin_body: SkinnedBody, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person as files: one set beside each other, and as the folders that `refine run` takes."""
    folder = tmp_path_factory.mktemp("files")
    people = case(builtin_body, count=1)
    for part in ("results", "images", "keypoints", "empty", "folder.npz", "folder.png"):
        (folder / part).mkdir()
    bodies = people.estimate.bodies
    points = np.concatenate((people.detections.pixel[0].numpy(), np.ones((25, 1))), 1)
    openpose = json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": points.flatten().tolist()}]})
    for place, name in ((folder, "photo"), (folder / "images", "a")):
        write_image(place / f"{name}.png", people.photos[0])
    for place, name in ((folder, "estimate"), (folder / "results", "a")):
        np.savez(
            place / f"{name}.npz",
            global_orient=rotation.log(bodies.pose[:, 0]).numpy(),
            body_pose=rotation.log(bodies.pose[:, 1:22]).flatten(1).numpy(),
            transl=smplx_translation(people.estimate),
            focal=np.array([[480.0, 480.0]]),
            size=np.array([[480.0, 400.0]]),
        )
    for place, name in ((folder, "keypoints.json"), (folder / "keypoints", "a_keypoints.json")):
        (place / name).write_text(openpose)
    for name in ("nothing.npz", "nothing.png", "nothing.json", "nothing.pkl"):
        (folder / name).touch()
    for name in ("words.npz", "words.png", "words.json", "words.pkl"):
        (folder / name).write_text("these are words")
    (folder / "K.json").write_text('{"K": [[1, 2], [3, 4]]}')
    return folder


@pytest.fixture
def call(files: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None) -> Call:
    """Calls the command line as a shell does, in the folder of the files."""
    monkeypatch.chdir(files)

    def run(*arguments: str, out: Any = None, encoding: str = "utf-8") -> Ended:
        stdout = io.TextIOWrapper(io.BytesIO() if out is None else out, encoding=encoding, write_through=False)
        stderr = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["refine", *arguments])
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            with pytest.raises(SystemExit) as ended:
                main()
            if out is None:
                stdout.flush()
            stderr.flush()
        code = ended.value.code
        written = stdout.buffer.getvalue() if out is None else b""  # type: ignore[attr-defined]
        if out is not None:
            stdout.detach()  # or it would be flushed once more when it is collected
        said = stderr.buffer.getvalue()  # type: ignore[attr-defined]
        return Ended(
            int(code or 0), written.decode(encoding, "replace"), said.decode(encoding, "replace")
        )  # typer writes UTF-8 to ASCII consoles  # type: ignore[attr-defined]

    return run
