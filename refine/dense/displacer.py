"""The interface of displacers, which predict the displacement of rendered pixels: the network, or a replacement.

view -> displacement -> matches        sampled by the displacer's `matching`: the correlation of its errors is its own
"""

from typing import Protocol, runtime_checkable

from displacement_net.displacement import Displacement
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.render.view import View


@runtime_checkable
class Displacer(Protocol):
    """Predicts the displacement of every rendered pixel.

    Three attributes are optional: `matching`, a `refine.dense.correspondence.Matching` by which its field is sampled
    (absent: `Matching()`); `texture` (B, Y, X, 4), RGB and confidence of the people on the body's texture coordinates,
    by which the gate judges appearance; and `rows(index)`, the displacer of some of the bodies, without which nobody is
    tried from several starts.
    """

    def displace(self, view: View) -> Displacement:
        """Return offsets (B, H, W, 2) px of the view's crops, and roots of their information (B, H, W, 2, 2) 1/px."""
        ...


def matching_of(displacer: object, given: Matching | None = None) -> Matching:
    """Return the settings by which a displacer's field is sampled.

    Args:
        displacer: A displacer, or None.
        given: The caller's settings, which take precedence.

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
