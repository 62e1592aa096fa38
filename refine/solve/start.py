"""Where the refinement of a person starts from: the estimate and the keypoints as given, or another reading of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Int
from torch import Tensor


class Kind(Enum):
    """A reading of estimate and keypoints; the value is a sentence for the user, of a person."""

    AS_GIVEN = "estimate and keypoints were taken as they came."
    TURNED = "seen from the side, both orientations were tried and the estimate's was turned around."
    SWAPPED = "the detector took left for right: its keypoints were taken the other way around."
    SWAPPED_ARMS = "the detector took the left arm for the right: the arms' keypoints were taken the other way around."
    BROUGHT_NEAR = "far from the evidence (a cloud of points), the body was brought near as a whole first."
    READ_OTHERWISE = "of the readings of the evidence (several 3D poses) another than the likeliest was taken."
    SWAPPED_LEGS = "the detector took the left leg for the right: the legs' keypoints were taken the other way around."


@dataclass(frozen=True)
class Start:
    """The reading a person was refined from.

    Attributes:
        kind: Which it is.
        order: For each of the K keypoints the detected one that was taken; None: as they came.
        reading: Which reading of evidence with several was taken; None: the likeliest.
    """

    kind: Kind = Kind.AS_GIVEN
    order: tuple[int, ...] | None = None
    reading: int | None = None


def notes_of(starts: Sequence[Start], numbers: Sequence[int]) -> tuple[str, ...]:
    """Return a sentence for each person who was not refined from what was given.

    Args:
        starts: B readings.
        numbers: What each person is called.
    """
    both = zip(numbers, starts, strict=True)
    return tuple(f"Person {number}: {start.kind.value}" for number, start in both if start.kind is not Kind.AS_GIVEN)


def orders_of(starts: Sequence[Start], count: int, device: torch.device | None = None) -> Int[Tensor, "B K"] | None:
    """Return for each row and keypoint the detected one that is taken; None where all are as they came.

    Args:
        starts: B readings.
        count: K, the number of keypoints.
        device: Of the result.
    """
    if not any(start.order for start in starts):
        return None
    usual = tuple(range(count))
    return torch.tensor([start.order or usual for start in starts], device=device).reshape(-1, count)
