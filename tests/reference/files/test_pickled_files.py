"""Pickles, joblib's, torch's and numpy's files are read and written as their own programs do it."""

import bz2
import collections
import gzip
import io
import lzma
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.files.pickled import (
    kind,
    read_json,
    read_pickled,
    write_joblib,
    write_json,
    write_object_npy,
    write_pickle,
    write_torch,
)
from refine.files.plain_data import TensorArray
from refine.files.same_kind import same_kind
from tests.nested import assert_same


def result() -> dict[Any, Any]:
    """Everything a result has been seen to hold."""
    return {
        "pose": np.arange(12, dtype=np.float32).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">i4"),
        "empty": np.zeros((0, 3)),
        "names": np.array(["a.png", "ü.png"]),
        "flag": np.array(True),
        "objects": np.array([{"a": 1}, None, np.arange(2)], dtype=object),
        7: {"nested": [1, 2.5, None, True, ("x", b"raw")], np.int64(3): np.float32(0.5)},
        "big": 2**70,
        "set": {1, 2},
    }


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_protocol_is_read_as_it_was(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(result(), protocol))
    assert kind(path) == "pickle"
    assert_same(read_pickled(path), result())


def test_dictionaries_by_other_names_are_dictionaries(tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    tracks = collections.defaultdict(dict, {0: {"pose": np.zeros(3)}})
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps({"tracks": tracks, "order": collections.OrderedDict(b=1, a=2)}, protocol))
        read = read_pickled(path)
        assert type(read["tracks"]) is dict and list(read["order"]) == ["b", "a"]


def test_paths_are_text(tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps([Path("a/b.png"), Path("/c")]))
    assert read_pickled(path) == ["a/b.png", "/c"]


