"""From the keypoints a caller gives to detections of the estimate's bodies: files, what detectors return, arrays, distorted photos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.check import check_finite, check_shape
from refine.detections import DetectedPeople, Detections
from refine.errors import InputError
from refine.estimate import Estimate, as_tensor
from refine.photo import Photo
from refine.reading import Given

SETS_BY_SIZE = {17: "coco17", 25: "body25", 133: "coco133", 137: "openpose137"}
"""Keypoint sets an array is taken for, by its number of points."""


def detections_of(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections | None, tuple[str, ...]]:
    """Resolve the `keypoints` argument.

    Args:
        keypoints: A file or what a detector returned (one a photo, or one that is about all of them), `DetectedPeople`, `Detections`,
            an array (B, K, 3), or None.
        estimate: B bodies; detected people are matched to them.
        given: The photos and the lens that was taken out of them.

    Returns:
        The detections of the bodies, or None; and what was decided.

    Raises:
        InputError: It is none of these, or of another photo or number of bodies.
    """
    if keypoints is None:
        return None, ()
    found, notes = _detections(keypoints, estimate, given)
    found, cut = _on_body(found, estimate)
    notes += cut
    check_shape("keypoints", found.pixel, "B K 2", B=len(estimate))
    check_finite("keypoints.confidence", found.confidence)
    check_shape("keypoints", found.confidence, "B K", K=len(estimate.body.keypoint_set(found.name).names))
    _check_extent(found, estimate, given.photos)
    found = Detections(found.name, found.pixel.to(estimate.camera.focal), found.confidence.to(estimate.camera.focal))
    if given.lens is not None:
        known = found.confidence > 0
        straight = given.lens.undistort_points(found.pixel.nan_to_num(0.0))
        found = replace(found, pixel=torch.where(known[..., None], straight.to(found.pixel), 0.0))
    return found, notes


def _on_body(found: Detections, estimate: Estimate) -> tuple[Detections, tuple[str, ...]]:
    """Leave out hands and face where the model has no such points."""
    people = DetectedPeople(found.name, found.pixel, found.confidence)
    if found.name in estimate.body.keypoint_sets or people.body_only() is people:
        return found, ()
    people = people.body_only()
    return Detections(people.name, people.pixel, people.confidence), (_left_out(estimate, found.name),)


def _left_out(estimate: Estimate, name: str) -> str:
    return f"{estimate.body.name} has no {name}: hands and face are left out."


def _check_extent(found: Detections, estimate: Estimate, photos: Sequence[Photo]) -> None:
    """Refuse keypoints most of which lie outside their photo: they are of an image of another size."""
    for index, photo in enumerate(photos):
        rows = (estimate.image_index == index).nonzero()[:, 0].cpu()
        DetectedPeople(found.name, found.pixel[rows].nan_to_num(0.0), found.confidence[rows]).checked(photo.size)


def _detections(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections, tuple[str, ...]]:
    if isinstance(keypoints, Detections):
        return keypoints, ()
    if isinstance(keypoints, np.ndarray | Tensor):
        array = as_tensor(keypoints)
        array = array[None] if array.dim() == 2 else array
        if array.dim() != 3 or array.shape[2] != 3 or array.shape[1] not in SETS_BY_SIZE:
            raise InputError(
                "keypoints", f"an array (B, K, 3) with K one of {sorted(SETS_BY_SIZE)}", str(tuple(array.shape))
            )
        return Detections(SETS_BY_SIZE[array.shape[1]], array[..., :2], array[..., 2]), ()
    return _matched(_people(keypoints, given.photos), estimate)


def _people(keypoints: object, photos: Sequence[Photo]) -> list[DetectedPeople]:
    """Read the people of each photo."""
    from refine.keypoint_formats import Wanted
    from refine.keypoint_formats.find import load_keypoints, read_content, recognised

    one = isinstance(keypoints, str | Path | DetectedPeople) or recognised(keypoints) is not None
    sources = [keypoints] if one or not isinstance(keypoints, Sequence) else list(keypoints)
    expected = f"{len(photos)} of them, a file or a detector's result for each photo, or one file that is about all"
    if len(sources) not in (1, len(photos)):
        raise InputError("keypoints", expected, str(len(sources)))
    contents = [load_keypoints(part) if isinstance(part, str | Path) else part for part in sources]
    shared = len(sources) < len(photos)
    if shared:  # COCO's images go by name, a video's frames by their order
        about = recognised(contents[0])
        if about is None or about.images(contents[0]) == 1:
            raise InputError("keypoints", expected, "1")
    people = []
    for index, photo in enumerate(photos):
        source, content = (part[0 if shared else index] for part in (sources, contents))
        origin = Path(source).name if isinstance(source, str | Path) else "the call"
        place = (index, len(photos)) if shared else (0, 1)
        wanted = Wanted(origin, None if photo.path is None else str(photo.path), photo.size, place)
        found = content if isinstance(content, DetectedPeople) else read_content(content, wanted)
        people.append(found.checked(photo.size))
    return people


def _matched(people: list[DetectedPeople], estimate: Estimate) -> tuple[Detections, tuple[str, ...]]:
    """Match the people of each photo to the bodies in it."""
    from refine.matching import match_people

    people = _in_one_set(people)
    name = people[0].name
    notes = [note for one in people for note in one.notes]
    if name not in estimate.body.keypoint_sets and people[0].body_only().name != name:
        notes.append(_left_out(estimate, name))
        people = [one.body_only() for one in people]
        name = people[0].name
    projected = estimate.keypoints_2d(name).cpu()
    if estimate.source.unusable is not None:  # who is not there is nobody in the photo
        projected = projected.masked_fill(estimate.source.unusable[:, None, None], torch.nan)
    pixel = torch.zeros(projected.shape)
    confidence = torch.zeros(projected.shape[:2])
    for index, one in enumerate(people):
        rows = (estimate.image_index.cpu() == index).nonzero()[:, 0]
        person = match_people(projected[rows], one.pixel, one.confidence)
        for row, chosen in zip(rows.tolist(), person.tolist(), strict=True):
            if chosen >= 0:
                pixel[row], confidence[row] = one.pixel[chosen], one.confidence[chosen]
            else:
                notes.append(
                    f"Person {row + 1}: nobody in {one.origin} lies near, so there are no keypoints. Are they of this photo at this size?"
                )
        spare = len(one) - int((person >= 0).sum())
        if spare:
            notes.append(
                f"{one.origin}: {spare} detected {'person matches' if spare == 1 else 'people match'} no body."
            )
    return Detections(name, pixel, confidence), tuple(dict.fromkeys(notes))


def _in_one_set(people: list[DetectedPeople]) -> list[DetectedPeople]:
    """Return the people of all photos in one keypoint set: in some photos nobody, or nobody's hands and face, was found."""
    from refine.body.keypoint_names import SETS

    found = {one.name for one in people if len(one)}
    if len(found) > 1:
        people = [one.whole() for one in people]
    names = {one.name for one in people if len(one)}
    if len(names) > 1:
        raise InputError("keypoints", "photos with one detector's keypoints", f"sets {', '.join(sorted(found))}")
    name = next(iter(names), people[0].name)
    count = len(SETS[name])
    pixel, confidence = torch.zeros(0, count, 2), torch.zeros(0, count)
    return [one if one.name == name else replace(one, name=name, pixel=pixel, confidence=confidence) for one in people]
