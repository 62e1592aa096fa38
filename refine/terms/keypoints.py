"""Keypoint term: residuals of projected keypoints against 2D detections.

    residual[b, k] = (project(keypoint[b, k]) - target[b, k]) / sigma_px[b, k]      by the bodies' camera or its own
    sigma_px       = s max(sigma_floor, k sigma_OKS) / g(confidence),   s = √(area of the person's box)

No information: confidence zero, or closer to the image's border than 2 % of its width or height, where detectors put
the joints of truncated people.

Source: COCO keypoint evaluation (per-joint constants of the object keypoint similarity, cocodataset.org); ViTPose and
OpenPose report the confidences of g; SPIN and CamSMPLify drop hips and neck (their definition differs between detectors
and bodies), here their sigma is doubled.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import KeypointSet, PosedBody
from refine.check import check_finite, check_positive, check_shape, check_type
from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.keypoints.detections import own_points
from refine.state import State, Unknowns
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.constants import ConstantPart
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.views import seen_with
from refine.terms.whiten import isotropic, product

OKS_SIGMA = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "toe": 0.068, "heel": 0.066,
}  # fmt: skip
"""Standard deviation of annotators per joint over √(object area): COCO keypoint evaluation; toes and heels from
COCO-WholeBody."""

SMALL_PART_SIGMA = 0.035
"""The same of face, hand and other points without a constant of their own (COCO-WholeBody: 0.01-0.045)."""

LOOSE_PARTS = ("hip", "neck", "midhip", "pelvis")
"""Points whose definition differs between detectors and bodies."""


SMALL_PARTS = ("face", "left_hand", "right_hand")
FINGERS = ("thumb", "index", "middle", "ring", "pinky", "hand")


def _small_part(name: str) -> str:
    """Return the face or hand of a point, "" for the body's own."""
    if any(finger in name for finger in FINGERS):
        return "left_hand" if "left" in name else "right_hand"
    return "face" if "face" in name or "pupil" in name else ""


DETECTIONS = Correlation(part_points=3.0, time_s=0.085, views=0.3, constant=0.5)
"""Of detectors' errors. Time and constant part are measured (`python -m tests.benchmarks --only correlation`); views: a
judgement, for what all cameras see of one moment (cloth, hair, the joint that is meant). A face's or a hand's points
come from one small region of the image, whose place, size and turn they have in common: otherwise 68 points of a face
outweigh an arm."""


