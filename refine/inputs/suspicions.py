"""What looks wrong in an estimate: numbers no person has, people nobody can see, another photo's camera."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate import Estimate, Source
from refine.estimate.usable import note_without_numbers, without_numbers
from refine.geometry import rotation
from refine.geometry.camera import NEAR_M
from refine.inputs.camera_doubts import PEOPLE, Doubt, PhotoFacts, camera_doubts

WILD_BETA = 5.0
"""Shape coefficients are standard deviations: one in two million people is beyond five."""

WILD_TURN_DEG = 150.0
"""No joint of the body but the root turns as far as this from its rest."""

HEIGHT_M = (0.4, 2.3)
"""Between a small child's and a tall man's extent of joints, rest lengths summed from ankle to head."""

SMALL_PX = 20.0
"""A person of whom less is seen is not worth a look."""

SHOWN = 5
"""People and pairs of people listed before the rest is counted."""


def suspicions(
    estimate: Estimate,
    photos: Sequence[PhotoFacts] = (),
    *,
    asked_camera: bool = False,
    numbers: Sequence[int] | None = None,
) -> tuple[Doubt, ...]:
    """Return what looks wrong.

    Args:
        estimate: B people.
        photos: The photos `image_index` points into, where they are at hand.
        asked_camera: Whether the caller gave the camera, and not the file.
        numbers: What each person is called; None: the row, counted from 1.
    """
    if not len(estimate):
        return ()
    found = [Doubt(f"{PEOPLE}: no usable numbers", sentence) for sentence in note_without_numbers(estimate.source)]
    known = (~without_numbers(estimate.source)).nonzero()[:, 0]  # of a stand-in nothing may be said
    if not len(known):
        return tuple(found)
    called = [row + 1 if numbers is None else numbers[row] for row in known.tolist()]
    if len(known) < len(estimate):
        estimate = estimate.rows(known.to(estimate.image_index.device))
    source, camera = estimate.source, estimate.camera.to("cpu")
    joints, index = estimate.joints.detach().cpu(), estimate.image_index.cpu()
    found += camera_doubts(source, camera, joints, index, photos, asked=asked_camera)
    found += [Doubt(f"{PEOPLE}: what the file says twice", sentence) for sentence in source.doubts]

    def told(rows: Bool[Tensor, "B"], words: str) -> None:
        if bool(rows.any()):
            chosen = [str(called[row]) for row in rows.nonzero()[:, 0].tolist()]
            more = f" and {len(chosen) - SHOWN} more" if len(chosen) > SHOWN else ""
            found.append(Doubt(f"{PEOPLE}: {words}", f"Person {', '.join(chosen[:SHOWN])}{more}: {words}"))

    whole = torch.stack([part.flatten(1).isfinite().all(1).cpu() for part in (source.pose, source.betas, joints)]).all(
        0
    )
    told(~whole, "NaN or infinite numbers.")
    if source.betas.shape[1]:
        told(source.betas.abs().amax(1) > WILD_BETA, f"a shape coefficient beyond {WILD_BETA:g} standard deviations.")
    told(joints[:, 0, 2] <= NEAR_M, "the pelvis lies behind the camera.")
    turns = torch.rad2deg(rotation.log(source.pose[:, 1:BODY_JOINTS]).norm(dim=-1))
    told(turns.amax(1) > WILD_TURN_DEG, f"a joint is turned by more than {WILD_TURN_DEG:.0f}°.")
    told((turns == 0).all(1), "no joint of the body is turned at all.")
    height = _height(source, joints)
    told((height < HEIGHT_M[0]) | (height > HEIGHT_M[1]), f"a height outside {HEIGHT_M[0]:g} to {HEIGHT_M[1]:g} m.")
    front = joints[:, 0, 2] > NEAR_M
    pixel = camera.local.project(joints)
    extent = camera.size.flip(-1)[:, None]
    told(front & ((pixel < 0) | (pixel > extent)).any(2).all(1), "the whole body lies outside the photo.")
    tall = (pixel.amax(1) - pixel.amin(1)).amax(1)
    told(front & (tall < SMALL_PX), f"less than {SMALL_PX:.0f} px tall.")
    twins = _twins(joints, index)
    same = "are the same body in the same place."
    found += [Doubt(f"{PEOPLE}: two {same}", f"Persons {called[one]} and {called[two]} {same}") for one, two in twins]
    return tuple(found)


def _height(source: Source, joints: Tensor) -> Tensor:
    """Return how tall each body is, (B,) m, along its bones from ankle to head, of stored joints if any."""
    stored = source.joints
    joints = stored.cpu() if stored is not None and stored.shape[1] >= BODY_JOINTS else joints
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
