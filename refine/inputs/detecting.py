"""Runs a 2D detector on the photos where estimated persons are, and says whom it found.

    boxes (B, 4)  <- the bodies' projected surfaces, cut to the photo
    people        <- the detector's answer, without what is nobody and without the second of two that are the same:
                     Σ_k |a_k - b_k| / n  <  SAME √(area of the box around a)    over the n points sure in both

Who each of the people is, is decided for all boxes of a photo together (`refine.keypoints.matching`): what was found in
one person's box may be the neighbour.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from refine.ambient import ordinary
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import usable_rows
from refine.keypoints.detections import SURE, DetectedPeople, Detections
from refine.photo import Photo
from refine.terms.keypoints import DetectorNoise

SAME = 0.1
"""Mean distance of sure points, over the root of the area of their box, below which two found persons are one: of one
person in two crops it is 0.01 to 0.05; two persons are an arm's width apart."""

COMMON = 4
"""Points sure in both from which two found persons may be one."""


def detector_of(keypoints: object) -> Any:
    """Return the detector that a `keypoints` argument asks for, None where it asks for none.

    Args:
        keypoints: "auto", a detector's name, "NAME=MODEL" or a function; or anything else.

    Raises:
        InputError: It is a word that is nearly a detector's name, or the detector's model is missing.
        MissingExtra: What the detector needs is not installed.
    """
    from refine.detectors.find import AUTO, detector, detectors, is_asked

    if isinstance(keypoints, str):
        if is_asked(keypoints):
            return detector(keypoints)
        name = keypoints.partition("=")[0]
        if get_close_matches(name.lower(), (AUTO, *detectors()), cutoff=0.8) and not Path(keypoints).exists():
            expected = f"auto, a detector ({', '.join(detectors())}) or a file"
            raise InputError("keypoints", expected, repr(keypoints))
        return None
    from refine.keypoints.formats.find import recognised

    wanted = callable(keypoints) and not isinstance(keypoints, type) and recognised(keypoints) is None
    return keypoints if wanted else None


def name_of(detector: Any) -> str:
    """Return what a detector is called in notes."""
    return str(getattr(detector, "name", "") or getattr(detector, "__name__", "") or type(detector).__name__)


def noise_of(detector: Any) -> DetectorNoise | None:
    """Return the measured errors of a detector, None where it has none of its own.

    Raises:
        InputError: Its `noise` is something else.
    """
    noise = getattr(detector, "noise", None)
    if noise is not None and not isinstance(noise, DetectorNoise):
        raise InputError("detector.noise", "refine.terms.keypoints.DetectorNoise or None", type(noise).__name__)
    return noise


def detect(detector: Any, photo: Photo, estimate: Estimate, numbers: Sequence[int]) -> DetectedPeople:
    """Run a detector on a photo.

    Args:
        detector: A `refine.detectors.Detector`.
        photo: The photo.
        estimate: B bodies, all seen in this photo.
        numbers: What each body is called in notes.

    Returns:
        The people found, each once; nobody where no body is in the photo. Notes name the detector.

    Raises:
        InputError: The detector returned something else than it should.
    """
    name = name_of(detector)
    boxes = person_boxes(estimate, photo.size)
    seen = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)
    if not bool(seen.any()):
        return DetectedPeople("coco17", torch.zeros(0, 17, 2), torch.zeros(0, 17), name)
    found = _checked(detector(photo.decoded().pixels, boxes[seen]), int(seen.sum()), name)
    notes = (f"Keypoints: {name} looked at the photo.",)
    if isinstance(found, DetectedPeople):
        return replace(found, origin=name, notes=(*notes, *found.notes))
    who = [numbers[row] for row in seen.nonzero()[:, 0].tolist()]
    return _each_once(found, who, name, notes)


def person_boxes(estimate: Estimate, size: tuple[int, int]) -> Float[Tensor, "B 4"]:
    """Return the boxes around bodies' projected surfaces.

    Args:
        estimate: B bodies.
        size: (height, width) px of their photo.

    Returns:
        (B, 4) px, x0 y0 x1 y1, cut to the photo: empty (x0 >= x1 or y0 >= y1) where a body is outside or has no place.
    """
    pixel = ordinary(estimate.camera.project(estimate.posed.vertices)).detach().cpu().float()
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    low, high = pixel.amin(1), pixel.amax(1)
    boxes = torch.cat((low.clamp(min=0), torch.minimum(high, limit)), 1)
    good = usable_rows(estimate).cpu() & boxes.isfinite().all(1)
    return boxes.masked_fill(~good[:, None], 0.0)


def _checked(found: object, boxes: int, name: str) -> Any:
    """Return what a detector returned, NaN at points without confidence made zero.

    Raises:
        InputError: It is not what it should be.
    """
    where = f"what the detector {name} returned"
    if not isinstance(found, Detections | DetectedPeople):
        expected = f"refine.Detections with {boxes} row(s), one a box, or refine.DetectedPeople"
        raise InputError(where, expected, type(found).__name__)
    if isinstance(found, Detections):
        check_shape(f"{where}: pixel", found.pixel, "B K 2", B=boxes)
    from refine.body.keypoint_names import SETS

    if found.name in SETS:
        check_shape(f"{where}: confidence", found.confidence, "B K", K=len(SETS[found.name]))
    pixel, confidence = (ordinary(each).detach().cpu().float() for each in (found.pixel, found.confidence))
    check_finite(f"{where}: confidence", confidence, "Give 0 to points it lacks.")
    if len(confidence) and not 0 <= float(confidence.min()) <= float(confidence.max()) <= 1:
        got = f"{float(confidence.min()):g} to {float(confidence.max()):g}"
        raise InputError(f"{where}: confidence", "values from 0 to 1", got)
    pixel = pixel.masked_fill((confidence == 0)[..., None], 0.0)
    check_finite(f"{where}: pixel", pixel, "Give confidence 0 to points it lacks.")
    if isinstance(found, DetectedPeople):
        return replace(found, pixel=pixel, confidence=confidence)
    return Detections(found.name, pixel, confidence)


def _each_once(found: Detections, numbers: Sequence[int], name: str, notes: tuple[str, ...]) -> DetectedPeople:
    """Return the people of a row a box: of two that are the same person the surer one, with a note."""
    said = list(notes)
    kept: list[int] = []
    order = found.confidence.sum(1).argsort(descending=True, stable=True).tolist()
    for row in order:
        if not bool((found.confidence[row] >= SURE).any()):
            said.append(f"Person {numbers[row]}: {name} found nobody in the box.")
            continue
        twin = next((other for other in kept if _are_same(found, other, row)), None)
        if twin is None:
            kept.append(row)
        else:
            pair = " and ".join(str(number) for number in sorted((numbers[twin], numbers[row])))
            said.append(f"{name} found one person in the boxes of persons {pair}: the nearer one is taken to be it.")
    rows = sorted(kept)
    return DetectedPeople(found.name, found.pixel[rows], found.confidence[rows], name, tuple(said))


def _are_same(found: Detections, one: int, other: int) -> bool:
    """Say whether two rows are the same person."""
    sure = (found.confidence[[one, other]] >= SURE).all(0)
    if int(sure.sum()) < COMMON:
        return False
    first, second = found.pixel[one, sure], found.pixel[other, sure]
    size = (first.amax(0) - first.amin(0)).clamp(min=1.0).prod().sqrt()
    return float((first - second).norm(dim=-1).mean()) < SAME * float(size)
