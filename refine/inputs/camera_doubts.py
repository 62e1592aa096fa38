"""What looks wrong between a camera, the photo it is said to be of, and the points that were detected in it.

A camera's centre lies near the middle of its photo. Where it lies near the middle of the photo turned by a quarter, or
at the same share of width and height, it is that of the photo as stored in the file (before its EXIF turn), or of
another size. Points beyond one border of the photo and within the turned one's tell the same; and people who lie on
their side and would stand in the file's own pixels.

    focal / longer side: 0.3 is a view of 118 degrees;  focal px = focal mm . width px / sensor mm

Source: derived here. Sensor width 36 mm: ISO 1007 (135 film), to which phones' tags refer (Exif 2.32,
FocalLengthIn35mmFilm).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.estimate import Source
from refine.geometry.camera import NEAR_M, Camera

FOCAL_SHARES, FOCAL_MM, FISHEYE = "focal_shares", "focal_mm", "fisheye"
TURNED, SCALED, OFF_CENTER, OTHER_SIZE = "turned", "scaled", "off_center", "other_size"
OTHER_CAMERA, NOT_STORED, PEOPLE = "other_camera", "camera_not_stored", "people"

SIZE_TOLERANCE_PX = 2.0
"""A file's image size may be known only through its principal point: half a pixel of rounding on each side, doubled."""

OFF_CENTER_SHARE = 0.1
"""A camera whose axis is farther than this part of the longer side from the middle is likely of another photo."""

MIDDLE_SHARE = 0.03
"""So near the middle, in parts of the longer side, calibrated lenses have their axis."""

SCALE_SHARE = 0.1
"""A centre at the same share of both sides, this far from one half, is that of a photo a fifth larger or smaller."""

FISHEYE_RATIO, MM_RATIO, MM_MOST = 0.3, 0.15, 300.0
"""Focal length by the longer side: below the first no pinhole lens is sold; below the second it is in mm."""

SENSOR_MM = 36.0

TURNED_POINTS, OUTSIDE_POINTS = 0.05, 0.25
"""Share of points outside the photo and inside the turned one: with an EXIF turn, and without."""

STANDS_DEG = 30.0
"""People stand who lean less than this."""

APART_PX = 2.0
"""Stored pixels farther than this from the projected stored joints are another camera's (relative to 1000 px)."""

PELVIS, HEAD = 0, 15
"""Rows of SMPL's joints, which all our bodies begin with."""


@dataclass(frozen=True)
class Doubt:
    """Something that looks wrong.

    Attributes:
        kind: What, in a word, by which doubts about many files are counted.
        sentence: The same for the user, with numbers and what to look at.
    """

    kind: str
    sentence: str


@dataclass(frozen=True, eq=False)
class PhotoFacts:
    """A photo as doubts look at it.

    Attributes:
        size: (height, width) px, upright.
        orientation: 1..8, as Exif counts them: the turn that was undone on reading.
        points: (N, 2) px, what was detected in it; None: nothing is known.
    """

    size: tuple[int, int]
    orientation: int = 1
    points: Float[Tensor, "N 2"] | None = None


def camera_doubts(
    source: Source,
    camera: Camera,
    joints: Float[Tensor, "B J 3"],
    image_index: Tensor,
    photos: Sequence[PhotoFacts],
    *,
    asked: bool,
) -> list[Doubt]:
    """Return what looks wrong with the cameras, at most one doubt of a kind.

    Args:
        source: What the file said of B people, at least one.
        camera: B cameras, on the CPU like all the rest.
        joints: (B, J, 3) m, camera frame.
        image_index: (B,) which photo each is seen in.
        photos: The photos `image_index` points into; none: they are not at hand, and nothing is said of them.
        asked: Whether the caller gave the camera: then the file's own words about its camera do not matter.
    """
    found: dict[str, Doubt] = {}
    for index, photo in enumerate(photos):
        rows = (image_index == index).nonzero()[:, 0]
        for doubt in _of_photo(camera[rows], joints[rows], photo) if len(rows) else ():
            found.setdefault(doubt.kind, doubt)
    for doubt in (_focal(camera), *(() if asked else _stored(source, camera))):
        if doubt is not None and not (doubt.kind == FISHEYE and source.any_lens and not asked):
            found.setdefault(doubt.kind, doubt)
    return list(found.values())


