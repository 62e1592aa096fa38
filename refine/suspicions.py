"""What looks wrong in an estimate, a sentence each: numbers no person has, people nobody can see, a camera or a photo of something else."""

import torch
from jaxtyping import Bool
from torch import Tensor

from refine import rotation
from refine.bodies import BODY_JOINTS
from refine.camera import NEAR_M
from refine.estimate import Estimate
from refine.reading import SIZE_TOLERANCE_PX

WILD_BETA = 5.0
"""Shape coefficients are standard deviations: one in two million people is beyond five."""

WILD_TURN_DEG = 150.0
"""No joint of the body but the root turns as far as this from its rest."""

HEIGHT_M = (0.4, 2.3)
"""Between a small child's and a tall man's extent of joints, rest lengths summed from ankle to head."""

APART_PX = 2.0
"""Stored pixels that are farther than this from the projection of the stored joints were not made by this camera (relative to 1000 px)."""

OFF_CENTER = 0.1
"""A camera whose axis is farther than this part of the longer side from the photo's middle is likely of another photo, or of a crop."""

SMALL_PX = 20.0
"""A person of whom less is seen is not worth a look."""

SHOWN = 5
"""People and pairs of people listed before the rest is counted."""


def suspicions(estimate: Estimate, size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Return what looks wrong, a sentence each.

    Args:
        estimate: B people.
        size: (height, width) px of the photo at hand, where there is one.
    """
    source, camera = estimate.source, estimate.camera
    found = [*_photo_doubts(estimate, size), *source.doubts]

    def told(rows: Bool[Tensor, "B"], words: str) -> None:
        if bool(rows.any()):
            chosen = [str(row + 1) for row in rows.nonzero()[:, 0].tolist()]
            more = f" and {len(chosen) - SHOWN} more" if len(chosen) > SHOWN else ""
            found.append(f"Person {', '.join(chosen[:SHOWN])}{more}: {words}")

    joints = estimate.joints.detach()
    whole = torch.stack([part.flatten(1).isfinite().all(1) for part in (source.pose, source.betas, joints)]).all(0)
    told(~whole, "NaN or infinite numbers.")
    if source.betas.shape[1]:
        told(source.betas.abs().amax(1) > WILD_BETA, f"a shape coefficient beyond {WILD_BETA:g} standard deviations.")
    told(joints[:, 0, 2] <= NEAR_M, "the pelvis lies behind the camera.")
    turns = torch.rad2deg(rotation.log(source.pose[:, 1:BODY_JOINTS]).norm(dim=-1))
    told(turns.amax(1) > WILD_TURN_DEG, f"a joint is turned by more than {WILD_TURN_DEG:.0f}°.")
    told((turns == 0).all(1), "no joint of the body is turned at all.")
    height = _height(estimate)
    told((height < HEIGHT_M[0]) | (height > HEIGHT_M[1]), f"a height outside {HEIGHT_M[0]:g} to {HEIGHT_M[1]:g} m.")
    front = joints[:, 0, 2] > NEAR_M
    pixel = camera.project(joints)
    extent = camera.size.flip(-1)[:, None]
    told(front & ((pixel < 0) | (pixel > extent)).any(2).all(1), "the whole body lies outside the photo.")
    tall = (pixel.amax(1) - pixel.amin(1)).amax(1)
    told(front & (tall < SMALL_PX), f"less than {SMALL_PX:.0f} px tall.")
    found += _camera_doubts(estimate)
    twins = _twins(joints, estimate.image_index)
    found += [f"Persons {one + 1} and {two + 1} are the same body in the same place." for one, two in twins]
    return tuple(found)


def _photo_doubts(estimate: Estimate, size: tuple[int, int] | None) -> list[str]:
    """Say whether the photo at hand is not the one the file is about; nothing without a photo."""
    if size is None:
        return []
    camera = estimate.camera
    given = camera.size.new_tensor(size)
    made_on = camera.size[((camera.size - given).abs() > SIZE_TOLERANCE_PX).any(1)]
    if len(made_on):
        height, width = made_on[0].round().int().tolist()
        return [f"The photo is {size[1]}x{size[0]} px, the file is about one of {width}x{height} px."]
    off = ((camera.center - given.flip(0) / 2).abs() / given.max()).amax(1) > OFF_CENTER
    if bool(off.any()):
        x, y = camera.center[off][0].tolist()
        return [f"The camera's centre ({x:.0f}, {y:.0f}) is far from the middle of the photo: is it the file's photo?"]
    return []


def _camera_doubts(estimate: Estimate) -> list[str]:
    source, camera = estimate.source, estimate.camera
    found = []
    if (
        source.joints is not None
        and source.keypoints_2d is not None
        and source.joints.shape[1] == source.keypoints_2d.shape[1]
    ):
        apart = (
            (camera.project(source.joints.to(camera.focal)) - source.keypoints_2d.to(camera.focal))
            .norm(dim=-1)
            .median(1)
            .values
        )
        limit = APART_PX * camera.size.amax(1) / 1000
        if bool((apart > limit).any()):
            found.append(
                f"The stored joints project {float(apart.max()):.1f} px from the stored 2D points: another camera made them."
            )
    ratio = camera.focal.amax(1) / camera.size.amax(1)
    if bool((ratio < 0.3).any()):
        found.append(
            f"A focal length of {float(ratio.min()):.2f} times the longer side is a fisheye's: is it in px of this photo?"
        )
    words = source.focal_rule.lower()
    if any(word in words for word in ("guess", "assum", "taken")):
        found.append(f"The camera is not stored: {source.focal_rule}.")
    return found


def _height(estimate: Estimate) -> Tensor:
    """Return how tall each body is, (B,) m, along its bones from the left ankle to the head, of the stored joints where there are any."""
    source = estimate.source
    joints = (
        source.joints
        if source.joints is not None and source.joints.shape[1] >= BODY_JOINTS
        else estimate.joints.detach()
    )
    chain = (7, 4, 1, 0, 3, 6, 9, 12, 15)
    return (joints[:, chain[1:]] - joints[:, chain[:-1]]).norm(dim=-1).sum(1)


def _twins(joints: Tensor, image_index: Tensor) -> list[tuple[int, int]]:
    """Return pairs of rows of one image whose joints are the same, at most a handful."""
    found = []
    for image in image_index.unique().tolist()[:100]:
        rows = (image_index == image).nonzero()[:, 0]
        apart = torch.cdist(joints[rows].flatten(1).double(), joints[rows].flatten(1).double())
        pairs = ((apart < 1e-3) & torch.ones_like(apart).triu(1).bool()).nonzero()
        found += [(int(rows[one]), int(rows[two])) for one, two in pairs.tolist()]
    return found[:SHOWN]
