"""Tracks: which rows show one person over time, and when.

A track is the rows of one label in the order of their times. Rows carry labels instead of row numbers, so that rows may
be taken, chosen and joined (`refine.batch`) like those of everything else.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.check import check_finite, check_shape
from refine.errors import InputError


def check_labels(name: str, labels: Tensor) -> None:
    """Refuse labels that are no whole numbers.

    Args:
        name: The argument's name, for the message.
        labels: (B,).

    Raises:
        InputError: They are of another type.
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        advice = 'Write torch.tensor([0, 0, 1]); names are for one_shape(["anna", "anna", "ben"]).'
        raise InputError(name, "whole numbers", str(labels.dtype).removeprefix("torch."), advice)


@dataclass(frozen=True, eq=False)
class Tracks:
    """The person and the time of B rows.

    Attributes:
        person: (B,) labels; rows of one label are one track, a negative label is in none.
        time_s: (B,) s, any origin; float64 keeps milliseconds in a day.

    Raises:
        InputError: The parts disagree, or a time is not finite.
    """

    person: Int[Tensor, "B"]
    time_s: Float[Tensor, "B"]

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        sizes = check_shape("tracks.person", self.person, "B")
        check_labels("tracks.person", self.person)
        check_shape("tracks.time_s", self.time_s, "B", B=sizes["B"])
        check_finite("tracks.time_s", self.time_s)

    def in_order(self) -> list[list[int]]:
        """Return the rows of each track in the order of their times."""
        found: dict[int, list[int]] = {}
        person = self.person.tolist()
        for row in torch.argsort(self.time_s, stable=True).tolist():
            if person[row] >= 0:
                found.setdefault(person[row], []).append(row)
        return list(found.values())

    def windows(self, length: int) -> Int[Tensor, "M N"]:
        """Return the numbers of every `length` rows that follow each other in a track, in the order of their times.

        Args:
            length: N, at least one.

        Returns:
            (M, N) row numbers; a track of fewer rows has none.

        Raises:
            InputError: Two rows of a track have the same time.
        """
        order = torch.argsort(self.time_s, stable=True)
        order = order[torch.argsort(self.person[order], stable=True)]
        order = order[self.person[order] >= 0]
        if len(order) < length:
            return order.new_zeros(0, length)
        rows = order.unfold(0, length, 1)
        rows = rows[self.person[rows[:, 0]] == self.person[rows[:, -1]]]
        if bool((self.time_s[rows[:, 1:]] == self.time_s[rows[:, :-1]]).any()):
            raise InputError(
                "tracks.time_s",
                "different times of the rows of a track",
                "two the same",
                "A track is one person; times since an epoch need float64, which float32 makes equal.",
            )
        return rows
