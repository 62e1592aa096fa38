"""Evidence discounted, once, by how far its errors hang together over frames and over views.

    share = share among the frames of its track, where couplings carry evidence from frame to frame
            × share among the cameras that see the same moment

Rows that nothing couples, and what one camera sees, stay as they are: what a pose has of a frame is that frame's alone.

Source: see `refine.terms.correlation`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

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


def witnesses(terms: Sequence[Term], unknowns: Unknowns | None) -> tuple[Term, ...]:
    """Return terms discounted by their shares.

    Args:
        terms: Of B rows; one that does not say how far its errors hang together is independent.
        unknowns: The columns, with what couples rows; None: nothing does.
    """
    informed: dict[int, Bool[Tensor, "B"]] = {}
    for term in terms:
        if isinstance(term, ImageWitness):
            camera = id(term.camera)
            informed[camera] = term.informed | informed.get(camera, torch.zeros_like(term.informed))
    views = torch.stack(list(informed.values())).sum(0).double() if informed else None  # (B,)
    return tuple(
        _discounted(term, term.correlation.of_views(views))
        if views is not None and isinstance(term, ImageWitness)
        else term
        for term in (in_frames(each, unknowns) for each in terms)
    )


def in_frames(term: Term, unknowns: Unknowns | None) -> Term:
    """Return a term discounted by its shares among the frames of coupled tracks.

    Args:
        term: As for `witnesses`.
        unknowns: Likewise.
    """
    groups = None if unknowns is None else unknowns.groups
    if groups is None or groups.tracks is None or not groups.couplings or not isinstance(term, Witness):
        return term
    tracks = groups.tracks
    if isinstance(term, ImageWitness):  # where nothing is seen there is no witness
        tracks = _without(tracks, ~term.informed)
    if term.share is not None:
        tracks = _without(tracks, term.share == 0)
    return _discounted(term, term.correlation.of_frames(tracks))


def _without(tracks: Tracks, silent: Bool[Tensor, "B"]) -> Tracks:
    """Return tracks without some rows (B,)."""
    return replace(tracks, person=tracks.person.masked_fill(silent.to(tracks.person.device), -1))


def _discounted(term: Any, share: Float[Tensor, "B"]) -> Any:
    """Return a term with a further share (B,); the term itself where that is one."""
    if bool((share == 1).all()):
        return term
    return replace(term, share=share if term.share is None else share.to(term.share) * term.share)
