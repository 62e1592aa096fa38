"""Bodies that cannot be refined: out of the camera's sight, without usable numbers, without evidence."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from refine.estimate import Estimate
from refine.geometry.camera import NEAR_M
from refine.solve import Solution, StopReason


def out_of_sight(estimate: Estimate) -> tuple[StopReason | None, ...]:
    """Return why bodies cannot be refined: unusable numbers, or out of the camera's sight.

    Args:
        estimate: B bodies and cameras.

    Returns:
        For each body UNUSABLE, BEHIND_CAMERA, OUTSIDE_IMAGE, or None where it is seen (or is not finite, which the
        solver reports).
    """
    joints = estimate.joints
    behind = joints[:, 0, 2] <= NEAR_M  # the pelvis: no photo shows a body that straddles the camera
    unusable = estimate.source.unusable
    gone = [False] * len(estimate) if unusable is None else unusable.tolist()
    extent = estimate.camera.size.flip(-1)[:, None]
    pixel = estimate.camera.local.project(joints)
    outside = (pixel < 0).all(1) | (pixel > extent).all(1)  # all joints beyond the same border, (B, 2)
    return tuple(
        StopReason.UNUSABLE if u else StopReason.BEHIND_CAMERA if b else StopReason.OUTSIDE_IMAGE if o else None
        for u, b, o in zip(gone, behind.tolist(), outside.any(1).tolist(), strict=True)
    )


def may_move(
    excluded: Sequence[StopReason | None], seen: Bool[Tensor, "B"], still: Bool[Tensor, "B"]
) -> Bool[Tensor, "B"]:
    """Return the bodies (B,) that the solver may move: in sight, with evidence, and not still.

    Args:
        excluded: For each body why it is out of sight, or None.
        seen: (B,) whether it has evidence.
        still: (B,) whether it waits for the last round.
    """
    return torch.tensor([reason is None for reason in excluded], dtype=torch.bool, device=seen.device) & seen & ~still


def with_reasons(solution: Solution, excluded: Sequence[StopReason | None], seen: Bool[Tensor, "B"]) -> Solution:
    """Return a solution with the stop reasons of the bodies that are out of sight or without evidence.

    Args:
        solution: The solver's.
        excluded: For each body why it is out of sight, or None.
        seen: (B,) whether it has evidence.
    """
    stop = tuple(
        reason or (found if has_evidence else StopReason.NO_EVIDENCE)
        for reason, found, has_evidence in zip(excluded, solution.stop, seen.tolist(), strict=True)
    )
    return replace(solution, stop=stop)