def test_python_2_text_and_arrays_are_read_as_latin1(tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(b"(dp0\nS'n\\xe4me'\np1\n(lp2\nI3\naL5L\naF0.5\nas.")
    assert read_pickled(path) == {"näme": [3, 5, 0.5]}


def wrapped(padding: int | None, order: str = "C", array: np.ndarray | None = None) -> bytes:
    """A joblib stream written by hand: {"a": array, "b": 5}, the array's bytes after its description."""
    array = np.arange(6, dtype="<f8").reshape(2, 3) if array is None else array
    state: dict[str, object] = {"subclass": np.ndarray, "shape": array.shape, "order": order, "dtype": array.dtype}
    state |= {"allow_mmap": True}
    if padding is not None:
        state["numpy_array_alignment_bytes"] = 16
    inner = pickle.dumps(state, 2)[2:-1]  # without PROTO and STOP
    head = b"\x80\x02}(X\x01\x00\x00\x00acjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + inner + b"b"
    gap = b"" if padding is None else bytes([padding]) + b"\xff" * padding
    if array.dtype == object:
        return head + pickle.dumps(array, 5) + b"X\x01\x00\x00\x00bK\x05u."
    return head + gap + array.tobytes(order) + b"X\x01\x00\x00\x00bK\x05u."  # type: ignore[arg-type]


@pytest.mark.parametrize("padding", [None, 0, 9])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_between_the_opcodes_of_a_joblib_file_are_read(padding: int | None, order: str, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(wrapped(padding, order))
    assert kind(path) == "joblib"
    assert_same(read_pickled(path), {"a": np.arange(6.0).reshape(2, 3), "b": 5})


def test_arrays_of_objects_in_a_joblib_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    array = np.array([{"x": 1}, "y"], dtype=object)
    path.write_bytes(wrapped(None, array=array))
    assert_same(read_pickled(path), {"a": array, "b": 5})


@pytest.mark.parametrize(
    "compress",
    [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lambda d: lzma.compress(d, lzma.FORMAT_ALONE)],
)
def test_a_compressed_joblib_file_is_read_by_its_first_bytes(compress: Any, tmp_path: Path) -> None:
    path = tmp_path / "result.pkl"
    path.write_bytes(compress(wrapped(3)))
    assert kind(path) == "joblib"
    assert_same(read_pickled(path), {"a": np.arange(6.0).reshape(2, 3), "b": 5})


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_joblib_itself_writes_is_read(compress: Any, protocol: int, tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "result.pkl"
    joblib.dump(result() | {"tensor": torch.arange(3.0)}, path, compress=compress, protocol=protocol)
    read = read_pickled(path)
    assert isinstance(read["tensor"], TensorArray)
    assert_same(read, result() | {"tensor": np.arange(3, dtype=np.float32)})


def tensors() -> dict[str, Any]:
    """Tensors of every kind, views of one storage among them."""
    shared = torch.arange(24.0).reshape(4, 6)
    return {
        "float": shared,
        "view": shared[1:3, ::2].T,
        "spread": torch.ones(1, 3).expand(2, 3),
        "half": torch.ones(3, dtype=torch.float16),
        "bfloat": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "int": torch.tensor([[1], [2]]),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(3.0, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "array": np.arange(3),
        "size": torch.Size((1, 2)),
        "type": torch.float32,
        "device": torch.device("cuda:0"),
        "list": [{"x": torch.zeros(2)}, "text"],
    }


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes_is_read_in_both_layouts(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "result.pt"
    torch.save(tensors(), path, _use_new_zipfile_serialization=zipped)
    assert kind(path) == "torch"
    read = read_pickled(path)
    assert isinstance(read["float"], TensorArray) and not isinstance(read["array"], TensorArray)
    assert_same(read, plain(tensors()))


def test_a_storage_that_lived_on_a_gpu_is_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "result.pt"
    torch.save({"x": torch.arange(3.0)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes().replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    path.write_bytes(data)
    assert_same(read_pickled(path), {"x": np.arange(3, dtype=np.float32)})


def test_tensors_in_pickles_and_numpy_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hps_track_0.npy"
    np.save(path, {"pred_cam": torch.arange(6.0).reshape(2, 3), "frame": np.arange(2)}, allow_pickle=True)  # type: ignore[arg-type]
    assert kind(path) == "npy"
    assert_same(read_pickled(path), {"pred_cam": np.arange(6, dtype=np.float32).reshape(2, 3), "frame": np.arange(2)})
    path.write_bytes(pickle.dumps([torch.ones(2, dtype=torch.float64)]))
    assert_same(read_pickled(path), [np.ones(2)])


def test_a_plain_numpy_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(3))
    assert_same(read_pickled(path), np.arange(3))
    np.save(path, np.array([{"a": 1}, {"b": 2}]), allow_pickle=True)
    assert_same(read_pickled(path), np.array([{"a": 1}, {"b": 2}]))


def test_what_is_written_is_read_by_the_programs_themselves(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "in.pt")
    content = read_pickled(tmp_path / "in.pt")
    write_torch(tmp_path / "out.pt", content)
    again = torch.load(tmp_path / "out.pt", weights_only=False)
    assert torch.equal(again["view"], tensors()["view"]) and isinstance(again["array"], np.ndarray)
    write_pickle(tmp_path / "out.pkl", content, 2)
    assert torch.equal(pickle.loads((tmp_path / "out.pkl").read_bytes())["list"][0]["x"], torch.zeros(2))
    write_object_npy(tmp_path / "out.npy", content)
    found = np.load(tmp_path / "out.npy", allow_pickle=True).item()
    assert torch.equal(found["float"], tensors()["float"])
    for name in ("out.pt", "out.pkl", "out.npy"):
        assert_same(read_pickled(tmp_path / name), content)


@pytest.mark.parametrize("compress", [0, 3])
def test_what_is_written_for_joblib_is_read_by_it(compress: int, tmp_path: Path) -> None:
    path = tmp_path / "out.pkl"
    write_joblib(path, result(), compress)
    assert_same(read_pickled(path), result())
    joblib = pytest.importorskip("joblib")
    native = {name: value for name, value in result().items() if name != "swapped"}  # joblib turns the bytes round
    assert_same({name: value for name, value in joblib.load(path).items() if name != "swapped"}, native)


def test_json_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, [{"a": [0.1, 2]}])
    assert kind(path) == "json" and read_json(path) == [{"a": [0.1, 2]}]
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="JSON"):
        read_json(path)


def test_new_values_take_the_stored_ones_shape_type_and_kind() -> None:
    tensor = np.zeros((2, 3), np.float32).view(TensorArray)
    assert isinstance(same_kind(np.ones(6), tensor), TensorArray)
    fresh = same_kind(torch.ones(2, 3), np.zeros((2, 3), np.float32))
    assert type(fresh) is np.ndarray and fresh.dtype == np.float32


def test_a_file_that_is_something_else_has_no_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for content in (b"", b"hello", b"PK\x03\x04 nothing", b"\x89PNG", b"\x80\x09."):
        path.write_bytes(content)
        assert kind(path) == ""
        with pytest.raises(InputError):
            read_pickled(path)
    assert kind(tmp_path / "none") == ""


def test_shared_parts_stay_shared_and_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    row = np.arange(3.0)
    path.write_bytes(pickle.dumps([row, [row]]))
    first, (second,) = read_pickled(path)
    assert first is second


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for number in range(3):
        path.write_bytes(pickle.dumps([number]))
        assert read_pickled(path) == [number]


def test_object_arrays_of_no_axes_inside_a_pickle_stay_arrays(tmp_path: Path) -> None:
    holder = np.empty((), object)
    holder[()] = {"a": 1}
    stream = io.BytesIO(pickle.dumps({"x": holder}))
    path = tmp_path / "x.pkl"
    path.write_bytes(stream.getvalue())
    assert read_pickled(path)["x"].shape == () and read_pickled(path)["x"][()] == {"a": 1}
