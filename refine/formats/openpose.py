"""Keypoint files in OpenPose's JSON layout (v1.x, and detectors such as ViTPose that write it), and whose points they are.

    people[p].pose_keypoints_2d = [x, y, confidence] · 25 (BODY_25) or 18 (COCO), hands · 21, face · 70

A joint that was not found is (0, 0, 0). COCO's 18 are put into BODY_25's order. Pixels are those of heatmaps and count from the first
pixel's centre: half a pixel is added. People are matched to bodies one to one with the least total of

    distance[b, p] = Σ_k c_pk |projected_bk - detected_pk| / Σ_k c_pk   /  √(area of p's box)

Source: OpenPose `doc/02_output.md`, `src/openpose/filestream/peopleJsonSaver.cpp`; H. W. Kuhn, The Hungarian method, 1955.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError

PIXEL_CENTER = 0.5
"""From heatmap coordinates to coordinates in which the image's corner is (0, 0), px."""

BODY25_OF_COCO18 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""Where COCO's 18 points stand in BODY_25, which has the middle of the hips in between (OpenPose `doc/02_output.md`)."""

PARTS = {"pose": 25, "hand_left": 21, "hand_right": 21, "face": 70}
"""Points of each part, in the order of the set openpose137."""

SURE = 0.3
"""Confidence from which a point is taken to be where it is said to be (the default threshold of OpenPose's own renderer is 0.05,
of most users of its files 0.2 to 0.5)."""

OUTSIDE_SHARE = 0.5
"""Share of sure points outside the image from which the file is taken to be another image's."""

OUTSIDE_MARGIN = 0.1
"""How far outside a point must lie, in image sizes: detectors put cut-off joints a little beyond the border."""

GATE = 0.5
"""A body and a person whose points are farther apart than this, in sizes (√ area) of the person's box, are not the same."""


@dataclass(frozen=True)
class KeypointFile:
    """What a 2D detector said about the people of one photo.

    Attributes:
        name: The keypoint set, "body25", or "openpose137" where hands or faces were found.
        pixel: (P, K, 2) px of the photo, counted from its corner; zero where the detector lacks the point.
        confidence: (P, K) 0 to 1, zero where the detector lacks the point.
        path: The file.
    """

    name: str
    pixel: Float[Tensor, "P K 2"]
    confidence: Float[Tensor, "P K"]
    path: Path

    def __post_init__(self) -> None:
        sizes = check_shape("keypoints.pixel", self.pixel, "P K 2")
        check_shape("keypoints.confidence", self.confidence, "P K", **sizes)

    def __len__(self) -> int:
        return len(self.pixel)

    def checked(self, size: tuple[int, int]) -> "KeypointFile":
        """Return itself where the points can be those of an image.

        Args:
            size: (height, width) of the image, px.

        Raises:
            InputError: Half of the sure points lie far outside: the file belongs to an image of another size.
        """
        limit = torch.tensor([size[1], size[0]], dtype=self.pixel.dtype)
        outside = ((self.pixel < -OUTSIDE_MARGIN * limit) | (self.pixel > (1 + OUTSIDE_MARGIN) * limit)).any(2)
        sure = self.confidence >= SURE
        if bool(sure.any()) and float((outside & sure).sum()) >= OUTSIDE_SHARE * float(sure.sum()):
            reach = self.pixel[sure].amax(0)
            raise InputError(
                f"keypoints {self.path}",
                f"points in an image of {size[1]} x {size[0]} px (width x height)",
                f"points up to ({float(reach[0]):.0f}, {float(reach[1]):.0f})",
                "Give the keypoints of this photo at this size, or scale them (OpenPose: --keypoint_scale 0).",
            )
        return self

    def whole(self) -> "KeypointFile":
        """Return the same people in the set openpose137, hands and face without confidence where the file has none."""
        missing = sum(PARTS.values()) - self.pixel.shape[1]
        pixel = torch.nn.functional.pad(self.pixel, (0, 0, 0, missing))
        return KeypointFile("openpose137", pixel, torch.nn.functional.pad(self.confidence, (0, missing)), self.path)


