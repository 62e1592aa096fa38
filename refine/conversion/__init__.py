"""From one body model to another, by a closed-form start and a few steps of the solver on the surface."""

from refine.conversion.converted import Converted, convert

__all__ = ["Converted", "convert"]
