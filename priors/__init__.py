"""Terms that need no image: what people's poses and shapes are like, and what an estimate said before we looked."""

from priors.gaussian_shape import GaussianShape
from priors.joint_limits import JointLimits
from priors.near_estimate import NearEstimate, NearTranslation
from priors.near_focal import NearFocal

__all__ = ["GaussianShape", "JointLimits", "NearEstimate", "NearFocal", "NearTranslation"]
