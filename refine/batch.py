"""Operations on the rows of frozen dataclasses of batched tensors: select, choose, concatenate and replace.

Fields with one entry a row are found by their declaration: a tensor whose annotated shape begins with B, a dataclass
with such fields, a tuple or mapping of tensors declared with `field(metadata=PER_ROW)`, or a tuple of dataclasses with
such fields (`EACH_HAS_ROWS`). All other fields are shared, and those of the first argument are kept. A new field
therefore takes part in all operations. Printed, such a dataclass shows types and shapes, not numbers:

    Bodies(pose=float32 (2, 55, 3, 3), shape=float32 (2, 16), ...)
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from refine.errors import InputError

T = TypeVar("T")
Index = Tensor | np.ndarray | Sequence[int] | slice

PER_ROW: Mapping[str, object] = types.MappingProxyType({"per_row": True})
"""Metadata of a field that is no tensor and has one entry a row: a tuple (B,), or a mapping of tensors (B, ...)."""

EACH_HAS_ROWS: Mapping[str, object] = types.MappingProxyType({"each_has_rows": True})
"""Metadata of a field that is a tuple of dataclasses, each with one entry a row."""

MOST_CHARACTERS = 60
"""Most printed characters of a field that is neither an array nor a dataclass."""


def rows(value: T, index: Index) -> T:
    """Return some rows of a dataclass, in the order of index.

    Args:
        value: The dataclass; its shared fields are kept.
        index: Which rows, as a slice, a list or a tensor of rows, or a mask (B,).
    """
    return _over(lambda parts: _taken(parts[0], index), [value])


def where(take: Bool[Tensor, "B"], first: T, second: T) -> T:
    """Choose row by row between two dataclasses.

    Args:
        take: (B,) true for the rows of the first.
        first: B rows.
        second: B rows.

    Raises:
        InputError: A field is given in one of them only.
    """
    return _over(lambda parts: _chosen(take, *parts), [first, second])


def cat(parts: Sequence[T]) -> T:
    """Concatenate the rows of several dataclasses.

    Args:
        parts: At least one.

    Raises:
        InputError: A field is given in some of them only.
    """
    return _over(_joined, list(parts))


def put(whole: T, index: Index, part: T) -> T:
    """Return a dataclass with some of its rows replaced, the inverse of `rows`.

    Args:
        whole: B rows.
        index: Which, as for `rows`; no row twice.
        part: Their replacements, in the order of index.

    Raises:
        InputError: A field is given in one of them only.
    """
    return _over(lambda parts: _replaced(parts[0], index, parts[1]), [whole, part])


def to(value: T, device: torch.device | str) -> T:
    """Return a dataclass with all its tensors, those of its parts included, on another device.

    Args:
        value: The dataclass.
        device: Where to.
    """
    found: T = _on(value, device)
    return found


def _on(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_on(each, device) for each in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    given = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
    moved = {name: _on(part, device) for name, part in given.items()}
    changed = {name: part for name, part in moved.items() if part is not given[name]}
    return dataclasses.replace(value, **changed) if changed else value


def row_fields(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields that have one entry a row."""
    return tuple(_axes(kind))


