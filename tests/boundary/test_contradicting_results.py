"""Result files whose arrays contradict their description, or claim more than a machine holds, are refused."""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.files import npz as _npz
from refine.files import unpacked
from refine.files.pickled import read_pickled
from tests.hostile_files import Calls, stored_bytes


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
