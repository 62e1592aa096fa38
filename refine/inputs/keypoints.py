"""Keypoints in all the forms callers have them in, as detections of the estimate's bodies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from refine.ambient import ordinary
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import usable_rows, without_numbers
from refine.inputs.detecting import detect, detector_of, name_of, noise_of
from refine.inputs.estimates import Given
from refine.keypoints.detections import DetectedPeople, Detections, in_one_set, nobody_said
from refine.photo import Photo
from refine.terms.keypoints import DetectorNoise


@dataclass(frozen=True, eq=False)
class MatchedKeypoints:
    """What was detected in some photos, by body and by photo.

    Attributes:
        detections: The keypoints of B bodies, in px of the photos; None where nothing was asked for or
            is known.
        notes: What was decided, a sentence each.
        points: For each photo (N, 2) px, all points that were detected in it, as it was taken; None where nothing is
            known.
        noise: The measured errors of the detector that was run; None: of another, or not measured.
    """

    detections: Detections | None
    notes: tuple[str, ...] = ()
    points: tuple[Tensor | None, ...] = ()
    noise: DetectorNoise | None = None


def detections_of(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections | None, tuple[str, ...]]:
    """Return the detections and the notes of `matched_keypoints`, whose arguments it takes.

    Raises:
        InputError: As there.
    """
    found = matched_keypoints(keypoints, estimate, given)
    return found.detections, found.notes


def matched_keypoints(
    keypoints: object, estimate: Estimate, given: Given, numbers: Sequence[int] | None = None
) -> MatchedKeypoints:
    """Resolve the `keypoints` argument.

    Args:
        keypoints: A file or what a detector returned (one a photo, or one that is about all of them), `DetectedPeople`
            (a list of them may hold None for a photo of which nothing is known), `Detections`, an array (B, K, 3) or
            (B, K, 2) with a row a body (or nested lists), a detector that is run now (its name, "auto" or a function:
            `refine.detectors`), or None.
        estimate: B bodies; detected people are matched to them.
        given: The photos.
        numbers: What each body is called in notes; None: its row, counted from 1.

    Raises:
        InputError: It is none of these, or of another photo or number of bodies.
        MissingExtra: What a detector needs is not installed.
    """
    detector = detector_of(keypoints)
    if detector is not None:
        keypoints = _found_by(detector, estimate, given, numbers or range(1, len(estimate) + 1))
        return replace(matched_keypoints(keypoints, estimate, given, numbers), noise=noise_of(detector))
    index = estimate.image_index.cpu()
    photos = len(given.photos) or (int(index.max()) + 1 if len(index) else 0)
    if keypoints is None:
        return MatchedKeypoints(None, (), (None,) * photos)
    people, found, notes = _detections(keypoints, estimate, given, numbers or range(1, len(estimate) + 1))
    found, cut = _on_body(found, estimate)
    notes += cut
    check_shape("keypoints", found.pixel, "B K 2", B=len(estimate))
    check_finite("keypoints.confidence", found.confidence)
    check_shape("keypoints", found.confidence, "B K", K=len(estimate.body.keypoint_set(found.name).names))
    _check_extent(found, estimate, given.photos)
    if people is None:
        groups: list[tuple[Tensor, Tensor] | None] = [
            (found.pixel[rows], found.confidence[rows]) for rows in (index == at for at in range(photos))
        ]
    else:
        groups = [None if one is None else (one.pixel, one.confidence) for one in people]
    points = tuple(None if group is None else group[0][group[1] > 0].cpu() for group in groups)
    # There is no body to hold them against.
    confidence = found.confidence.masked_fill(without_numbers(estimate.source).to(found.confidence.device)[:, None], 0)
    like = estimate.camera.focal
    return MatchedKeypoints(Detections(found.name, found.pixel.to(like), confidence.to(like)), notes, points)


def _found_by(detector: object, estimate: Estimate, given: Given, numbers: Sequence[int]) -> list[DetectedPeople]:
    """Run a detector on each photo, where the bodies are that are seen in it.

    Raises:
        InputError: There are no photos.
    """
    if not given.photos:
        advice = "Give the image, or keypoints that were detected in it."
        raise InputError(f"keypoints: the detector {name_of(detector)}", "a photo to look at", "none", advice)
    found = []
    for at, photo in enumerate(given.photos):
        rows = (estimate.image_index.cpu() == at).nonzero()[:, 0]
        found.append(detect(detector, photo, estimate.rows(rows), [numbers[row] for row in rows.tolist()]))
    return found


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


def _detections(
    keypoints: object, estimate: Estimate, given: Given, numbers: Sequence[int]
) -> tuple[Sequence[DetectedPeople | None] | None, Detections, tuple[str, ...]]:
    """Return the people of each photo, None where rows are bodies; the bodies' keypoints; and what was decided."""
    from refine.inputs.keypoint_files import load_keypoints
    from refine.keypoints.formats.arrays import is_points

    if isinstance(keypoints, Detections):
        return None, Detections(keypoints.name, ordinary(keypoints.pixel), ordinary(keypoints.confidence)), ()
    if is_points(keypoints):
        if len(keypoints) or not len(estimate):  # type: ignore[arg-type]
            return None, *_by_row(keypoints, "the call", estimate, given.photos)
        nobody = [_nobody(keypoints)] * (int(estimate.image_index.max()) + 1)  # as in a detector's empty file
        return nobody, *_matched(nobody, estimate, numbers)
    if isinstance(keypoints, str | Path) and len(given.photos) > 1:
        content = load_keypoints(keypoints)
        if is_points(content):  # of several photos: only the estimate's rows can say whose they are
            return None, *_by_row(content, Path(keypoints).name, estimate, given.photos)
    people = _people(keypoints, given.photos)
    return people, *_matched(people, estimate, numbers)


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
        advice = (
            "Rows of an array are the estimate's bodies. Detected people in any order are matched to them: give"
            " keypoints=(points, confidences)."
        )
        raise InputError("keypoints", f"{len(estimate)} rows, one a body", f"{len(rows)} rows", advice)
    if are_shares(rows):
        if not photos:
            raise InputError(f"keypoints of {origin}", "pixels", "shares of the photo", "Multiply by its size.")
        sizes = np.array([photos[index].size for index in estimate.image_index.tolist()], dtype=np.float64)
        rows = rows * np.concatenate((sizes[:, None, ::-1], np.ones((len(rows), 1, 1))), 2)
        notes += (said_of_shares(origin),)
    people = people_of(list(rows), SETS_BY_COUNT[rows.shape[1]], origin, notes)
    return Detections(people.name, people.pixel, people.confidence), people.notes


