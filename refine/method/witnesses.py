"""Evidence discounted, once, by how far its errors hang together over frames and over views.

    share = share among the frames of its track in how it moves, where couplings carry evidence from frame to frame
            × share among the cameras that see the same moment

Rows that nothing couples, and what one camera sees, stay as they are: what a pose has of a frame is that frame's alone.

Source: see `refine.terms.correlation`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.state import Unknowns
from refine.terms import Term
from refine.terms.witness import ImageWitness, Witness, seen


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
    return _discounted(term, term.correlation.of_motion(seen(term, groups.tracks)))


def _discounted(term: Any, share: Float[Tensor, "B"]) -> Any:
    """Return a term with a further share (B,); the term itself where that is one."""
    if bool((share == 1).all()):
        return term
    return replace(term, share=share if term.share is None else share.to(term.share) * term.share)
