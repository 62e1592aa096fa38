"""What is systematically wrong with a folder's keypoints or estimates, and undone on reading: `--correct NAME=VALUE`.

    keypoints.size=1280x720      they were made on the photo resized to 1280 x 720 px (1x1: shares of its sides)
    keypoints.size=50%           ... on the photo resized to half its sides, whatever they are
    keypoints.letterbox=640      ... on the photo resized to fit a square of 640 px and padded to it on both sides
    keypoints.letterbox=photo    ... on the photo padded to a square, not resized
    keypoints.offset=120,40      ... on a cut of the photo whose corner lies at (120, 40) px
    keypoints.sides=swapped      left and right have each other's names
    keypoints.axes=yx            y stands before x
    keypoints.axes=y-up          y counts from the photo's lower border
    keypoints.mirror=yes         they were made on the mirrored photo
    keypoints.order=h36m17       the points stand in another order than their number suggests
    keypoints.frames=2           the file of frame t is about frame t - 2: frame t takes the file of t + 2
    estimate.units=mm            lengths are millimetres (cm: centimetres)
    estimate.axes=y-up           y points up and z backward (OpenGL, Blender), not down and forward
    estimate.focal=diagonal      they were made for that focal rule, whatever camera is stored (or a number, px)
    estimate.hands=mean          finger rotations stand on the model's mean hand (flat: they do not)

Source: the conventions are those of OpenPose, COCO, Human3.6M, OpenGL and SMPL-X; each is stated where it is undone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.keypoint_names import SETS
from refine.errors import InputError
from refine.geometry.camera import HALF_PIXEL
from refine.geometry.focal import RULES
from refine.keypoints.detections import DetectedPeople

T = TypeVar("T")

H36M17 = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "thorax",
    "neck", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
"""Human3.6M's 17 joints as VideoPose3D and MMPose order them."""

COCO18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
"""OpenPose's COCO model."""

MPII16 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "neck",
    "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
"""MPII's 16 joints."""

ORDERS = {"h36m17": H36M17, "coco18": COCO18, "mpii16": MPII16, "coco17": SETS["coco17"], "body25": SETS["body25"]}
"""Orders that points may stand in, by name."""

UNITS = {"mm": 1e-3, "cm": 1e-2}
"""Metres of a unit."""

SHARES, SHARE_SLACK = (1, 1), 0.02
"""The size of an image whose sides are one, and how far beyond it a cut-off point may lie."""

CHOICES = {
    "keypoints.sides": ("swapped",),
    "keypoints.axes": ("yx", "y-up"),
    "keypoints.mirror": ("yes",),
    "keypoints.order": tuple(ORDERS),
    "estimate.units": tuple(UNITS),
    "estimate.axes": ("y-up",),
    "estimate.hands": ("mean", "flat"),
}
"""What those corrections may be that are words."""

NUMBERS = {
    "keypoints.size": "WIDTHxHEIGHT or PERCENT%",
    "keypoints.offset": "X,Y",
    "keypoints.letterbox": "SIDE or photo",
    "keypoints.frames": "COUNT",
    "estimate.focal": f"{', '.join(RULES)} or PX",
}
"""What the others are."""


@dataclass(frozen=True)
class KeypointCorrection:
    """What is undone to the keypoints of every photo, in the order of the fields.

    Attributes:
        order: The points' true order, a name in `ORDERS`; "" for the order they were read in.
        axes: "yx" where y stands before x, "y-up" where y counts from the lower border, else "".
        size: (height, width) px of the image they were made on; None: of the photo.
        scale: Its sides over the photo's, where `size` is None.
        letterbox: Side (px) of the padded square they were made on, 0: of the photo's longer side; None: not padded.
        offset: (x, y) px of the photo where the image they were made on begins.
        mirror: Whether that image was mirrored.
        swapped: Whether left and right have each other's names.
        frames: Frame t takes the points of frame t + frames.
    """

    order: str = ""
    axes: str = ""
    size: tuple[int, int] | None = None
    scale: float = 1.0
    letterbox: int | None = None
    offset: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False
    swapped: bool = False
    frames: int = 0

    def of(self, people: DetectedPeople, size: tuple[int, int]) -> DetectedPeople:
        """Return the people of a photo with their points where they belong.

        Args:
            people: As they were read.
            size: (height, width) of the photo, px.

        Raises:
            InputError: There are other numbers of points than the named order has.
        """
        if self == KeypointCorrection(frames=self.frames):
            return people
        pixel, confidence = placed(self, people.pixel, size), people.confidence
        source, own = renamed(self, people.name, people.pixel.shape[1], people.origin)
        there = torch.tensor([index >= 0 for index in source])
        confidence = torch.where(there, confidence[:, source], torch.zeros(()))
        pixel = torch.where((confidence > 0)[..., None], pixel[:, source], torch.zeros(()))
        assert pixel.shape[1] == len(own)
        return replace(people, pixel=pixel, confidence=confidence)


def renamed(correction: KeypointCorrection, name: str, count: int, origin: str) -> tuple[list[int], tuple[str, ...]]:
    """Return where each named point of a set really stands: what a correction does to names, not to places.

    Args:
        correction: What is to be undone.
        name: The set the points were taken for.
        count: How many there are.
        origin: Where they came from, for messages.

    Returns:
        For each point of the set its index among those that were read, -1 where there is none of its name; and the
        set's names.

    Raises:
        InputError: There are other numbers of points than the named order has.
    """
    own = SETS[name]
    index = list(range(len(own)))
    if correction.order:
        names = ORDERS[correction.order]
        if count != len(names):
            raise InputError(f"keypoints.order of {origin}", f"{len(names)} points", f"{count} ({name})")
        place = {point: at for at, point in enumerate(names)}
        index = [place.get(point, -1) for point in own]
    if correction.swapped != correction.mirror:  # a mirrored person has its right hand on the left
        index = [index[at] for at in _other_side(own)]
    return index, own


