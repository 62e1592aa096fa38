"""Model files that try to run something, to exhaust the machine, or to be what they are not are refused."""

import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refine.body.load import load_body
from refine.body.official_file import read_official_file
from refine.errors import InputError
from refine.files.allow_lists import BODY_MODELS
from refine.files.pickle_machine import unpickle
from refine.files.pickled_arrays import ArrayReader
from refine.files.records import StandIn


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def gadgets(canary: Path) -> dict[str, Any]:
    """Objects that leave a file behind when they are unpickled carelessly."""
    touch = f"touch {canary}"
    script = f"open({str(canary)!r}, 'w').close()"
    nested = canary.with_suffix(".npy")
    np.save(nested, np.array([Calls(os.system, touch)], dtype=object), allow_pickle=True)
    return {
        "os.system": Calls(os.system, touch),
        "eval": Calls(eval, f"__import__('os').system({touch!r})"),
        "exec": Calls(exec, script),
        "subprocess": Calls(subprocess.Popen, ["touch", str(canary)]),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "numpy.load": Calls(np.load, str(nested), None, True),
        "numpy.fromfile": Calls(np.fromfile, str(nested)),
        "pickle.loads": Calls(pickle.loads, pickle.dumps(Calls(os.system, touch))),
        "pathlib": Calls(Path.touch, canary),
        "nested": {"v_template": Calls(open, str(canary), "w")},
    }


GADGETS = (
    "os.system", "eval", "exec", "subprocess", "getattr", "numpy.load", "numpy.fromfile", "pickle.loads", "pathlib",
    "nested",
)  # fmt: skip


@pytest.mark.parametrize("name", GADGETS)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_hostile_pickle_is_refused_and_runs_nothing(name: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(gadgets(canary)[name], protocol))
    with pytest.raises(InputError, match="a pickle that asks for"):
        load_body(path)
    assert not canary.exists()


def test_the_gadgets_do_run_under_the_standard_unpickler(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(gadgets(canary)["os.system"]))
    assert canary.exists()


@pytest.mark.parametrize("name", GADGETS[:4])
def test_a_hostile_object_array_in_an_archive_is_refused_and_runs_nothing(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, v_template=np.array([gadgets(canary)[name]], dtype=object))
    with pytest.raises(InputError, match="a pickle that asks for"):
        load_body(path)
    assert not canary.exists()


def test_classes_on_the_list_are_recorded_not_called(tmp_path: Path) -> None:
    """A scipy matrix, a set and a dtype with absurd arguments: nothing complains, because nothing is made."""
    data = b"cscipy.sparse.csc\ncsc_matrix\n(I999999999999\nI999999999999\ntR."
    made = unpickle(data, "file", BODY_MODELS)
    assert isinstance(made, StandIn)
    assert (made.path, made.arguments) == ("scipy.sparse.csc.csc_matrix", (999999999999, 999999999999))


def test_the_allow_list_does_not_let_attributes_of_its_classes_through() -> None:
    for module, name in (
        ("numpy", "ndarray.tofile"),
        ("numpy", "load"),
        ("chumpy.ch", "Ch.minimize"),
        ("scipy.sparse", "load_npz"),
    ):
        data = b"\x80\x04" + _text(module) + _text(name) + b"\x93."
        with pytest.raises(InputError, match="a pickle that asks for"):
            unpickle(data, "file", BODY_MODELS)


def _text(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def test_one_pickle_cannot_change_how_the_next_is_read() -> None:
    """BUILD on a class or function would write into it, were it a real one."""
    poison = (
        b"\x80\x02cnumpy\ndtype\n}X\x04\x00\x00\x00pathX\x01\x00\x00\x00zsb0"
        b"c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb."
    )
    with pytest.raises(InputError):
        unpickle(poison, "file", BODY_MODELS)
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(
        ArrayReader("file").read("array", unpickle(pickle.dumps(array, 2), "file", BODY_MODELS)), array
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"0" * 10 + b".", "IndexError|complete pickle"),
        (b"]" + b"]a" * 300_000 + b".", "more than 500000 opcodes"),
        (b"P1\n.", "persistent identifier"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "complete pickle"),
        (b"\x80\x02T" + struct.pack("<i", -1) + b".", "complete pickle"),
        (b"", "early end"),
        (b"PK", "complete"),
    ],
)
def test_pickles_built_to_exhaust_the_machine_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        unpickle(data, "file", BODY_MODELS)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r" + struct.pack("<I", 2**31) + b".",
        b")" + b"\x85" * 100_000 + b"}q\x00.",
        b"}" + b"\x85" * 150 + b"q\x00h\x00\x86" * 200 + b".",
        b"}" + b"X\x0a\x00\x00\x00v_template" + b")" + b"\x85" * 100_000 + b"s.",
    ],
    ids=["a memo slot far out", "deep tuples left over", "tuples of tuples", "a deep tuple for an array"],
)
def test_pickles_that_are_deep_or_sparse_cost_nothing_and_are_no_model(data: bytes, tmp_path: Path) -> None:
    """No memo slot takes memory before it is filled, and no nested tuple is hashed, compared or printed in full."""
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"SMPL_NEUTRAL\.pkl"):
        load_body(path)


