"""What the evidence sees: which joints are worth freeing, which bodies have no evidence, which are out of sight.

    a joint is freed if  max_b (information of its step) sigma² >= 1,   information = diag Σ_n w_n J_nᵀ J_n

that is, if the evidence alone knows it better than `EXTRA_SIGMA_RAD`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.bodies import BODY_JOINTS, State, Unknowns
from refine.body import SkinnedBody
from refine.camera import NEAR_M
from refine.errors import InputError
from refine.estimate import Estimate
from refine.solve import StopReason
from refine.solve.normal_equations import normal_equations
from refine.terms import Term

EXTRA_SIGMA_RAD = 0.3
"""Fingers, jaw and eyes are freed where the evidence knows them better than a regressor does (see `priors.near_estimate`)."""


def choose_unknowns(body: SkinnedBody, state: State, terms: Sequence[Term], focal: int = 0) -> Unknowns:
    """Free trunk, limbs, shape and translation, and those hands, jaws and eyes that the evidence sees.

    Args:
        body: The model.
        state: B bodies and cameras.
        terms: The evidence.
        focal: 1 to free log-focal.

    Returns:
        The columns, the same for the whole batch.
    """
    count = len(body.joint_names)
    trunk = Unknowns(tuple(range(min(BODY_JOINTS, count))), body.shape_basis.shape[2], 0, 3, focal)
    if count <= BODY_JOINTS or not terms or not len(state):
        return trunk
    everything = Unknowns(tuple(range(count)), 0, 0, 0)
    information = _evidence_information(body, state, terms, everything)
    per_joint = information.reshape(len(state), count, 3).amax((0, 2))
    seen = (per_joint * EXTRA_SIGMA_RAD**2 >= 1).tolist()
    joints = [joint for joint in range(count) if joint < BODY_JOINTS or seen[joint]]
    jaw_seen = "jaw" in body.joint_names and seen[body.joint_names.index("jaw")]
    expression = body.expression_basis.shape[2] if jaw_seen else 0
    return Unknowns(tuple(joints), trunk.shape, expression, 3, focal)


def observed(body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns) -> Bool[Tensor, "B"]:
    """Say which bodies have any evidence at all.

    Args:
        body: The model.
        state: B bodies and cameras.
        terms: The evidence, without priors.
        unknowns: The columns.

    Returns:
        (B,) true where some column has information; a body whose evidence is not finite counts as having evidence.
    """
    if not terms:
        return torch.zeros(len(state), dtype=torch.bool, device=state.bodies.translation.device)
    return (_evidence_information(body, state, terms, unknowns) != 0).any(1)


def _evidence_information(
    body: SkinnedBody, state: State, terms: Sequence[Term], unknowns: Unknowns
) -> Float[Tensor, "B P"]:
    return normal_equations(body, state, terms, unknowns).information.diagonal(dim1=-2, dim2=-1)


def check_focal_is_free_for_one(unknowns: Unknowns | None, estimate: Estimate) -> None:
    """Refuse a free focal length where several people share a photo: their cameras would part.

    Raises:
        InputError: Log-focal is a column and two bodies have the same `image_index`.
    """
    if unknowns is not None and unknowns.focal and len(estimate.image_index.unique()) < len(estimate):
        raise InputError(
            "unknowns.focal",
            "0 where several people share a photo",
            "1",
            "Refine them one at a time, or keep the focal length.",
        )


def out_of_sight(estimate: Estimate) -> tuple[StopReason | None, ...]:
    """Say which bodies cannot be refined because the camera does not see them.

    Args:
        estimate: B bodies and cameras.

    Returns:
        For each body BEHIND_CAMERA, OUTSIDE_IMAGE, or None where it is seen (or is not finite, which the solver reports).
    """
    joints = estimate.joints
    behind = (joints[..., 2] <= NEAR_M).all(1)
    extent = estimate.camera.size.flip(-1)[:, None]
    pixel = (
        estimate.camera.focal[:, None] * joints[..., :2] / joints[..., 2:].clamp(min=NEAR_M)
        + estimate.camera.center[:, None]
    )
    outside = (pixel < 0).all(1) | (pixel > extent).all(1)  # all joints beyond the same border, (B, 2)
    return tuple(
        StopReason.BEHIND_CAMERA if b else StopReason.OUTSIDE_IMAGE if o else None
        for b, o in zip(behind.tolist(), outside.any(1).tolist(), strict=True)
    )
