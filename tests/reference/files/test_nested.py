"""What a regressor's file holds comes back from a saved result as it was, whatever it is nested in."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import refine
from refine.body import anny
from refine.errors import InputError
from refine.files.nested import packed, unpacked
from refine.files.plain_data import TensorArray
from refine.result import Result, load
from refine.solve import StopReason
from tests.nested import assert_same
from tests.people import case

RECORD = np.dtype({"names": ["a", "b"], "formats": ["<i2", ">f8"], "offsets": [0, 8], "itemsize": 24})

KINDS: dict[str, Any] = {
    "nothing": [None, {}, [], (), set(), frozenset(), "", b"", np.zeros((0, 3)), np.zeros((3, 0), "<U4")],
    "order of keys": {"b": 1, "a": 2, 3: "x", (1, "y"): None, None: 1.5, True: 0, b"k": 2, 2**70: 3},
    "names that look like paths": {"a/b": 1, "a": {"b": 2, "/": 3, "": 4}, "../x": 5, "content": 6, "nul\0": 7},
    "numbers": [0, -1, 2**63, -(2**64), 10**5000, 0.1, -0.0, 1e-323, float("inf"), float("-inf"), True, False],
    "text": ["nul\0", "\ud800", "é \U0001f600 \n", '"{}'],
    "scalars": [np.float32(0.1), np.float64(0.1), np.int8(-3), np.bool_(True), np.str_("x\0y"), np.complex64(1j),
        np.float16(2)],
    "arrays": [np.arange(6).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.array(3.5), np.array("text"),
        np.array([b"a", b"bc"])],
    "orders of bytes": [np.arange(3, dtype=">f4"), np.arange(3, dtype="<f4"), np.arange(3, dtype="f4")],
    "records": [np.zeros(2, RECORD), np.zeros((3, 1), RECORD), np.zeros(2, [("a", "<i2"), ("b", ">f8")])],
    "dates": np.array(["2020-01-01", "NaT"], "datetime64[D]"),
    "not a number": [float("nan"), np.array([np.nan, -np.nan], np.float32)],
    "tensors of a file": [np.arange(4.0).view(TensorArray), (np.zeros((2, 2), np.float16).view(TensorArray),)],
    "nested": {"frames": [{"people": ({"id": 1, "box": [1, 2.5, None]}, None)}, {"people": ()}]},
}  # fmt: skip


def through_a_file(content: Any) -> Any:
    memory = io.BytesIO()
    np.savez(memory, **{f"x/{name}": array for name, array in packed(content).items()})
    memory.seek(0)
    with np.load(memory, allow_pickle=False) as file:
        return unpacked({name: file[name] for name in file.files}, "x/")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_plain_data_comes_back(kind: str) -> None:
    again = through_a_file({"it": KINDS[kind]})["it"]
    assert_same(again, KINDS[kind])
    if kind == "tensors of a file":
        assert isinstance(again[0], TensorArray) and isinstance(again[1][0], TensorArray)
    if kind == "arrays":
        assert again[1].flags.f_contiguous


def test_arrays_of_objects_and_tensors_come_back() -> None:
    objects = np.empty((2, 1), object)
    objects[0, 0], objects[1, 0] = {"a": np.arange(3)}, [None, "x"]
    assert_same(through_a_file({"x": objects})["x"], objects)
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3)
    again = through_a_file({"x": tensor})["x"]
    assert again.dtype == tensor.dtype and torch.equal(again, tensor)


def test_what_is_no_plain_data_is_left_out_and_the_rest_kept() -> None:
    again = through_a_file({"a": 1, "b": object(), "c": [1, object(), 2], "d": torch.zeros(2, dtype=torch.bfloat16)})
    assert again == {"a": 1, "c": [1, None, 2]}


def test_a_file_of_many_arrays_is_few_members() -> None:
    people = {f"{frame}.jpg": [{"pose": np.full((24, 3, 3), frame), "id": frame}] for frame in range(2000)}
    assert len(packed(people)) == 2
    assert_same(through_a_file(people), people)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner, inner),
)


@given(PLAIN)
def test_whatever_is_nested_comes_back(content: Any) -> None:
    assert_same(through_a_file({"it": content}), {"it": content})


@given(st.recursive(
    st.none() | st.integers(-3, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["dict", "tuple", "array", "scalar", "objects", "int", "float", "bytes", "torch", "set",
            "os.system"]),
        inner, max_size=1),
))  # fmt: skip
def test_a_text_that_was_made_up_is_refused_in_one_way_or_read(text: Any) -> None:
    arrays = {"content": np.array(json.dumps(text).encode()), "numbers/0": np.arange(4.0)}
    try:
        unpacked(arrays, "")
    except (KeyError, ValueError, TypeError, IndexError):
        pass


def result() -> Result:
    drawn = case(anny.load(), count=1)
    zero = torch.zeros(1)
    return Result(drawn.estimate, drawn.true.state, (StopReason.CONVERGED,), zero, zero, zero, zero)


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[" * 200_000, b'{"eval": "1"}', b'{"array": [0, 0, [99]]}', b'{"array": [0, -1, [1]]}',
                b'{"array": [0, 0, [-1, -1]]}', b'{"dict": [[[], 1]]}', b'{"dict": 3}', b'{"int": "x"}',
                b'{"bytes": "0"}', b"[1]", b"7"]
)  # fmt: skip
def test_a_damaged_source_is_refused(content: bytes, tmp_path: Path) -> None:
    result().save(tmp_path / "whole.npz")
    whole = dict(np.load(tmp_path / "whole.npz"))
    whole |= {"source/arrays/content": np.array(content), "source/arrays/numbers/0": np.zeros(4)}
    np.savez(tmp_path / "part.npz", **whole)
    with pytest.raises(InputError):
        refine.load(tmp_path / "part.npz")


def test_a_result_of_version_1_is_read_as_it_was(tmp_path: Path) -> None:
    result().save(tmp_path / "new.npz")
    arrays = {name: array for name, array in np.load(tmp_path / "new.npz").items() if "source/arrays/" not in name}
    arrays |= {"version": np.array(1), "source/arrays/results/pose": np.arange(3), "source/arrays/name": np.array("x")}
    np.savez(tmp_path / "old.npz", **arrays)
    assert_same(load(tmp_path / "old.npz").source.arrays, {"results": {"pose": np.arange(3)}, "name": np.array("x")})
