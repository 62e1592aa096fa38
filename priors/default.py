"""The priors `refine.fit` uses where the caller names none: near the estimate, within joint limits, shape and place nearly kept."""

from priors.gaussian_shape import GaussianShape
from priors.joint_limits import JointLimits
from priors.near_estimate import NearEstimate, NearTranslation
from priors.near_focal import NearFocal
from refine.bodies import Unknowns
from refine.estimate import Estimate
from refine.terms import Term

SHAPE_SIGMA = 0.5
"""Standard deviation of a regressor's shape coefficients around the truth, in units of the population's. A judgement: half of what
the population itself spreads, so that an image moves the shape only where it says much."""


def default_priors(estimate: Estimate, unknowns: Unknowns | None = None) -> tuple[Term, ...]:
    """Return the default priors of an estimate.

    Args:
        estimate: B bodies.
        unknowns: The columns, where the caller named them.

    Returns:
        `NearEstimate`, `GaussianShape` around the estimate's shape, `NearTranslation`, `JointLimits`; `NearFocal` where log-focal is free.
    """
    bodies = estimate.bodies
    focal = (NearFocal(estimate.camera.focal),) if unknowns is not None and unknowns.focal else ()
    return (
        NearEstimate(bodies.pose),
        GaussianShape(SHAPE_SIGMA, bodies.shape),
        NearTranslation(bodies.translation),
        JointLimits(),
        *focal,
    )
