"""What a 2D detector says about the people of a photo, and about the bodies of an estimate once they are matched.

DetectedPeople (P people, in the detector's order)  --match-->  Detections (B bodies, in the estimate's order)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.batch import in_one_line
from refine.check import check_finite, check_shape
from refine.errors import InputError

SURE = 0.3
"""Confidence from which a point is taken to be where it is said to be (the default threshold of OpenPose's own renderer
is 0.05, of most users of its files 0.2 to 0.5)."""

FIT_SHARE = 0.95
"""Share of sure points that lie in a photo that is theirs."""

OUTSIDE_SHARE = 0.5
"""Share of sure points outside the image from which the points are taken to be another image's."""

OUTSIDE_MARGIN = 0.1
"""How far outside a point must lie, in image sizes: detectors put cut-off joints a little beyond the border."""

LIKE = 0.75
"""Likeness (of `difflib`) from which a name is taken for a misspelt one: "cocco17" is (0.92), and "coco19" (0.83);
"h36m" is not."""

BODY_OF_WHOLE = {"openpose137": ("body25", 25), "coco133": ("coco17", 17)}
"""The body's own points of a whole-body set: its name, and how many come first."""


def own_points(names: tuple[str, ...]) -> int:
    """Return how many of a set's points are the body's own, which come first: all of them but in a whole-body set.

    Args:
        names: Of the set's points.
    """
    from refine.body.keypoint_names import SETS

    return next((count for whole, (_, count) in BODY_OF_WHOLE.items() if names == SETS[whole]), len(names))


def _check_name(name: object, count: int) -> None:
    """Refuse a name that is nearly one of the library's sets; any other may be a set of the caller's own body.

    Raises:
        InputError: It is; the message names the set of as many points.
    """
    from refine.body.keypoint_names import SETS

    if isinstance(name, str) and name in SETS:
        return
    plain = "".join(letter for letter in str(name).lower() if letter.isalnum())
    near = [known for known in SETS if plain and known.startswith(plain)]
    near = near or get_close_matches(plain, SETS, cutoff=LIKE)
    if isinstance(name, str) and not near:
        return
    meant = next((known for known in near if len(SETS[known]) == count), "")
    advice = f"Did you mean {meant}?" if meant else f"None of these has {count} points: see docs/keypoints.md."
    raise InputError("detections.name", f"one of {', '.join(SETS)}, or a set of your own body", repr(name), advice)


@dataclass(frozen=True, eq=False)
class Detections:
    """Detected points of B bodies.

    Attributes:
        name: The keypoint set of the body they correspond to ("coco17", "body25", ...).
        pixel: (B, K, 2) px of the photo.
        confidence: (B, K) 0 to 1; zero where the detector lacks the point, or found no such person.

    Raises:
        InputError: Shapes disagree, or the name is nearly a set's and no set's.
    """

    name: str
    pixel: Float[Tensor, "B K 2"]
    confidence: Float[Tensor, "B K"]

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        sizes = check_shape("detections.pixel", self.pixel, "B K 2")
        _check_name(self.name, sizes["K"])
        check_shape("detections.confidence", self.confidence, "B K", **sizes)

    def reordered(self, order: Int[Tensor, "B K"]) -> "Detections":
        """Return the detections with each body's points taken in another order.

        Args:
            order: (B, K) for each point the detected one that is taken.
        """
        pixel = self.pixel.gather(1, order[..., None].expand(-1, -1, 2))
        return Detections(self.name, pixel, self.confidence.gather(1, order))

    def misfit(self, projected: Float[Tensor, "B K 2"], informed: Tensor) -> Float[Tensor, "B"]:
        """Return how far projected points lie from the detected ones.

        Args:
            projected: (B, K, 2) px of the photo.
            informed: (B, K) which points count.

        Returns:
            (B,) px, mean distance of the points that count; NaN for a body with none.
        """
        distance = torch.where(informed, (projected - self.pixel).norm(dim=-1), 0.0)
        return distance.sum(1) / torch.where(informed.any(1), informed.sum(1), torch.nan)


