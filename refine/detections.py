"""Detections: what a 2D detector says about the bodies of an estimate, already matched to them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_shape


@dataclass(frozen=True)
class Detections:
    """Detected points of B bodies.

    Attributes:
        name: The keypoint set of the body they correspond to ("coco17", "body25", ...).
        pixel: (B, K, 2) px of the photo.
        confidence: (B, K) 0 to 1; zero where the detector lacks the point, or found no such person.

    Raises:
        InputError: Shapes disagree.
    """

    name: str
    pixel: Float[Tensor, "B K 2"]
    confidence: Float[Tensor, "B K"]

    def __post_init__(self) -> None:
        sizes = check_shape("detections.pixel", self.pixel, "B K 2")
        check_shape("detections.confidence", self.confidence, "B K", **sizes)

    def misfit(self, projected: Float[Tensor, "B K 2"], informed: Tensor) -> Float[Tensor, "B"]:
        """Return how far projected points lie from the detected ones.

        Args:
            projected: (B, K, 2) px of the photo.
            informed: (B, K) which points count.

        Returns:
            (B,) px, mean distance of the points that count; NaN for a body with none.
        """
        distance = torch.where(informed, (projected - self.pixel).norm(dim=-1), 0.0)
        return distance.sum(1) / torch.where(informed.any(1), informed.sum(1), torch.nan)
