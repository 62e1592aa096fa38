"""From the keypoints a caller gives to detections of the estimate's bodies: files, what detectors return, arrays, distorted photos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from refine.ambient import ordinary
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import usable_rows, without_numbers
from refine.inputs.estimates import Given
from refine.keypoints.detections import DetectedPeople, Detections, in_one_set, nobody_said
from refine.photo import Photo


def detections_of(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections | None, tuple[str, ...]]:
    """Resolve the `keypoints` argument.

    Args:
        keypoints: A file or what a detector returned (one a photo, or one that is about all of them), `DetectedPeople`, `Detections`,
            an array (B, K, 3) or (B, K, 2) with a row a body (or nested lists), or None.
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
    lost = without_numbers(estimate.source).to(found.confidence.device)
    found = replace(
        found, confidence=found.confidence.masked_fill(lost[:, None], 0.0)
    )  # there is no body to hold them against
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
    from refine.inputs.keypoint_files import load_keypoints
    from refine.keypoints.formats.arrays import is_points

    if isinstance(keypoints, Detections):
        return Detections(keypoints.name, ordinary(keypoints.pixel), ordinary(keypoints.confidence)), ()
    if is_points(keypoints):
        if not len(keypoints) and len(estimate):  # type: ignore[arg-type]  # nobody was detected, as in a detector's empty file
            return _matched([_nobody(keypoints)] * (int(estimate.image_index.max()) + 1), estimate)
        return _by_row(keypoints, "the call", estimate, given.photos)
    if isinstance(keypoints, str | Path) and len(given.photos) > 1:
        content = load_keypoints(keypoints)
        if is_points(content):  # of several photos: only the estimate's rows can say whose they are
            return _by_row(content, Path(keypoints).name, estimate, given.photos)
    return _matched(_people(keypoints, given.photos), estimate)


def _nobody(keypoints: object) -> DetectedPeople:
    """Return nobody, in the set of an empty array of points (0, K, 2 or 3)."""
    from refine.keypoints.formats.arrays import SETS_BY_COUNT
    from refine.keypoints.numbers import shape_of
    from refine.keypoints.sets import people_of

    return people_of([], SETS_BY_COUNT[shape_of(keypoints)[1]], "the call")


def _by_row(
    keypoints: object, origin: str, estimate: Estimate, photos: Sequence[Photo]
) -> tuple[Detections, tuple[str, ...]]:
    """Return points (B, K, 2 or 3), a row a body, as they are; shares of photos taken times their sizes."""
    from refine.keypoints.formats.arrays import SETS_BY_COUNT, rows_of, said_of_shares
    from refine.keypoints.sets import people_of
    from refine.keypoints.shares import are_shares

    rows, notes = rows_of(keypoints, origin)
    if len(rows) != len(estimate):
        advice = "Rows of an array are the estimate's bodies. Detected people in any order are matched to them: give keypoints=(points, confidences)."
        raise InputError("keypoints", f"{len(estimate)} rows, one a body", f"{len(rows)} rows", advice)
    if are_shares(rows):
        if not photos:
            raise InputError(f"keypoints of {origin}", "pixels", "shares of the photo", "Multiply by its size.")
        sizes = np.array([photos[index].size for index in estimate.image_index.tolist()], dtype=np.float64)
        rows = rows * np.concatenate((sizes[:, None, ::-1], np.ones((len(rows), 1, 1))), 2)
        notes += (said_of_shares(origin),)
    people = people_of(list(rows), SETS_BY_COUNT[rows.shape[1]], origin, notes)
    return Detections(people.name, people.pixel, people.confidence), people.notes


