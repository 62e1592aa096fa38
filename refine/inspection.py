"""What a result file is: its format, its people, its camera, its ranges, what it lacks and what looks wrong in it.

Where a file does not know its photo's size or its camera, and nobody gives them, a common size and a focal rule stand in: the people can be looked
at, their place cannot be trusted, and that is said.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from refine import rotation
from refine.bodies import BODY_JOINTS
from refine.camera import NEAR_M, Camera
from refine.errors import InputError
from refine.estimate import Estimate
from refine.focal import camera_from_rule
from refine.formats import find
from refine.reading import SIZE_TOLERANCE_PX

ASSUMED_SIZE = (1080, 1920)
"""(height, width) px where nobody knows the photo's: the most common of videos."""

ASSUMED_RULE = "diagonal"
"""The focal rule where nobody knows the camera: that of most systems since CLIFF."""

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
"""Names of photos and rows listed before the rest is counted."""


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        path: The file.
        estimate: The people.
        facts: Lines of (name, words), in the order they are to be read.
        missing: What the file does not hold, a phrase each.
        suspicious: What looks wrong, a sentence each.
    """

    path: Path
    estimate: Estimate
    facts: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    suspicious: tuple[str, ...]

    @property
    def first_image(self) -> int:
        """The first image somebody is in."""
        return int(self.estimate.image_index.min()) if len(self.estimate) else 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px of the first image."""
        row = int((self.estimate.image_index == self.first_image).nonzero()[0, 0])
        height, width = self.estimate.camera.size[row].round().int().tolist()
        return height, width


def inspect(path: str | Path, *, size: tuple[int, int] | None = None, format: str | None = None) -> Inspection:
    """Look into a result file.

    Args:
        path: The file.
        size: (height, width) px of the photo, where it is at hand.
        format: The format's name, where the file should not be asked.

    Returns:
        What was found.

    Raises:
        InputError: The file is missing, broken, of no known format, or holds nobody.
    """
    path = Path(path)
    estimate, doubts = _read(path, size, format)
    if not len(estimate):
        raise InputError(str(path), "at least one person", "none")
    doubts += _photo_doubts(estimate, size) + _suspicious(estimate)
    return Inspection(path, estimate, _facts(path, estimate), _missing(estimate), doubts)


def _read(path: Path, size: tuple[int, int] | None, format: str | None) -> tuple[Estimate, tuple[str, ...]]:
    """Read the file, with what stands in for what nobody knows."""
    height, width = size or ASSUMED_SIZE
    sizes = torch.tensor([[height, width]], dtype=torch.float32)
    no_size = f"The photo's size is not known: {width}x{height} px is assumed. Give the photo."
    no_camera = f'The focal length is guessed: the rule "{ASSUMED_RULE}". The file holds no camera; name the system\'s own rule.'
    try:
        return find.read(path, format=format, sizes=None if size is None else sizes), ()
    except InputError as error:
        if error.name.endswith("sizes"):
            return find.read(path, format=format, sizes=sizes), (no_size,)
        if error.name != "camera":
            raise
    camera = camera_from_rule(ASSUMED_RULE, sizes)
    return find.read(path, format=format, camera=camera), (no_camera, *(() if size else (no_size,)))


