"""Merges two solutions of the same bodies row by row, with their terms."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from refine import batch
from refine.solve import Solution

T = TypeVar("T")


def merged(first: Solution, second: Solution, take: Tensor, place: Tensor) -> Solution:
    """Return the first solution with some bodies of the second.

    Args:
        first: Of B bodies.
        second: Of some of them, in the same columns, with terms of the same classes.
        take: (B,) true where the second's body is taken.
        place: (B,) where each body stands in the second; anything where it is not taken.
    """
    return replace(
        batch.where(take, batch.rows(second, place), first),
        evidence=_chosen(first.evidence, second.evidence, take, place),
        priors=_chosen(first.priors, second.priors, take, place),
    )


def _chosen(one: T, other: T, take: Tensor, place: Tensor) -> T:
    """Return a term, or a part of one, with its per-body tensors chosen row by row; the rest is the first's."""
    if one is other:  # what both share, a body's keypoint set say, has no rows of its own, however many it has
        return one
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        by_body = one.dim() > 0 and len(one) == len(take) and one.shape[1:] == other.shape[1:]
        if not by_body or len(other) <= int(place.max()):
            return one
        return torch.where(take.reshape(-1, *[1] * (one.dim() - 1)), other[place], one)  # type: ignore[return-value]
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return tuple(_chosen(a, b, take, place) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]
    if is_dataclass(one) and not isinstance(one, type) and type(one) is type(other):
        parts: Mapping[str, object] = {
            part.name: _chosen(getattr(one, part.name), getattr(other, part.name), take, place)
            for part in fields(one)
            if part.init
        }
        return replace(one, **parts)
    return one
