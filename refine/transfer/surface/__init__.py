"""Bodies of a model from a surface or joints that a regressor stored instead of parameters."""

from refine.transfer.surface.converted import Converted, bodies_of_points, surface_on_points

__all__ = ["Converted", "bodies_of_points", "surface_on_points"]
