"""Estimates: bodies and cameras on a body model, with the source they were read from."""

from refine.estimate.estimate import Estimate
from refine.estimate.source import Source, as_array, as_tensor

__all__ = ["Estimate", "Source", "as_array", "as_tensor"]
