"""What a regressor said: bodies and cameras on a body model, and the regressor's own words beside."""

from refine.estimate.estimate import Estimate
from refine.estimate.source import Source, as_array, as_tensor

__all__ = ["Estimate", "Source", "as_array", "as_tensor"]