def _people(keypoints: object, photos: Sequence[Photo]) -> list[DetectedPeople | None]:
    """Read the people of each photo; None stays None."""
    from refine.inputs.keypoint_files import load_keypoints
    from refine.keypoints.formats import Wanted
    from refine.keypoints.formats.find import ADVICE, layout_of, recognised, what_it_is

    several = isinstance(keypoints, Sequence) and any(isinstance(one, DetectedPeople) for one in keypoints)
    one = not several and (isinstance(keypoints, str | Path | DetectedPeople) or recognised(keypoints) is not None)
    sources = [keypoints] if one or not isinstance(keypoints, Sequence) else list(keypoints)
    if any(part is None for part in sources) and not any(part is not None for part in sources):
        raise InputError("keypoints", "what was detected in the photos", "nothing but None", ADVICE)
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
    people: list[DetectedPeople | None] = []
    for index, photo in enumerate(photos):
        source, content = (part[0 if shared else index] for part in (sources, contents))
        if content is None and len(photos) > 1:
            people.append(None)
            continue
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


def _matched(
    people: Sequence[DetectedPeople | None], estimate: Estimate, numbers: Sequence[int]
) -> tuple[Detections, tuple[str, ...]]:
    """Match the people of each photo to the bodies in it."""
    from refine.keypoints.matching import match_people

    known = in_one_set([one for one in people if one is not None])
    name = known[0].name
    notes = [note for one in known for note in one.notes]
    if name not in estimate.body.keypoint_sets and known[0].body_only().name != name:
        notes.append(_left_out(estimate, name))
        known = [one.body_only() for one in known]
        name = known[0].name
    projected = estimate.keypoints_2d(name).cpu()
    gone = ~usable_rows(estimate)  # who is not there is nobody in the photo
    projected = projected.masked_fill(gone[:, None, None], torch.nan)
    pixel = torch.zeros(projected.shape)
    confidence = torch.zeros(projected.shape[:2])
    places = [index for index, one in enumerate(people) if one is not None]
    for index, one in zip(places, known, strict=True):
        rows = (estimate.image_index.cpu() == index).nonzero()[:, 0]
        person = match_people(projected[rows], one.pixel, one.confidence)
        for row, chosen in zip(rows.tolist(), person.tolist(), strict=True):
            if chosen >= 0:
                pixel[row], confidence[row] = one.pixel[chosen], one.confidence[chosen]
            elif not gone[row]:
                asked = " Are they of this photo at this size?" if len(one) else ""
                notes.append(f"Person {numbers[row]}: {nobody_said(one)}{asked}")
        spare = len(one) - int((person >= 0).sum())
        if spare:
            matches = "person matches" if spare == 1 else "people match"
            notes.append(f"{one.origin}: {spare} detected {matches} no body.")
    return Detections(name, pixel, confidence), tuple(dict.fromkeys(notes))
