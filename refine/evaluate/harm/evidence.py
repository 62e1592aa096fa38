"""What is seen of the people: five kinds of evidence, from keypoints, dense matches or both.

    clean      errors as large as the evidence says, normal; dense ones hang together like our network's
    noisy      keypoints off by twice the stated noise, some anywhere, sides swapped now and then; dense errors as
               measured of our network
    hidden     as clean, but two of four limbs are out of sight
    clothing   as clean, but what is seen is 1 to 3 cm of cloth outside the skin, the same all over a part of the body
    other      as clean, but of somebody else in the same place: consistent in itself, and wrong

Keypoints come as a detector's, with confidences, and go the way users' go (`keypoints_from_detections`); dense matches
are a stand-in's for the displacement network that is asked about every rendering, as the network would be.

Source: the keypoints' noise: `refine.terms.keypoints.DetectorNoise`; dense: `refine.evaluate.harm.noise`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from refine.body import pose_body
from refine.body.anatomy import mirror_images
from refine.dense.correspondence import Matching
from refine.dense.network import LIMB_PX, REPORTED
from refine.errors import InputError
from refine.evaluate.errors import REFERENCE_PX
from refine.evaluate.harm.dense import DenseEvidence, clothed
from refine.evaluate.harm.noise import measured
from refine.evaluate.harm.scene import Scene
from refine.keypoints.detections import Detections
from refine.state import State
from refine.terms.correlation import Correlation
from refine.terms.keypoints import DetectorNoise

KINDS = ("clean", "noisy", "hidden", "clothing", "other")
SOURCES = ("keypoints", "dense", "both")
BESIDE = "+keypoints"
"""Ending of a source that has keypoints beside it."""
KEYPOINTS = "coco17"
"""The set of keypoints: what most detectors say."""
CONFIDENCE = (0.6, 0.95)
"""Of a detector that sees a point; clean noise is what the term takes for granted at that confidence."""
NOISY_TIMES, NOISY_CONFIDENCE = 2.0, 0.7
"""Noisy keypoints are off by twice the clean noise, of which the detector states half: confidences times 0.7."""
OUTLIERS, SWAPS, DOUBTFUL = 0.05, 0.15, (0.3, 0.6)
"""Noisy: share of points that are anywhere on the person, share of people with limbs swapped, and both's confidence."""
LIMBS = (
    ("left_shoulder", "left_upper_arm", "left_forearm", "left_hand", "left_fingers", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_upper_arm", "right_forearm", "right_hand", "right_fingers", "right_elbow", "right_wrist"),
    ("left_thigh", "left_calf", "left_foot", "left_toes", "left_knee", "left_ankle"),
    ("right_thigh", "right_calf", "right_foot", "right_toes", "right_knee", "right_ankle"),
)
"""Parts of the surface and names of keypoints that are hidden together."""
HIDDEN_LIMBS, HIDDEN_CONFIDENCE = 2, (0.02, 0.25)
SHOULDER_KEPT = ("left_shoulder", "right_shoulder")
"""A shoulder is both a part that is hidden with the arm and a keypoint that is not."""
CROP_PX = 128
"""Side of the renderings: that of the shipped network."""


@dataclass(frozen=True)
class Evidence:
    """What is seen of B people.

    Attributes:
        scene: The people.
        kind: One of `KINDS`.
        source: One of `SOURCES`, or another where what is seen is told by terms (`refine.evaluate.harm.point_sources`):
            with "+keypoints" a detector is asked beside it.

    Raises:
        InputError: There is no such kind.
    """

    scene: Scene
    kind: str
    source: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError("evidence", f"one of {KINDS}", self.kind)

    @property
    def shown(self) -> State:
        """Whom the evidence shows."""
        return self.scene.other if self.kind == "other" else self.scene.true

    @cached_property
    def detections(self) -> Detections | None:
        """What a keypoint detector says; None where it is not asked."""
        asked = self.source in ("keypoints", "both") or self.source.endswith(BESIDE)
        return keypoints_of(self) if asked else None

    @cached_property
    def displacer(self) -> DenseEvidence | None:
        """What stands in for the displacement network; None where it is not asked."""
        if self.source not in ("dense", "both"):
            return None
        scene = self.scene
        vertices = scene.other_vertices if self.kind == "other" else scene.vertices
        seen_at = vertices
        if self.kind == "clothing":
            seen_at = clothed(scene.body, vertices, scene.normals, scene.seed)
        hidden = hidden_parts(self) if self.kind == "hidden" else None
        family = scene.people.family if self.kind == "noisy" else "normal"
        return DenseEvidence(scene.body, vertices, seen_at, self.shown.camera, hidden, family, scene.seed)

    @property
    def matching(self) -> Matching:
        """How matches are taken, as a user of the network has it."""
        correlation = min(measured().correlation_px, LIMB_PX) * CROP_PX / REFERENCE_PX
        return Matching(correlation=Correlation(pixels=max(1.0, correlation)), reported=REPORTED)


def hidden_limbs(evidence: Evidence) -> Tensor:
    """Return which limbs are hidden of whom, (B, 4) in the order of `LIMBS`."""
    drawn = torch.stack([torch.rand(len(LIMBS), generator=g) for g in generators(evidence, 11)])
    return drawn.argsort(1).argsort(1) < HIDDEN_LIMBS


def hidden_parts(evidence: Evidence) -> Tensor:
    """Return which parts of the surface are hidden of whom, (B, parts)."""
    names = evidence.scene.body.part_names
    member = torch.tensor([[name in limb for name in names] for limb in LIMBS])  # (4, parts)
    return (hidden_limbs(evidence)[..., None] & member).any(1)


def keypoints_of(evidence: Evidence) -> Detections:
    """Say where a detector sees the keypoints.

    Args:
        evidence: Its kind and people.
    """
    scene, kind, shown = evidence.scene, evidence.kind, evidence.shown
    points = scene.body.keypoint_set(KEYPOINTS)
    camera = shown.camera
    place = pose_body(scene.body, shown.bodies).keypoints(points)  # (B, K, 3) m
    if kind == "clothing":
        place = place + cloth_at_keypoints(evidence, place)
    pixel = camera.project(place)
    names = points.names
    draws = [
        (torch.rand(len(names), 4, generator=g), torch.randn(len(names), 2, generator=g), torch.rand(4, generator=g))
        for g in generators(evidence, 0)
    ]
    even, normal, once = (torch.stack([draw[n] for draw in draws]).to(pixel) for n in range(3))
    confidence = _between(CONFIDENCE, even[..., 0])
    extent = camera.size.flip(1)[:, None]
    inside = ((pixel > 0) & (pixel < extent)).all(-1)
    low, high = (torch.where(inside[..., None], pixel, bound) for bound in (torch.inf, -torch.inf))
    low, high = low.amin(1).nan_to_num(posinf=0.0), high.amax(1).nan_to_num(neginf=1.0)
    area = (high - low).clamp(min=1.0).prod(1)
    noise = DetectorNoise(border_share=0.0, least_confidence=0.0)
    sigma = noise.sigma_px(names, extent / 2 + 0 * pixel, confidence, area, camera.size)
    if kind == "noisy":
        pixel = _swapped(pixel, names, once)
        said = pixel + NOISY_TIMES * sigma[..., None] * normal
        swapped = _is_swapped(names, once)
        wild = even[..., 1] < OUTLIERS
        said = torch.where(wild[..., None], low[:, None] + (high - low)[:, None] * even[..., 2:], said)
        confidence = torch.where(wild | swapped, _between(DOUBTFUL, even[..., 0]), NOISY_CONFIDENCE * confidence)
    else:
        said = pixel + sigma[..., None] * normal
    if kind == "hidden":
        member = torch.tensor([[n in limb and n not in SHOULDER_KEPT for n in names] for limb in LIMBS])
        gone = (hidden_limbs(evidence)[..., None] & member).any(1)
        anywhere = low[:, None] + (high - low)[:, None] * even[..., 2:]
        said = torch.where(gone[..., None], anywhere, said)
        confidence = torch.where(gone, _between(HIDDEN_CONFIDENCE, even[..., 0]), confidence)
    # What lies outside the photo is not seen; detectors say so.
    return Detections(KEYPOINTS, said, torch.where(inside, confidence, 0.0))


CLOTH_M = (0.01, 0.03)
"""How far cloth stands off the skin."""


def cloth_at_keypoints(evidence: Evidence, place: Tensor) -> Tensor:
    """Return how far (B, K, 3) m cloth moves limbs' keypoints outward, alike for both arms and for both legs."""
    names = evidence.scene.body.keypoint_set(KEYPOINTS).names
    left, right = (
        torch.tensor([n.startswith(side) and not n.endswith(("eye", "ear")) for n in names])
        for side in ("left", "right")
    )
    legs = torch.tensor([n.endswith(("hip", "knee", "ankle")) for n in names])
    drawn = torch.stack([torch.rand(2, generator=g) for g in generators(evidence, 23)]).to(place)
    far = _between(CLOTH_M, torch.where(legs, drawn[:, :1], drawn[:, 1:]))  # (B, K)
    hips = [names.index("left_hip"), names.index("right_hip")]
    across = torch.nn.functional.normalize(place[:, hips[0]] - place[:, hips[1]], dim=-1)  # (B, 3) to the left
    sign = left.to(place) - right.to(place)
    return (far * sign)[..., None] * across[:, None]


def generators(evidence: Evidence, salt: int) -> list[torch.Generator]:
    """Return one source of chance a body.

    Args:
        evidence: Its kind and people.
        salt: Makes different uses independent.
    """
    first = evidence.scene.seed
    return [
        torch.Generator().manual_seed(1_000_003 * (first + body) + 101 * KINDS.index(evidence.kind) + salt)
        for body in range(len(evidence.scene))
    ]


def _between(bounds: tuple[float, float], share: Tensor) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * share


ARMS, LEGS = ("elbow", "wrist"), ("knee", "ankle")


def _is_swapped(names: tuple[str, ...], once: Tensor) -> Tensor:
    """Say which points (B, K) are taken for the other side's."""
    arms, legs = (torch.tensor([name.endswith(limb) for name in names]) for limb in (ARMS, LEGS))
    chosen = once[:, :1] < SWAPS
    return chosen & torch.where(once[:, 1:2] < 0.5, arms, legs)


def _swapped(pixel: Tensor, names: tuple[str, ...], once: Tensor) -> Tensor:
    """Exchange left and right where sides are swapped."""
    other = list(mirror_images(names))
    return torch.where(_is_swapped(names, once)[..., None], pixel[:, other], pixel)
