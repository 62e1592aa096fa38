"""From the keypoints a caller gives to detections of the estimate's bodies: files, arrays, sets a model lacks, distorted photos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.check import check_finite, check_shape
from refine.detections import Detections
from refine.errors import InputError
from refine.estimate import Estimate, as_tensor
from refine.photo import Photo
from refine.reading import Given

SETS_BY_SIZE = {17: "coco17", 25: "body25", 133: "coco133", 137: "openpose137"}
"""Keypoint sets an array is taken for, by its number of points."""

BODY_OF_WHOLE = {"openpose137": ("body25", 25), "coco133": ("coco17", 17)}
"""The body's own points of a whole-body set: its name, and how many come first."""


def detections_of(keypoints: object, estimate: Estimate, given: Given) -> tuple[Detections | None, tuple[str, ...]]:
    """Resolve the `keypoints` argument.

    Args:
        keypoints: JSON file(s), `Detections`, an array (B, K, 3), or None.
        estimate: B bodies; people of a file are matched to them.
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
    own = BODY_OF_WHOLE.get(found.name)
    if own is None or found.name in estimate.body.keypoint_sets:
        return found, ()
    name, count = own
    note = f"{estimate.body.name} has no {found.name}: hands and face are left out."
    return Detections(name, found.pixel[:, :count], found.confidence[:, :count]), (note,)


def _check_extent(found: Detections, estimate: Estimate, photos: Sequence[Photo]) -> None:
    """Refuse keypoints most of which lie outside their photo: they are of an image of another size."""
    from refine.formats.openpose import KeypointFile

    for index, photo in enumerate(photos):
        rows = (estimate.image_index == index).nonzero()[:, 0].cpu()
        KeypointFile(
            found.name, found.pixel[rows].nan_to_num(0.0), found.confidence[rows], Path("of the call")
        ).checked(photo.size)


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
    paths = [keypoints] if isinstance(keypoints, str | Path) else keypoints
    if not isinstance(paths, Sequence) or not all(isinstance(path, str | Path) for path in paths):
        raise InputError("keypoints", "JSON file(s), Detections or an array (B, K, 3)", type(keypoints).__name__)
    if len(paths) != len(given.photos):
        raise InputError("keypoints", f"{len(given.photos)} file(s), one a photo", str(len(paths)))
    return _from_files([Path(path) for path in paths], estimate, given.photos)


def _from_files(paths: list[Path], estimate: Estimate, photos: Sequence[Photo]) -> tuple[Detections, tuple[str, ...]]:
    """Read one file a photo and match its people to the bodies in that photo."""
    from refine.formats.openpose import KeypointFile, match_people, read_keypoints

    files = [read_keypoints(path).checked(photo.size) for path, photo in zip(paths, photos, strict=True)]
    if len({file.name for file in files}) > 1:  # in some photos nobody's hands or face was found
        files = [file.whole() for file in files]
    name = files[0].name
    notes: list[str] = []
    if name not in estimate.body.keypoint_sets and name in BODY_OF_WHOLE:
        notes = [f"{estimate.body.name} has no {name}: hands and face are left out."]
        name, count = BODY_OF_WHOLE[name]
        files = [KeypointFile(name, file.pixel[:, :count], file.confidence[:, :count], file.path) for file in files]
    projected = estimate.keypoints_2d(name).cpu()
    pixel = torch.zeros(projected.shape)
    confidence = torch.zeros(projected.shape[:2])
    for index, file in enumerate(files):
        rows = (estimate.image_index.cpu() == index).nonzero()[:, 0]
        person = match_people(projected[rows], file.pixel, file.confidence)
        for row, chosen in zip(rows.tolist(), person.tolist(), strict=True):
            if chosen >= 0:
                pixel[row], confidence[row] = file.pixel[chosen], file.confidence[chosen]
            else:
                notes.append(
                    f"Person {row + 1}: nobody in {paths[index].name} lies near, so there are no keypoints. Are they of this photo at this size?"
                )
        spare = len(file.pixel) - int((person >= 0).sum())
        if spare:
            notes.append(
                f"{paths[index].name}: {spare} detected {'person matches' if spare == 1 else 'people match'} no body."
            )
    return Detections(name, pixel, confidence), tuple(notes)
