"""Checks of a caller's tensors at the boundary: shape by name, finiteness, sign.

`check_shape("matches.target", tensor, "B N 2", B=4)` compares every axis with a letter, a number, or `...`,
and returns the sizes of the letters, so that several tensors can be compared.
"""

import re
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from refine.errors import InputError

URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}([^/].*)", re.IGNORECASE)
"""A scheme of two letters or more (one is a drive) and the rest; `Path` removes one of two slashes."""


def check_local(name: str, path: str | Path) -> None:
    """Refuse a URL, which is not fetched; to be called where a file is missing.

    Args:
        name: The argument's name, for the message.
        path: What was given as a file.

    Raises:
        InputError: The path is a URL.
    """
    found = URL.fullmatch(str(path))
    if found:
        raise InputError(name, "a file", f"the URL {found[1]}://{found[2]}", "URLs are not fetched. Download it first.")


def check_shape(name: str, tensor: Tensor, shape: str, **sizes: int) -> dict[str, int]:
    """Compare a tensor's shape with a pattern.

    Args:
        name: The argument's name, for the message.
        tensor: The tensor, any shape.
        shape: Axes separated by blanks: letters (sizes to be returned or compared) and numbers.
        sizes: Sizes already known by letter.

    Returns:
        All sizes known now, by letter.

    Raises:
        InputError: The number of axes or the size of one differs.
    """
    axes = shape.split()
    known = dict(sizes)
    fits = isinstance(tensor, Tensor) and tensor.dim() == len(axes)
    if fits:
        for axis, size in zip(axes, tensor.shape, strict=True):
            fits &= known.setdefault(axis, int(axis) if axis.isdigit() else size) == size
    if not fits:
        wanted = ", ".join(f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in axes)
        got = f"shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise InputError(name, f"a tensor of shape ({wanted})", got)
    return known


def check_type(name: str, value: object, kind: type | UnionType, advice: str = "") -> None:
    """Refuse an object of another type.

    Args:
        name: The argument's name, for the message.
        value: What was given.
        kind: What it must be.
        advice: What to do about it.

    Raises:
        InputError: It is of another type.
    """
    if not isinstance(value, kind):
        kinds = get_args(kind) or (kind,)
        wanted = " or ".join("None" if each is NoneType else each.__name__ for each in kinds)
        raise InputError(name, wanted, type(value).__name__, advice)


def check_finite(name: str, tensor: Tensor, advice: str = "") -> None:
    """Refuse NaN and infinity.

    Args:
        name: The argument's name, for the message.
        tensor: Any shape.
        advice: What to do about it.

    Raises:
        InputError: Some value is NaN or infinite; the message names the first body that has one.
    """
    bad = ~tensor.isfinite()
    if bool(bad.any()):
        first = int(bad.reshape(bad.shape[0], -1).any(1).nonzero()[0, 0]) if bad.dim() else 0
        count = int(bad.sum())
        advice = advice or "Remove this body, or repair its values before the call."
        raise InputError(name, "finite values", f"{count} NaN or infinite value(s), first in row {first}", advice)


def check_positive(name: str, tensor: Tensor, unit: str, advice: str = "") -> None:
    """Refuse zero, negative and NaN values.

    Args:
        name: The argument's name, for the message.
        tensor: Any shape.
        unit: The unit, for the message.
        advice: What to do about it.

    Raises:
        InputError: Some value is not above zero.
    """
    if not bool((tensor > 0).all()):
        raise InputError(name, f"values above zero ({unit})", f"a smallest value of {float(tensor.min()):g}", advice)


RIGID_TOLERANCE = 5e-3
"""How far a rotation's entries may be off: from rounding in a file of three decimals."""


def check_rigid(name: str, matrix: Float[Tensor, "B 3 4"]) -> None:
    """Refuse matrices that are no rotation and translation.

    Raises:
        InputError: One scales, shears or mirrors.
    """
    if not len(matrix):
        return
    turn = matrix[:, :, :3].double()
    off = float((turn @ turn.mT - torch.eye(3).to(turn)).abs().amax())
    mirrors = bool((torch.linalg.cross(turn[:, 0], turn[:, 1]) * turn[:, 2]).sum(1).lt(0).any())
    if off > RIGID_TOLERANCE or mirrors:
        got = "one that mirrors" if mirrors else f"one whose rows are {off:.3g} off a rotation's"
        advice = (
            "A scale belongs into translations; a camera that looks along -z is OpenGL's: see refine.geometry.opengl."
        )
        raise InputError(name, "a rotation and a translation in metres", got, advice)
