"""Hostile numpy, zip, torch and JSON files are refused in one way, quickly, and nothing in them runs."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refine
from priors.latent_file import read_latent
from refine.body.load import load_body
from refine.errors import InputError
from refine.files import pickled as _pickled
from refine.files import unpacked
from refine.files.checkpoint import read_checkpoint, read_weights
from refine.files.npz import read_arrays, read_object
from refine.files.pickled import read_json, read_pickled
from refine.formats.find import formats, read
from refine.inputs.keypoint_files import read_keypoints

CANARY = "canary-of-hostile-containers"
"""Made in the working directory by whatever is run."""

DOORS: dict[str, Callable[[Path], object]] = {
    "read": read,
    "load": refine.load,
    "keypoints": read_keypoints,
    "pickled": read_pickled,
    "arrays": read_arrays,
    "object": lambda path: read_object(path, "results"),
    "json": read_json,
    "checkpoint": read_checkpoint,
    "weights": read_weights,
    "prior": read_latent,
    "body": load_body,
}


class Runs:
    """Pickles as a call of os.system."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {CANARY}",))


class Outside:
    """Pickles as a persistent identifier."""

    def __init__(self, identifier: object) -> None:
        self.identifier = identifier


class Persistent(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        return obj.identifier if isinstance(obj, Outside) else None


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def header(text: str, body: bytes = bytes(16), version: int = 1) -> bytes:
    data = text.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(data))
    return b"\x93NUMPY" + bytes((version, 0)) + length + data + body


def described(descr: str, shape: str = "(1,)") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


def objects(content: Any) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = content
    return array