@dataclass(frozen=True, eq=False)
class DetectedPeople:
    """What a 2D detector found of the people of one photo, not yet matched to bodies.

    Attributes:
        name: The keypoint set ("coco17", "coco133", "body25", "openpose137").
        pixel: (P, K, 2) px of the photo, counted from its corner; zero where the detector lacks the point.
        confidence: (P, K) 0 to 1, zero where the detector lacks the point.
        origin: Where they came from, for messages: a file's name.
        notes: A sentence for each thing that was decided on reading.

    Raises:
        InputError: Shapes disagree.
    """

    name: str
    pixel: Float[Tensor, "P K 2"]
    confidence: Float[Tensor, "P K"]
    origin: str = "the call"
    notes: tuple[str, ...] = ()

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        sizes = check_shape("keypoints.pixel", self.pixel, "P K 2")
        check_shape("keypoints.confidence", self.confidence, "P K", **sizes)

    def __len__(self) -> int:
        return len(self.pixel)

    def checked(self, size: tuple[int, int]) -> "DetectedPeople":
        """Return itself where the points can be those of an image.

        Args:
            size: (height, width) of the image, px.

        Raises:
            InputError: A number is not finite, or half of the sure points lie far outside: they belong to an image of
                another size.
        """
        check_finite(f"keypoints of {self.origin}", self.confidence)
        limit = torch.tensor([size[1], size[0]], dtype=self.pixel.dtype)
        outside = ((self.pixel < -OUTSIDE_MARGIN * limit) | (self.pixel > (1 + OUTSIDE_MARGIN) * limit)).any(2)
        sure = self.confidence >= SURE
        if bool(sure.any()) and float((outside & sure).sum()) >= OUTSIDE_SHARE * float(sure.sum()):
            reach = self.pixel[sure].amax(0)
            turned = ((self.pixel >= 0) & (self.pixel <= limit.flip(0))).all(2)[sure].float().mean()
            advice = "Give the keypoints of this photo at this size, or scale them (OpenPose: --keypoint_scale 0)."
            if size[0] != size[1] and float(turned) > FIT_SHARE:
                advice = (
                    f"They fit the photo turned by a quarter ({size[0]} x {size[1]}): was the detector run without its "
                    "EXIF turn? Save the photo upright and run it on that."
                )
            raise InputError(
                f"keypoints of {self.origin}",
                f"points in an image of {size[1]} x {size[0]} px (width x height)",
                f"points up to ({float(reach[0]):.0f}, {float(reach[1]):.0f})",
                advice,
            )
        return self

    def body_only(self) -> "DetectedPeople":
        """Return the same people without hands and face."""
        if self.name not in BODY_OF_WHOLE:
            return self
        name, count = BODY_OF_WHOLE[self.name]
        return replace(self, name=name, pixel=self.pixel[:, :count], confidence=self.confidence[:, :count])

    def whole(self) -> "DetectedPeople":
        """Return the people in their body's whole-body set; hands and face they lack have no confidence."""
        from refine.body.keypoint_names import SETS

        name = next((whole for whole, (body, _) in BODY_OF_WHOLE.items() if body == self.name), self.name)
        missing = len(SETS[name]) - self.pixel.shape[1]
        pixel = torch.nn.functional.pad(self.pixel, (0, 0, 0, missing))
        return replace(self, name=name, pixel=pixel, confidence=torch.nn.functional.pad(self.confidence, (0, missing)))


def in_one_set(people: Sequence[DetectedPeople]) -> list[DetectedPeople]:
    """Return the people of several photos in one keypoint set, whether or not hands and faces were found.

    Raises:
        InputError: They are of different detectors.
    """
    from refine.body.keypoint_names import SETS

    found = {one.name for one in people if len(one)}
    if len(found) > 1:
        people = [one.whole() for one in people]
    names = {one.name for one in people if len(one)}
    if len(names) > 1:
        raise InputError("keypoints", "photos with one detector's keypoints", f"sets {', '.join(sorted(found))}")
    name = next(iter(names), people[0].name if people else "coco17")
    pixel, confidence = torch.zeros(0, len(SETS[name]), 2), torch.zeros(0, len(SETS[name]))
    return [one if one.name == name else replace(one, name=name, pixel=pixel, confidence=confidence) for one in people]


def nobody_said(people: DetectedPeople) -> str:
    """Return why a body has no keypoints: nobody was detected at all, or nobody near it."""
    if not len(people) or not bool((people.confidence > 0).any()):
        return f"nobody was detected in {people.origin}, so there are no keypoints."
    return f"nobody in {people.origin} lies near, so there are no keypoints."
