"""A shape that is known: from a scan, a calibration, an earlier session with the same person.

    residual[b, s] = (shape[b, s] - known[s]) / sigma         or known[b, s]

There are two ways to hold a shape. This term pulls a state that starts elsewhere to the known shape while everything
else follows, and keeps the columns, so that covariance and explanation still speak of shape. Where the state can start
at the known shape, leave shape out of the unknowns, which is exact and cheaper:

    start = replace(state, bodies=replace(state.bodies, shape=known.expand_as(state.bodies.shape)))
    solver.solve(body, start, terms, replace(unknowns, shape=0))

Source: none needed; the limit of Bogo et al., SMPLify, 2016, eq. 4 (E_beta) for a certain shape.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from priors.gaussian_shape import GaussianShape
from refine.body import PosedBody
from refine.check import check_finite, check_positive, check_shape
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization


@dataclass(frozen=True, eq=False)
class FixedShape:
    """Holds the free shape coefficients at known values.

    Attributes:
        shape: (S,) of one person, or (B, S), the coefficients of the state's body model.

    Raises:
        InputError: `shape` is not finite or has another number of axes, or `sigma` is not above zero; when linearised,
            the state has other numbers of bodies or coefficients.
    """

    shape: Float[Tensor, "S"] | Float[Tensor, "B S"]
    sigma: float = 1e-3
    """Standard deviation of a coefficient, unitless. A thousandth changes the built-in body's height by 0.15 mm, and
    its information (1e6) is a hundred times that of 500 dense matches of 2 px at 4 m (a coefficient moves them by 10
    px: 1e4): held, and still far from float32's limit."""
    kernel: Kernel = field(default_factory=LeastSquares)

    def __post_init__(self) -> None:
        check_shape("FixedShape.shape", self.shape, "S" if self.shape.dim() == 1 else "B S")
        check_finite("FixedShape.shape", self.shape, "Leave the prior out for bodies whose shape is not known.")
        check_positive(
            "sigma", torch.tensor(self.sigma), "unitless", "To hold a shape exactly leave it out of `Unknowns`."
        )

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, S_free, 1), unitless, and its Jacobian (B, S_free, 1, P) per unit step."""
        count, shapes = state.bodies.shape.shape
        check_shape("FixedShape.shape", self.shape, "B S" if self.shape.dim() == 2 else "S", B=count, S=shapes)
        known = self.shape.to(state.bodies.shape).expand(count, shapes)
        return GaussianShape(self.sigma, known, self.kernel).linearize(state, posed, unknowns)
