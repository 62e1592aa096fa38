"""The harm benchmark's figures, body by body: how far bodies are from the truth before and after, and what their uncertainty was worth.

    pixel     = mean distance of the projected body joints that lie in the photo, px of a 256 crop around the person
    covered_k = share of the body joints' coordinates (image x, image y, depth) with |error| <= k sigma;   error of joints after the
                pelvis relative to it, of the pelvis in its place

A body is improved or worse where its PVE changed by more than `WORSE_MM`.

Source: `refine.evaluate.metrics`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from displacement_net.training.evaluation.refined import Errors
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate import metrics
from refine.geometry.crop import square_around
from refine.state import State
from tests.benchmarks.harm.noise import REFERENCE_PX
from tests.benchmarks.harm.outcome import Outcome

NAMES = tuple(Errors.__dataclass_fields__)


@dataclass(frozen=True)
class Figures:
    """Of B bodies.

    Attributes:
        before: The estimate's errors.
        after: The result's.
        accepted: (B,) whose update was believed.
        covered: (B, 2) shares of coordinates within one and two standard deviations; NaN where nothing is said.
        mahalanobis: (B,) over its degrees of freedom; NaN where nothing is said.
        seconds: Of each body, (B,).
    """

    before: Errors
    after: Errors
    accepted: Bool[Tensor, "B"]
    covered: Float[Tensor, "B 2"]
    mahalanobis: Float[Tensor, "B"]
    seconds: Float[Tensor, "B"]

    def __len__(self) -> int:
        return len(self.accepted)


def errors_of(body: SkinnedBody, state: State, true: State) -> Errors:
    """Measure bodies against the true ones, each seen by its own camera.

    Args:
        body: The model.
        state: B bodies.
        true: The same, true.
    """
    posed, right = pose_body(body, state.bodies), pose_body(body, true.bodies)
    joints, true_joints = posed.joints[:, :BODY_JOINTS], right.joints[:, :BODY_JOINTS]
    place = true.camera.project(true_joints)
    inside = ((place >= 0) & (place <= true.camera.size.flip(1)[:, None])).all(-1)  # (B, J)
    apart = torch.where(inside, (state.camera.project(joints) - place).norm(dim=-1), 0.0).sum(1)
    _, side = square_around(true.camera.project(right.vertices), within=true.camera.size)
    return Errors(
        metrics.pve(posed.vertices, right.vertices, joints[:, 0], true_joints[:, 0]),
        metrics.pa_mpjpe(joints, true_joints),
        metrics.mpjpe(joints, true_joints),
        apart / torch.where(inside.any(1), inside.sum(1), torch.nan) * REFERENCE_PX / side,
    )


def figures_of(body: SkinnedBody, true: State, before: Errors, outcome: Outcome) -> Figures:
    """Measure an outcome.

    Args:
        body: The model.
        true: B people as they are.
        before: The estimate's errors.
        outcome: What a method made of it.
    """
    nothing = before.pve.new_full((len(true),), torch.nan)
    covered = torch.stack((nothing, nothing), 1)
    if outcome.sigma_m is not None:
        joints, true_joints = (pose_body(body, each.bodies).joints for each in (outcome.state, true))
        sigma = outcome.sigma_m[:, :BODY_JOINTS]
        away = (joints - true_joints)[:, :BODY_JOINTS]
        away = torch.cat((away[:, :1], away[:, 1:] - away[:, :1]), 1)
        off = away.abs() / sigma.clamp(min=1e-9)
        covered = torch.stack([(off <= k).flatten(1).to(off.dtype).mean(1) for k in (1, 2)], 1)
    return Figures(
        before,
        errors_of(body, outcome.state, true),
        outcome.accepted,
        covered,
        nothing if outcome.mahalanobis is None else outcome.mahalanobis.to(nothing),
        nothing.new_full((len(true),), outcome.seconds / len(true)),
    )


def joined(parts: list[Figures]) -> Figures:
    """Return several batches as one.

    Args:
        parts: One or more.
    """

    def errors(side: str) -> Errors:
        return Errors(*(torch.cat([getattr(getattr(part, side), name) for part in parts]) for name in NAMES))

    return Figures(
        errors("before"),
        errors("after"),
        torch.cat([part.accepted for part in parts]),
        torch.cat([part.covered for part in parts]),
        torch.cat([part.mahalanobis for part in parts]),
        torch.cat([part.seconds for part in parts]),
    )
