"""The harm benchmark's figures, body by body: errors before and after, and how good the stated uncertainty was.

    covered_k = share of the body joints' coordinates (image x, image y, depth) with |error| <= k sigma;
                error of joints after the
                pelvis relative to it, of the pelvis in its place

A body is improved or worse where its PVE changed by more than `WORSE_MM`.

Source: `refine.evaluate.errors`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate.errors import Errors, errors_of
from refine.evaluate.harm.outcome import Outcome
from refine.state import State


@dataclass(frozen=True, eq=False)
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
