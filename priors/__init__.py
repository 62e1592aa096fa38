"""Terms that need no image: what people's poses and shapes are like, and what an estimate said before we looked."""

from priors.bending_limits import BendingLimits
from priors.fixed_shape import FixedShape
from priors.gaussian_shape import GaussianShape
from priors.ground_plane import GroundPlane
from priors.ground_points import GroundPoints, ground_points
from priors.hand_pose import HandPose
from priors.hand_space import HandSpace
from priors.joint_limits import JointLimits
from priors.known_measurements import KnownMeasurements
from priors.latent_pose import LatentPose
from priors.mixture_pose import GaussianMixturePose
from priors.motion import Motion, motion_of
from priors.near_estimate import NearEstimate, NearTranslation
from priors.near_expression import NearExpression
from priors.near_focal import NearFocal
from priors.near_shape import NearShape
from priors.self_penetration import SelfPenetration
from priors.white_acceleration import WhiteAcceleration

__all__ = [
    "BendingLimits",
    "FixedShape",
    "GaussianMixturePose",
    "GaussianShape",
    "GroundPlane",
    "GroundPoints",
    "HandPose",
    "HandSpace",
    "JointLimits",
    "KnownMeasurements",
    "LatentPose",
    "Motion",
    "NearEstimate",
    "NearExpression",
    "NearFocal",
    "NearShape",
    "NearTranslation",
    "SelfPenetration",
    "WhiteAcceleration",
    "ground_points",
    "motion_of",
]
