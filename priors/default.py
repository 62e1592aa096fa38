"""The priors `refine.fit` uses where the caller names none: near the estimate, within joint limits.

sigma_rad[b, j] = usual[j]  ->  sigma_said[b, j] mean(usual) / mean(sigma_said[b])
                  where the regressor states its own; geometric means
"""

import torch
from jaxtyping import Float
from torch import Tensor

from priors.joint_limits import JointLimits
from priors.near_estimate import NearEstimate, NearTranslation
from priors.near_expression import NearExpression
from priors.near_focal import NearFocal
from priors.near_shape import NearShape
from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate import Estimate
from refine.state import Unknowns
from refine.terms import Term

STATED = (0.2, 5.0)
"""Least and most a regressor's own word may narrow or widen a joint against the usual: networks are sure of the wrong
thing at times."""


def default_priors(estimate: Estimate, unknowns: Unknowns | None = None) -> tuple[Term, ...]:
    """Return the default priors of an estimate.

    Args:
        estimate: B bodies. Where their source states its own uncertainty (POCO), joints are as free against each other
            as it says.
        unknowns: The columns, where the caller named them.

    Returns:
        `NearEstimate`, `NearShape`, `NearTranslation`, `JointLimits`; `NearExpression` where the body has expressions;
        `NearFocal` where log-focal is free.
    """
    bodies = estimate.bodies
    focal = (NearFocal(estimate.camera.focal),) if unknowns is not None and unknowns.focal else ()
    expression = (NearExpression(bodies.expression),) if bodies.expression.shape[1] else ()
    return (
        NearEstimate(bodies.pose, stated_sigma_rad(estimate)),
        NearShape(bodies.shape),
        NearTranslation(bodies.translation),
        JointLimits(),
        *expression,
        *focal,
    )


def stated_sigma_rad(estimate: Estimate) -> Float[Tensor, "B J"] | None:
    """Return the standard deviation of every joint as the regressor weighs them; None where it says nothing.

    Only the proportions are the regressor's, since the units of stated variances differ; how wrong the whole estimate
    is, the evidence says (`refine.trust.quality`). Trunk and limbs stand in one order in SMPL, SMPL-H, SMPL-X and the
    built-in body; other joints have their usual sigma.

    Args:
        estimate: B bodies.

    Returns:
        (B, J) rad.
    """
    stated = estimate.source.sigma_rad
    if stated is None:
        return None
    pose = estimate.bodies.pose
    usual = estimate.body.usual_sigma_rad.to(pose).expand(len(pose), -1)
    count = min(BODY_JOINTS, stated.shape[1], usual.shape[1])
    own = stated[:, :count].to(pose)
    known = (own > 0) & own.isfinite()
    ratio = torch.where(known, own, 1.0).log() - usual[:, :count].log()
    middle = (ratio * known).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
    factor = torch.where(known, (ratio - middle).exp().clamp(*STATED), 1.0)
    return torch.cat((usual[:, :count] * factor, usual[:, count:]), 1)
