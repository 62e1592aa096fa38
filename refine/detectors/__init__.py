"""2D detectors that are run on a photo for a caller who has no keypoints: one detector one file.

    photo, boxes of the estimated persons  --detector-->  Detections, a row a box   or  DetectedPeople, in any order

A detector's file (or a module of another package in the entry-point group `refine.detectors`) offers three names; its
file name is the detector's. Who a detected person is, is decided afterwards and jointly (`refine.inputs.detecting`).
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.keypoints.detections import DetectedPeople, Detections

__all__ = ["Detector", "DetectorModule"]


@runtime_checkable
class Detector(Protocol):
    """Finds keypoints of persons of whom it is told where they may be; any such function is one.

    It may have two attributes: `name` (text, for notes) and `noise` (`refine.terms.keypoints.DetectorNoise`, its
    measured errors; the usual ones without).
    """

    def __call__(self, image: UInt8[np.ndarray, "H W 3"], boxes: Float[Tensor, "B 4"]) -> Detections | DetectedPeople:
        """Detect.

        Args:
            image: (H, W, 3) RGB; not to be written to.
            boxes: (B, 4) px, x0 y0 x1 y1 around each estimated person's projected surface, inside the photo, B >= 1.
                Pixels count from the photo's corner: the first one's centre is (0.5, 0.5).

        Returns:
            `Detections` with a row a box (confidence 0 where nobody was found), in a keypoint set of
            `refine.body.keypoint_names`, of whoever is in that box; or `DetectedPeople`, all that were found.
        """
        ...


@runtime_checkable
class DetectorModule(Protocol):
    """What a module must offer to be a detector."""

    INSTALL: str
    """The command, or the commands, that install what it needs."""

    def is_ready(self) -> bool:
        """Say whether `load(None)` works here as things are; imports nothing large, and asks no network."""
        ...

    def load(self, model: str | Path | None) -> Detector:
        """Return the detector.

        Args:
            model: Its model's file or folder; None: what the package brings along, or the user's own download.

        Raises:
            MissingExtra: Its package is not installed.
            InputError: The model is missing or of another kind; nothing is ever downloaded.
        """
        ...
