"""Merges two solutions of the same bodies row by row, with their terms."""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace

from torch import Tensor

from refine import batch
from refine.solve import Solution
from refine.terms import Term


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


def _chosen(first: Sequence[Term], second: Sequence[Term], take: Tensor, place: Tensor) -> tuple[Term, ...]:
    """Return the first terms with some rows of the second; a term that is no dataclass has no rows."""
    return tuple(
        batch.where(take, batch.rows(two, place), one) if type(one) is type(two) and is_dataclass(one) else one
        for one, two in zip(first, second, strict=True)
    )