def read_keypoints(path: str | Path) -> KeypointFile:
    """Read a keypoint file in OpenPose's layout.

    Args:
        path: The JSON file.

    Returns:
        The people, in the file's order; none where the detector found nobody.

    Raises:
        InputError: The file is missing, not such JSON, has another number of points, or its numbers are not finite.
    """
    path = Path(path)
    name = f"keypoints {path}"
    advice = "Write it with OpenPose's --write_json, or in that layout."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(name, "a JSON file", error.strerror or str(error), "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(name, "JSON", str(error) or "something too deeply nested", advice) from error
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        got = f"keys {', '.join(map(str, data))}" if isinstance(data, dict) else type(data).__name__
        raise InputError(name, 'an object with a list "people"', got, advice)
    rows = [np.concatenate([_part(name, person, part) for part in PARTS]) for person in people]
    points = torch.as_tensor(np.stack(rows) if rows else np.zeros((0, sum(PARTS.values()), 3)), dtype=torch.float32)
    whole = bool((points[:, PARTS["pose"] :, 2] > 0).any())
    points = points if whole else points[:, : PARTS["pose"]]
    found = points[..., 2:] > 0
    pixel = torch.where(found, points[..., :2] + PIXEL_CENTER, 0.0)
    return KeypointFile("openpose137" if whole else "body25", pixel, points[..., 2].clamp(0, 1), path)


def match_people(
    projected: Float[Tensor, "B K 2"], detected: Float[Tensor, "P K 2"], confidence: Float[Tensor, "P K"]
) -> Int[Tensor, "B"]:
    """Say which detected person each body is, one to one.

    Args:
        projected: (B, K, 2) px, the bodies' keypoints in the photo.
        detected: (P, K, 2) px, the people's.
        confidence: (P, K), 0 to 1; zero where the detector lacks the point. Points below `SURE` count only for people without any above.

    Returns:
        (B,) index of the person, -1 where none is near enough. People whose index does not occur belong to no body.

    Raises:
        InputError: The numbers of points differ.
    """
    from scipy.optimize import linear_sum_assignment

    sizes = check_shape("projected", projected, "B K 2")
    check_shape("detected", detected, "P K 2", K=sizes["K"])
    check_shape("confidence", confidence, "P K", K=sizes["K"], P=len(detected))
    match = torch.full((len(projected),), -1, dtype=torch.long)
    if not len(projected) or not len(detected):
        return match
    place, seen = projected.detach().cpu().double(), detected.detach().cpu().double()
    trust = confidence.detach().cpu().double()
    sure = (trust >= SURE).any(1, keepdim=True)
    trust = torch.where(sure & (trust < SURE), 0.0, trust)  # (P, K)
    apart = (place[:, None] - seen).norm(dim=-1)  # (B, P, K) px
    distance = (apart * trust).sum(2) / trust.sum(1).clamp(min=1e-9)
    distance = distance / _box_size(seen, trust)
    distance = torch.where((trust.sum(1) > 0) & distance.isfinite(), distance, 1e6)
    # A pair beyond the gate costs as much as no pair: it must not push a good pair apart.
    body, person = linear_sum_assignment(distance.clamp(max=GATE).numpy())
    for row, column in zip(body.tolist(), person.tolist(), strict=True):
        if float(distance[row, column]) < GATE:
            match[row] = column
    return match


def _box_size(pixel: Tensor, trust: Tensor) -> Tensor:
    """Return the square root of the area (P,) px of the box around each person's points; a line has its length."""
    there = (trust > 0)[..., None]
    low = torch.where(there, pixel, torch.inf).amin(1)
    high = torch.where(there, pixel, -torch.inf).amax(1)
    sides = (high - low).clamp(min=1.0).nan_to_num(1.0, posinf=1.0, neginf=1.0)
    # A profile or a lone limb has a thin box: no side counts less than half of the other.
    return sides.maximum(sides.flip(1) / 2).prod(1).sqrt()


def _part(name: str, person: dict[str, object], part: str) -> np.ndarray:
    """Return one part's points (n, 3), zeros where the file has none."""
    count = PARTS[part]
    key = f"{part}_keypoints_2d"
    values = person.get(key, [])
    allowed = (0, 3 * count) + ((3 * len(BODY25_OF_COCO18),) if part == "pose" else ())
    if not isinstance(values, list) or len(values) not in allowed:
        wanted = " or ".join(str(length) for length in allowed)
        got = f"{len(values)}" if isinstance(values, list) else type(values).__name__
        raise InputError(f"{name}: {key}", f"{wanted} numbers (x, y, confidence)", got, "")
    try:
        points = np.array(values, dtype=np.float64).reshape(-1, 3)
    except (TypeError, ValueError):
        points = np.full((1, 3), np.nan)
    if not np.isfinite(points).all():
        raise InputError(f"{name}: {key}", "finite numbers", "something else", "")
    full = np.zeros((count, 3))
    if len(points) == len(BODY25_OF_COCO18) and part == "pose":
        full[list(BODY25_OF_COCO18)] = points
    elif len(points):
        full[:] = points
    return full
