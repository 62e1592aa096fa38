"""Presence: whether the photo shows anybody where a displacement network puts the person.

    person = mean of P(the photo shows the person at the pixel) over the pixels that are probably visible

A network that compares a rendering with a photo finds a match in many photos. Presence is a head of its own, which does
not depend on the offsets.

Source: the head is trained with the displacement network (`displacement_net.loss`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.solve.round import Round
from refine.terms import Term
from refine.terms.reprojection import Reprojection
from refine.trust.discounted import Discounted


def presence(last: Round) -> Float[Tensor, "B"]:
    """Return the probability (B,) that the photo shows each person; NaN without a network's matches.

    Args:
        last: The round with its evidence.
    """
    unknown = torch.full_like(last.solution.cost, torch.nan)
    asked = [term.matches.person for term in map(_own, last.evidence) if isinstance(term, Reprojection)]
    return torch.stack([unknown, *(each.to(unknown) for each in asked if each is not None)]).nanmean(0)


def _own(term: Term) -> Term:
    """Return a term without the gate's scaling."""
    return term.term if isinstance(term, Discounted) else term