def array_state(shape: tuple[int, ...], dtype: str = "f8", raw: bytes = b"") -> StandIn:
    """The record of an array that claims a shape and holds some bytes."""
    kind = type("_reconstruct", (StandIn,), {"__slots__": (), "path": "numpy.core.multiarray._reconstruct"})
    number = type("dtype", (StandIn,), {"__slots__": (), "path": "numpy.dtype"})
    made = kind()
    made.state = (1, shape, number(dtype, 0, 1), False, raw)
    return made


def chumpy_state(path: str, **state: object) -> StandIn:
    made = type("node", (StandIn,), {"__slots__": (), "path": path})()
    made.state = state
    return made


ONE = array_state((1,), raw=bytes(8))
TALL, WIDE = array_state((2**15, 1), raw=bytes(2**18)), array_state((1, 2**15), raw=bytes(2**18))


@pytest.mark.parametrize(
    "value",
    [
        array_state((2**40,)),
        array_state((2**62, 0, 2), dtype="V0"),
        array_state((-1,), raw=bytes(8)),
        array_state((1,), dtype="O8", raw=bytes(8)),
        array_state((3,), raw=bytes(8)),
        chumpy_state("chumpy.reordering.Tile", a=ONE, reps=(2**40,)),
        chumpy_state("chumpy.reordering.Repeat", a=ONE, repeats=2**40),
        chumpy_state("chumpy.ch_ops.add", a=TALL, b=WIDE),
        chumpy_state("chumpy.ch_ops.dot", a=TALL, b=WIDE),
        chumpy_state("chumpy.reordering.Concatenate", dterms=["m0"] * 10_000, m0=TALL, axis=0),
        chumpy_state("chumpy.ch.ChLambda", lmb=ONE),
        chumpy_state("chumpy.ch.Ch"),
        chumpy_state("scipy.sparse.csc.csc_matrix", _shape=(2**20, 2**20), data=ONE, indices=ONE, indptr=ONE),
        "text",
        [1.0, 2.0],
    ],
)
def test_arrays_that_contradict_themselves_or_would_fill_the_memory_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="shapedirs: expected an array of numbers"):
        ArrayReader("file").read("shapedirs", value)


def test_a_chumpy_expression_that_contains_itself_is_refused() -> None:
    loop = chumpy_state("chumpy.ch.Ch")
    loop.state = {"x": loop}
    with pytest.raises(InputError, match="RecursionError"):
        ArrayReader("file").read("shapedirs", loop)


def test_an_archive_member_that_lies_about_its_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v_template.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16))
    with pytest.raises(InputError, match="complete model file"):
        read_official_file(path, ("v_template",))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"PK", b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>"]
)
def test_what_a_failed_download_leaves_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"SMPLX_NEUTRAL\.npz: expected a complete"):
        load_body(path)


@given(st.binary(max_size=200))
def test_random_bytes_are_data_or_an_input_error(data: bytes) -> None:
    try:
        unpickle(data, "file", BODY_MODELS)
    except InputError as error:
        assert error.name == "file"


@given(st.data())
def test_a_damaged_pickle_is_data_or_an_input_error(data: st.DataObject) -> None:
    whole = bytearray(
        pickle.dumps({"a": np.arange(5), "b": {"c": [1.5, "text", (1, 2)]}}, data.draw(st.integers(0, 5)))
    )
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    try:
        content = unpickle(bytes(whole), "file", BODY_MODELS)
        ArrayReader("file").read("a", content["a"] if isinstance(content, dict) and "a" in content else content)
    except InputError as error:
        assert error.name.startswith("file")
