"""Which detected person each body is.

People are matched to bodies one to one with the least total of

    distance[b, p] = Σ_k c_pk |projected_bk - detected_pk| / Σ_k c_pk   /  √(area of p's box)

Source: H. W. Kuhn, The Hungarian method for the assignment problem, 1955.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.keypoints.detections import SURE

FARTHEST = 0.5
"""A body and a person whose points are farther apart than this, in sizes (√ area) of the person's box, are not the
same."""


def match_people(
    projected: Float[Tensor, "B K 2"], detected: Float[Tensor, "P K 2"], confidence: Float[Tensor, "P K"]
) -> Int[Tensor, "B"]:
    """Say which detected person each body is, one to one.

    Args:
        projected: (B, K, 2) px, the bodies' keypoints in the photo.
        detected: (P, K, 2) px, the people's.
        confidence: (P, K), 0 to 1; zero where the detector lacks the point. Points below `SURE` count only for people
            without any above.

    Returns:
        (B,) index of the person, -1 where none is near enough. People whose index does not occur belong to no body.

    Raises:
        InputError: The numbers of points differ.
    """
    from scipy.optimize import linear_sum_assignment

    sizes = check_shape("projected", projected, "B K 2")
    check_shape("detected", detected, "P K 2", K=sizes["K"])
    check_shape("confidence", confidence, "P K", K=sizes["K"], P=len(detected))
    match = torch.full((len(projected),), -1, dtype=torch.long)
    if not len(projected) or not len(detected):
        return match
    place, seen = projected.detach().cpu().double(), detected.detach().cpu().double()
    trust = confidence.detach().cpu().double()
    sure = (trust >= SURE).any(1, keepdim=True)
    trust = torch.where(sure & (trust < SURE), 0.0, trust)  # (P, K)
    apart = (place[:, None] - seen).norm(dim=-1)  # (B, P, K) px
    distance = (apart * trust).sum(2) / trust.sum(1).clamp(min=1e-9)
    distance = distance / _box_size(seen, trust)
    distance = torch.where((trust.sum(1) > 0) & distance.isfinite(), distance, 1e6)
    # A pair farther apart costs as much as no pair: it must not push a good pair apart.
    body, person = linear_sum_assignment(distance.clamp(max=FARTHEST).numpy())
    for row, column in zip(body.tolist(), person.tolist(), strict=True):
        if float(distance[row, column]) < FARTHEST:
            match[row] = column
    return match


def _box_size(pixel: Tensor, trust: Tensor) -> Tensor:
    """Return the square root of the area (P,) px of the box around each person's points; a line has its length."""
    there = (trust > 0)[..., None]
    low = torch.where(there, pixel, torch.inf).amin(1)
    high = torch.where(there, pixel, -torch.inf).amax(1)
    sides = (high - low).clamp(min=1.0).nan_to_num(1.0, posinf=1.0, neginf=1.0)
    # A profile or a lone limb has a thin box: no side counts less than half of the other.
    return sides.maximum(sides.flip(1) / 2).prod(1).sqrt()
