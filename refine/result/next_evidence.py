"""What to look at next: by how much a further piece of evidence would make a result surer, before anybody gives it.

    covariance with it = C - C Jᵀ (1 + J C Jᵀ)⁻¹ J C        C: posterior covariance of a step, J: the candidate's rows
    sigma              = √ mean over body joints and axes of the variance relative to the pelvis           mm

The rows of a candidate do not depend on what will be measured, so the drop is known beforehand. It is that of the
linear model at the result, for evidence that is as good as the candidate says.

Source: Lindley, Ann. Math. Stat. 27(4), 1956 (value of an experiment before it is made); MacKay, Information-based
objective functions for active data selection, Neural Computation 4(4), 1992, sec. 4 (Gaussian posteriors).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody, SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.check import check_type
from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.solve import cholesky
from refine.state import State, Unknowns
from refine.terms.clicks import CLICK_PX, clicked_points
from refine.terms.keypoints import DetectorNoise, keypoints_from_detections
from refine.trust.uncertainty import MM_PER_M, Posterior

ENDLESS = 1e6
"""Variance (rad², unitless, m²) in place of one that is infinite: much more than anything a body can be off."""
HEIGHT_M = 0.01
"""Standard deviation of a height that somebody measured, m."""
CONFIDENCE = 0.9
"""Of a keypoint that a further camera sees."""
NAMED = 3
"""Candidates that a sentence names."""


@runtime_checkable
class Candidate(Protocol):
    """A piece of evidence that nobody has given yet."""

    @property
    def name(self) -> str:
        """What it is, a noun with its article ("a click on the left wrist")."""
        ...

    def jacobian(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Float[Tensor, "B N P"]:
        """Return its whitened Jacobian (B, N, P) at B bodies, silent rows zero."""
        ...


@dataclass(frozen=True)
class ClickOn:
    """A click on a point in the photo.

    Attributes:
        point: A joint, a keypoint or a vertex (`refine.terms.clicks.Click`).
        sigma_px: Standard deviation per axis, px.
    """

    point: str | int
    sigma_px: float = CLICK_PX

    def __post_init__(self) -> None:
        if not self.sigma_px > 0:
            raise InputError("candidate.sigma_px", "a number above zero, px", repr(self.sigma_px))

    @property
    def name(self) -> str:
        """What it is."""
        named = f"vertex {self.point}" if isinstance(self.point, int) else self.point.replace("_", " ")
        return f"a click on the {named}"

    def jacobian(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Float[Tensor, "B N P"]:
        """Return its whitened Jacobian (B, 2, P); zero where the point lies outside the photo."""
        points = clicked_points(posed.body, [self.point])
        point, by_step = posed.keypoints_with_jacobian(points, unknowns)
        pixel, pixel_by_step = state.camera.project_with_jacobian(point, by_step, unknowns.focal_column)
        inside = ((pixel > 0) & (pixel < state.camera.size.flip(-1)[:, None])).all(-1)[..., None, None]
        return torch.where(inside, pixel_by_step / self.sigma_px, 0.0)[:, 0]


@dataclass(frozen=True)
class Height:
    """The person's height, measured.

    Attributes:
        sigma_m: Its standard deviation, m.
    """

    sigma_m: float = HEIGHT_M

    def __post_init__(self) -> None:
        if not self.sigma_m > 0:
            raise InputError("candidate.sigma_m", "a number above zero, m", repr(self.sigma_m))

    @property
    def name(self) -> str:
        """What it is."""
        return "the person's height"

    def jacobian(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Float[Tensor, "B N P"]:
        """Return its whitened Jacobian (B, 1, P)."""
        from priors.rest_measures import rest_measures

        _, by_shape = rest_measures(posed.body).height(state.bodies.shape)
        out = by_shape.new_zeros(len(by_shape), 1, unknowns.size)
        out[:, 0, unknowns.shape_columns] = by_shape[:, : unknowns.shape] / self.sigma_m
        return out


@dataclass(frozen=True, eq=False)
class SeenBy:
    """A further calibrated camera whose photo a keypoint detector looks at.

    Attributes:
        camera: One camera a body; its `camera_from_world` is from the bodies' frame.
        called: What a sentence calls it.
        keypoints: The detector's set.
    """

    camera: Camera
    called: str = "a further camera"
    keypoints: str = "coco17"

    @property
    def name(self) -> str:
        """What it is."""
        return self.called

    def jacobian(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Float[Tensor, "B N P"]:
        """Return its whitened Jacobian (B, 2 K, P)."""
        points = posed.body.keypoint_set(self.keypoints)
        pixel = self.camera.project(posed.keypoints(points))
        sure = torch.full_like(pixel[..., 0], CONFIDENCE)
        term = keypoints_from_detections(points, pixel, sure, self.camera, pixel, DetectorNoise())
        found: Tensor = replace(term, camera=self.camera).linearize(state, posed, unknowns).jacobian
        return found.flatten(1, 2)


def camera_beside(body: SkinnedBody, state: State, degrees: float) -> Camera:
    """Return cameras like the bodies' own, turned about each body's vertical, at the same distance.

    Args:
        body: The model.
        state: B bodies and cameras.
        degrees: Angle to the right, seen from above, between the lines of sight: 90 looks at the person's side.
    """
    camera = state.camera
    pelvis = camera.transform(pose_body(body, state.bodies).joints[:, :1])[:, 0]  # (B, 3) m, camera frame
    turn = rotation.exp(pelvis.new_tensor([0.0, math.radians(degrees), 0.0])).expand(len(pelvis), 3, 3)
    # The new camera has the pelvis where the own one has it, and looks along its own axis there.
    place = pelvis - (turn @ pelvis[..., None])[..., 0]
    new_from_old = torch.cat((turn, place[..., None]), 2)
    if camera.camera_from_world is not None:
        own = camera.camera_from_world
        moved = turn @ own
        new_from_old = torch.cat((moved[..., :3], moved[..., 3:] + place[..., None]), 2)
    return replace(camera, camera_from_world=new_from_old)


@dataclass(frozen=True, eq=False)
class Gain:
    """What a candidate would do.

    Attributes:
        candidate: Which.
        before_mm: (B,) mm, standard deviation of the body's joints relative to the pelvis, per axis, now.
        after_mm: (B,) mm, the same with the candidate.
    """

    candidate: Candidate
    before_mm: Float[Tensor, "B"]
    after_mm: Float[Tensor, "B"]

    @property
    def drop_mm(self) -> Float[Tensor, "B"]:
        """(B,) mm by which the standard deviation falls."""
        return self.before_mm - self.after_mm


def usual_candidates(body: SkinnedBody, state: State) -> tuple[Candidate, ...]:
    """Return a click on each limb's points and the head, a measured height, and a camera at each side.

    Args:
        body: The model.
        state: B bodies and cameras.
    """
    limbs = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    points = [f"{side}_{limb}" for limb in limbs for side in ("left", "right")]
    clicks = [ClickOn(point) for point in ("head", *points) if point in body.joint_names]
    sides = [("on the right", 90.0), ("on the left", -90.0)]
    seen = [SeenBy(camera_beside(body, state, angle), f"a second camera {side}") for side, angle in sides]
    return (*clicks, Height(), *(seen if "coco17" in body.keypoint_sets else ()))


def gains(body: SkinnedBody, state: State, found: Posterior, candidates: Sequence[Candidate]) -> tuple[Gain, ...]:
    """Return what candidates would do, in their order.

    Args:
        body: The model.
        state: B bodies.
        found: Their posterior.
        candidates: One or more.

    Raises:
        InputError: A candidate is none.
    """
    posed = pose_body(body, state.bodies)
    _, joints = posed.joints_with_jacobian(found.unknowns)
    moved = (joints[:, 1:BODY_JOINTS] - joints[:, :1]).double().flatten(1, 2)  # (B, 3 J, P)
    covariance = found.covariance
    endless = covariance.diagonal(dim1=-2, dim2=-1).isinf()
    finite = torch.where(covariance.isfinite(), covariance, 0.0) + torch.diag_embed(ENDLESS * endless.double())
    before = _size(moved, finite)
    gained = []
    for candidate in candidates:
        check_type("candidate", candidate, Candidate, 'ClickOn("left_wrist"), Height(), SeenBy(camera)')
        rows = candidate.jacobian(state, posed, found.unknowns).double()
        seen = rows @ finite  # (B, N, P)
        inner = torch.eye(rows.shape[1]).to(rows) + seen @ rows.mT
        after = finite - seen.mT @ cholesky.solve(inner, seen)
        gained.append(Gain(candidate, before.to(state.bodies.translation), _size(moved, after).to(before).float()))
    return tuple(gained)


def sentence_of(gained: Sequence[Gain], row: int) -> str:
    """Return what would help most with one person, or "" where nothing is known.

    Args:
        gained: Of candidates.
        row: The person.
    """
    known = [each for each in gained if bool(each.after_mm[row].isfinite() & each.before_mm[row].isfinite())]
    if not known:
        return ""
    best = sorted(known, key=lambda each: float(each.after_mm[row]))
    kinds: dict[type, Gain] = {}
    for each in best:
        kinds.setdefault(type(each.candidate), each)
    parts = [f"{each.candidate.name} to ±{float(each.after_mm[row]):.0f}" for each in list(kinds.values())[:NAMED]]
    now = float(known[0].before_mm[row])
    return f"What would help most: joints are now known to ±{now:.0f} mm (one sigma); {'; '.join(parts)} mm."


def _size(moved: Tensor, covariance: Tensor) -> Tensor:
    """Return √ mean variance (B,) mm of coordinates with slopes (B, M, P)."""
    variance = ((moved @ covariance) * moved).sum(-1)
    return variance.mean(1).clamp(min=0).sqrt() * MM_PER_M
