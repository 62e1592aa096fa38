"""How fast a person moves in a clip, from the evidence itself: the scale of motion's sigmas, one number a track.

    scale² = Σ d w |r|² / (3 Σ d),   w = (ν + 3) / (ν + 3 + |r|² / scale²)      at the solution of a round

over accelerations r in their usual sigmas, between rows `INTERVAL_S` apart, of joints the evidence determines (d of
0.5..1). Over so long an interval the solution is the evidence's, not the prior's, and errors of neighbouring frames,
which fade more slowly than white noise, are small against it. (The marginal likelihood of all frames takes those errors
for white: it finds motion ever slower.) The likeliest scale is drawn towards one by what is known of people beforehand:
log scale <- log scale n / (n + n₀), n the independent accelerations, n₀ = 1 / (2 spread²).

Source: Lange, Little and Taylor, JASA 84(408), 1989 (scale of Student's t by expectation and maximisation); MacKay,
Neural Computation 4(3), 1992, sec. 4 (a prior's width from the data).
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from refine.solve.coupling import CoupledLinearization
from refine.solve.round import Round
from refine.state import Tracks, Unknowns
from refine.trust.departure import Departure

INTERVAL_S = 0.15
"""s: twice the time in which errors of detectors and regressors fade (`DETECTIONS`, `REGRESSED`)."""
SPREAD = 0.3
"""Standard deviation of the logarithm of sigma between recordings (`priors/data/README.md`)."""
MOST = 8.0
"""Largest factor either way: of seven clips of the recordings the fastest has 1.6, the slowest 0.6."""
CLEAR = 0.5
"""Share of a joint that the evidence determines, from which its motion is the evidence's and not the prior's."""
REPETITIONS = 20
"""Of expectation and maximisation."""
AXES = 3


def with_tempo(unknowns: Unknowns, last: Round, moved: Departure) -> Unknowns:
    """Return columns whose couplings have the scale that a round shows.

    Args:
        unknowns: Of the next round; couplings that have no scale stay.
        last: The round before.
        moved: How far the first round moved bodies, and which columns the evidence determines.
    """
    groups = unknowns.groups
    if groups is None or groups.tracks is None or not any(hasattr(each, "scaled") for each in groups.couplings):
        return unknowns
    wide = _thinned(groups.tracks)
    columns = replace(last.solution.unknowns, free=None, groups=replace(groups, tracks=wide, couplings=()))
    known = moved.sizes.determined[:, moved.first.solution.unknowns.pose_columns].unflatten(1, (-1, AXES)).mean(2)
    found: list[Any] = []
    for each in groups.couplings:
        if hasattr(each, "scaled"):
            usual = each.scaled(1 / each.scale) if getattr(each, "scale", None) is not None else each
            linear = usual.couple(last.state, columns)
            found.append(usual.scaled(_scale(linear, known, groups.tracks.person, wide)))
        else:
            found.append(each)
    return replace(unknowns, groups=replace(groups, couplings=tuple(found)))


def _thinned(tracks: Tracks) -> Tracks:
    """Return tracks of rows `INTERVAL_S` apart: each splits into as many as fit in between, at its usual interval."""
    order = torch.argsort(tracks.time_s, stable=True)
    order = order[torch.argsort(tracks.person[order], stable=True)]
    person, time = tracks.person[order], tracks.time_s[order]
    step = torch.where(person.diff() == 0, time.diff(), torch.nan)
    usual = float(step.nanmedian()) if bool(step.isfinite().any()) else INTERVAL_S
    stride = max(1, round(INTERVAL_S / usual))
    label = torch.full_like(tracks.person, -1)
    _, first = torch.unique(person, return_inverse=True)
    begins = torch.searchsorted(first, first)  # where each row's track begins
    place = torch.arange(len(person)) - begins
    label[order] = torch.where(person >= 0, person * stride + place % stride, -1)
    return replace(tracks, person=label)


def _scale(linear: CoupledLinearization, known: Tensor, person: Tensor, wide: Tracks) -> Float[Tensor, "B"]:
    """Return the scale (B,) of each row's track."""
    person = person.to(known.device)
    squared = linear.residual.double().square().sum(2)  # (M, J + 1)
    middle = linear.rows[:, 1]
    clear = torch.where(known > CLEAR, known, 0.0).double()
    weight = torch.nn.functional.pad(clear, (0, 1), value=1.0)[middle] * (squared > 0)  # (M, J + 1)
    names, which = torch.unique(person, return_inverse=True)
    track, zero = which[middle], squared.new_zeros(len(names))
    number = zero.index_add(0, track, weight.sum(1))
    variance = torch.ones_like(zero)
    for _ in range(REPETITIONS):
        robust = linear.kernel.weight(squared / variance[track, None])
        energy = zero.index_add(0, track, (weight * robust * squared).sum(1))
        variance = torch.where(number > 0, energy / (AXES * number).clamp(min=1e-12), 1.0).clamp(1e-4, 1e4)
    several = len(wide.person.unique()) / max(1, len(person.unique()))  # overlapping ones are not independent
    count = number / several
    drawn = 0.5 * variance.log() * count / (count + 1 / (2 * SPREAD**2))
    scale = drawn.exp().clamp(1 / MOST, MOST)
    return torch.where(person >= 0, scale[which], 1.0).to(linear.residual)