@dataclass(frozen=True)
class DetectorNoise:
    """Error model of a keypoint detector.

    Raises:
        InputError: A number is out of range.
    """

    oks_share: float = 0.25
    """k: detectors' error over the annotators' spread, which includes clothing and definition. PCK@0.05 of at least
    90 % on visible joints means 0.02 of the box a coordinate, a quarter of the OKS constant of shoulders and hips."""

    sigma_floor: float = 0.008
    """Least sigma over √(box area): half a pixel of a 64-bin heatmap over the box."""

    loose_factor: float = 2.0
    """Factor of the sigma of hips and neck."""

    border_share: float = 0.02
    """Points within this share of the image's width or height from its border carry no information."""

    least_confidence: float = 0.3
    """Least confidence of a detection with information (MMPose draws none below its default `kpt_thr` of 0.3)."""

    correlation: Correlation = DETECTIONS
    """How far its errors hang together."""

    def __post_init__(self) -> None:
        check_type("noise.correlation", self.correlation, Correlation, "Correlation(part_points=3.0)")
        positive = min(self.oks_share, self.sigma_floor, self.loose_factor) > 0
        if not positive or not 0 <= self.border_share < 0.5 or not 0 <= self.least_confidence <= 1:
            raise InputError("noise", "sizes above zero, border_share in 0..0.5, least_confidence in 0..1", repr(self))

    def sigma_px(
        self,
        names: tuple[str, ...],
        pixels: Float[Tensor, "B K 2"],
        confidence: Float[Tensor, "B K"],
        box_area: Float[Tensor, "B"],
        size: Float[Tensor, "B 2"],
    ) -> Float[Tensor, "B K"]:
        """Return the sigma of each detection.

        Args:
            names: K names of the points.
            pixels: (B, K, 2) px.
            confidence: (B, K) the detector's, 0 to 1; g(confidence) = confidence, so 0.5 doubles the sigma.
            box_area: (B,) px², the person's box in the photo.
            size: (B, 2) px, (height, width) of the photo.

        Returns:
            (B, K) px; infinite where there is no information.
        """
        share = torch.tensor([self._share(name) for name in names], dtype=pixels.dtype, device=pixels.device)
        sigma = box_area.sqrt()[:, None] * share / confidence.clamp(min=1e-6, max=1.0)
        extent = size.flip(-1)[:, None]  # (B, 1, 2): width, height
        margin = self.border_share * extent
        informed = ((pixels > margin) & (pixels < extent - margin)).all(-1) & (confidence >= self.least_confidence)
        for part in SMALL_PARTS:
            members = torch.tensor([_small_part(name) == part for name in names], device=pixels.device)
            together = (informed & members).sum(1, keepdim=True)  # (B, 1)
            sigma = torch.where(members, sigma / self.correlation.of_part(together).sqrt(), sigma)
        return torch.where(informed, sigma, torch.full_like(sigma, torch.inf))

    def _share(self, name: str) -> float:
        plain = name.lower().replace("_", "")
        oks = next((value for part, value in OKS_SIGMA.items() if plain.endswith(part)), None)
        if oks is None:  # joints of trunk and neck have no constant: as the shoulders
            oks = SMALL_PART_SIGMA if _small_part(name) else OKS_SIGMA["shoulder"]
        share = max(self.sigma_floor, self.oks_share * oks)
        return share * (self.loose_factor if plain.endswith(LOOSE_PARTS) else 1.0)


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The term of named points of the body and their detections.

    Attributes:
        points: K named points of the body.
        target: (B, K, 2) px of the photo, finite (zero where there is no information).
        sqrt_information: (B, K, 2, 2) 1/px; zero: the point is silent.

    Raises:
        InputError: Shapes disagree, or a target or information is not finite.
    """

    points: KeypointSet
    target: Float[Tensor, "B K 2"]
    sqrt_information: Float[Tensor, "B K 2 2"]
    kernel: Kernel = GemanMcClure(scale=10.0)
    """Scale in standard deviations; SMPLify's 100 px on a 224-px crop is wider. A swapped limb lies 20 sigmas and more
    away."""
    camera: Camera | None = None
    """B cameras that the targets were seen with, fixed, in the frame of the bodies (`camera_from_world`): one term a
    calibrated camera. None: the bodies' own, whose focal length may be free."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views; a face's or hand's is in `sqrt_information`."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""
    constant: ConstantPart | None = None
    """Columns of the constant part of the errors (`refine.method.constants`); None: it is in `sqrt_information`."""

    def __post_init__(self) -> None:
        sizes = check_shape("keypoints.target", self.target, "B K 2", K=len(self.points.names))
        if self.camera is not None:
            check_type("keypoints.camera", self.camera, Camera, "Camera.from_opencv(K, size=photo.shape[:2])")
            check_shape("keypoints.camera.focal", self.camera.checked().focal, "B 2", B=sizes["B"])
        check_witness("keypoints", self.correlation, self.share, sizes["B"])
        check_shape("keypoints.sqrt_information", self.sqrt_information, "B K 2 2", **sizes)
        check_finite("keypoints.target", self.target)
        check_finite(
            "keypoints.sqrt_information",
            self.sqrt_information,
            "A sigma must be above zero; infinity means no information.",
        )

    @property
    def informed(self) -> Bool[Tensor, "B"]:
        """(B,) bodies it has any information about."""
        return self.known.any(1)

    @property
    def known(self) -> Bool[Tensor, "B K"]:
        """(B, K) points it has any information about."""
        return (self.sqrt_information != 0).flatten(2).any(2)

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, K, 2), unitless, and its Jacobian (B, K, 2, P) per unit step."""
        check_shape("Keypoints.target", self.target, "B K 2", B=len(state))
        point, point_by_step = posed.keypoints_with_jacobian(self.points, unknowns)
        camera, column = seen_with(self.camera, state, unknowns)
        pixel, pixel_by_step = camera.project_with_jacobian(point, point_by_step, column)
        residual = product(self.sqrt_information, (pixel - self.target)[..., None])[..., 0]
        linear = Linearization(residual, product(self.sqrt_information, pixel_by_step), self.kernel)
        if self.constant is not None:
            linear = self.constant.beside(linear, self.known, state, unknowns)
        return replace(linear, part=self.share)


def keypoints_from_sigma(
    points: KeypointSet,
    pixels: Float[Tensor, "B K 2"],
    sigma_px: Float[Tensor, "B K"],
    camera: Camera | None = None,
    correlation: Correlation = INDEPENDENT,
) -> Keypoints:
    """Build the term from detections and their sigmas.

    Args:
        points: K named points of the body.
        pixels: (B, K, 2) px of the photo; any value, NaN included, where sigma is infinite.
        sigma_px: (B, K) px; infinite: no information.
        camera: B fixed cameras of this term alone; None: the bodies' own.
        correlation: How far the detections' errors hang together over frames and views.

    Returns:
        The term.

    Raises:
        InputError: A sigma is not above zero.
    """
    check_type("points", points, KeypointSet, 'Take one of the body\'s: body.keypoint_set("coco17").')
    sizes = check_shape("pixels", pixels, "B K 2", K=len(points.names))
    check_shape("sigma_px", sigma_px, "B K", **sizes)
    check_positive("sigma_px", sigma_px, "px", "Use infinity for a point that was not detected.")
    known = sigma_px.isfinite()
    target = torch.where(known[..., None], pixels, torch.zeros_like(pixels))
    return Keypoints(points, target, isotropic(sigma_px), camera=camera, correlation=correlation)


def keypoints_from_detections(
    points: KeypointSet,
    pixels: Float[Tensor, "B K 2"],
    confidence: Float[Tensor, "B K"],
    camera: Camera,
    projected: Float[Tensor, "B K 2"],
    noise: DetectorNoise | None = None,
) -> Keypoints:
    """Build the term from a detector's output under its documented noise, seen through the bodies' own camera.

    Of a calibrated camera beside it: `dataclasses.replace(term, camera=camera)`.

    The person's box is the one around the estimate's projected points (the body's own, of a whole-body set) and the
    confident detections, cut to the photo.

    Args:
        points: K named points of the body.
        pixels: (B, K, 2) px of the photo.
        confidence: (B, K) 0 to 1; 0 for a point the detector lacks.
        camera: B cameras; their `size` is the photo's.
        projected: (B, K, 2) px, the same points of the estimate.
        noise: The detector's noise; the default where None.

    Returns:
        The term.

    Raises:
        InputError: Shapes disagree, a confidence is negative or not finite, a confident detection is not finite.
    """
    noise = noise or DetectorNoise()
    sizes = check_shape("keypoints", pixels, "B K 2", B=len(camera), K=len(points.names))
    check_shape("keypoint confidence", confidence, "B K", **sizes)
    check_finite("keypoint confidence", confidence)
    if bool((confidence < 0).any()):
        raise InputError("keypoint confidence", "values from 0 to 1", f"{float(confidence.min()):g}")
    seen = confidence >= noise.least_confidence
    pixels = pixels.masked_fill(~seen[..., None], 0.0)
    check_finite("keypoint pixels", pixels, "Give confidence 0 to points the detector lacks.")
    extent = camera.size.flip(-1)[:, None]
    # Hands and face enter by their detections only, so that the box does not depend on whether the set has them.
    own = torch.arange(len(points.names), device=pixels.device) < own_points(points.names)
    inside = torch.where(own[:, None], projected, projected[:, :1])
    both = torch.cat((inside, torch.where(seen[..., None], pixels, inside)), 1)
    both = torch.minimum(both.nan_to_num(0.0).clamp(min=0), extent)
    width_height = both.amax(1) - both.amin(1)
    area = width_height.clamp(min=1.0).prod(-1)
    sigma = noise.sigma_px(points.names, pixels, confidence, area, camera.size)
    return keypoints_from_sigma(points, pixels, sigma, correlation=noise.correlation)