def _of_photo(camera: Camera, joints: Float[Tensor, "R J 3"], photo: PhotoFacts) -> list[Doubt]:
    """Return doubts about one photo and the people said to be in it."""
    height, width = photo.size
    made_on = camera.size[((camera.size - camera.size.new_tensor(photo.size)).abs() > SIZE_TOLERANCE_PX).any(1)]
    if len(made_on):
        high, wide = _whole(made_on[0])
        words = f"The photo is {width}x{height} px, the file is about one of {wide}x{high} px."
        if (high, wide) == (width, height):
            words = words[:-1] + ", turned by a quarter: was the estimate made without the photo's EXIF turn?"
        return [Doubt(OTHER_SIZE, words)]
    found = [doubt for doubt in (_center(camera, photo), _points(photo)) if doubt is not None]
    if photo.orientation != 1 and not any(doubt.kind == TURNED for doubt in found):
        found += [doubt for doubt in (_lying(camera, joints, photo),) if doubt is not None]
    turned = [doubt for doubt in found if doubt.kind == TURNED]
    joined = " ".join(doubt.sentence for doubt in turned)
    return [doubt for doubt in found if doubt.kind != TURNED] + ([Doubt(TURNED, joined)] if turned else [])


def _center(camera: Camera, photo: PhotoFacts) -> Doubt | None:
    """Say what the centre that is farthest from the middle is likely the centre of."""
    height, width = photo.size
    longer = max(photo.size)
    middle = camera.center.new_tensor([width / 2, height / 2])
    away = (camera.center - middle).abs().amax(1) / longer
    worst = int(away.nan_to_num(0.0).argmax())
    x, y = camera.center[worst].tolist()
    off = float(away[worst])
    if off <= MIDDLE_SHARE:
        return None
    turned = max(abs(x - height / 2), abs(y - width / 2)) / longer
    if turned <= min(MIDDLE_SHARE, off / 3):
        return Doubt(TURNED, f"The camera's centre ({x:.0f}, {y:.0f}) {_fits_turned(photo)}")
    share_x, share_y = x / width, y / height
    share = (share_x + share_y) / 2
    if abs(share_x - share_y) <= MIDDLE_SHARE * share and abs(share - 0.5) > SCALE_SHARE:
        words = (
            f"The camera's centre ({x:.0f}, {y:.0f}) is the middle of a photo of {2 * x:.0f}x{2 * y:.0f} px,"
            f" {2 * share:.2f} times this one's {width}x{height}: are its numbers those of the photo at another size?"
            f" Then divide them by {2 * share:.2f}."
        )
        return Doubt(SCALED, words)
    if off > OFF_CENTER_SHARE:
        words = f"The camera's centre ({x:.0f}, {y:.0f}) is far from the middle of the photo: is it the file's photo?"
        return Doubt(OFF_CENTER, words)
    return None


def _points(photo: PhotoFacts) -> Doubt | None:
    """Say whether detected points lie beyond the photo and within the turned one."""
    if photo.points is None or not len(photo.points) or photo.size[0] == photo.size[1]:
        return None
    points = photo.points[photo.points.isfinite().all(1)]
    here, there = (
        ((points >= 0) & (points <= points.new_tensor(size))).all(1) for size in (photo.size[::-1], photo.size)
    )
    only, count = int((there & ~here).sum()), len(points)
    least = TURNED_POINTS if photo.orientation > 4 else OUTSIDE_POINTS
    if only < max(2, least * count) or 3 * int((~there).sum()) > only:
        return None
    return Doubt(TURNED, f"{only} of {count} keypoints lie outside the photo: they {_fits_turned(photo, fit='fit')}")


