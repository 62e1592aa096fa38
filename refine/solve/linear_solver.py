"""The solver of block-banded systems with a border: on the CPU by LAPACK, elsewhere and for small blocks batched.

Both compute what `refine.solve.banded` says, in float64.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from refine.solve import banded, banded_lapack
from refine.solve.banded import Banded

SMALL = 24
"""Columns of a row below which many small blocks at a time are faster on the CPU than one after the other."""


def factorize(system: Banded) -> Bool[Tensor, "C"]:
    """Factorise a system in its own memory and return which chains are positive; see `refine.solve.banded`."""
    return banded_lapack.factorize(system) if _by_lapack(system) else banded.factorize(system)


def substitute(system: Banded, border: Float[Tensor, "C Q"]) -> Float[Tensor, "M P"]:
    """Return the solution of a factorised system, given its border's (C, Q); see `refine.solve.banded`."""
    return banded_lapack.substitute(system, border) if _by_lapack(system) else banded.substitute(system, border)


def invert(system: Banded, border: Float[Tensor, "C Q Q"]) -> None:
    """Put the covariance's blocks in the place of the factor's, given the border's; see `refine.solve.banded`."""
    if _by_lapack(system):
        banded_lapack.invert(system, border)
    else:
        banded.invert(system, border)


def _by_lapack(system: Banded) -> bool:
    return system.panels.device.type == "cpu" and system.form.columns >= SMALL
