"""Every command under every mishap its user can cause: one sentence on standard error that says what to do, and the
status that says so."""

import os
import resource
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.contract.one_sentence.calls import CALLS, Call, check_told, words

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
    *(("fit", {"--keypoints": name}) for name in ("missing.json", "folder.png", "nothing.json", "words.json", "photo.png")),  # noqa: E501
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