def directory(data: bytes, offset: int, kind: str, value: int) -> bytes:
    """The archive with a field of its last member's directory entry changed."""
    changed = bytearray(data)
    struct.pack_into(kind, changed, data.rfind(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def torch_file(identifier: object) -> bytes:
    stream = io.BytesIO()
    Persistent(stream, 2).dump({"x": Outside(identifier)})
    return archive({"x/data.pkl": stream.getvalue(), "x/data/0": bytes(16)})


RECORDS = np.zeros(2, [("a", "f8"), ("b", object)])
RECORDS["b"] = [Runs(), Runs()]
DEEPER = np.zeros(1, [("a", [("b", object, (2,))])])
DEEPER["a"]["b"][0, 0] = Runs()
PLAIN = archive({"results.npy": saved(np.zeros(3))})
EVAL = f"__import__('os').system('touch {CANARY}')"

HEADERS = {
    "a call as the type": described(EVAL),
    "a call as the shape": described("'<f8'", f"({EVAL},)"),
    "a lambda": described("(lambda: 1)()"),
    "a negative shape": described("'<f8'", "(-1,)"),
    "a shape beyond all memory": described("'<f8'", "(4294967296, 4294967296)"),
    "a shape of false and true": described("'<f8'", "(True, True, True)"),
    "text of a terabyte": described("'|S999999999999'"),
    "an unknown type": described("'zz'"),
    "two fields of one name": described("[('a', '<f8'), ('a', '<f8')]"),
    "a type nested deep": described("[" * 500 + "]" * 500),
    "open brackets": header("(" * 9000),
    "a thousand signs": header("-" * 9000 + "1"),
    "a header of blanks": header(" " * 60000),
    "a header longer than the file": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    "another version": header("{}", version=9),
}

CASES: dict[str, bytes] = {
    "npz: an object": archive({"results.npy": saved(objects({"a": Runs()}))}),
    "npz: an object in records": archive({"results.npy": saved(RECORDS)}),
    "npy: an object in records": saved(RECORDS),
    "npy: an object in records in records": saved(DEEPER),
    "npy: arrays of objects in arrays of objects": saved(objects(objects([{"x": Runs()}]))),
    "npy: an object under a false header": header(
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }", pickle.dumps(Runs())
    ),
    **{f"npy: {name}": data for name, data in HEADERS.items()},
    **{f"npz: {name}": archive({"results.npy": data, "pose.npy": data}) for name, data in HEADERS.items()},
    "zip: four gigabytes declared": directory(PLAIN, 24, "<I", 2**32 - 2),
    "zip: less declared than there is": directory(PLAIN, 24, "<I", 10),
    "zip: an unknown compression": directory(PLAIN, 10, "<H", 99),
    "zip: encrypted": directory(PLAIN, 8, "<H", 1),
    "zip: a member beyond the end": directory(PLAIN, 42, "<I", 2**31 - 1),
    "zip: names that leave the folder": archive({"../../results.npy": b"x", "/etc/results.npy": b"y"}),
    "torch: a call": archive({"x/data.pkl": pickle.dumps({"a": Runs()}, 2), "x/version": b"3"}),
    "torch: a function by its name": archive({"x/data.pkl": b"\x80\x02cos\nsystem\n."}),
    "torch: a storage elsewhere": torch_file(("storage", torch.FloatStorage, "../../etc/passwd", "cpu", 4)),
    "torch: a module": torch_file(("module", os.system, "x")),
    "torch: a negative storage": torch_file(("storage", torch.FloatStorage, "0", "cpu", -1)),
    "torch: a storage beyond all memory": torch_file(("storage", torch.FloatStorage, "0", "cpu", 2**62)),
    "torch: text for a storage": torch_file("storage"),
    "gzip: a call": gzip.compress(pickle.dumps(Runs())),
    "gzip in gzip: a call": gzip.compress(gzip.compress(pickle.dumps(Runs()))),
    "bz2: a call": bz2.compress(pickle.dumps([Runs()])),
    "xz: a call": lzma.compress(pickle.dumps({"a": Runs()})),
    "lzma: a call": lzma.compress(pickle.dumps(Runs()), format=lzma.FORMAT_ALONE),
    "pickle: a number of a million digits": b"I" + b"9" * 10**6 + b"\n.",
    "json: a million brackets": b"[" * 10**6,
    "json: a million brackets, closed": b"[" * 10**6 + b"]" * 10**6,
    "json: a number of 5000 digits": b'{"pose": ' + b"9" * 5000 + b"}",
    "json: no text": b'{"a": "\xff\xfe"}',
    "json: of 16 bits, cut": '{"a": 1}'.encode("utf-16")[:-1],
    "json: two in one": b"{} {}",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / CANARY).exists()


def test_there_are_more_than_thirty() -> None:
    assert len(CASES) > 30


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_at_every_door(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"result.{name.partition(':')[0]}"
    path.write_bytes(CASES[name])
    understood = 0
    for door in DOORS.values():
        try:
            door(path)
            understood += 1  # a zip file that lies about one member may be read by the other
        except InputError:
            pass
    with pytest.raises(InputError):
        read(path)
    assert understood == 0 or name.startswith(("zip", "npz"))


@pytest.mark.parametrize("format", sorted(formats()))
@pytest.mark.parametrize(
    "name",
    ["npz: an object", "npz: an object in records", "npy: open brackets", "torch: a call", "xz: a call",
     "json: a million brackets", "zip: encrypted", "npz: a call as the shape"],
)  # fmt: skip
def test_a_format_that_is_forced_on_a_hostile_file_refuses_it(name: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(CASES[name])
    with pytest.raises(InputError):
        read(path, format=format)


def test_these_objects_do_run_where_numpy_unpickles_them(tmp_path: Path) -> None:
    np.load(io.BytesIO(CASES["npy: an object in records"]), allow_pickle=True)
    assert (tmp_path / CANARY).exists()
    (tmp_path / CANARY).unlink()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_numbers_of_json_that_are_none_are_named(number: str, tmp_path: Path) -> None:
    from tests.layouts import hand4whole

    path = hand4whole.write(tmp_path / "estimate.json", 1)
    content = json.loads(path.read_text())
    content["shape"][0] = "HERE"
    path.write_text(json.dumps(content).replace('"HERE"', number))
    with pytest.raises(InputError, match="shape"):
        read(path, camera=hand4whole.CAMERA)


def test_a_result_that_is_a_zip_bomb_is_refused_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "FREE_BYTES", 2**20)
    np.savez_compressed(tmp_path / "result.npz", version=np.array(1), pose=np.zeros(2**22))
    for door in (refine.load, read):
        with pytest.raises(InputError):
            door(tmp_path / "result.npz")
    with pytest.raises(InputError, match="MiB"):
        refine.load(tmp_path / "result.npz")


def test_why_a_file_was_refused_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, found = tmp_path / "result.pkl", []
    path.write_bytes(gzip.compress(pickle.dumps(Runs())))
    os.utime(path, (1, 1))
    whole = _pickled._read
    monkeypatch.setattr(_pickled, "_read", lambda path: (found.append(path), whole(path))[1])  # type: ignore[func-returns-value]
    for _ in range(3):
        with pytest.raises(InputError, match="a pickle that asks for"):
            read_pickled(path)
    assert len(found) == 1