def _facts(path: Path, estimate: Estimate) -> tuple[tuple[str, str], ...]:
    source, bodies, camera = estimate.source, estimate.bodies, estimate.camera
    module = find.formats().get(source.format)
    about = (getattr(module, "__doc__", None) or "").strip().splitlines()
    images = estimate.image_index.unique()
    place = (
        source.translation
        if source.translation is not None
        else source.joints[:, 0]
        if source.joints is not None
        else bodies.translation
    )
    turns = torch.rad2deg(rotation.log(source.pose).norm(dim=-1))  # (B, J)
    worst = turns[:, 1:BODY_JOINTS].amax(0)
    joint = int(worst.argmax()) + 1
    names = estimate.body.joint_names
    stored = {"joints": source.joints, "vertices": source.vertices, "2D points": source.keypoints_2d}
    held = [f"{part.shape[1]} {name}" for name, part in stored.items() if part is not None]
    held += [f"{name} {tuple(part.shape[1:]) or ''}".strip() for name, part in source.evidence.items()]
    facts = [
        ("file", f"{path.name}, {path.stat().st_size / 1000:.0f} kB"),
        ("format", f"{source.format}" + (f": {about[0]}" if about else "")),
        ("model", f"{source.model}, {source.pose.shape[1]} joints, {source.betas.shape[1]} betas"
         + (f", {source.expression.shape[1]} expressions" if source.expression.shape[1] else "")
         + (f", {source.gender}" if source.gender != "neutral" else "")
         + (f", {source.hand_mean} hand" if source.hand_mean else "") + f"; put on {estimate.body.name}"),
        ("people", _count(len(estimate), "body", "bodies") + f" in {_count(len(images), 'image', 'images')}"
         + (f", {_count(len(set(source.persons)), 'identity', 'identities')}" if source.persons else "")),
        ("images", _listed(source.images) if source.images else "not named"),
        ("camera", _camera(camera)),
        ("focal rule", source.focal_rule or "stored"),
        ("translation" if source.translation is not None else "pelvis", _span(place, "m", ("x", "y", "z"))),
        ("betas", _span(source.betas.reshape(-1, 1), "", ("",)) if source.betas.shape[1] else "none"),
        ("rotations", f"root up to {float(turns[:, 0].max()):.0f}°, {names[joint] if joint < len(names) else joint} up to {float(worst[joint - 1]):.0f}°"),
        ("stored beside", ", ".join(held) or "nothing"),
    ]  # fmt: skip
    return tuple(facts)


def _missing(estimate: Estimate) -> tuple[str, ...]:
    source = estimate.source
    checks = (
        (source.translation is None, "the model's translation (only joints tell where the body is)"),
        (source.joints is None, "joints (the person's size is a guess)"),
        (source.vertices is None, "vertices"),
        (source.keypoints_2d is None, "projected points (the camera cannot be checked)"),
        (not source.images, "names of photos"),
        (source.sigma_rad is None, "uncertainties"),
    )
    return tuple(words for lacks, words in checks if lacks)


def _suspicious(estimate: Estimate) -> tuple[str, ...]:
    """Return what looks wrong, a sentence each."""
    source, camera, found = estimate.source, estimate.camera, []

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


def _photo_doubts(estimate: Estimate, size: tuple[int, int] | None) -> tuple[str, ...]:
    """Say whether the photo at hand is not the one the file is about; nothing without a photo."""
    if size is None:
        return ()
    camera = estimate.camera
    given = camera.size.new_tensor(size)
    made_on = camera.size[((camera.size - given).abs() > SIZE_TOLERANCE_PX).any(1)]
    if len(made_on):
        height, width = made_on[0].round().int().tolist()
        return (f"The photo is {size[1]}x{size[0]} px, the file is about one of {width}x{height} px.",)
    off = ((camera.center - given.flip(0) / 2).abs() / given.max()).amax(1) > OFF_CENTER
    if bool(off.any()):
        x, y = camera.center[off][0].tolist()
        return (f"The camera's centre ({x:.0f}, {y:.0f}) is far from the middle of the photo: is it the file's photo?",)
    return ()


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


def _camera(camera: Camera) -> str:
    """Say the camera in words; ranges where bodies have different ones."""

    def words(values: Tensor) -> str:
        low, high = float(values.min()), float(values.max())
        return f"{low:.0f}" if math.isclose(low, high, rel_tol=1e-4) else f"{low:.0f} to {high:.0f}"

    height, width = camera.size.unbind(1)
    x, y = camera.center.unbind(1)
    return f"focal {words(camera.focal)} px, centre ({words(x)}, {words(y)}), photo {words(width)}x{words(height)} px (w x h)"


def _span(values: Tensor, unit: str, names: tuple[str, ...]) -> str:
    """Say the range of each column."""
    low, high = values.amin(0).tolist(), values.amax(0).tolist()
    parts = [
        f"{name} {a:.2f}{f' to {b:.2f}' if b - a >= 0.01 else ''}".strip()
        for name, a, b in zip(names, low, high, strict=True)
    ]
    return ", ".join(parts) + (f" {unit}" if unit else "")


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
