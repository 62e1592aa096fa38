"""Result files that try to run something, to exhaust the machine, or contradict themselves are refused."""

import io
import os
import pickle
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refine.errors import InputError
from refine.files import npz as _npz
from refine.files import pickled as _pickled
from refine.files import unpacked
from refine.files.pickled import kind, read_pickled


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


GADGETS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda file: Calls(os.system, f"touch {file}"),
    "eval": lambda file: Calls(eval, f"open({file!r}, 'w').close()"),
    "subprocess": lambda file: Calls(subprocess.Popen, ["touch", file]),
    "open": lambda file: {"pose": [Calls(open, file, "w")]},
    "getattr": lambda file: Calls(getattr, Calls(__import__, "os"), "system"),
    "torch.load": lambda file: Calls(torch.load, file),
    "numpy.load": lambda file: Calls(np.load, file, None, True),
}


def as_pickle(content: Any, path: Path, protocol: int) -> None:
    path.write_bytes(pickle.dumps(content, protocol))


def as_joblib(content: Any, path: Path) -> None:
    path.write_bytes(zlib.compress(pickle.dumps({"x": content}, 4)))


def as_joblib_objects(content: Any, path: Path) -> None:
    """The gadget in the pickle that follows the description of an array of objects."""
    state = {"subclass": np.ndarray, "shape": (1,), "order": "C", "dtype": np.dtype(object), "allow_mmap": False}
    inner = pickle.dumps(state, 2)[2:-1]
    head = b"\x80\x02}(X\x01\x00\x00\x00acjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + inner + b"b"
    array = np.empty(1, object)
    array[0] = content
    path.write_bytes(head + pickle.dumps(array, 4) + b"u.")


def as_torch(content: Any, path: Path, zipped: bool) -> None:
    torch.save({"x": torch.zeros(2), "y": content}, path, _use_new_zipfile_serialization=zipped)


