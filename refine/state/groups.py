"""Groups: which rows are solved together, because they share columns or are coupled.

Rows of one label have one value: one shape in several photos of a person, one focal length of the people in a photo.
Couplings tie rows that follow each other in a track. A group is what labels and couplings connect; a row that nothing
connects is solved by itself.

Labels identify what is shared wherever they occur: rows that are joined (`batch.cat`) share where their labels are
equal, and rows that are taken out share among themselves.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.check import check_shape, check_type
from refine.errors import InputError
from refine.state.track import Tracks, check_labels

SHARED = ("shape", "expression", "focal", "constants")
"""What rows may have in common."""


@runtime_checkable
class Coupling(Protocol):
    """A residual over several rows of a track, with a Jacobian for each of them."""

    def couple(self, state: Any, unknowns: Any) -> Any:
        """Return a `refine.solve.coupling.CoupledLinearization` of a `State` and `Unknowns`.

        The rows it ties are found from `unknowns.groups.tracks` and are the same at every state. (The method is not
        called `linearize`: a coupling is no term.)
        """
        ...


@dataclass(frozen=True, eq=False)
class Groups:
    """What B rows share, and what couples them.

    Attributes:
        shape: (B,) labels: rows with the same have one value in the free shape coefficients. Negative: its own; None:
            every row its own.
        expression: (B,) the same for expression.
        focal: (B,) the same for the focal length.
        constants: (B,) the same for what terms leave open.
        tracks: Which rows are one person over time.
        couplings: Residuals over rows of a track.

    Raises:
        InputError: The labels disagree on the number of rows, or there are couplings without tracks.
    """

    shape: Int[Tensor, "B"] | None = None
    expression: Int[Tensor, "B"] | None = None
    focal: Int[Tensor, "B"] | None = None
    constants: Int[Tensor, "B"] | None = None
    tracks: Tracks | None = None
    couplings: tuple[Coupling, ...] = ()

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        sizes: dict[str, int] = {}
        for name in SHARED:
            labels = getattr(self, name)
            if labels is not None:
                sizes = check_shape(f"groups.{name}", labels, "B", **sizes)
                check_labels(f"groups.{name}", labels)
        check_type("groups.tracks", self.tracks, Tracks | None, "Tracks(person, time_s), of tensors.")
        check_type("groups.couplings", self.couplings, tuple, "couplings=(WhiteAcceleration(),)")
        if self.tracks is not None:
            check_shape("groups.tracks.person", self.tracks.person, "B", **sizes)
        for each in self.couplings:
            if isinstance(each, type) or not isinstance(each, Coupling):
                raise InputError("groups.couplings", "objects with couple(state, unknowns)", type(each).__name__)
        if self.couplings and self.tracks is None:
            raise InputError("groups.tracks", "tracks, whose rows the couplings tie", "none")

    @cached_property
    def shares(self) -> Mapping[str, Float[Tensor, "B"]]:
        """Of what has labels, one over the number of rows that have a row's value (B,)."""
        found = {}
        for name in SHARED:
            labels = getattr(self, name)
            if labels is not None:
                _, which, times = torch.unique(labels, return_inverse=True, return_counts=True)
                found[name] = torch.where(labels < 0, 1.0, times[which].double().reciprocal())
        return found

    def only(self, rows: Bool[Tensor, "B"]) -> "Groups":
        """Return the groups without the other rows, which share nothing and are in no track."""
        labels = {name: getattr(self, name) for name in SHARED}
        kept = {name: each.masked_fill(~rows.to(each.device), -1) for name, each in labels.items() if each is not None}
        tracks = self.tracks
        if tracks is not None:
            tracks = replace(tracks, person=tracks.person.masked_fill(~rows.to(tracks.person.device), -1))
        return replace(self, **kept, tracks=tracks)

    def __len__(self) -> int:
        first = (*(getattr(self, name) for name in SHARED), None if self.tracks is None else self.tracks.person)
        return next((len(labels) for labels in first if labels is not None), 0)


def one_shape(person: Int[Tensor, "B"] | np.ndarray | Sequence[Hashable]) -> Groups:
    """Return groups in which every person has one shape.

    Args:
        person: Of each row who it is: labels (B,), of which negative ones are in no group, or B names, of which None
            and negative numbers are in no group.

    Raises:
        InputError: It is neither, or empty.
    """
    if isinstance(person, np.ndarray):
        person = torch.from_numpy(person) if person.dtype.kind in "iu" else person.tolist()
    if isinstance(person, Tensor):
        return Groups(shape=person)
    named = isinstance(person, Sequence) and not isinstance(person, str)
    if not named or not person or not all(isinstance(name, Hashable) for name in person):
        raise InputError("person", 'a label or name of each row, as in ["anna", "anna", "ben"]', repr(person))
    nobody = [name is None or (isinstance(name, Integral) and name < 0) for name in person]
    names = list(dict.fromkeys(person))
    labels = [-1 if none else names.index(name) for name, none in zip(person, nobody, strict=True)]
    return Groups(shape=torch.tensor(labels, dtype=torch.long))
