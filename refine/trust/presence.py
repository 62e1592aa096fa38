"""Presence: whether the photo shows anybody where a displacement network puts the person.

    person = mean over the pixels that are said to be seen of how likely the photo shows the person there

A network that compares a rendering with a photo finds something alike in many photos; whether a person is there it is
asked apart, of the same pixels, and that answer does not depend on where the offsets point.

Source: the head for it is trained with the displacement network (`displacement_net.loss`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from refine.solve import Solution
from refine.terms import Term
from refine.terms.reprojection import Reprojection
from refine.trust.discounted import Discounted


def presence(last: Solution) -> Float[Tensor, "B"]:
    """Return how likely the photo shows each person (B,) where the last matches were sought; NaN where no network was asked.

    Args:
        last: The solution with its evidence.
    """
    unknown = torch.full_like(last.cost, torch.nan)
    asked = [term.matches.person for term in map(_own, last.evidence) if isinstance(term, Reprojection)]
    return torch.stack([unknown, *(each.to(unknown) for each in asked if each is not None)]).nanmean(0)


def _own(term: Term) -> Term:
    """Return a term as it came, without what the gate makes of its noise."""
    return term.term if isinstance(term, Discounted) else term
