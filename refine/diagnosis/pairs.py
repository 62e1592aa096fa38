"""Which detected person each estimated one is, whatever is wrong with places and sizes; and how far apart they lie.

Within a photo people are told apart by the shape of their points alone, each person's shifted to the middle and scaled
to size one, and a little by who stands left of whom; a photo's people who all look the same are therefore not confused
by a common shift or scale.

Source: H. W. Kuhn, The Hungarian method for the assignment problem, 1955.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.keypoints.detections import SURE

FEWEST_POINTS = 5
"""Points two people must share to be compared."""
HEIGHT_PER_SPREAD = 3.0
"""Height of an upright person over the standard deviation of its keypoints: for COCO's 17 it is 2.8 to 3.3."""
ORDER_SHARE = 0.3
"""What standing in another order from left to right costs, in sizes of a person: less than another pose does."""

NOBODY = 1e6
"""What a person costs who cannot be compared."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """R estimated people with their detected ones.

    Attributes:
        row: (R,) which of the sample's people.
        projected: (R, K, 2) px.
        detected: (R, K, 2) px.
        known: (R, K) points both have.
        size: (R, 2) px, (height, width) of the photo.
        center: (R, 2) px, the camera's principal point.
    """

    row: Int[Tensor, "R"]
    projected: Float[Tensor, "R K 2"]
    detected: Float[Tensor, "R K 2"]
    known: Bool[Tensor, "R K"]
    size: Float[Tensor, "R 2"]
    center: Float[Tensor, "R 2"]

    def __len__(self) -> int:
        return len(self.row)

    def distance(
        self, detected: Tensor | None = None, projected: Tensor | None = None, mean: bool = False
    ) -> Float[Tensor, "R"]:
        """Return the distance of each person's points in heights of the detected person; infinite where not finite.

        The detected person's, since a fault may make the projected one as small or as large as it likes.

        Args:
            detected: (R, K, 2) px in place of the detected points.
            projected: (R, K, 2) px in place of the projected ones.
            mean: The mean over points instead of the median.
        """
        one = self.projected if projected is None else projected
        other = self.detected if detected is None else detected
        apart = torch.where(self.known, (one - other).norm(dim=-1), torch.nan)
        middle = apart.nanmean(1) if mean else apart.nanmedian(1).values
        return (middle / heights(other, self.known)).nan_to_num(torch.inf)

    @property
    def height(self) -> Float[Tensor, "R"]:
        """How tall the detected people are, px."""
        return heights(self.detected, self.known)

    def centers(self) -> tuple[Tensor, Tensor]:
        """Return the middles (R, 2) px of the projected and of the detected points, of those both have."""
        share = self.known / self.known.sum(1, keepdim=True).clamp(min=1)
        return (self.projected * share[..., None]).sum(1), (self.detected * share[..., None]).sum(1)

    def spreads(self) -> tuple[Tensor, Tensor]:
        """Return the standard deviations (R, 2) px of the projected and detected points along x and y."""
        share = (self.known / self.known.sum(1, keepdim=True).clamp(min=1))[..., None]
        found = []
        for pixel in (self.projected, self.detected):
            middle = (pixel * share).sum(1, keepdim=True)
            found.append(((pixel - middle).square() * share).sum(1).sqrt())
        return found[0], found[1]


def heights(pixel: Float[Tensor, "R K 2"], known: Bool[Tensor, "R K"]) -> Float[Tensor, "R"]:
    """Return how tall people are by the spread of their points, px.

    Args:
        pixel: (R, K, 2).
        known: (R, K) points that count.
    """
    share = (known / known.sum(1, keepdim=True).clamp(min=1))[..., None]
    away = pixel - (pixel * share).sum(1, keepdim=True)
    return HEIGHT_PER_SPREAD * (away.square() * share).sum((1, 2)).sqrt().clamp(min=1e-6)


def match_by_shape(
    projected: Float[Tensor, "F B K 2"], detected: Float[Tensor, "F P K 2"], confidence: Float[Tensor, "F P K"]
) -> Int[Tensor, "F B"]:
    """Return which detected person each body is, by shape, for photos with as many bodies and as many detected people.

    Args:
        projected: (F, B, K, 2) px.
        detected: (F, P, K, 2) px.
        confidence: (F, P, K), zero where a point is missing.

    Returns:
        (F, B) index of the person, -1 for none.
    """
    from scipy.optimize import linear_sum_assignment

    match = torch.full(projected.shape[:2], -1, dtype=torch.long)
    known = confidence >= SURE  # (F, P, K)
    usable = known.sum(2) >= FEWEST_POINTS
    if projected.shape[1] == detected.shape[1] == 1:
        return torch.where(usable, 0, match)
    if not match.numel() or not bool(usable.any()):
        return match
    both = known[:, None]  # (F, 1, P, K)
    one, other = _unit(projected[:, :, None], both), _unit(detected, known)[:, None]
    apart = torch.where(both, (one - other).norm(dim=-1), torch.nan).nanmedian(3).values  # (F, B, P)
    rank = _rank(projected.mean(2)[..., 0])[:, :, None] - _rank(_middle(detected, known)[..., 0])[:, None]
    cost = (apart + ORDER_SHARE * rank.abs()).nan_to_num(NOBODY)
    cost = torch.where(usable[:, None], cost, NOBODY)
    for photo, each in enumerate(np.asarray(cost.double())):
        rows, people = linear_sum_assignment(each)
        good = each[rows, people] < NOBODY
        match[photo, torch.from_numpy(rows[good])] = torch.from_numpy(people[good])
    return match


def _middle(pixel: Tensor, known: Tensor) -> Tensor:
    share = known / known.sum(-1, keepdim=True).clamp(min=1)
    return (pixel * share[..., None]).sum(-2)


def _unit(pixel: Tensor, known: Tensor) -> Tensor:
    """Return points shifted to their middle and scaled to a size of one."""
    away = pixel - _middle(pixel, known)[..., None, :]
    share = known / known.sum(-1, keepdim=True).clamp(min=1)
    size = (away.square().sum(-1) * share).sum(-1).sqrt().clamp(min=1e-6)
    return away / size[..., None, None]


def _rank(value: Float[Tensor, "F N"]) -> Float[Tensor, "F N"]:
    """Return places from left to right, evenly from 0 to 1; one half where there is one alone."""
    if value.shape[1] < 2:
        return torch.full_like(value, 0.5)
    return value.argsort(1).argsort(1).to(value) / (value.shape[1] - 1)
