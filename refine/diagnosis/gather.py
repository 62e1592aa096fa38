"""Reads a folder's results, the sizes of their photos and the keypoints, without decoding or solving anything."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from refine import batch
from refine.body.smpl_joints import FIRST_HAND_JOINT
from refine.diagnosis.sample import Frame, Sample
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import places_unjudged
from refine.folder.manifest import Item
from refine.folder.outcome import reason_of
from refine.folder.photos import PhotoFile
from refine.folder.read import Reader
from refine.geometry import rotation
from refine.geometry.alike import alike

POINTS_OF = ("openpose137", "coco133", "body25", "coco17", "smpl24")
"""Keypoint sets of the body whose points are looked at, each name once."""
TRIED = 1.2
"""Times the focal length that a file is read with, to see whether that decides anything."""
FACE_POINTS = "face_"
"""Beginning of the names that say nothing about a whole body."""


def gather(reader: Reader, names: tuple[str, ...]) -> Sample:
    """Return the people of some results.

    Args:
        reader: Finds photos and keypoints.
        names: The results, below the reader's root.

    Raises:
        InputError: None of them can be read; the message is the first reason.
    """
    parts: list[tuple[Estimate, Tensor]] = []
    frames: list[Frame] = []
    place: dict[str, int] = {}
    problems: list[tuple[str, str]] = []
    for name in names:
        try:
            located = reader.locate(Item(name))
            estimate, photos = located.estimate, located.photos
            index = [photos.get(photo) for photo in estimate.image_index.tolist()]
            for photo in {one.name: one for one in index if one is not None}.values():
                if photo.name not in place:
                    place[photo.name] = len(frames)
                    frames.append(_frame(reader, photo, len(frames)))
        except InputError as error:
            problems.append((name, reason_of(error, name)))
            continue
        keep = [row for row, photo in enumerate(index) if photo is not None]
        if keep:
            where = torch.tensor([place[photo.name] for photo in index if photo is not None])
            parts.append((estimate.rows(keep), where))
    if not parts:
        reason = problems[0][1] if problems else "no person lies in a photo that was found"
        raise InputError("RESULTS", "results that can be read, with their photos", reason)
    return _joined(parts, frames, tuple(problems), _camera_is_free(reader, names, parts[0][0]))


def _camera_is_free(reader: Reader, names: tuple[str, ...], estimate: Estimate) -> bool:
    """Say whether another focal length, given by the caller, makes people larger in the photo."""
    from refine.formats import find

    camera = estimate.camera[:1]
    path = Path(reader.settings.results) / next(
        name for name in names if (Path(reader.settings.results) / name).is_file()
    )
    try:
        with places_unjudged():
            other = find.read(
                path, reader.shelf.given, camera=replace(camera, focal=TRIED * camera.focal), sizes=camera.size
            )
    except InputError:
        return True
    spread = [one.camera.local.project(one.joints)[0].std(0).norm() for one in (estimate, other)]
    return abs(float(spread[1] / spread[0]) - 1) > (TRIED - 1) / 2


def _frame(reader: Reader, photo: PhotoFile, order: int) -> Frame:
    """Return a photo's size and its people as they stand in the file, not held against its size."""
    size = reader.locator.opener.open(photo).size
    try:
        people = None if reader.detected is None else reader.detected.as_written(photo, size)
    except InputError:
        people = None
    sequence = photo.path.name if photo.frame is not None else str(PurePosixPath(photo.name).parent)
    return Frame(size, people, sequence, photo.frame if photo.frame is not None else order)


def _joined(
    parts: list[tuple[Estimate, Tensor]], frames: list[Frame], problems: tuple[tuple[str, str], ...], free_camera: bool
) -> Sample:
    points, fingers, root, cameras = [], [], [], []
    names: tuple[str, ...] = ()
    for estimate, _ in parts:
        names, seen = _points(estimate)
        points.append(seen.float())
        root.append(estimate.joints[:, 0].float())
        cameras.append(estimate.camera.local.to("cpu", torch.float32))
        fingers.append(_fingers(estimate))
    camera = batch.cat(alike(cameras))
    known = [one for one in fingers if one is not None]
    return Sample(
        torch.cat(points), names, torch.cat(root), camera, torch.cat([where for _, where in parts]), tuple(frames),
        torch.cat(known) if len(known) == len(fingers) else None, _hand_mean(parts), free_camera, problems,
    )  # fmt: skip


def _hand_mean(parts: list[tuple[Estimate, Tensor]]) -> str:
    """Return what the fingers are read as standing on."""
    kinds = {"mean" if one.source.hand_mean == "mean" else "flat" for one, _ in parts}
    return kinds.pop() if len(kinds) == 1 else ""


def _points(estimate: Estimate) -> tuple[tuple[str, ...], Tensor]:
    """Return the body's named points (B, M, 3) m in the camera frame."""
    found: dict[str, Tensor] = {}
    for name in POINTS_OF:
        if name not in estimate.body.keypoint_sets:
            continue
        chosen = estimate.body.keypoint_set(name)
        for point, where in zip(chosen.names, estimate.posed.keypoints(chosen).unbind(1), strict=True):
            if not point.startswith(FACE_POINTS):
                found.setdefault(point, where)
    return tuple(found), estimate.camera.transform(torch.stack(tuple(found.values()), 1)).detach().cpu()


def _fingers(estimate: Estimate) -> Tensor | None:
    """Return finger rotations (B, 30, 3) rad as the source has them, None where it has no hands."""
    pose = estimate.source.pose
    if pose.shape[1] <= 24:
        return None
    first = FIRST_HAND_JOINT[pose.shape[1]]
    return rotation.log(pose[:, first : first + 30]).float()
