"""What a result file is: its format, its people, its camera, its ranges, what it lacks and what looks wrong in it.

Where a file does not know its photo's size or its camera, and nobody gives them, a common size and a focal rule stand
in: the people can be looked at, their place cannot be trusted, and that is said.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.estimate import Estimate
from refine.estimate.usable import without_numbers
from refine.formats import find
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.inputs.camera_doubts import PhotoFacts
from refine.inputs.cameras import CameraLike, asked_camera
from refine.inputs.estimates import estimate_of_file
from refine.inputs.suspicions import suspicions

ASSUMED_SIZE = (1080, 1920)
"""(height, width) px where nobody knows the photo's: the most common of videos."""

ASSUMED_RULE = "diagonal"
"""The focal rule where nobody knows the camera: that of most systems since CLIFF."""

NO_NUMBERS = "no numbers"

SHOWN = 5
"""Names of photos listed before the rest is counted."""


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
        if not len(self.estimate):
            return ASSUMED_SIZE
        row = int((self.estimate.image_index == self.first_image).nonzero()[0, 0])
        height, width = self.estimate.camera.size[row].round().int().tolist()
        return height, width


def inspect(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    orientation: int = 1,
    format: str | None = None,
    camera: CameraLike | None = None,
) -> Inspection:
    """Look into a result file.

    Args:
        path: The file.
        size: (height, width) px of the photo, upright, where it is at hand.
        orientation: 1..8, as Exif counts them: the turn that was undone when the photo was read.
        format: The format's name, where the file should not be asked.
        camera: The camera to see the people through (`fit` takes the same forms); None: the file's.

    Returns:
        What was found.

    Raises:
        InputError: The file is missing, broken, or of no known format.
    """
    path = Path(path)
    estimate, assumed = _read(path, size, format) if camera is None else _read_with(path, size, format, camera)
    if not len(estimate):
        facts = (("file", f"{path.name}, {path.stat().st_size / 1000:.0f} kB"), ("people", "nobody"))
        return Inspection(path, estimate, facts, (), ())
    photos = () if size is None else (PhotoFacts(size, orientation),) * (int(estimate.image_index.max()) + 1)
    doubts = suspicions(estimate, photos, asked_camera=camera is not None)
    wrong = (*assumed, *(doubt.sentence for doubt in doubts))
    return Inspection(path, estimate, _facts(path, estimate, camera is not None), _missing(estimate), wrong)


def _read_with(
    path: Path, size: tuple[int, int] | None, format: str | None, camera: CameraLike
) -> tuple[Estimate, tuple[str, ...]]:
    """Read the file through the camera that was asked for, with a common size where nobody knows the photo's."""
    if size is None and not isinstance(camera, Camera):
        try:
            return estimate_of_file(path, camera, None, format), ()
        except InputError as error:
            if error.name != "image":
                raise
    sizes = torch.tensor([size or ASSUMED_SIZE], dtype=torch.float32)
    asked = camera if isinstance(camera, Camera) else asked_camera(camera, sizes).camera
    return find.read(path, format=format, camera=asked, sizes=sizes), () if size else (_no_size(ASSUMED_SIZE),)


def _no_size(size: tuple[int, int]) -> str:
    return f"The photo's size is not known: {size[1]}x{size[0]} px is assumed. Give the photo."


def _read(path: Path, size: tuple[int, int] | None, format: str | None) -> tuple[Estimate, tuple[str, ...]]:
    """Read the file, with what stands in for what nobody knows."""
    sizes = torch.tensor([size or ASSUMED_SIZE], dtype=torch.float32)
    no_size = _no_size(size or ASSUMED_SIZE)
    no_camera = (
        f'The focal length is guessed: the rule "{ASSUMED_RULE}". The file holds no camera; name the system\'s own rule'
        " (--camera)."
    )
    try:
        return find.read(path, format=format, sizes=None if size is None else sizes), ()
    except InputError as error:
        if error.name.endswith("sizes"):
            return find.read(path, format=format, sizes=sizes), (no_size,)
        if error.name != "camera":
            raise
    camera = camera_from_rule(ASSUMED_RULE, sizes)
    return find.read(path, format=format, camera=camera), (no_camera, *(() if size else (no_size,)))


def _facts(path: Path, everybody: Estimate, asked_camera: bool) -> tuple[tuple[str, str], ...]:
    """Return the facts; ranges are of the people who have numbers."""
    lost = without_numbers(everybody.source)
    ranged = not bool(lost.all())
    estimate = everybody.rows((~lost).nonzero()[:, 0]) if ranged and bool(lost.any()) else everybody
    source, bodies, camera = estimate.source, estimate.bodies, estimate.camera
    module = find.formats().get(source.format)
    about = (getattr(module, "__doc__", None) or "").strip().splitlines()
    images = everybody.image_index.unique()
    without = f", {int(lost.sum())} without numbers" if bool(lost.any()) else ""
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
    most = names[joint] if joint < len(names) else joint
    rotations = f"root up to {float(turns[:, 0].max()):.0f}°, {most} up to {float(worst[joint - 1]):.0f}°"
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
        ("people", _count(len(everybody), "body", "bodies") + f" in {_count(len(images), 'image', 'images')}"
         + (f", {_count(len(set(everybody.source.persons)), 'identity', 'identities')}" if source.persons else "")
         + without),
        ("images", _listed(source.images) if source.images else "not named"),
        ("camera", _camera(camera)),
        ("focal rule", "as asked for" if asked_camera else source.focal_rule or "stored"),
        ("translation" if source.translation is not None else "pelvis",
         _span(place, "m", ("x", "y", "z")) if ranged else NO_NUMBERS),
        ("betas", NO_NUMBERS if not ranged
         else _span(source.betas.reshape(-1, 1), "", ("",)) if source.betas.shape[1] else "none"),
        ("rotations", rotations if ranged else NO_NUMBERS),
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


def _camera(camera: Camera) -> str:
    """Say the camera in words; ranges where bodies have different ones."""

    def words(values: Tensor) -> str:
        low, high = float(values.min()), float(values.max())
        return f"{low:.0f}" if math.isclose(low, high, rel_tol=1e-4) else f"{low:.0f} to {high:.0f}"

    height, width = camera.size.unbind(1)
    x, y = camera.center.unbind(1)
    photo = f"photo {words(width)}x{words(height)} px (w x h)"
    bent = "" if camera.distortion is None else f", lens distortion of {camera.distortion.shape[1]} coefficients"
    return f"focal {words(camera.focal)} px, centre ({words(x)}, {words(y)}), {photo}{bent}"


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
