"""Front-back ambiguity of bodies seen from the side: both orientations are tried where keypoints contradict it.

    ambiguous:  detected shoulders closer than 25 px, and  Σ (left - right)_projected . (left - right)_detected < 0
    turned:     root <- root exp(pi y), y the body's own vertical axis at rest

Source: Pavlakos et al., SMPLify-X, 2019, and Bogo et al., SMPLify, 2016, sec. 3.3 (25 px; both orientations, the lower
cost is kept).
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.geometry import rotation
from refine.state import State
from refine.terms.keypoints import Keypoints

SHOULDERS_PX = 25.0
"""Shoulders closer than this in the photo: the body may be seen from the side (SMPLify-X, `fit_single_frame.py`)."""


def ambiguous(term: Keypoints, projected: Float[Tensor, "B K 2"]) -> Bool[Tensor, "B"]:
    """Return the bodies whose orientation the keypoints contradict.

    Args:
        term: The keypoints of B bodies.
        projected: (B, K, 2) px, where the estimates have them.

    Returns:
        (B,) true where both shoulders are seen closer together than `SHOULDERS_PX` and left and right contradict the
        estimate.
    """
    pairs, names = term.points.pairs, term.points.names
    shoulders = [pair for pair in pairs if names[pair[0]].lower().endswith("shoulder")]
    informed = term.known
    if not shoulders:
        return torch.zeros(len(projected), dtype=torch.bool, device=informed.device)
    left, right = (torch.tensor(side, device=informed.device) for side in zip(*pairs, strict=True))
    seen = informed[:, left] & informed[:, right]
    own, found = (pixel[:, left] - pixel[:, right] for pixel in (projected, term.target))
    agreement = torch.where(seen, (own * found).sum(-1), 0.0).sum(1)
    place = pairs.index(shoulders[0])
    close = seen[:, place] & (found[:, place].norm(dim=-1) < SHOULDERS_PX)
    return close & (agreement < 0)


def half_turns(rows: Bool[Tensor, "B"], like: Tensor) -> Float[Tensor, "B 3 3"]:
    """Return rotations of the root: by pi about the body's own vertical axis where `rows (B,)`, none elsewhere."""
    half_turn = rotation.exp(like.new_tensor([0.0, math.pi, 0.0]))
    return torch.where(rows[:, None, None], half_turn, torch.eye(3).to(half_turn))


def with_root_turned(state: State, turn: Float[Tensor, "B 3 3"]) -> State:
    """Return the bodies with their roots turned about the pelvis, in the body's own axes.

    Args:
        state: B bodies.
        turn: (B, 3, 3).
    """
    pose = state.bodies.pose
    pose = torch.cat((pose[:, :1] @ turn[:, None], pose[:, 1:]), 1)
    return replace(state, bodies=replace(state.bodies, pose=pose))
