"""MediaPipe Pose on each person's crop, by the networks in its wheel: nothing is fetched.

    crop         = the box grown by `GROWTHS` about its centre and cut to the photo, as it is and mirrored: L looks
    pixel        = corner of the crop + share of the crop · its sides;      a point: the median of its looks
    confidence   = visibility · share of looks that found somebody · T / √(T² + spread²)
    spread       = median |look - point| / 0.6745 / √(area of the box)      over looks and both coordinates

One look errs by an arm where a person is cut off or others are near, and says it is sure; looks at other crops of the
same person then disagree, which is what `spread` measures. T is the spread of looks that agree.

Two networks of BlazePose (Apache-2.0, 3 and 6.4 MB) find a person in the crop, and that person's 33 points; what ours
have a name for becomes body25 (`refine.keypoints.sets`).

Pixels: landmarks are shares of the crop that count from its corner, as the ones read from files
(`refine.keypoints.formats.mediapipe`); mirrored crops say the same (tests/contract/test_detectors_that_run.py).

Source: google/mediapipe v0.10.21 `mediapipe/python/solutions/pose.py` (graph, thresholds, `model_complexity=1` is the
one network that the wheel holds); Bazarevsky et al., BlazePose: On-device Real-time Body Pose Tracking, CV4ARVR 2020.
"""

import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.errors import InputError, MissingExtra
from refine.keypoints.detections import Detections
from refine.keypoints.sets import MEDIAPIPE33, people_of
from refine.terms.keypoints import DetectorNoise

INSTALL = 'pip install "refine[detectors]"  (mediapipe 0.10.14 to 0.10.21, Python up to 3.12)'

MODEL = Path("modules/pose_landmark/pose_landmark_full.tflite")
"""Where the wheel holds the points' network; versions from 0.10.30 on hold none."""

GROWTHS = (1.0, 1.1, 1.25, 1.5)
"""Sides of the crop over those of the box: small people are found in wider crops, cut-off ones in narrow crops."""

CROP_PX = 512
"""Most px a crop has a side: the networks look at 256, and take a point of the picture for a point of theirs without
averaging."""

FOUND, SEEN = 0.1, 0.2
"""Least confidences that somebody is in the crop, and that the points are somebody's. MediaPipe's own 0.5 are for
photos in which nobody may be; here somebody is estimated, and who is not there is found elsewhere by each look."""

TYPICAL = 0.02
"""T: spread of looks that agree, over √(area of the box)."""

NORMAL = 0.6745
"""Median of the size of a Gaussian of variance one."""

NOISE = DetectorNoise(sigma_floor=0.02, border_share=0.0)
"""Its errors: 0.02 of √(area of the box) a coordinate, more of joints that annotators disagree on. Measured on four
cameras, each against the triangulation of the other three: 3,736 coordinates, 73 % within one stated sigma, 94 % within
two (`python -m tests.benchmarks --only detectors`). A network that states coordinates, not the peak of a picture, does
not move points of cut-off limbs to the photo's border."""

POINTS = len(MEDIAPIPE33)

MIRRORED = [
    MEDIAPIPE33.index(name.replace("left", "*").replace("right", "left").replace("*", "right")) for name in MEDIAPIPE33
]
"""For each point its place among the points of the mirrored person."""


def is_ready() -> bool:
    """Say whether a wheel with the networks is installed."""
    return _model() is not None


def load(model: str | Path | None) -> "MediaPipe":
    """Return the detector.

    Args:
        model: None; the wheel's networks are the only ones.

    Raises:
        MissingExtra: MediaPipe is not installed.
        InputError: The installed one has no networks in its wheel, or a model is named.
    """
    if model is not None:
        advice = "Leave the model out: detector mediapipe."
        raise InputError("detector mediapipe", "no model: its networks are those of its wheel", str(model), advice)
    if find_spec("mediapipe") is None:
        raise MissingExtra("mediapipe", "for the detector of that name", INSTALL)
    if _model() is None:
        expected = f"a mediapipe whose wheel holds {MODEL.name} (0.10.14 to 0.10.21)"
        raise InputError("detector mediapipe", expected, f"mediapipe {version('mediapipe')}", f"Install it: {INSTALL}.")
    return MediaPipe()


