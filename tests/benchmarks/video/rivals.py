"""What refines the tracks: `refine.fit` frame by frame, `refine.fit_video` where the library has it, and Adam.

    Adam    Σ c ρ(|pixel - seen| / sigma) + w Σ |log(R_estimateᵀ R)|² / 0.2² + λ Σ_t |x(t + 1) - x(t)|² / (2 cm)²

on joints x, with one shape a clip: a penalty on velocity, which takes the swing out of arms; each λ of a grid, and the
best by MPJPE is printed. ρ is Geman-McClure.

Source: Ye et al., SLAHMR, CVPR 2023, eq. 4 and 5, confs/optim.yaml (terms; Adam in place of its L-BFGS, a pull to the
estimate in place of VPoser, which cannot be had without registration).
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import refine
from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate
from refine.evaluate.disturbance import as_estimate
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.result import Result
from refine.state import Bodies, State
from tests.benchmarks.video.clips import BODY, FPS, SIZE
from tests.benchmarks.video.keypoints import NAME

VELOCITY_WEIGHTS = (0.003, 0.03, 0.3)
ADAM_STEPS, ADAM_RATE = 150, 0.02
NEAR_RAD, STEP_M, SIGMA_OF_BOX = 0.2, 0.02, 0.02


def track(body: SkinnedBody, state: State) -> Estimate:
    """Return a clip's bodies as a regressor's track: frame after frame, one person."""
    estimate = as_estimate(body, state)
    return replace(estimate, source=replace(estimate.source, persons=("0",) * len(state)))


def frame_by_frame(estimate: Estimate, keypoints: np.ndarray) -> Result:
    """Refine every frame by itself."""
    photo = np.zeros((*SIZE, 3), np.uint8)
    return refine.fit([photo] * len(estimate), estimate, keypoints=keypoints)


def has_fit_video() -> bool:
    """Say whether the library solves tracks."""
    return hasattr(refine, "fit_video")


def as_a_track(estimate: Estimate, keypoints: np.ndarray) -> Result:
    """Refine a clip as one track: the only place that calls it."""
    solve = getattr(refine, "fit_video")  # noqa: B009  # mypy knows no such name where the library has none
    result = solve(None, estimate, keypoints=keypoints, fps=FPS)
    assert isinstance(result, Result)
    return result


def by_adam(body: SkinnedBody, estimates: list[State], seen: list[np.ndarray], weight: float) -> list[State]:
    """Refine clips with a penalty on velocity, all in one batch that is not coupled across clips.

    Args:
        body: The model.
        estimates: The clips.
        seen: Their keypoints (F, K, 3).
        weight: λ.
    """
    lengths = [len(each) for each in estimates]
    clip = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    together = (clip[1:] == clip[:-1]).float()
    start = [torch.cat([getattr(each.bodies, part) for each in estimates]) for part in ("pose", "translation")]
    expression = torch.cat([each.bodies.expression for each in estimates])
    shape = torch.stack([each.bodies.shape.mean(0) for each in estimates])
    cameras = [each.camera for each in estimates]
    camera = Camera(*(torch.cat([getattr(one, part) for one in cameras]) for part in ("focal", "center", "size")))
    points = torch.from_numpy(np.concatenate(seen)).float()
    box = torch.cat([_box(each) for each in seen])
    turn = torch.zeros(len(clip), BODY, 3, requires_grad=True)
    move = torch.zeros(len(clip), 3, requires_grad=True)
    grow = torch.zeros_like(shape, requires_grad=True)
    optimiser = torch.optim.Adam([turn, move, grow], ADAM_RATE)

    def bodies() -> Bodies:
        pose = torch.cat((start[0][:, :BODY] @ rotation.exp(turn), start[0][:, BODY:]), 1)
        return Bodies(pose, (shape + grow)[clip], expression, start[1] + move)

    with torch.enable_grad():
        for _ in range(ADAM_STEPS):
            posed = pose_body(body, bodies())
            pixel = camera.project(posed.keypoints(body.keypoint_set(NAME)))
            off = ((pixel - points[..., :2]) / (SIGMA_OF_BOX * box[:, None, None])).square().sum(-1)
            near = (turn / NEAR_RAD).square().sum() + grow.square().sum()
            step = posed.joints[1:, :BODY] - posed.joints[:-1, :BODY]
            smooth = ((step / STEP_M).square().sum((1, 2)) * together).sum()
            cost = (points[..., 2] * 9 * off / (off + 9)).sum() + near + weight * smooth
            optimiser.zero_grad()
            torch.autograd.backward(cost)
            optimiser.step()
    found = bodies()
    parts = [part.detach().split(lengths) for part in (found.pose, found.shape, found.expression, found.translation)]
    return [State(Bodies(*each), own.camera) for *each, own in zip(*parts, estimates, strict=True)]


def _box(seen: np.ndarray) -> Tensor:
    """Return the root of the area of the box around the points that are seen, (F,) px."""
    pixel = np.where(seen[..., 2:] > 0, seen[..., :2], np.nan)
    return torch.from_numpy(np.sqrt((np.nanmax(pixel, 1) - np.nanmin(pixel, 1)).prod(-1))).float()
