"""Regressors' stored estimates of real photos: BEV's of two people against ViTPose's arms, ROMP's of one person.

A point within `DetectorNoise.border_share` of the photo's border is the detector's guess at what the border cuts off,
and left out.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from refine import api
from refine.estimate import Estimate
from refine.inputs.estimates import Given
from refine.inputs.keypoints import detections_of
from refine.photo import read_photos
from refine.refiner import Refiner
from refine.result import Result
from refine.terms.keypoints import DetectorNoise

ARMS = ("shoulder", "elbow", "wrist")
SURE = 0.5
"""Least confidence of a point of the arms."""
BEV, ROMP = "bev_pair", "romp_photo"


@dataclass(frozen=True)
class Arms:
    """One person of the BEV pair: `points` of the arms, and their mean distance from ViTPose's, px of the photo."""

    before_px: float
    after_px: float
    points: int


@dataclass(frozen=True)
class Moved:
    """How far a body moved: its vertices in the photo and its joints in space, pelvis-aligned; means."""

    pixel: float
    joints_mm: float


def refine_bev(folder: Path, refiner: Refiner) -> Result:
    """Refine the pair with the displacer alone."""
    return api.fit(folder / "image_1.jpg", folder / "image_1_0.08.npz", refiner=refiner)


def refine_romp(folder: Path, refiner: Refiner) -> Result:
    """Refine ROMP's person with the displacer alone."""
    photo = next(path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return api.fit(photo, folder / "romp_output.npz", refiner=refiner)


def arms(folder: Path, result: Result) -> tuple[Arms, ...]:
    """Compare a refined pair with ViTPose.

    Args:
        folder: Of the pair.
        result: The refined pair.
    """
    given = Given(photos=read_photos(folder / "image_1.jpg"))
    found, _ = detections_of(folder / "image_1_keypoints.json", result.estimate, given)
    assert found is not None
    names = result.body.keypoint_set(found.name).names
    body_points = names[:25]  # of body25; hands follow in a larger set
    arm = torch.tensor([name.endswith(ARMS) for name in body_points] + [False] * (len(names) - len(body_points)))
    extent = result.camera.size.flip(-1)[:, None]
    margin = DetectorNoise().border_share * extent
    inside = ((found.pixel > margin) & (found.pixel < extent - margin)).all(-1)
    chosen = arm & (found.confidence >= SURE) & inside  # (B, K)
    before, after = (found.misfit(each.keypoints_2d(found.name), chosen) for each in (result.estimate, result.refined))
    return tuple(
        Arms(*numbers) for numbers in zip(before.tolist(), after.tolist(), chosen.sum(1).tolist(), strict=True)
    )


def moved(result: Result) -> tuple[Moved, ...]:
    """Say how far each body of a result moved."""
    before, after = result.estimate, result.refined
    pixel = (after.camera.project(after.vertices) - before.camera.project(before.vertices)).norm(dim=-1).mean(1)
    apart = 1000 * (_aligned(after) - _aligned(before)).norm(dim=-1).mean(1)
    return tuple(Moved(*numbers) for numbers in zip(pixel.tolist(), apart.tolist(), strict=True))


def _aligned(estimate: Estimate) -> Float[Tensor, "B J 3"]:
    return estimate.joints - estimate.joints[:, :1]
