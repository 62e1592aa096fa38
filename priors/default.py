"""The priors `refine.fit` uses where the caller names none: near the estimate, within joint limits, shape and place nearly kept."""

from priors.joint_limits import JointLimits
from priors.near_estimate import NearEstimate, NearTranslation
from priors.near_focal import NearFocal
from priors.near_shape import NearShape
from refine.bodies import Unknowns
from refine.estimate import Estimate
from refine.terms import Term


def default_priors(estimate: Estimate, unknowns: Unknowns | None = None) -> tuple[Term, ...]:
    """Return the default priors of an estimate.

    Args:
        estimate: B bodies.
        unknowns: The columns, where the caller named them.

    Returns:
        `NearEstimate`, `NearShape`, `NearTranslation`, `JointLimits`; `NearFocal` where log-focal is free.
    """
    bodies = estimate.bodies
    focal = (NearFocal(estimate.camera.focal),) if unknowns is not None and unknowns.focal else ()
    return (
        NearEstimate(bodies.pose),
        NearShape(bodies.shape),
        NearTranslation(bodies.translation),
        JointLimits(),
        *focal,
    )
