"""Checkpoints of torch, read without torch's loader: what a training of ours left, and the weights in anybody's.

    read_checkpoint(path) = the file's dictionaries, numbers and text, its tensors on the CPU;
    anything else in it is refused
    read_weights(path)    = its floating-point tensors by name, whatever else its trainer put beside them

Trainers keep settings, callbacks and schedules in the file, as objects of their own classes (Lightning before 1.5, and
so VPoser v2's files). The machine reads each of them as a record that forgets (`Forgotten`): nothing a file names is
imported, called or run.

Source: the layouts of `torch.save` (`refine.files.torch_file`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from refine.errors import InputError
from refine.files.plain_data import PlainReader, with_tensors
from refine.files.records import Forgotten, StandIn
from refine.files.torch_file import LEGACY_HEAD, archive_name, inner_reader, read_legacy, read_zip
from refine.files.unpacked import MAX_BYTES

AGAIN = "Is the download complete? Download it again from its own page."


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint this library wrote.

    Args:
        path: A file of `torch.save`.

    Returns:
        Dictionaries, lists, tuples, text and numbers; tensors on the CPU, bfloat16 as float32, arrays as numpy's.

    Raises:
        InputError: It cannot be read, is damaged, or asks for anything but plain data.
    """
    reader = PlainReader(str(path), inner_reader(str(path)))
    return _guarded(path, lambda: with_tensors(reader.read(_records(path, None))))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's weights.

    Args:
        path: A file of `torch.save`: a dictionary of tensors, or one that has it under "state_dict".

    Returns:
        Floating-point tensors by name, on the CPU.

    Raises:
        InputError: The file cannot be read, or holds no such dictionary.
    """
    content = _guarded(path, lambda: _records(path, Forgotten))
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        got = "something else" if isinstance(content, StandIn) else f"a {type(content).__name__}"
        raise InputError(path.name, "a dictionary of weights", got, AGAIN)
    reader = PlainReader(path.name, inner_reader(path.name))
    tensors = {str(key): item for key, item in content.items() if _is_tensor(item)}
    found = _guarded(path, lambda: with_tensors(reader.read(tensors)))
    weights = {key: item for key, item in found.items() if isinstance(item, Tensor) and item.is_floating_point()}
    if not weights:
        raise InputError(path.name, "a dictionary of weights", "a file without any", AGAIN)
    return weights


def _records(path: Path, unknown: type[Forgotten] | None) -> object:
    """Return a file of `torch.save`, either layout, as the machine reads it."""
    if not path.is_file():
        raise InputError("path", "a checkpoint", f"no file at {path}", "Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(path.name, f"at most {MAX_BYTES / 2**20:.0f} MiB", f"{path.stat().st_size / 2**20:.0f} MiB")
    if archive_name(path) is not None:
        return read_zip(path, unknown=unknown)
    data = path.read_bytes()
    if not data.startswith(LEGACY_HEAD):
        raise InputError(path.name, "a checkpoint of torch", "something else, or half of one", AGAIN)
    return read_legacy(data, path.name, unknown=unknown)


def _is_tensor(item: object) -> bool:
    """Say whether a record is a tensor on a storage of a known type."""
    if not isinstance(item, StandIn) or not item.path.startswith("torch._utils._rebuild_"):
        return False
    if isinstance(item, Forgotten):  # made in a way that is not on the list
        return False
    on = item.arguments[0] if item.arguments else None
    return _is_tensor(on) if item.path.endswith("_parameter") else not isinstance(on, Forgotten)


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Say in one way that a file is damaged, which shows in many."""
    try:
        return read()
    except InputError:
        raise
    except Exception as error:  # a damaged archive or pickle can fail in any way
        got = f"a file that cannot be read ({type(error).__name__}: {str(error)[:120]})"
        raise InputError(path.name, "a checkpoint of torch", got, AGAIN) from error
