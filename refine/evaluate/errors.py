"""Errors of bodies against the truth: PVE, PA-MPJPE, MPJPE, and how far joints lie off in the photo.

    pixel = mean distance of the projected body joints that lie in the photo, px of a 256 crop

Source: `refine.evaluate.metrics`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate import metrics
from refine.geometry.crop import square_around
from refine.state import State

WORSE_MM = 1.0
"""PVE that may be gained without being called worse, mm."""
REFERENCE_PX = 256
"""Side of the crop that errors in the photo are told in."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of B bodies: PVE, PA-MPJPE and MPJPE (mm); `pixel` (px of a 256 crop; NaN: no joint lies in the photo)."""

    pve: Float[Tensor, "B"]
    pa_mpjpe: Float[Tensor, "B"]
    mpjpe: Float[Tensor, "B"]
    pixel: Float[Tensor, "B"]


FIGURES = tuple(Errors.__dataclass_fields__)


def errors_of(body: SkinnedBody, state: State, true: State, side: Float[Tensor, "B"] | None = None) -> Errors:
    """Measure bodies against the true ones, each seen by its own camera.

    Args:
        body: The model.
        state: B bodies.
        true: The same, true.
        side: (B,) px of the photo, the crops around the people; None: a square around each true body.
    """
    posed, right = pose_body(body, state.bodies), pose_body(body, true.bodies)
    joints, true_joints = posed.joints[:, :BODY_JOINTS], right.joints[:, :BODY_JOINTS]
    place = true.camera.project(true_joints)
    inside = ((place >= 0) & (place <= true.camera.size.flip(1)[:, None])).all(-1)  # (B, J)
    apart = torch.where(inside, (state.camera.project(joints) - place).norm(dim=-1), 0.0).sum(1)
    if side is None:
        _, side = square_around(true.camera.project(right.vertices), within=true.camera.size)
    return Errors(
        metrics.pve(posed.vertices, right.vertices, joints[:, 0], true_joints[:, 0]),
        metrics.pa_mpjpe(joints, true_joints),
        metrics.mpjpe(joints, true_joints),
        apart / torch.where(inside.any(1), inside.sum(1), torch.nan) * REFERENCE_PX / side,
    )