def _people(keypoints: object, photos: Sequence[Photo]) -> list[DetectedPeople]:
    """Read the people of each photo."""
    from refine.inputs.keypoint_files import load_keypoints
    from refine.keypoints.formats import Wanted
    from refine.keypoints.formats.find import ADVICE, layout_of, recognised, what_it_is

    one = isinstance(keypoints, str | Path | DetectedPeople) or recognised(keypoints) is not None
    sources = [keypoints] if one or not isinstance(keypoints, Sequence) else list(keypoints)
    expected = f"{len(photos)} of them, a file or a detector's result for each photo, or one file that is about all"
    if len(sources) not in (1, len(photos)):
        _check_scores(sources)
        raise InputError("keypoints", expected, f"{len(sources)}: {what_it_is(keypoints)}", ADVICE)
    contents = [load_keypoints(part) if isinstance(part, str | Path) else part for part in sources]
    shared = len(sources) < len(photos)
    if shared:  # COCO's images go by name, a video's frames by their order
        about = recognised(contents[0])
        if about is None or about.images(contents[0]) == 1:
            raise InputError("keypoints", expected, "1")
    layouts: dict[int, ModuleType] = {}
    people = []
    for index, photo in enumerate(photos):
        source, content = (part[0 if shared else index] for part in (sources, contents))
        origin = Path(source).name if isinstance(source, str | Path) else "the call"
        place = (index, len(photos)) if shared else (0, 1)
        wanted = Wanted(origin, None if photo.path is None else str(photo.path), photo.size, place)
        if isinstance(content, DetectedPeople):
            found = content
        else:
            if id(content) not in layouts:
                layouts[id(content)] = layout_of(content, origin)
            found = layouts[id(content)].read(content, wanted)
        people.append(found.checked(photo.size))
    return people


def _check_scores(sources: Sequence[object]) -> None:
    """Refuse a pair of points and scores in which the scores are not one number a point.

    Raises:
        InputError: It is such a pair.
    """
    from refine.keypoints.formats.arrays import SETS_BY_COUNT
    from refine.keypoints.numbers import shape_of

    shapes = [shape_of(part) for part in sources]
    if (
        len(shapes) == 2
        and len(shapes[0]) in (2, 3)
        and shapes[0][-1] == 2
        and shapes[0][-2] in SETS_BY_COUNT
        and shapes[1]
    ):
        advice = "Give (points (P, K, 2), scores (P, K)): one score a point."
        raise InputError("keypoints: scores", f"shape {shapes[0][:-1]}", f"shape {shapes[1]}", advice)


def _matched(people: list[DetectedPeople], estimate: Estimate) -> tuple[Detections, tuple[str, ...]]:
    """Match the people of each photo to the bodies in it."""
    from refine.keypoints.matching import match_people

    people = in_one_set(people)
    name = people[0].name
    notes = [note for one in people for note in one.notes]
    if name not in estimate.body.keypoint_sets and people[0].body_only().name != name:
        notes.append(_left_out(estimate, name))
        people = [one.body_only() for one in people]
        name = people[0].name
    projected = estimate.keypoints_2d(name).cpu()
    gone = ~usable_rows(estimate)  # who is not there is nobody in the photo
    projected = projected.masked_fill(gone[:, None, None], torch.nan)
    pixel = torch.zeros(projected.shape)
    confidence = torch.zeros(projected.shape[:2])
    for index, one in enumerate(people):
        rows = (estimate.image_index.cpu() == index).nonzero()[:, 0]
        person = match_people(projected[rows], one.pixel, one.confidence)
        for row, chosen in zip(rows.tolist(), person.tolist(), strict=True):
            if chosen >= 0:
                pixel[row], confidence[row] = one.pixel[chosen], one.confidence[chosen]
            elif not gone[row]:
                asked = " Are they of this photo at this size?" if len(one) else ""
                notes.append(f"Person {row + 1}: {nobody_said(one)}{asked}")
        spare = len(one) - int((person >= 0).sum())
        if spare:
            notes.append(
                f"{one.origin}: {spare} detected {'person matches' if spare == 1 else 'people match'} no body."
            )
    return Detections(name, pixel, confidence), tuple(dict.fromkeys(notes))
