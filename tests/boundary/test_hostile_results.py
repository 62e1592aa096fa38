"""Result files that try to run something, to exhaust the machine, or contradict themselves are refused."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refine.errors import InputError
from refine.files import pickled as _pickled
from refine.files.pickled import kind, read_pickled
from tests.hostile_files import DISGUISES, GADGETS


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
