"""What says how far rendered pixels should move: the displacement network, or a stand-in that knows better.

view -> displacement -> matches        how matches are taken is the displacer's own: it alone knows how far its errors hang together
"""

from typing import Protocol, runtime_checkable

from displacement_net.displacement import Displacement
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.render.view import View


@runtime_checkable
class Displacer(Protocol):
    """Says for every rendered pixel how far it should move.

    It may own two things more, which are asked for by name and may be absent: `matching`, a
    `refine.dense.correspondence.Matching` that says how matches are taken from what it says (absent: `Matching()`), and
    `texture` (B, Y, X, 4), RGB and confidence of the people on the body's texture coordinates, by which the gate asks
    whether they look like themselves.
    """

    def displace(self, view: View) -> Displacement:
        """Return offsets (B, H, W, 2) in px of the view's crops, with the square root of their information."""
        ...


def matching_of(displacer: object, given: Matching | None = None) -> Matching:
    """Return how matches are taken.

    Args:
        displacer: A displacer, or None.
        given: What the caller says instead: it wins.

    Raises:
        InputError: The displacer's `matching` is no `Matching`.
    """
    own = getattr(displacer, "matching", None)
    if own is not None and not isinstance(own, Matching):
        advice = "It is a field or a property, not a method."
        raise InputError(
            "refiner.displacer.matching", "a refine.dense.correspondence.Matching", type(own).__name__, advice
        )
    return given or own or Matching()
