"""What rows share has one value from the start, and people of one photo share its focal length.

shape, expression <- mean over the rows of a label,     focal <- geometric mean
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.state import Groups, State, Unknowns


def agreed(unknowns: Unknowns, state: State) -> State:
    """Return a state in which rows that share columns have one value there: the mean of those that are finite.

    A shared value must be one. Regressors give every photo its own guess, so a mean is taken instead of refusing them;
    values that agree already stay as they are, to the bit.
    """
    groups = unknowns.groups
    if groups is None:
        return state
    bodies, camera = state.bodies, state.camera
    if groups.shape is not None and unknowns.shape:
        free, label = unknowns.shape, _labels(unknowns, groups.shape, unknowns.shape_columns)
        bodies = replace(bodies, shape=torch.cat((_mean(bodies.shape[:, :free], label), bodies.shape[:, free:]), 1))
    if groups.expression is not None and unknowns.expression:
        free, label = unknowns.expression, _labels(unknowns, groups.expression, unknowns.expression_columns)
        first, rest = bodies.expression[:, :free], bodies.expression[:, free:]
        bodies = replace(bodies, expression=torch.cat((_mean(first, label), rest), 1))
    if groups.focal is not None and unknowns.focal:
        label = _labels(unknowns, groups.focal, unknowns.focal_column)
        camera = replace(camera, focal=_mean(camera.focal, label, logarithm=True))
    constants = state.constants
    if groups.constants is not None and unknowns.constants and constants is not None:
        constants = _mean(constants, _labels(unknowns, groups.constants, unknowns.constant_columns))
    return State(bodies, camera, constants)


def share_focal(unknowns: Unknowns | None, estimate: Estimate) -> Unknowns | None:
    """Return unknowns in which the people of a photo have one focal length, where it is free.

    Args:
        unknowns: The columns; None: the usual ones, whose focal length is not free.
        estimate: B bodies, whose `image_index` says who is in which photo.

    Raises:
        InputError: The unknowns' groups give people of one photo focal lengths of their own.
    """
    photo = estimate.image_index
    if unknowns is None or not unknowns.focal or len(photo.unique()) == len(photo):
        return unknowns
    groups = unknowns.groups or Groups()
    if groups.focal is None:
        return replace(unknowns, groups=replace(groups, focal=photo))
    label = groups.focal.to(photo)
    label = torch.where(label < 0, -1 - torch.arange(len(label), device=label.device), label)  # each its own
    together = torch.stack((photo, label), 1).unique(dim=0)
    if len(together) != len(photo.unique()) or bool((label[:, None] != label)[photo[:, None] == photo].any()):
        raise InputError(
            "unknowns.groups.focal", "one label for all people of a photo", "several", "One photo has one lens."
        )
    return unknowns


def _labels(unknowns: Unknowns, label: Int[Tensor, "B"], columns: slice) -> Int[Tensor, "B"]:
    """Return the labels, -1 where a row shares nothing because its columns are not free."""
    if unknowns.free is None:
        return label
    return torch.where(unknowns.free[:, columns].all(1), label, -1)


def _mean(value: Float[Tensor, "B N"], label: Int[Tensor, "B"], logarithm: bool = False) -> Float[Tensor, "B N"]:
    """Return values (B, N) with the mean of its finite rows in every row of a label, negative labels left out."""
    names, which = torch.unique(label, return_inverse=True)
    finite: Bool[Tensor, "B"] = value.isfinite().all(1)
    rows = torch.arange(len(value), device=value.device)
    first = rows.new_full((len(names),), len(value)).scatter_reduce(
        0, which, torch.where(finite, rows, len(value)), "amin"
    )
    there = first[which] < len(value)
    origin = value[first[which].clamp(max=len(value) - 1)]
    # Differences from the first row: equal values give exact zeros, and the mean is that value to the bit.
    away = (value / origin).log() if logarithm else value - origin
    away = torch.where(finite[:, None], away, 0.0)
    total = away.new_zeros(len(names), value.shape[1]).index_add(0, which, away)
    count = away.new_zeros(len(names)).index_add(0, which, finite.to(away)).clamp(min=1)
    mean = (total / count[:, None])[which]
    mean = origin * mean.exp() if logarithm else origin + mean
    return torch.where(((label >= 0) & there)[:, None], mean, value)
