"""joblib's files: a pickle, perhaps compressed, in which an array's raw bytes follow the record that describes it.

    ... NumpyArrayWrapper(shape, dtype, order,
    alignment) BUILD | [n | n bytes of padding] | count * itemsize bytes | next opcode ...

Arrays of objects follow as a whole pickle of their own. What a file may grow to is limited (`unpacked`).

Source: joblib/joblib, `joblib/numpy_pickle.py` (NumpyArrayWrapper.read_array, NumpyUnpickler.load_build),
`numpy_pickle_utils.py`.
"""

import bz2
import lzma
import math
import zlib
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.files.pickle_machine import Machine
from refine.files.plain_data import ResultArrays
from refine.files.records import StandIn
from refine.files.unpacked import ADVICE, allowed_size

COMPRESSED = {b"x": "zlib", b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"\x5d\x00\x00": "lzma"}
"""First bytes of what joblib compresses with."""

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"


def compression(head: bytes) -> str:
    """Return what a file is compressed with, by its first bytes; empty: it is not."""
    return next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), "")


def decompressed(data: bytes, name: str) -> bytes:
    """Return a file's bytes as they were before compression.

    Args:
        data: The file.
        name: Its name, for messages.

    Raises:
        InputError: It would grow beyond all measure, is truncated, or is not what its first bytes say.
    """
    how, most = compression(data[:8]), allowed_size(len(data))
    if not how:
        return data
    machines: dict[str, Any] = {
        "zlib": zlib.decompressobj,
        "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(memlimit=2**30),
        "lzma": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=2**30),
    }
    machine = machines[how]()
    try:
        plain: bytes = machine.decompress(data, most + 1)
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise InputError(name, f"a {how} file", str(error)[:120], ResultArrays.advice) from error
    if len(plain) > most:
        raise InputError(name, f"at most {most / 2**20:.0f} MiB once unpacked", "more", ADVICE)
    if not machine.eof:
        raise InputError(name, f"a whole {how} file", f"an end after {len(data)} bytes", ResultArrays.advice)
    return plain


def read_wrapped(machine: Machine, wrapper: StandIn) -> object:
    """Read the array that follows its description in the stream.

    Args:
        machine: It stands behind the description.
        wrapper: The description.

    Returns:
        The array, read-only; an array of objects as its own pickle was read.

    Raises:
        ValueError: The description contradicts itself, or the stream ends before the array does.
    """
    state = wrapper.state
    if not isinstance(state, dict):
        raise ValueError("an array without a description")
    shape, dtype = state.get("shape"), state.get("dtype")
    if not isinstance(dtype, StandIn):
        raise ValueError("an array without a type")
    if dtype.arguments and str(dtype.arguments[0]).startswith("O"):
        inner = Machine(
            machine.stream, machine.name, machine.allowed, built={WRAPPER: read_wrapped}, depth=machine.depth + 1
        )
        return inner.load()
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"an array of shape {str(shape)[:60]}")
    kind = ResultArrays(machine.name).dtype(dtype)
    if state.get("numpy_array_alignment_bytes") is not None:
        padding = machine.stream.read(1)
        machine.stream.read(padding[0])
    length = math.prod(shape) * kind.itemsize
    raw = machine.stream.read(length)
    if len(raw) != length:
        raise ValueError(f"an array of {length} bytes in the last {len(raw)}")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if state.get("order") == "F" else "C")
