"""A detector that knows where the people are, for everything that is done with a detector but its own network."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from refine import Detections
from refine.terms.keypoints import DetectorNoise

NOISE_PX = 2.0


@dataclass(frozen=True)
class StandIn:
    """A detector that knows where the people of a photo are: of each box the person whose points lie in its middle."""

    people: Tensor
    """(P, K, 2) px."""
    name: str = "stand-in"
    noise: DetectorNoise | None = None
    set: str = "body25"

    def __call__(self, image: np.ndarray, boxes: Tensor) -> Detections:
        assert image.dtype == np.uint8 and image.ndim == 3
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        nearest = torch.cdist(middle, self.people.mean(1)).argmin(1)
        pixel = self.people[nearest]
        draw = torch.Generator().manual_seed(0)
        pixel = pixel + NOISE_PX * torch.randn(pixel.shape, generator=draw)
        return Detections(self.set, pixel, torch.full(pixel.shape[:2], 0.9))


def module_of(found: StandIn, *, ready: bool) -> ModuleType:
    """A module of a detector, as `refine.detectors.DetectorModule` asks for."""
    module = ModuleType(found.name)
    module.INSTALL = f"pip install {found.name}"  # type: ignore[attr-defined]
    module.is_ready = lambda: ready  # type: ignore[attr-defined]
    module.load = lambda model: found  # type: ignore[attr-defined]
    return module