def _fits_turned(photo: PhotoFacts, fit: str = "fits") -> str:
    """Say that something fits the photo as it is stored, or where nothing was turned, the photo turned by a quarter."""
    height, width = photo.size
    if photo.orientation > 4:
        question = "was the estimate made without the EXIF turn?"
        return f"{fit} the photo as stored ({height} x {width}), not upright ({width} x {height}): {question}"
    question = "is it the camera of the turned photo?" if fit == "fits" else "were they made on the turned photo?"
    return f"{fit} the photo turned by a quarter ({height} x {width}), not as it is ({width} x {height}): {question}"


def _lying(camera: Camera, joints: Float[Tensor, "R J 3"], photo: PhotoFacts) -> Doubt | None:
    """Say whether all people lie or stand on their heads who would stand if the photo's turn were done to them too."""
    if not bool((joints[:, (PELVIS, HEAD), 2] > NEAR_M).all()):
        return None
    pixel = camera.local.project(joints[:, (PELVIS, HEAD)])
    down = torch.nn.functional.normalize(pixel[:, 0] - pixel[:, 1], dim=1)  # from the head to the pelvis
    before, after = down[:, 1], _done(photo.orientation, down)[:, 1]
    stands = float(torch.tensor(STANDS_DEG).deg2rad().cos())
    if not bool(((after > stands) & (before < 0.5)).all()):
        return None
    words = (
        "The people of the estimate lie on their side or upside down in the upright photo, and would stand if its EXIF"
        " turn were done to them too: was the estimate made without the EXIF turn?"
    )
    return Doubt(TURNED, words)


def _done(orientation: int, vector: Float[Tensor, "B 2"]) -> Float[Tensor, "B 2"]:
    """Return directions of the stored image as they are in the upright one (`refine.photo.header.orient` of pixels)."""
    if orientation > 4:
        vector = vector.flip(1)
    signs = [-1.0 if orientation in (2, 3, 6, 7) else 1.0, -1.0 if orientation in (3, 4, 7, 8) else 1.0]
    return vector * vector.new_tensor(signs)


def _focal(camera: Camera) -> Doubt | None:
    """Say what a focal length too short for a lens likely is."""
    longest = camera.size.amax(1)
    ratio = camera.focal.amax(1) / longest
    worst = int(ratio.argmin())
    focal, least, side = float(camera.focal[worst].amax()), float(ratio[worst]), float(longest[worst])
    if not least < FISHEYE_RATIO:
        return None
    if focal < 10.0 and side > 100.0:
        question = "is it normalised? Multiply it by the photo's width or height."
        words = f"A focal length of {focal:.3g} px is none in px: {question}"
        return Doubt(FOCAL_SHARES, words)
    if focal <= MM_MOST and least < MM_RATIO:
        words = (
            f"A focal length of {focal:.4g} px in a photo of {side:.0f} px looks like one in mm: px = mm x width of the"
            f" photo in px / width of the sensor in mm; were these mm of a {SENSOR_MM:.0f} mm sensor, it would be"
            f" {focal * side / SENSOR_MM:.0f} px."
        )
        return Doubt(FOCAL_MM, words)
    words = f"A focal length of {least:.2f} times the longer side is a fisheye's: is it in px of this photo?"
    return Doubt(FISHEYE, words)


def _stored(source: Source, camera: Camera) -> list[Doubt]:
    """Return doubts about the camera the source itself speaks of."""
    found = []
    joints, points = source.joints, source.keypoints_2d
    if joints is not None and points is not None and joints.shape[1] == points.shape[1]:
        apart = (camera.local.project(joints.to(camera.focal)) - points.to(camera.focal)).norm(dim=-1).median(1).values
        if bool((apart > APART_PX * camera.size.amax(1) / 1000).any()):
            away = f"{float(apart.max()):.1f} px from the stored 2D points"
            words = f"The stored joints project {away}: another camera made them."
            found.append(Doubt(OTHER_CAMERA, words))
    if any(word in source.focal_rule.lower() for word in ("guess", "assum", "taken")):
        found.append(Doubt(NOT_STORED, f"The camera is not stored: {source.focal_rule}."))
    return found


def _whole(size: Tensor) -> tuple[int, int]:
    height, width = size.round().int().tolist()
    return height, width
