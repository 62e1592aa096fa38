"""The displacement network: for every rendered pixel, how far it should move in the photo and how sure that is."""

from displacement_net.displacement import Displacement

__all__ = ["Displacement"]
