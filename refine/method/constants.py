"""The constant part of detectors' errors gets columns of its own where frames of a track are solved together.

Elsewhere it stays in the sigmas: for a frame by itself the two are the same.

Source: see `refine.terms.constants`.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from refine.keypoints.detections import own_points
from refine.state import State, Unknowns
from refine.terms import Term
from refine.terms.constants import ConstantPart, UnitConstants
from refine.terms.keypoints import Keypoints


def with_constants(
    evidence: Sequence[Term], priors: Sequence[Term], state: State, unknowns: Unknowns | None
) -> tuple[tuple[Term, ...], tuple[Term, ...], State, Unknowns | None]:
    """Return terms, their constants' prior, state and columns in which constant parts of errors are solved for.

    Args:
        evidence: Of B rows; those of keypoints that say they have a constant part get columns.
        priors: The other terms.
        state: B rows.
        unknowns: The columns; without couplings over time nothing is changed.
    """
    groups = None if unknowns is None else unknowns.groups
    if unknowns is None or groups is None or groups.tracks is None or not groups.couplings or unknowns.constants:
        return tuple(evidence), tuple(priors), state, unknowns
    found, count = [], 0
    for term in evidence:
        if isinstance(term, Keypoints) and 0 < term.correlation.constant < 1:
            points = own_points(term.points.names)
            term = replace(term, constant=ConstantPart(count, points, term.correlation.constant))
            count += 2 * points
        found.append(term)
    if not count:
        return tuple(evidence), tuple(priors), state, unknowns
    free = unknowns.free
    columns = replace(
        unknowns,
        constants=count,
        free=None if free is None else torch.cat((free, free.new_ones(len(free), count)), 1),
        groups=groups if groups.constants is not None else replace(groups, constants=groups.tracks.person),
    )
    zero = state.bodies.translation.new_zeros(len(state), count)
    return tuple(found), (*priors, UnitConstants()), replace(state, constants=zero), columns