class MediaPipe:
    """MediaPipe Pose, its graph built at the first call."""

    noise = NOISE

    def __init__(self) -> None:
        self.name = f"mediapipe {version('mediapipe')}"
        self._graph: Any = None

    def __call__(self, image: UInt8[np.ndarray, "H W 3"], boxes: Float[Tensor, "B 4"]) -> Detections:
        """Return the points of the person in each box, body25; confidence 0 where there is none."""
        rows = [self._person(image, box) for box in boxes.double().cpu().numpy()]
        people = people_of(rows, "mediapipe33", self.name)
        return Detections(people.name, people.pixel, people.confidence)

    def _person(self, image: UInt8[np.ndarray, "H W 3"], box: np.ndarray) -> np.ndarray:
        """Return the points (33, 3) of a box: px and confidence."""
        looks = [self._look(image, box, growth, mirrored) for growth in GROWTHS for mirrored in (False, True)]
        found = np.array([look for look in looks if look is not None])
        if not len(found):
            return np.zeros((POINTS, 3))
        x0, y0, x1, y1 = box
        return point_of(found, len(looks), float(np.sqrt(max((x1 - x0) * (y1 - y0), 1.0))))

    def _look(self, image: UInt8[np.ndarray, "H W 3"], box: np.ndarray, growth: float, mirrored: bool) -> Any:
        """Return the points (33, 3) in one crop: px of the photo, visibility; None where nobody is found."""
        crop, corner, sides = crop_of(image, box, growth)
        with warnings.catch_warnings():  # of protobuf, about MediaPipe's own calls
            warnings.simplefilter("ignore")
            self._graph = self._graph or _graph()
            found = self._graph.process(np.ascontiguousarray(crop[:, ::-1] if mirrored else crop)).pose_landmarks
        if found is None:
            return None
        points = np.array([[point.x, point.y, point.visibility] for point in found.landmark])
        if mirrored:
            points = points[MIRRORED] * (-1, 1, 1) + (1, 0, 0)
        return np.concatenate((corner + sides * points[:, :2], points[:, 2:]), 1)


def point_of(looks: np.ndarray, count: int, size: float) -> np.ndarray:
    """Return the points that looks at one person agree on.

    Args:
        looks: (L, K, 3), L >= 1: px, visibility.
        count: Looks that were taken; in count - L of them nobody was found.
        size: Root of the area of the person's box, px.

    Returns:
        (K, 3): px, confidence.
    """
    point = np.median(looks, 0)
    off = np.abs(looks[..., :2] - point[:, :2]).transpose(1, 0, 2).reshape(len(point), -1)
    spread = np.median(off, 1) / NORMAL / size
    agreement = len(looks) / count * TYPICAL / np.hypot(TYPICAL, spread)
    return np.concatenate((point[:, :2], (point[:, 2] * agreement)[:, None]), 1)


def crop_of(image: UInt8[np.ndarray, "H W 3"], box: np.ndarray, growth: float) -> tuple[np.ndarray, np.ndarray, Any]:
    """Cut a grown box out of a photo.

    Args:
        image: (H, W, 3).
        box: (4,) px, x0 y0 x1 y1.
        growth: Its sides over the box's.

    Returns:
        The crop, where its corner lies in the photo (2,) px, and its sides (2,) in px of the photo.
    """
    import cv2

    middle, half = (box[:2] + box[2:]) / 2, growth * (box[2:] - box[:2]) / 2
    end = np.array(image.shape[1::-1])
    low = np.floor(middle - half).clip(0, end - 1).astype(int)
    high = np.maximum(np.ceil(middle + half).clip(0, end).astype(int), low + 1)
    crop = image[low[1] : high[1], low[0] : high[0]]
    share = CROP_PX / max(crop.shape[:2])
    if share < 1:
        width, height = (max(1, round(share * int(side))) for side in high - low)
        crop = np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA))
    return crop, low, high - low


def _model() -> Path | None:
    """Return the points' network of the installed wheel, None where there is none."""
    found = find_spec("mediapipe")
    path = None if found is None or found.origin is None else Path(found.origin).parent / MODEL
    return path if path is not None and path.is_file() else None


def _graph() -> Any:  # its classes are untyped
    from mediapipe.python.solutions import pose

    return pose.Pose(
        static_image_mode=True, model_complexity=1, min_detection_confidence=FOUND, min_tracking_confidence=SEEN
    )