def placed(
    correction: KeypointCorrection, pixel: Float[Tensor, "P K 2"], size: tuple[int, int] | Float[Tensor, "P 2"]
) -> Float[Tensor, "P K 2"]:
    """Return points in px of the photo: what a correction does to places, not to names.

    Args:
        correction: What is to be undone.
        pixel: (P, K, 2) as they were read.
        size: (height, width) of the photo, px, or (P, 2) of each person's photo.
    """
    sides = torch.as_tensor(size).to(pixel).expand(len(pixel), 2)
    extent = sides.flip(-1)[:, None]  # (P, 1, 2): width, height
    if correction.axes == "yx":
        pixel = pixel.flip(-1)
    if correction.size == SHARES and pixel.numel() and float(pixel.amax()) > 1 + SHARE_SLACK:
        pixel = pixel - HALF_PIXEL  # the reader took them for px counted from centres
    if correction.size is not None:
        pixel = pixel * (extent / pixel.new_tensor([correction.size[1], correction.size[0]]))
    pixel = pixel / correction.scale
    if correction.letterbox is not None:
        longer = extent.amax(-1, keepdim=True)
        scale = correction.letterbox / longer if correction.letterbox else 1.0
        pixel = pixel / scale - (longer - extent) / 2
    pixel = pixel + pixel.new_tensor(correction.offset)
    if correction.axes == "y-up":
        pixel = torch.stack((pixel[..., 0], extent[..., 1] - pixel[..., 1]), -1)
    if correction.mirror:
        pixel = torch.stack((extent[..., 0] - pixel[..., 0], pixel[..., 1]), -1)
    return pixel


def _other_side(names: Sequence[str]) -> list[int]:
    """Return for each point the index of its counterpart on the other side, its own in the middle."""
    swap = {"left": "right", "right": "left"}
    place = {name: index for index, name in enumerate(names)}
    return [
        place.get(f"{swap[side]}_{rest}", index) if (side := name.partition("_")[0]) in swap else index
        for index, name in enumerate(names)
        for rest in (name.partition("_")[2],)
    ]


@dataclass(frozen=True)
class Corrections:
    """What is undone on reading a folder.

    Attributes:
        keypoints: To the keypoints.
        units: "mm" or "cm" where the estimates' lengths are such, else "".
        axes: "y-up" where the estimates' y points up and z backward, else "".
        focal: Focal rule, or length in px, the bodies were placed for; "" as stored.
        hands: "mean" or "flat": what finger rotations stand on; "": as the format knows.
    """

    keypoints: KeypointCorrection = KeypointCorrection()
    units: str = ""
    axes: str = ""
    focal: str = ""
    hands: str = ""

    @property
    def of_estimates(self) -> bool:
        """Whether anything is undone to estimates."""
        return bool(self.units or self.axes or self.focal or self.hands)


def parse_corrections(given: Sequence[str]) -> Corrections:
    """Read corrections as the command line has them.

    Args:
        given: "NAME=VALUE" each; see the module.

    Raises:
        InputError: A name or value is not one of those, or a name comes twice.
    """
    said: dict[str, str] = {}
    for one in given:
        name, _, value = (part.strip() for part in one.partition("="))
        if name not in CHOICES and name not in NUMBERS:
            raise InputError("--correct", f"one of {', '.join((*CHOICES, *NUMBERS))}", repr(one), "Write NAME=VALUE.")
        if name in said:
            raise InputError("--correct", f"{name} once", "twice")
        if name in CHOICES and value not in CHOICES[name]:
            raise InputError("--correct", f"{name}= one of {', '.join(CHOICES[name])}", repr(value))
        said[name] = value

    def number(name: str, read: Callable[[str], T], absent: T) -> T:
        try:
            return read(said[name]) if name in said else absent
        except ValueError:
            raise InputError("--correct", f"{name}={NUMBERS[name]}", repr(said[name])) from None

    as_the_photo: tuple[tuple[int, int] | None, float] = None, 1.0
    size, scale = number("keypoints.size", _size_and_scale, as_the_photo)
    keypoints = KeypointCorrection(
        order=said.get("keypoints.order", ""),
        axes=said.get("keypoints.axes", ""),
        size=size,
        scale=scale,
        letterbox=number("keypoints.letterbox", lambda value: 0 if value == "photo" else _count(value), None),
        offset=number("keypoints.offset", _pair, (0.0, 0.0)),
        mirror="keypoints.mirror" in said,
        swapped="keypoints.sides" in said,
        frames=number("keypoints.frames", int, 0),
    )
    focal = number("estimate.focal", lambda value: value if value in RULES or _positive(value) else "", "")
    units, axes, hands = (said.get(f"estimate.{name}", "") for name in ("units", "axes", "hands"))
    return Corrections(keypoints, units, axes, focal, hands)


def _size_and_scale(value: str) -> tuple[tuple[int, int] | None, float]:
    """Return a (height, width) px, or None and a share of the photo's sides; a ValueError where it is neither."""
    if value.endswith("%"):
        return None, _positive(value[:-1]) / 100
    width, height = (_count(side) for side in value.lower().split("x"))
    return (height, width), 1.0


def _pair(value: str) -> tuple[float, float]:
    x, y = (float(part) for part in value.split(","))
    return x, y


def _positive(value: str) -> float:
    if not 0 < float(value) < math.inf:
        raise ValueError(value)
    return float(value)


def _count(value: str) -> int:
    if not value.isdigit() or not int(value):
        raise ValueError(value)
    return int(value)