def as_storage(content: Any, path: Path) -> None:
    """The gadget in the legacy file inside a pickled tensor."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    storage = Calls(torch.storage._load_from_bytes, stream.getvalue())
    path.write_bytes(pickle.dumps(Calls(torch._utils._rebuild_tensor_v2, storage, 0, (1,), (1,), False, {})))


def stored_bytes(tensor: torch.Tensor) -> bytes:
    """The legacy file that a pickle of a tensor holds."""
    storage = tensor.__reduce_ex__(2)[1][0]  # type: ignore[index]
    data: bytes = storage.__reduce__()[1][0]
    return data


def as_npy(content: Any, path: Path) -> None:
    holder = np.empty((), object)
    holder[()] = {"x": content}
    with path.open("wb") as file:
        np.save(file, holder, allow_pickle=True)


DISGUISES: dict[str, Callable[[Any, Path], None]] = {
    "protocol 0": lambda content, path: as_pickle(content, path, 0),
    "protocol 2": lambda content, path: as_pickle(content, path, 2),
    "protocol 5": lambda content, path: as_pickle(content, path, 5),
    "joblib": as_joblib,
    "joblib's array of objects": as_joblib_objects,
    "torch zip": lambda content, path: as_torch(content, path, True),
    "torch legacy": lambda content, path: as_torch(content, path, False),
    "a tensor's storage": as_storage,
    "numpy": as_npy,
}


@pytest.mark.parametrize("gadget", GADGETS)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_hostile_result_is_refused_and_runs_nothing(gadget: str, disguise: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "result.pkl"
    DISGUISES[disguise](GADGETS[gadget](str(canary)), path)
    assert kind(path)
    with pytest.raises(InputError, match="a pickle that asks for"):
        read_pickled(path)
    assert not canary.exists()


def test_the_gadgets_do_run_under_the_standard_unpickler(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(GADGETS["os.system"](str(canary))))
    assert canary.exists()


@pytest.mark.parametrize(
    "named",
    ["os system", "builtins eval", "torch load", "numpy load", "joblib.numpy_pickle NDArrayWrapper", "joblib load",
     "torch.storage UntypedStorage.from_file", "torch._utils _rebuild_wrapper_subclass", "pathlib Path.unlink",
     "collections defaultdict.__init__", "numpy.testing rundocs", "scipy.sparse.csc csc_matrix", "chumpy.ch Ch",
     "refine.files.pickled write_pickle"],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused_by_name(named: str, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(b"\x80\x02c" + named.replace(" ", "\n").encode() + b"\n)R.")
    with pytest.raises(InputError, match="a pickle that asks for"):
        read_pickled(path)


def deep_tuple() -> bytes:
    return b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s."


def laughs() -> bytes:
    """Lists of ten times the same list, forty deep."""
    body = b"]q\x00"
    for _ in range(40):
        body += b"0](" + b"h\x00" * 10 + b"eq\x00"
    return b"\x80\x02" + body + b"h\x00."


EXHAUSTING: dict[str, bytes] = {
    "deep tuple as a key": deep_tuple(),
    "billion laughs": laughs(),
    "deep list": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "text longer than the file": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "bytes longer than the file": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc.",
    "memo slot far out": b"\x80\x02]r\xff\xff\xff\x7f.x",
    "an extension code": b"\x80\x02\x82\x01.",
    "a buffer outside the file": b"\x80\x05\x97.",
    "a persistent identifier": b"\x80\x02K\x01Q.",
    "colliding keys": b"\x80\x02}\x8a\x09" + (2**64).to_bytes(9, "little") + b"K\x01s.",
    "an empty stack": b"\x80\x02R.",
    "no mark": b"\x80\x02t.",
    "a mark as the content": b"\x80\x02(.",
    "a call of a list": b"\x80\x02])R.",
    "an unhashable key": b"\x80\x02}]K\x01s.",
    "keywords": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93)}K\x01K\x02s\x92.",
}


@pytest.mark.parametrize("name", EXHAUSTING)
def test_a_pickle_that_exhausts_or_contradicts_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(EXHAUSTING[name])
    if name == "memo slot far out":  # a dictionary does not mind
        path.write_bytes(EXHAUSTING[name][:-1])
        assert read_pickled(path) == []
        return
    with pytest.raises(InputError):
        read_pickled(path)


def wrapper(shape: Any, dtype: Any, data: bytes) -> bytes:
    state = {"subclass": np.ndarray, "shape": shape, "order": "C", "dtype": dtype, "allow_mmap": False}
    inner = pickle.dumps(state, 2)[2:-1]
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + inner + b"b" + data + b"."


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2**40,), "f8"), ((-1,), "f8"), ("all", "f8"), ((3.0,), "f8"), ((2**62, 4), "u1"), ((1,) * 40, "u1"),
        ((1,), "V8"),
     ((3,), [("a", "f8")])],
)  # fmt: skip
def test_an_array_that_contradicts_its_description_is_refused(shape: Any, dtype: Any, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(wrapper(shape, np.dtype(dtype), bytes(24)))
    with pytest.raises(InputError):
        read_pickled(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (2, (2,), (2,)),
        (0, (2**30, 2**30), (0, 0)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), ()),
        (0, 2, 1),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(offset: Any, size: Any, stride: Any, tmp_path: Path) -> None:
    storage = Calls(torch.storage._load_from_bytes, stored_bytes(torch.zeros(4)))
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(Calls(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})))
    with pytest.raises(InputError):
        read_pickled(path)


def test_a_bomb_is_refused_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "FREE_BYTES", 2**20)
    path = tmp_path / "result.pkl"
    path.write_bytes(zlib.compress(pickle.dumps(bytes(2**24), 4)))
    with pytest.raises(InputError, match="once unpacked"):
        read_pickled(path)


def test_a_zip_file_that_claims_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"x": torch.zeros(1000)}, tmp_path / "x.pt")
    np.savez(tmp_path / "x.npz", x=np.zeros(1000))
    np.savez(tmp_path / "object.npz", results=np.array({"x": np.zeros(1000)}, object), allow_pickle=True)  # type: ignore[arg-type]
    monkeypatch.setattr(unpacked, "MAX_BYTES", 2000)
    for name, reader in (
        ("x.pt", read_pickled),
        ("x.npz", _npz.read_arrays),
        ("object.npz", lambda path: _npz.read_object(path, "results")),
    ):
        with pytest.raises(InputError, match="once unpacked"):
            reader(tmp_path / name)


def test_a_compressed_npz_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacked, "FREE_BYTES", 2**20)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(2**22))
    with pytest.raises(InputError, match="once unpacked"):
        _npz.read_arrays(tmp_path / "x.npz")


def test_a_torch_file_without_its_numbers_is_refused(tmp_path: Path) -> None:
    path, cut = tmp_path / "result.pt", tmp_path / "cut.pt"
    torch.save({"x": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(cut, "w") as other:
        for name in archive.namelist():
            if not name.endswith("data/0"):
                other.writestr(name, archive.read(name))
    with pytest.raises(InputError):
        read_pickled(cut)


def test_a_numpy_file_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(8))
    with pytest.raises(InputError, match="a whole npy file"):
        read_pickled(path)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_truncated_result_is_refused(disguise: str, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    DISGUISES[disguise]({"pose": np.arange(100.0)}, path)
    if disguise == "a tensor's storage":
        path.write_bytes(pickle.dumps(torch.zeros(9)))
    data = path.read_bytes()
    for length in (0, 1, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            read_pickled(path)


@given(data=st.data())
def test_a_damaged_result_is_refused_or_read_and_never_breaks(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "damaged.pkl"
    content = {"pose": np.arange(6.0), "name": "x", "list": [1, 2.5, None], "tensor": torch.arange(3.0)}
    name = data.draw(st.sampled_from(sorted(DISGUISES)))
    DISGUISES[name](content, path)
    if name == "a tensor's storage":
        path.write_bytes(pickle.dumps(torch.zeros(9)))
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 2**20)) % len(whole)] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole))
    try:
        read_pickled(path)
    except InputError:
        pass


def test_a_missing_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Check the path"):
        read_pickled(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="Check the path"):
        _pickled.read_json(tmp_path / "none.json")
