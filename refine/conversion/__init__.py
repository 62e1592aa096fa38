"""From one body model to another: the bodies of a model that fill the same surface."""

from refine.conversion.converted import convert
from refine.transfer.surface import Converted

__all__ = ["Converted", "convert"]
