"""JSON as editors save it: every reader takes each encoding, and an error says where the text goes wrong."""

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from refine.errors import InputError
from refine.files.json_file import read_json
from refine.files.json_head import begins_with
from refine.formats.find import read
from refine.geometry.intrinsics import read_intrinsics
from refine.inputs.keypoint_files import read_keypoints
from tests.layouts import easymocap, eft, hand4whole

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16 little endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16 big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16 big endian without a mark": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "line feeds of Windows": lambda text: text.replace(",", ",\r\n").encode(),
    "a mark and line feeds of Windows": lambda text: codecs.BOM_UTF8 + text.replace(",", ",\r\n").encode(),
    "zeros at its end": lambda text: text.encode() + b"\r\n",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_is_read_as_what_was_written(encoding: str, tmp_path: Path) -> None:
    content = {"name": "Müller 世界", "numbers": [1, 2.5, None]}
    path = tmp_path / "x.json"
    path.write_bytes(ENCODINGS[encoding](json.dumps(content, ensure_ascii=False)))
    assert read_json(path) == content
    assert begins_with(path, "{", ("name", "numbers")) and not begins_with(path, "[", ("name",))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keypoints_and_cameras_are_read_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    people = {"version": 1.3, "people": [{"pose_keypoints_2d": [10.0, 20.0, 0.9] * 25}]}
    (tmp_path / "keypoints.json").write_bytes(ENCODINGS[encoding](json.dumps(people)))
    assert len(read_keypoints(tmp_path / "keypoints.json")) == 1
    matrix = {"K": [[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]]}
    (tmp_path / "K.json").write_bytes(ENCODINGS[encoding](json.dumps(matrix)))
    camera, lens = read_intrinsics(tmp_path / "K.json", (480, 640))
    assert lens is None and np.allclose(camera.focal, [[500, 510]]) and np.allclose(camera.center, [[320, 240]])


@pytest.mark.parametrize("layout", [easymocap, eft, hand4whole])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_results_are_read_in_any_encoding(layout: ModuleType, encoding: str, tmp_path: Path) -> None:
    path = layout.write(tmp_path / f"result{layout.SUFFIX}")
    path.write_bytes(ENCODINGS[encoding](path.read_text()))
    estimate = read(path, camera=getattr(layout, "CAMERA", None), sizes=getattr(layout, "SIZES", None))
    assert estimate.source.format == layout.__name__.rsplit(".", 1)[-1]


EARLY = ['{"people": [', "[1, 2", '{"a": "wor', "[tru", "[1,", '{"a"', "{", "[-"]
WRONG = {
    "[1, 2,]": (1, "[67]"), "{'a': 1}": (1, 2), '{"a": 1}\n}': (2, 1), '{"a": 1,\n "b": x}': (2, 7), "nothing": (1, 1)
}  # fmt: skip
"""Line and column where each goes wrong; of a comma too many Python names the comma since 3.13, before what follows."""


@pytest.mark.parametrize("text", EARLY)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8 with a mark", "utf-16 big endian"])
def test_a_text_that_ends_early_is_called_that(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(ENCODINGS[encoding](text))
    with pytest.raises(InputError, match="ends in the middle: copy it again"):
        read_json(path)


@pytest.mark.parametrize("text", WRONG)
def test_a_text_that_is_wrong_says_where_and_is_not_called_truncated(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    line, column = WRONG[text]
    with pytest.raises(InputError, match=f"at line {line}, column {column}.*Mend it there") as error:
        read_json(path)
    assert (
        "truncated" not in str(error.value) and "middle" not in str(error.value) and "regressor" not in str(error.value)
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"), (codecs.BOM_UTF16_LE, "an empty file"), (b" \r\n", "an empty file"),
        (b"\x93NUMPY\x01\x00v", "an npy file"), (b"\x80\x04\x95\xff", "a pickle"),
        (b'{"a": "\xff\xfe\xfd and more"}', r"no text \(utf-8, from byte 7 on\)"),
        (b'{"a": "\xe4\xb8', "within a character"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_json(path)


def test_a_camera_file_with_a_slip_says_where_and_what_would_be_right(tmp_path: Path) -> None:
    path = tmp_path / "K.json"
    path.write_text('{"K": [[500, 0, 320],\n [0, 500, 240] [0, 0, 1]]}')
    with pytest.raises(InputError, match=r"line 2, column 16.*Mend it there.*Write \{"):
        read_intrinsics(path, (480, 640))
