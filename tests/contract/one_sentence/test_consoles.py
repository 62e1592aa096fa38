"""Names a console cannot show, Ctrl-C, too little memory, a home that cannot be written: one sentence each."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

import refine
from tests.contract.one_sentence.calls import Call, check_told, words

NAMES = ["結果", "Zoë ☃", os.fsdecode(b"\xff\xfe broken")]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
@pytest.mark.parametrize("name", NAMES, ids=["chinese", "snowman", "no text"])
def test_a_name_that_the_console_cannot_show_is_shown_by_its_codes(
    name: str, encoding: str, call: Call, files: Path, tmp_path: Path
) -> None:
    estimate, photo = tmp_path / f"{name}.npz", tmp_path / f"{name}.png"
    estimate.write_bytes((files / "estimate.npz").read_bytes())
    photo.write_bytes((files / "photo.png").read_bytes())
    ended = call("inspect", str(estimate), encoding=encoding)
    assert ended.status == 0 and "anny55" in ended.out + ended.said
    picture = call(
        "inspect", str(estimate), "--image", str(photo), "--out", str(tmp_path / "picture.png"), encoding=encoding
    )
    assert picture.status == 0 and (tmp_path / "picture.png").is_file()
    ended = call(
        "fit",
        str(photo),
        "--init",
        str(estimate),
        "--keypoints",
        "keypoints.json",
        "--out",
        str(tmp_path / "out"),
        encoding=encoding,
    )
    assert ended.status == 0, ended.said
    assert (tmp_path / "out" / f"{name}.obj").is_file()
    check_told(call("inspect", str(tmp_path / f"{name} is not there.npz"), encoding=encoding))


@pytest.mark.parametrize("name", NAMES, ids=["chinese", "snowman", "no text"])
def test_a_folder_of_names_that_the_console_cannot_show_is_refined(
    name: str, call: Call, files: Path, tmp_path: Path
) -> None:
    for kind, suffix, source in (
        ("results", ".npz", "estimate.npz"),
        ("images", ".png", "photo.png"),
        ("keypoints", "_keypoints.json", "keypoints.json"),
    ):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{name}{suffix}").write_bytes((files / source).read_bytes())
    given = {
        "results": str(tmp_path / "results"),
        "--images": str(tmp_path / "images"),
        "--keypoints": str(tmp_path / "keypoints"),
        "--out": str(tmp_path / "out"),
    }
    listed = call(*words("run", given | {"--dry-run": None}), encoding="ascii")
    assert listed.status == 0, listed.said
    for _ in range(2):  # the second is resumed from what the first wrote about it
        done = call(*words("run", given), encoding="ascii")
        assert done.status == 0, done.said
    assert (tmp_path / "out" / f"{name}.npz").is_file()


@pytest.mark.parametrize("command", ["fit", "inspect", "convert", "run", "watch", "demo"])
def test_ctrl_c_is_one_sentence_and_status_130(
    command: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> NoReturn:
        raise KeyboardInterrupt

    for name in (
        "refine.fit", "refine.inspection.result_file.inspect", "refine.formats.find.read", "refine.folder.run.run_folder",  # noqa: E501
        "refine.folder.watch.watch_folder", "refine.demo.run.run_demo",
    ):  # fmt: skip
        monkeypatch.setattr(name, interrupted)
    changed: dict[str, str | None] = {} if command == "inspect" else {"--out": str(tmp_path / "out")}
    ended = call(*words(command, changed))
    check_told(ended, 130)
    assert ended.said.splitlines()[-1].startswith("Interrupted.")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
    ],
)
def test_too_little_memory_is_told(
    error: Exception, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(refine, "fit", full)
    ended = call(*words("fit", {"--out": str(tmp_path / "out")}))
    check_told(ended)
    assert "not enough memory" in ended.said


def test_a_fault_of_our_own_keeps_its_traceback(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine, "fit", lambda *_, **__: {}["nothing"])
    with pytest.raises(KeyError):
        call(*words("fit", {"--out": str(tmp_path / "out")}))


@pytest.mark.parametrize("given", [b"", b"words", b"PK\x03\x04"])
def test_nothing_usable_on_standard_input_is_told(given: bytes, files: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refine", "fit", "--stdin"], input=given, capture_output=True, cwd=files, check=False
    )
    assert (
        done.returncode == 2
        and done.stderr.startswith(b"refine: --stdin")
        and b"Traceback" not in done.stderr
        and not done.stdout
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["fit", "run"])
def test_a_home_that_cannot_be_written_costs_a_line_and_no_result(command: str, files: Path, tmp_path: Path) -> None:
    """Warp's kernel cache lies there; containers often have none."""
    home = tmp_path / "home"
    home.touch()
    surroundings = {
        name: value for name, value in os.environ.items() if name not in ("WARP_CACHE_PATH", "XDG_CACHE_HOME")
    }
    done = subprocess.run(
        [sys.executable, "-m", "refine", *words(command, {"--out": str(tmp_path / "out")})],
        env=surroundings | {"HOME": str(home)}, capture_output=True, text=True, cwd=files, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= (
        {"photo_refined.npz", "photo_overlay.jpg", "photo_report.png"} if command == "fit" else {"a.npz"}
    )
    if command == "fit":
        assert done.stderr.count("WARP_CACHE_PATH") == 1
