"""Front-back ambiguity of bodies seen from the side: both orientations are tried where keypoints contradict it.

    ambiguous:  detected shoulders closer than 25 px, and  Σ (left - right)_projected . (left - right)_detected < 0
    turned:     root <- root exp(pi y), y the body's own vertical axis at rest

Source: Pavlakos et al., SMPLify-X, 2019, and Bogo et al., SMPLify, 2016, sec. 3.3 (25 px; both orientations, the lower
cost is kept).
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.estimate import Estimate
from refine.geometry import rotation
from refine.keypoints.detections import Detections
from refine.state import State

SHOULDERS_PX = 25.0
"""Shoulders closer than this in the photo: the body may be seen from the side (SMPLify-X, `fit_single_frame.py`)."""


def ambiguous(estimate: Estimate, detections: Detections, informed: Bool[Tensor, "B K"]) -> Bool[Tensor, "B"]:
    """Return the bodies whose orientation the keypoints contradict.

    Args:
        estimate: B bodies.
        detections: Their keypoints.
        informed: (B, K) which of them carry information.

    Returns:
        (B,) true where both shoulders are seen closer together than `SHOULDERS_PX` and left and right contradict the
        estimate.
    """
    points = estimate.body.keypoint_set(detections.name)
    pairs, names = points.pairs, points.names
    shoulders = [pair for pair in pairs if names[pair[0]].lower().endswith("shoulder")]
    if not shoulders:
        return torch.zeros(len(estimate), dtype=torch.bool, device=informed.device)
    left, right = (torch.tensor(side, device=informed.device) for side in zip(*pairs, strict=True))
    seen = informed[:, left] & informed[:, right]
    projected = estimate.keypoints_2d(detections.name)
    own, found = (pixel[:, left] - pixel[:, right] for pixel in (projected, detections.pixel))
    agreement = torch.where(seen, (own * found).sum(-1), 0.0).sum(1)
    place = pairs.index(shoulders[0])
    close = seen[:, place] & (found[:, place].norm(dim=-1) < SHOULDERS_PX)
    return close & (agreement < 0)


def turned(estimate: Estimate) -> Estimate:
    """Return the estimate with every body turned by pi about its own vertical axis through the pelvis."""
    pose = estimate.bodies.pose
    half_turn = rotation.exp(pose.new_tensor([0.0, math.pi, 0.0]))
    pose = torch.cat((pose[:, :1] @ half_turn, pose[:, 1:]), 1)
    return replace(estimate, state=State(replace(estimate.bodies, pose=pose), estimate.camera))
