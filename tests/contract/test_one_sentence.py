"""Every command under every mishap its user can cause: one sentence on standard error that says what to do, and the status that says so."""

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.commands.cli import main
from refine.export.files import write_image
from refine.geometry import rotation
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


@dataclass
class Ended:
    """How a call ended."""

    status: int
    out: str
    said: str


Call = Callable[..., Ended]


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


def check_told(ended: Ended, status: int = 2) -> None:
    """One sentence, which says something, and no traceback."""
    assert ended.status == status, ended.said
    assert "Traceback" not in ended.said and "Traceback" not in ended.out
    if status == 2 and "Usage:" not in ended.said:  # a misspelt option is typer's to explain
        assert sum(line.startswith("refine: ") for line in ended.said.splitlines()) == 1, ended.said
    assert len(ended.said.strip()) > 20


FIT = {"photo": "photo.png", "--init": "estimate.npz", "--keypoints": "keypoints.json", "--out": "out"}
RUN = {"results": "results", "--images": "images", "--keypoints": "keypoints", "--out": "out", "--jobs": "1"}
INSPECT, CONVERT = {"file": "estimate.npz"}, {"file": "estimate.npz", "--to": "anny"}
WATCH = {"results": "results", "--images": "images", "--out": "out", "--once": None}
CALLS: dict[str, dict[str, str | None]] = {
    "fit": FIT, "run": RUN, "inspect": INSPECT, "convert": CONVERT, "watch": WATCH, "demo": {"--out": "out", "--people": "1"},
}  # fmt: skip


def words(command: str, changed: dict[str, str | None]) -> list[str]:
    """The words of a call: bare values first, then options."""
    options = CALLS[command] | changed
    bare = [value for name, value in options.items() if not name.startswith("--") and value is not None]
    named = [
        part for name, value in options.items() if name.startswith("--") for part in (name, value) if part is not None
    ]
    return [command, *bare, *named]


UNWRITABLE = ("photo.png", "photo.png/deeper", "/proc/nope", "/proc/nope/deeper", "/dev/null", "x" * 300)
BAD_FILES = (
    "missing.npz",
    "folder.npz",
    "nothing.npz",
    "words.npz",
    "nothing.pkl",
    "words.pkl",
    "words.json",
    "photo.png",
    "x" * 300,
)
BAD_PHOTOS = ("missing.png", "folder.png", "nothing.png", "words.png", "estimate.npz", "x" * 300)
MISHAPS: list[tuple[str, dict[str, str | None]]] = [
    *(("fit", {"--out": place}) for place in UNWRITABLE),
    *(("run", {"--out": place}) for place in UNWRITABLE),
    *(("watch", {"--out": place}) for place in UNWRITABLE[:3]),
    *(("demo", {"--out": place}) for place in UNWRITABLE[:3]),
    *(("inspect", {"--out": f"{place}/picture.png"}) for place in UNWRITABLE if place != "photo.png/deeper"),
    *(("convert", {"--out": f"{place}/body.npz"}) for place in UNWRITABLE),
    ("inspect", {"--out": "folder.png"}), ("inspect", {"--out": "picture.txt"}), ("convert", {"--out": "folder.npz"}),
    ("convert", {"--out": "estimate.npz"}), ("convert", {"--to": "no_such_model"}), ("convert", {"--to": "romp"}),
    *(("fit", {"--init": name}) for name in BAD_FILES),
    *(("inspect", {"file": name}) for name in BAD_FILES),
    *(("convert", {"file": name}) for name in BAD_FILES),
    *(("run", {"results": name}) for name in ("missing", "empty", "nothing.npz/x", "x" * 300)),
    ("watch", {"results": "missing"}),
    *(("fit", {"photo": name}) for name in BAD_PHOTOS),
    *(("inspect", {"--image": name}) for name in BAD_PHOTOS),
    *(("fit", {"--keypoints": name}) for name in ("missing.json", "folder.png", "nothing.json", "words.json", "photo.png")),
    *(("run", {"--images": name}) for name in ("missing", "empty")),
    *(("run", {"--keypoints": name}) for name in ("missing", "empty", "words.json")),
    *(("fit", {"--camera": name}) for name in ("fisheye", "missing.json", "K.json", "words.json", "folder.json", "")),
    *(("run", {"--camera": name}) for name in ("fisheye", "missing.json", "K.json")),
    *((command, {"--format": "no_such_format"}) for command in ("fit", "run", "inspect", "convert", "watch")),
    *((command, {"--body-model": "missing.npz"}) for command in ("fit", "run", "watch")),
    *((command, {"--device": "abacus"}) for command in ("run", "watch")),
    ("run", {"--engine": "steam"}), ("run", {"--jobs": "0"}), ("inspect", {"--frame": "7", "--out": "picture.png"}),
    *((command, {"--no-such-option": None}) for command in CALLS),
    ("fit", {"--init": None, "photo": "photo.png"}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "changed"), MISHAPS, ids=lambda part: str(part)[:60])
def test_a_mishap_is_one_sentence_and_status_two(
    command: str, changed: dict[str, str | None], call: Call, files: Path
) -> None:
    before = {path.name for path in files.iterdir()}
    if changed.get("--init", "") is None:
        ended = call("fit", "photo.png")
    else:
        ended = call(*words(command, changed))
    check_told(ended)
    made = {path.name for path in files.iterdir()} - before
    assert not made - {"out"}, "something was written"
    if "--out" in changed:
        assert not made


def test_an_option_that_says_where_is_looked_at_before_the_work(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of work must not end in "cannot be written"."""

    def worked(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("worked")

    for name in (
        "refine.fit",
        "refine.folder.run.run_folder",
        "refine.inspection.result_file.inspect",
        "refine.formats.find.read",
    ):
        monkeypatch.setattr(name, worked)
    for command in ("fit", "run"):
        check_told(call(*words(command, {"--out": "/proc/nope"})))
    for command, name in (("inspect", "picture.png"), ("convert", "body.npz")):
        check_told(call(*words(command, {"--out": f"/proc/nope/{name}"})))


@pytest.mark.parametrize("command", ["fit", "inspect", "convert", "run"])
def test_a_full_disk_behind_standard_output_is_told(command: str, call: Call, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = call(*words(command, {} if command == "inspect" else {"--out": str(tmp_path / "out")}), out=full)
    check_told(ended)
    assert "No space left" in ended.said and "Make room" in ended.said


@pytest.mark.parametrize("command", ["inspect", "fit"])
def test_a_pipe_whose_reader_has_ended_is_told(command: str, call: Call, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ended = call(*words(command, {} if command == "inspect" else {"--out": str(tmp_path / "out")}), out=pipe)
    check_told(ended)
    assert "standard output" in ended.said
    assert command == "inspect" or (tmp_path / "out" / "photo_refine.npz").is_file()


def test_a_disk_that_fills_while_results_are_written_is_told_and_leaves_nothing(call: Call, tmp_path: Path) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))
        ended = [
            call(*words("fit", {"--out": str(tmp_path / "out")})),
            call(*words("convert", {"--out": str(tmp_path / "body.npz")})),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    for one in ended:
        check_told(one)
    assert not (tmp_path / "body.npz").exists() and not any((tmp_path / "out").iterdir())


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
        "refine.fit", "refine.inspection.result_file.inspect", "refine.formats.find.read", "refine.folder.run.run_folder",
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
