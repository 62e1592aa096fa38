"""Inputs prepared for the method: bodies, the photos they are seen in and their keypoints, checked against each other.

Whoever calls (one call, a folder, a pipe, an attached model) finds these in a way of its own, and everything from here
on is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from refine import batch
from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.inputs.camera_doubts import Doubt, PhotoFacts
from refine.inputs.checks import check_photos, unseen
from refine.inputs.estimates import Given
from refine.inputs.keypoints import matched_keypoints
from refine.inputs.suspicions import suspicions
from refine.keypoints.detections import Detections
from refine.photo import Photo
from refine.terms import Term
from refine.terms.keypoints import DetectorNoise


@dataclass(frozen=True, eq=False)
class Prepared:
    """B bodies that are ready to be refined.

    Attributes:
        estimate: The bodies; `image_index` points into `photos`.
        photos: The photos; none where nobody looks at them.
        detections: The keypoints of the B bodies, or None.
        notes: What was decided, a sentence each.
        doubts: What looks wrong.
        noise: The measured errors of the detector that the keypoints are of; None: the usual ones.
        evidence: Further terms of the B bodies.
    """

    estimate: Estimate
    photos: tuple[Photo, ...]
    detections: Detections | None
    notes: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    noise: DetectorNoise | None = None
    evidence: tuple[Term, ...] = ()

    def to(self, device: torch.device | str, body: SkinnedBody) -> "Prepared":
        """Return the bodies and their keypoints on another device.

        Args:
            device: Where to.
            body: The estimate's model there: by far the largest part, moved once by who needs it often.
        """
        estimate, found = self.estimate, self.detections
        index = estimate.image_index.to(device)
        moved = replace(estimate, body=body, state=estimate.state.to(device), image_index=index)
        points = found and Detections(found.name, found.pixel.to(device), found.confidence.to(device))
        terms = tuple(batch.to(term, device) for term in self.evidence)
        return replace(self, estimate=moved, detections=points, evidence=terms)


def prepare(
    estimate: Estimate,
    given: Given,
    keypoints: object = None,
    *,
    asked_camera: bool = False,
    numbers: Sequence[int] | None = None,
    noise: DetectorNoise | None = None,
) -> Prepared:
    """Hold an estimate, its photos and what was detected in them against each other.

    Args:
        estimate: B bodies, through the camera that was asked for.
        given: The photos, as `image_index` counts them; none where there are none to look at.
        keypoints: As `refine.inputs.keypoints.matched_keypoints` takes them.
        asked_camera: Whether the caller gave the camera, and not the file.
        numbers: What each body is called in notes; None: its row, counted from 1.
        noise: The measured errors of the detector that people in `keypoints` were found by, where it was run before.

    Raises:
        InputError: They are not of each other: photos of another size or number, keypoints of another photo.
    """
    photos = given.photos
    if photos:
        check_photos(estimate, photos)
        sizes = [(photo.size, photo.orientation) for photo in photos]
    else:
        sizes = [(size, 1) for size in _sizes(estimate)]
    found = matched_keypoints(keypoints, estimate, given, numbers)
    facts = [PhotoFacts(*size, points) for size, points in zip(sizes, found.points, strict=True)]
    doubts = suspicions(estimate, facts, asked_camera=asked_camera, numbers=numbers)
    notes = tuple(note for photo in photos for note in photo.notes) + given.notes + estimate.notes
    notes += unseen(estimate, photos) + found.notes
    return Prepared(estimate, photos, found.detections, notes, doubts, noise or found.noise)


def _sizes(estimate: Estimate) -> list[tuple[int, int]]:
    """Return the (height, width) px of photos that are known by the bodies' cameras alone."""
    index, sizes = estimate.image_index.cpu(), estimate.camera.size.cpu().round().int()
    found = []
    for image in range(int(index.max()) + 1 if len(index) else 0):
        rows = (index == image).nonzero()[:, 0]
        height, width = sizes[rows[0] if len(rows) else 0].tolist()  # nobody is in it, and nothing will be said of it
        found.append((height, width))
    return found
