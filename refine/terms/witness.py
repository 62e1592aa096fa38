"""Terms that say how far their errors hang together, and what they count for in a track.

Source: see `refine.terms.correlation`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.geometry.camera import Camera
from refine.state import Tracks, Unknowns
from refine.terms import Term
from refine.terms.correlation import Correlation


@runtime_checkable
class Witness(Protocol):
    """A term that says how far its errors hang together, and takes the share of its rows."""

    correlation: Correlation
    share: Float[Tensor, "B"] | None


@runtime_checkable
class ImageWitness(Witness, Protocol):
    """One whose errors are those of an image, seen by the bodies' camera (None) or one of its own."""

    camera: Camera | None

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies it has any information about."""
        ...


def overcounted(terms: Sequence[Term], unknowns: Unknowns) -> Float[Tensor, "B"] | None:
    """Return how many times more a row (B,) counts than its share of the level says; None: nothing is coupled.

    Args:
        terms: Evidence and priors of a round.
        unknowns: Its columns.
    """
    groups = unknowns.groups
    if groups is None or groups.tracks is None or not groups.couplings:
        return None
    factor = torch.ones_like(groups.tracks.time_s, dtype=torch.float64)
    for each in terms:
        term = getattr(each, "term", each)  # a discounted one's own
        if isinstance(term, Witness):
            tracks = seen(term, groups.tracks)
            factor = torch.maximum(factor, term.correlation.of_motion(tracks) / term.correlation.of_frames(tracks))
    return factor


def seen(term: Witness, tracks: Tracks) -> Tracks:
    """Return tracks without the rows of which a term knows nothing: there is no witness."""
    if isinstance(term, ImageWitness):
        tracks = _without(tracks, ~term.informed)
    return tracks if term.share is None else _without(tracks, term.share == 0)


def _without(tracks: Tracks, silent: Bool[Tensor, "B"]) -> Tracks:
    """Return tracks without some rows (B,)."""
    return replace(tracks, person=tracks.person.masked_fill(silent.to(tracks.person.device), -1))