def declares_rows(value: object) -> bool:
    """Return whether a value is a dataclass whose tensors are declared with their shapes, B first or not at all."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    declared = _axes(type(value))
    for field in dataclasses.fields(value):
        part = getattr(value, field.name)
        if isinstance(part, Tensor) and not _has_shape(type(value), field.name):
            return False
        if dataclasses.is_dataclass(part) and field.name in declared and not declares_rows(part):
            return False
    return True


def _has_shape(kind: type, name: str) -> bool:
    """Return whether a field is annotated with a tensor's shape, whose rows are its first axis or none."""
    hint = _hints(kind).get(name)
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    members = typing.get_args(hint) if union else (hint,)
    shapes = [member.dim_str.split() for member in members if hasattr(member, "dim_str")]
    return bool(shapes) and not any("B" in axes[1:] for axes in shapes)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass; none where a name is imported for type checkers only."""
    try:
        return typing.get_type_hints(kind)
    except NameError:
        return {}


def _over(work: Callable[[list[Any]], Any], values: list[Any]) -> Any:
    """Apply a function to every field that has rows, of one dataclass or several of a type."""
    changed: dict[str, Any] = {}
    kind: Any = type(values[0])
    for name, shapes in _axes(kind).items():
        parts = [getattr(value, name) for value in values]
        there = [part for part in parts if part is not None]
        if not there or not (shapes is None or any(_has_rows(there[0], shape) for shape in shapes)):
            continue
        if len(there) < len(parts):
            whose = f"{type(values[0]).__name__}.{name}"
            raise InputError(whose, "given for all rows or for none", "given for some of them")
        if _is_of_dataclasses(kind, name):
            changed[name] = tuple(_over(work, list(each)) for each in zip(*parts, strict=True))
        elif dataclasses.is_dataclass(parts[0]):
            changed[name] = _over(work, parts)
        elif isinstance(parts[0], Tensor | Mapping | tuple | list):  # another object has no rows of its own
            changed[name] = work(parts)
    return dataclasses.replace(values[0], **changed)


@cache
def _axes(kind: Any) -> dict[str, tuple[str, ...] | None]:
    """Return the fields that may have rows, with their annotated shapes to be tested (a union); None: always rows."""
    hints = _hints(kind)
    found: dict[str, tuple[str, ...] | None] = {}
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        hint = hints.get(field.name, field.type)
        union = typing.get_origin(hint) in (types.UnionType, typing.Union)
        members: tuple[Any, ...] = typing.get_args(hint) if union else (hint,)
        shapes = tuple(member.dim_str for member in members if hasattr(member, "dim_str"))
        if field.metadata.keys() & {"per_row", "each_has_rows"} or any(_has_row_fields(each) for each in members):
            found[field.name] = None
        elif any(shape.split()[:1] == ["B"] for shape in shapes):
            found[field.name] = shapes
    return found


@cache
def _is_of_dataclasses(kind: Any, name: str) -> bool:
    return any(field.name == name and "each_has_rows" in field.metadata for field in dataclasses.fields(kind))


def _has_row_fields(kind: Any) -> bool:
    if not dataclasses.is_dataclass(kind):
        return False
    same: Any = kind
    return bool(_axes(same))


def _has_rows(value: object, shape: str) -> bool:
    axes = shape.split()
    return isinstance(value, Tensor) and axes[:1] == ["B"] and value.dim() == len(axes)


def _taken(part: Any, index: Index) -> Any:
    if isinstance(part, Tensor):
        return part[_there(index, part)]
    if isinstance(part, Mapping):
        return {name: value[_there(index, value)] for name, value in part.items()}
    return tuple(part[row] for row in torch.arange(len(part))[_cpu(index)].tolist()) if part else part


def _chosen(take: Tensor, first: Any, second: Any) -> Any:
    if isinstance(first, Tensor):
        return torch.where(take.to(first.device).reshape(-1, *[1] * (first.dim() - 1)), first, second)
    if isinstance(first, Mapping):
        return {name: _chosen(take, value, second[name]) for name, value in first.items()}
    if not first and not second:  # empty for all rows
        return first
    return tuple(one if own else other for own, one, other in zip(take.tolist(), first, second, strict=True))


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return tuple(entry for part in parts for entry in part)


def _replaced(whole: Any, index: Index, part: Any) -> Any:
    if isinstance(whole, Tensor):
        whole = whole.clone()
        whole[_there(index, whole)] = part.to(whole)
        return whole
    if isinstance(whole, Mapping):
        return {name: _replaced(value, index, part[name]) for name, value in whole.items()}
    if not whole and not part:
        return whole
    entries = list(whole)
    for row, entry in zip(torch.arange(len(entries))[_cpu(index)].tolist(), part, strict=True):
        entries[row] = entry
    return tuple(entries)


def _there(index: Index, part: Tensor) -> Any:
    """Return an index that can be used on a tensor of any device."""
    index = _cpu(index) if not isinstance(index, Tensor) else index
    return index.to(part.device) if isinstance(index, Tensor) else index


def _cpu(index: Index) -> Any:
    if isinstance(index, Tensor):
        return index.cpu()
    return index if isinstance(index, slice) else torch.tensor(index, dtype=None if len(index) else torch.long)


def in_one_line(value: Any) -> str:
    """Return a dataclass as its name and abbreviated fields; used as `__repr__ = in_one_line`."""
    fields = (field for field in dataclasses.fields(value) if field.repr)
    parts = ((field.name, getattr(value, field.name)) for field in fields)
    return f"{type(value).__name__}({', '.join(f'{name}={brief(part)}' for name, part in parts if part is not None)})"


def brief(value: object) -> str:
    """Return an abbreviated value: type and shape of an array, number of entries of a long sequence."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        place = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"{kind} {tuple(value.shape)}{place}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = hasattr(type(value).__repr__, "__wrapped__")  # by `dataclass`, with all numbers
        return in_one_line(value) if made else repr(value).splitlines()[0]
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, list(value)[:4]))}{', ...' if len(value) > 4 else ''}}}"
    if isinstance(value, tuple | list) and (len(value) > 3 or any(not isinstance(one, int | float) for one in value)):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    text = repr(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
